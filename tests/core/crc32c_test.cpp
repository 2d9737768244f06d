#include "runnel/core/crc32c.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <string>

namespace {

TEST_CASE("crc32c gives the values that RFC 3720 lists") {
    CHECK(runnel::crc32c("") == 0);
    CHECK(runnel::crc32c("123456789") == 0xE3069283);
    CHECK(runnel::crc32c(std::string(32, '\0')) == 0x8A9136AA);
    CHECK(runnel::crc32c(std::string(32, '\xFF')) == 0x62A8AB43);
    std::string up;
    for (int i = 0; i < 32; ++i) up += static_cast<char>(i);
    CHECK(runnel::crc32c(up) == 0x46DD794E);
}

TEST_CASE("crc32c by tables, by the instruction and in pieces are the same at every length and place") {
    std::mt19937_64 random(7);
    std::string bytes(300, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const std::string_view all = bytes;
    for (std::size_t from = 0; from < 9; ++from)
        for (std::size_t n = 0; n + from <= all.size(); ++n) {
            const std::string_view part = all.substr(from, n);
            const std::uint32_t whole = runnel::crc32c(part);
            REQUIRE(whole == runnel::detail::crc32c_by_table(part, 0));
            const std::size_t cut = n / 3;
            REQUIRE(whole == runnel::crc32c(part.substr(cut), runnel::crc32c(part.substr(0, cut))));
        }
}

}  // namespace
