#include "runnel/codec/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace runnel {

bool is_valid_utf8(std::string_view text) noexcept { return valid_utf8_prefix(text) == text.size(); }

std::size_t valid_utf8_prefix(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    std::size_t at = 0;
    while (at < text.size()) {
        const unsigned char lead = byte(at);
        std::size_t length = 1;
        // Allowed values of the second byte; they keep out overlong forms, surrogates and what is above U+10FFFF.
        unsigned char low = 0x80, high = 0xBF;
        if (lead < 0x80) {
            // Most text is ASCII: eight bytes at a time.
            std::uint64_t word = 0;
            while (text.size() - at >= sizeof word) {
                std::memcpy(&word, text.data() + at, sizeof word);
                if ((word & 0x8080'8080'8080'8080) != 0) break;
                at += sizeof word;
            }
            while (at < text.size() && byte(at) < 0x80) ++at;
            continue;
        }
        if (lead >= 0xC2 && lead <= 0xDF) {
            length = 2;
        } else if (lead >= 0xE0 && lead <= 0xEF) {
            length = 3;
            if (lead == 0xE0) low = 0xA0;
            if (lead == 0xED) high = 0x9F;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            length = 4;
            if (lead == 0xF0) low = 0x90;
            if (lead == 0xF4) high = 0x8F;
        } else {
            return at;
        }
        if (text.size() - at < length || byte(at + 1) < low || byte(at + 1) > high) return at;
        for (std::size_t i = 2; i < length; ++i)
            if ((byte(at + i) & 0xC0) != 0x80) return at;
        at += length;
    }
    return at;
}

}  // namespace runnel
