#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "runnel/core/error.hpp"

namespace runnel {

static_assert(std::endian::native == std::endian::little,
              "runnel's binary formats are written on little-endian machines");

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
    /// The number of elements that follow, each of at least `smallest` bytes.
    std::size_t take_size(std::size_t smallest = 1) {
        const auto count = take_raw<std::uint32_t>();
        if (count > rest_.size() / smallest)
            throw decode_error("encoded value is cut off: " + std::to_string(count) + " elements expected, " +
                               std::to_string(rest_.size()) + " bytes left");
        return count;
    }

    /// Held while a value inside another one is decoded, so that hostile bytes cannot exhaust the stack.
    class nested {
    public:
        explicit nested(byte_reader& in) : in_(in) {
            if (in.depth_ == 256) throw decode_error("encoded value is nested deeper than 256 levels");
            ++in.depth_;
        }
        nested(const nested&) = delete;
        nested& operator=(const nested&) = delete;
        ~nested() { --in_.depth_; }

    private:
        byte_reader& in_;
    };

private:
    std::string_view rest_;
    int depth_ = 0;
};

/// How a type becomes bytes in state, log and exchange to disk: the one customization point. Specialise with
///   static void encode(const T&, std::string& out);    appends
///   static T decode(byte_reader& in);                  throws decode_error
/// Equal values must encode equally: the key group of a key is computed from these bytes. Every value takes at least
/// one byte, so that a length can be judged by what remains. codec/binary.hpp has the codecs of standard types. If the
/// bytes of saved values will change one day, add
///   static constexpr int version = 1;                  the next time 2, and so on, each with a `migration`; or
///   static auto layout(layout_builder&);               if they are those of other types: see codec/layout.hpp
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
    static_assert(!std::is_same_v<T, long double>, "runnel: long double has padding bytes; use double");
    static void encode(T value, std::string& out) {
        if constexpr (std::is_floating_point_v<T>)
            if (value == 0) value = 0;  // -0.0 equals 0.0 and must not differ in its bytes.
        char bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof(T));
        out.append(bytes, sizeof(T));
    }
    static T decode(byte_reader& in) { return in.take_raw<T>(); }
    template <class Builder>
    static auto layout(Builder& to) {
        return to.template number<T>();
    }
};

template <>
struct codec<bool> {
    static void encode(bool value, std::string& out) { out += value ? '\1' : '\0'; }
    static bool decode(byte_reader& in) {
        const auto byte = in.take_raw<unsigned char>();
        if (byte > 1) throw decode_error("encoded bool is neither 0 nor 1: the bytes are damaged or of another type");
        return byte != 0;
    }
    template <class Builder>
    static auto layout(Builder& to) {
        return to.boolean();
    }
};

/// The number of elements, or bytes, that follow: 32 bits.
inline void encode_size(std::size_t size, std::string& out) {
    if (size > UINT32_MAX) throw error("a value with 2^32 or more elements cannot be encoded");
    codec<std::uint32_t>::encode(static_cast<std::uint32_t>(size), out);
}

template <>
struct codec<std::string> {
    static void encode(const std::string& value, std::string& out) {
        encode_size(value.size(), out);
        out += value;
    }
    static std::string decode(byte_reader& in) { return std::string(in.take(codec<std::uint32_t>::decode(in))); }
    template <class Builder>
    static auto layout(Builder& to) {
        return to.text();
    }
};

}  // namespace runnel
