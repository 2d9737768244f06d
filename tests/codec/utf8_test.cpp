#include "runnel/codec/utf8.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <string>

using namespace runnel;

namespace {

std::string encode(std::uint32_t code) {
    std::string s;
    if (code < 0x80) s = {static_cast<char>(code)};
    else if (code < 0x800) s = {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
    else if (code < 0x10000)
        s = {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 63)),
             static_cast<char>(0x80 | (code & 63))};
    else
        s = {static_cast<char>(0xF0 | code >> 18), static_cast<char>(0x80 | (code >> 12 & 63)),
             static_cast<char>(0x80 | (code >> 6 & 63)), static_cast<char>(0x80 | (code & 63))};
    return s;
}

}  // namespace

TEST_CASE("every Unicode scalar value is valid, every surrogate and what is above is not") {
    for (std::uint32_t code = 0; code <= 0x10FFFF; ++code) {
        const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        if (is_valid_utf8(encode(code)) == surrogate) FAIL("code point " << code);
    }
    CHECK_FALSE(is_valid_utf8(encode(0x110000)));
}

TEST_CASE("overlong forms, cut characters and stray bytes are found where they are") {
    CHECK(valid_utf8_prefix("") == 0);
    CHECK(valid_utf8_prefix("abc") == 3);
    CHECK(valid_utf8_prefix("ab\x80") == 2);
    CHECK(valid_utf8_prefix("0123456789abcdef\xC3") == 16);
    CHECK(valid_utf8_prefix("a\xC0\x80") == 1);
    CHECK(valid_utf8_prefix("a\xE0\x9F\xBF") == 1);
    CHECK(valid_utf8_prefix("a\xF0\x8F\xBF\xBF") == 1);
    CHECK(valid_utf8_prefix("\xE2\x82\xAC\xE2\x82") == 3);
    CHECK(valid_utf8_prefix("\xFF") == 0);
}

TEST_CASE("a valid text with one byte changed to a stray one is valid up to there") {
    std::mt19937 random(3);
    for (int i = 0; i < 2'000; ++i) {
        std::string text;
        const std::size_t length = random() % 30;
        for (std::size_t n = 0; n < length; ++n)
            text += encode(random() % 3 == 0 ? random() % 0xD800 : random() % 0x80);
        INFO("round " << i);
        REQUIRE(valid_utf8_prefix(text) == text.size());
        text += '\xFF';
        REQUIRE(valid_utf8_prefix(text) == text.size() - 1);
    }
}
