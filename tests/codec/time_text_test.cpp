#include "runnel/codec/time_text.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <string>

using namespace runnel;
using namespace std::chrono_literals;

TEST_CASE("an integer counts units from the epoch, milliseconds by default") {
    CHECK(parse_timestamp("1700000000000") == timestamp(1'700'000'000s));
    CHECK(parse_timestamp("1700000000", time_unit::seconds) == timestamp(1'700'000'000s));
    CHECK(parse_timestamp("1700000000000000", time_unit::microseconds) == timestamp(1'700'000'000s));
    CHECK(parse_timestamp("-5", time_unit::nanoseconds) == timestamp(-5));
    CHECK(parse_timestamp("0") == timestamp(0));
    CHECK(parse_timestamp("20261121", time_unit::seconds) == timestamp(20'261'121s));
}

TEST_CASE("ISO 8601 is read as date, with time, fraction and offset") {
    const timestamp seven(1'795'244'400s);
    for (const char* text : {"2026-11-21T07:00:00Z", "2026-11-21 07:00:00", "2026-11-21t07:00:00z", "2026-11-21T07:00Z",
                             "2026-11-21T07:00", "2026-11-21T08:00:00+01:00", "2026-11-21T08:00+0100",
                             "2026-11-21T08:00:00.000+01", "2026-11-20T23:30:00-07:30", "2026-11-21T07:00:00.0"}) {
        INFO(std::string(text));
        CHECK(parse_timestamp(text) == seven);
    }
    CHECK(parse_timestamp("2026-11-21") == seven - 7h);
    CHECK(parse_timestamp("2026-11-21T07:00:00.5Z") == seven + 500ms);
    CHECK(parse_timestamp("2026-11-21T07:00:00,000000001Z") == seven + 1ns);
    CHECK(parse_timestamp("1969-12-31T23:59:59.999999999Z") == timestamp(-1));
    CHECK(parse_timestamp("2024-02-29").has_value());
}

TEST_CASE("other texts and dates that do not exist are no times") {
    for (const char* text :
         {"", " ", "-", "+5", "1.5", "1e3", "12 ", " 12", "0x10", "min", "max", "now", "2026-11", "2026-11-2",
          "2026-13-01", "2026-00-10", "2026-02-29", "2026-04-31", "2026-11-00", "2026-11-21T", "2026-11-21T7:00",
          "2026-11-21T24:00:00Z", "2026-11-21T07:60:00Z", "2026-11-21T07:00:60Z", "2026-11-21T07:00:00.Z",
          "2026-11-21T07:00:00.1234567890Z", "2026-11-21T07:00:00+", "2026-11-21T07:00:00+1",
          "2026-11-21T07:00:00+24:00",
          "2026-11-21T07:00:00+01:60", "2026-11-21T07:00:00+01:", "2026-11-21T07:00:00Zx", "2026-11-21Z", "26-11-21",
          "+2026-11-21", "2026/11/21", "2026-11-21T07.00"}) {
        INFO(std::string(text));
        CHECK_FALSE(parse_timestamp(text).has_value());
    }
    CHECK_FALSE(parse_timestamp(std::string("12\0", 3)).has_value());
}

TEST_CASE("what lies outside of the range is an error and no wrap, the sentinels included") {
    CHECK(parse_timestamp("9223372036854", time_unit::milliseconds).has_value());
    CHECK_FALSE(parse_timestamp("9223372036855", time_unit::milliseconds).has_value());
    CHECK_FALSE(parse_timestamp("-9223372036855", time_unit::milliseconds).has_value());
    CHECK_FALSE(parse_timestamp("9223372037", time_unit::seconds).has_value());
    CHECK_FALSE(parse_timestamp("9223372036854775807", time_unit::nanoseconds).has_value());
    CHECK_FALSE(parse_timestamp("-9223372036854775808", time_unit::nanoseconds).has_value());
    CHECK_FALSE(parse_timestamp("9223372036854775808", time_unit::nanoseconds).has_value());
    CHECK_FALSE(parse_timestamp("99999999999999999999999").has_value());
    CHECK(parse_timestamp("9223372036854775806", time_unit::nanoseconds) == timestamp::max().previous());

    CHECK(parse_timestamp("2262-04-11T23:47:16.854775806Z") == timestamp::max().previous());
    CHECK_FALSE(parse_timestamp("2262-04-11T23:47:16.854775807Z").has_value());
    CHECK_FALSE(parse_timestamp("2262-04-11T23:47:17Z").has_value());
    CHECK(parse_timestamp("1677-09-21T00:12:43.145224193Z") == timestamp::min() + 1ns);
    CHECK_FALSE(parse_timestamp("1677-09-21T00:12:43.145224192Z").has_value());
    CHECK_FALSE(parse_timestamp("1677-09-21T00:12:43Z").has_value());
    CHECK_FALSE(parse_timestamp("9999-12-31T23:59:59Z").has_value());
    CHECK_FALSE(parse_timestamp("0000-01-01").has_value());
}

TEST_CASE("units round down and come back") {
    CHECK(count_units(timestamp(-1), time_unit::seconds) == -1);
    CHECK(count_units(timestamp(1'999'999), time_unit::milliseconds) == 1);
    CHECK(count_units(timestamp::min(), time_unit::seconds) == -9'223'372'037);
    std::mt19937_64 random(11);
    for (int i = 0; i < 10'000; ++i) {
        const auto count = static_cast<std::int64_t>(random()) >> (20 + random() % 40);
        for (auto unit : {time_unit::milliseconds, time_unit::microseconds, time_unit::nanoseconds}) {
            INFO("count " << count << " " << to_string(unit));
            if (const auto t = to_timestamp(count, unit)) REQUIRE(count_units(*t, unit) == count);
        }
    }
}

TEST_CASE("every time reads back as it was written") {
    std::mt19937_64 random(7);
    for (int i = 0; i < 20'000; ++i) {
        // All magnitudes, so that near and far from the epoch are met alike.
        const auto ns = static_cast<std::int64_t>(random()) >> (random() % 64);
        const timestamp t(ns);
        if (t == timestamp::min() || t == timestamp::max()) continue;
        INFO("ns " << ns);
        REQUIRE(parse_timestamp(to_string(t)) == t);
    }
}
