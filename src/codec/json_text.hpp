#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include "runnel/codec/utf8.hpp"

/// What RFC 8259 says of numbers, white space and strings.
namespace runnel::detail {

inline bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
inline bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// RFC 8259, section 6.
inline bool is_number(std::string_view text) noexcept {
    std::size_t i = 0;
    const auto digits = [&] {
        const std::size_t from = i;
        while (i < text.size() && is_digit(text[i])) ++i;
        return i != from;
    };
    if (i < text.size() && text[i] == '-') ++i;
    if (i < text.size() && text[i] == '0') ++i;
    else if (!digits()) return false;
    if (i < text.size() && text[i] == '.' && (++i, !digits())) return false;
    if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
        ++i;
        if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
        if (!digits()) return false;
    }
    return i == text.size();
}

inline void append_utf8(std::string& out, std::uint32_t code) {
    const auto byte = [&](std::uint32_t bits) { out += static_cast<char>(bits); };
    if (code < 0x80) return byte(code);
    if (code < 0x800) {
        byte(0xC0 | code >> 6);
    } else {
        if (code < 0x10000) {
            byte(0xE0 | code >> 12);
        } else {
            byte(0xF0 | code >> 18);
            byte(0x80 | (code >> 12 & 0x3F));
        }
        byte(0x80 | (code >> 6 & 0x3F));
    }
    byte(0x80 | (code & 0x3F));
}

/// Four hexadecimal digits, or a number above 0xFFFF.
inline std::uint32_t parse_hex4(std::string_view text) noexcept {
    constexpr std::uint32_t bad = 0x10000;
    if (text.size() < 4) return bad;
    std::uint32_t code = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + 4, code, 16);
    return failure == std::errc() && end == text.data() + 4 ? code : bad;
}

/// Appends the text with its escapes resolved. Answers npos, or where a wrong escape starts.
inline std::size_t unescape(std::string_view text, std::string& out) {
    std::size_t at = 0;
    for (;;) {
        const std::size_t backslash = std::min(text.find('\\', at), text.size());
        out.append(text, at, backslash - at);
        if (backslash == text.size()) return std::string_view::npos;
        at = backslash + 2;
        switch (backslash + 1 < text.size() ? text[backslash + 1] : '\0') {
            case '"': out += '"'; break;
            case '\\': out += '\\'; break;
            case '/': out += '/'; break;
            case 'b': out += '\b'; break;
            case 'f': out += '\f'; break;
            case 'n': out += '\n'; break;
            case 'r': out += '\r'; break;
            case 't': out += '\t'; break;
            case 'u': {
                std::uint32_t code = parse_hex4(text.substr(at));
                if (code > 0xFFFF || (code >= 0xDC00 && code <= 0xDFFF)) return backslash;
                at += 4;
                if (code >= 0xD800 && code <= 0xDBFF) {
                    if (text.substr(at, 2) != "\\u") return backslash;
                    const std::uint32_t low = parse_hex4(text.substr(at + 2));
                    if (low < 0xDC00 || low > 0xDFFF) return backslash;
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                    at += 6;
                }
                append_utf8(out, code);
                break;
            }
            default: return backslash;
        }
    }
}

/// Where the first string that is not closed, or holds a control character, goes wrong; for messages only.
inline std::size_t find_bad_string(std::string_view text) noexcept {
    std::size_t start = std::string_view::npos;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool inside = start != std::string_view::npos;
        if (text[i] == '"') start = inside ? std::string_view::npos : i;
        else if (inside && static_cast<unsigned char>(text[i]) < 0x20) return i;
        else if (inside && text[i] == '\\') ++i;
    }
    return start;
}

inline void append_escaped(std::string& out, char c) {
    switch (c) {
        case '"': out += "\\\""; return;
        case '\\': out += "\\\\"; return;
        case '\n': out += "\\n"; return;
        case '\r': out += "\\r"; return;
        case '\t': out += "\\t"; return;
        default: break;
    }
    constexpr char digits[] = "0123456789abcdef";
    out += "\\u00";
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
}

/// The text in quotes; bytes that are no UTF-8 become the replacement character.
inline void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    while (!text.empty()) {
        const std::size_t valid = valid_utf8_prefix(text);
        std::size_t copied = 0;
        for (std::size_t i = 0; i < valid; ++i) {
            const char c = text[i];
            if (static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\') continue;
            out.append(text, copied, i - copied);
            append_escaped(out, c);
            copied = i + 1;
        }
        out.append(text, copied, valid - copied);
        text.remove_prefix(valid);
        if (!text.empty()) {
            out += "\xEF\xBF\xBD";
            text.remove_prefix(1);
        }
    }
    out += '"';
}

}  // namespace runnel::detail
