#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>

#include "runnel/codec/text_type.hpp"

/// What the readers and writers of JSON and CSV share: numbers and the names of kinds.
namespace runnel::detail {

/// Calls `f` with a value of the integer type that `kind` stands for.
template <class F>
decltype(auto) with_integer(text_kind kind, F&& f) {
    switch (kind) {
        case text_kind::int8: return f(std::int8_t{});
        case text_kind::int16: return f(std::int16_t{});
        case text_kind::int32: return f(std::int32_t{});
        case text_kind::uint8: return f(std::uint8_t{});
        case text_kind::uint16: return f(std::uint16_t{});
        case text_kind::uint32: return f(std::uint32_t{});
        case text_kind::uint64: return f(std::uint64_t{});
        default: return f(std::int64_t{});
    }
}

inline bool is_integer(text_kind kind) noexcept { return kind >= text_kind::int8 && kind <= text_kind::uint64; }

/// An integer of any of the kinds.
struct integer_text {
    enum class status : unsigned char { ok, not_an_integer, too_large } is = status::not_an_integer;
    bool negative = false;
    std::uint64_t magnitude = 0;
};

/// Reads eight digits at once; false if not all of them are digits. Neighbours are joined in three steps: to numbers
/// of two, four, and eight digits.
inline bool parse_eight_digits(const char* at, std::uint64_t& value) noexcept {
    std::uint64_t chunk = 0;
    std::memcpy(&chunk, at, sizeof chunk);
    // The upper half of each byte must be 3, and stay so when 6 is added to the lower one.
    constexpr std::uint64_t upper = 0xF0F0'F0F0'F0F0'F0F0, threes = 0x3030'3030'3030'3030;
    if ((chunk & upper) != threes || ((chunk + 0x0606'0606'0606'0606) & upper) != threes) return false;
    chunk -= threes;
    chunk = (chunk * 10 + (chunk >> 8)) & 0x00FF'00FF'00FF'00FF;
    chunk = (chunk * 100 + (chunk >> 16)) & 0x0000'FFFF'0000'FFFF;
    value = (chunk * 10'000 + (chunk >> 32)) & 0xFFFF'FFFF;
    return true;
}

/// Reads a whole text as an integer: an optional minus and digits.
inline integer_text parse_integer(std::string_view text) noexcept {
    integer_text number;
    const char* at = text.data();
    const char* const end = at + text.size();
    if (at != end && *at == '-') {
        number.negative = true;
        ++at;
    }
    if (at == end) return number;
    // 19 digits always fit; more are rare enough for the careful way.
    if (end - at <= 19) {
        std::uint64_t value = 0;
        for (std::uint64_t part = 0; end - at >= 8; at += 8) {
            if (!parse_eight_digits(at, part)) return number;
            value = value * 100'000'000 + part;
        }
        for (; at != end; ++at) {
            const auto digit = static_cast<unsigned>(*at - '0');
            if (digit > 9) return number;
            value = value * 10 + digit;
        }
        number.magnitude = value;
        number.is = integer_text::status::ok;
        return number;
    }
    const auto [stop, failure] = std::from_chars(at, end, number.magnitude);
    if (stop != end) return number;
    number.is = failure == std::errc() ? integer_text::status::ok : integer_text::status::too_large;
    return number;
}

/// Writes the number to `into` if it is in the range of `kind`.
inline bool store_integer(const integer_text& number, text_kind kind, void* into) noexcept {
    return with_integer(kind, [&](auto zero) {
        using integer = decltype(zero);
        const auto largest = static_cast<std::uint64_t>(std::numeric_limits<integer>::max());
        const std::uint64_t limit = !number.negative ? largest : std::is_signed_v<integer> ? largest + 1 : 0;
        if (number.is != integer_text::status::ok || number.magnitude > limit) return false;
        const auto value = static_cast<integer>(number.negative ? 0 - number.magnitude : number.magnitude);
        std::memcpy(into, &value, sizeof value);
        return true;
    });
}

/// The integer at `from`; 64-bit unsigned ones keep their bits.
inline std::int64_t load_integer(text_kind kind, const void* from) noexcept {
    return with_integer(kind, [&](auto value) {
        std::memcpy(&value, from, sizeof value);
        return static_cast<std::int64_t>(value);
    });
}

/// "from -128 to 127".
inline std::string range_of(text_kind kind) {
    return with_integer(kind, [](auto zero) {
        using limits = std::numeric_limits<decltype(zero)>;
        return "from " + std::to_string(limits::min()) + " to " + std::to_string(limits::max());
    });
}

/// Reads a whole text as a float or double; errc::result_out_of_range if it is too large, too small or no number.
template <class Float>
std::errc parse_float(std::string_view text, void* into) noexcept {
    Float value = 0;
    const auto [stop, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure == std::errc::result_out_of_range) return failure;
    if (failure != std::errc() || stop != text.data() + text.size()) return std::errc::invalid_argument;
    std::memcpy(into, &value, sizeof value);
    return std::errc();
}

template <class Number>
void append_number(std::string& out, Number value) {
    char digits[32];
    const auto [end, failure] = std::to_chars(digits, digits + sizeof digits, value);
    out.append(digits, end);
    static_cast<void>(failure);  // 32 characters hold every 64-bit integer and every shortest double.
}

inline void append_integer(std::string& out, text_kind kind, const void* from) {
    with_integer(kind, [&](auto value) {
        std::memcpy(&value, from, sizeof value);
        // Through int: to_chars has no 8-bit overloads that mean numbers.
        if constexpr (sizeof value == 1) append_number(out, static_cast<int>(value));
        else append_number(out, value);
    });
}

inline const text_enumerator* find_name(const text_type& type, std::string_view name) noexcept {
    for (std::size_t i = 0; i < type.count; ++i)
        if (type.names[i].name == name) return &type.names[i];
    return nullptr;
}

inline const text_enumerator* find_value(const text_type& type, std::int64_t value) noexcept {
    for (std::size_t i = 0; i < type.count; ++i)
        if (type.names[i].value == value) return &type.names[i];
    return nullptr;
}

inline void store_enumerator(const text_type& type, const text_enumerator& e, void* into) noexcept {
    with_integer(type.element->kind, [&](auto value) {
        value = static_cast<decltype(value)>(e.value);
        std::memcpy(into, &value, sizeof value);
    });
}

/// "one of red, green, blue".
inline std::string names_of(const text_type& type) {
    std::string text = "one of ";
    for (std::size_t i = 0; i < type.count; ++i) {
        if (i != 0) text += ", ";
        text += type.names[i].name;
    }
    return text;
}

/// At most 40 bytes of a text, for a message; cut between characters.
inline std::string excerpt(std::string_view text) {
    constexpr std::size_t limit = 40;
    if (text.size() <= limit) return std::string(text);
    std::size_t end = limit;
    while (end > limit - 4 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    return std::string(text.substr(0, end)) + "...";
}

/// 'x', or "byte 0x0A" for what cannot be shown.
inline std::string show(char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F) return std::string("'") + c + "'";
    constexpr char digits[] = "0123456789ABCDEF";
    return std::string("byte 0x") + digits[byte >> 4] + digits[byte & 15];
}

}  // namespace runnel::detail
