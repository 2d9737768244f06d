#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "runnel/core/error.hpp"

namespace runnel {

static_assert(std::endian::native == std::endian::little, "runnel's binary formats are written on little-endian machines");

/// Reads encoded bytes from front to back; every read is checked against what remains.
/// Errors: `decode_error` when the bytes end early.
class byte_reader {
public:
    explicit byte_reader(std::string_view bytes) : rest_(bytes) {}
    bool empty() const noexcept { return rest_.empty(); }
    std::size_t remaining() const noexcept { return rest_.size(); }
    std::string_view take(std::size_t n) {
        if (n > rest_.size())
            throw decode_error("encoded value is cut off: " + std::to_string(n) + " bytes expected, " +
                               std::to_string(rest_.size()) + " left");
        std::string_view taken = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return taken;
    }
    /// A trivially copyable value in memory order (little-endian).
    template <class T>
    T take_raw() {
        T value;
        std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
        return value;
    }

private:
    std::string_view rest_;
};

/// How a type becomes bytes in state, log and exchange to disk: the one customization point. Specialise with
///   static void encode(const T&, std::string& out);    appends
///   static T decode(byte_reader& in);                  throws decode_error
/// Equal values must encode equally: the key group of a key is computed from these bytes.
template <class T>
struct codec;

/// A type that has a codec.
template <class T>
concept encodable = requires(const T& value, std::string& out, byte_reader& in) {
    codec<T>::encode(value, out);
    { codec<T>::decode(in) } -> std::convertible_to<T>;
};

template <class T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
struct codec<T> {
    static void encode(T value, std::string& out) {
        char bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof(T));
        out.append(bytes, sizeof(T));
    }
    static T decode(byte_reader& in) { return in.take_raw<T>(); }
};

template <>
struct codec<std::string> {
    static void encode(const std::string& value, std::string& out) {
        codec<std::uint32_t>::encode(static_cast<std::uint32_t>(value.size()), out);
        out += value;
    }
    static std::string decode(byte_reader& in) { return std::string(in.take(codec<std::uint32_t>::decode(in))); }
};

}  // namespace runnel
