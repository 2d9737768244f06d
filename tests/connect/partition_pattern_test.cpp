#include "runnel/connect/partition_pattern.hpp"

#include <doctest/doctest.h>

#include "runnel/codec/time_text.hpp"
#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using detail::partition_pattern;

namespace {

timestamp at(const char* text) { return *parse_timestamp(text); }

std::string folder(const char* pattern, timestamp t) { return partition_pattern(pattern).at(t).folder; }

}  // namespace

TEST_CASE("a partition's folder is named by the record's time in UTC") {
    CHECK(folder("dt=%Y-%m-%d/hour=%H", at("2026-11-21T07:59:59.999Z")) == "dt=2026-11-21/hour=07");
    CHECK(folder("%Y/%m/%d/%H/%M", at("2026-01-02T03:04:05Z")) == "2026/01/02/03/04");
    CHECK(folder("all", at("2026-01-02")) == "all");
    CHECK(folder("", at("2026-01-02")) == "");
    CHECK(folder("%d%%", at("2026-01-02")) == "02%");
    CHECK(folder("%Y-%m-%d %H:%M", timestamp(-1)) == "1969-12-31 23:59");
    CHECK(folder("%Y-%m-%d %H:%M", at("2024-02-29T00:00Z")) == "2024-02-29 00:00");
}

TEST_CASE("a partition's first and last time are in it, and their neighbours differ where the unit ends") {
    const partition_pattern hours("dt=%Y-%m-%d/hour=%H");
    const auto p = hours.at(at("2026-11-21T07:30Z"));
    CHECK(p.first == at("2026-11-21T07:00Z"));
    CHECK(p.last == at("2026-11-21T08:00Z").previous());
    CHECK(hours.at(p.first).folder == p.folder);
    CHECK(hours.at(p.last).folder == p.folder);
    CHECK(hours.at(p.first.previous()).folder == "dt=2026-11-21/hour=06");
    CHECK(hours.at(at("2026-11-21T08:00Z")).folder == "dt=2026-11-21/hour=08");
    tests::random_numbers random(7);
    for (const char* pattern : {"%Y", "%m/%d", "%d-%H", "%M", "%H"}) {
        const partition_pattern tried(pattern);
        for (int i = 0; i < 2'000; ++i) {
            const timestamp t(static_cast<std::int64_t>(random.seed()));
            CAPTURE(pattern);
            CAPTURE(t);
            const auto place = tried.at(t);
            CHECK(place.first <= t);
            CHECK(t <= place.last);
            CHECK(tried.at(place.first).folder == place.folder);
            CHECK(tried.at(place.last).folder == place.folder);
        }
    }
}

TEST_CASE("the earliest and the latest time have a partition too") {
    for (const char* pattern : {"%Y-%m-%d", "%Y-%m-%d/%H", "%Y-%m-%d/%H/%M", "x", ""})
        for (const timestamp t : {timestamp::min(), timestamp::min() + duration(1), timestamp::max(),
                                  timestamp::max().previous()}) {
            const auto place = partition_pattern(pattern).at(t);
            CHECK(place.first <= t);
            CHECK(t <= place.last);
        }
    CHECK(folder("%Y-%m-%d/%H:%M", timestamp::min()) == "1677-09-21/00:12");
    CHECK(folder("%Y-%m-%d/%H:%M", timestamp::max()) == "2262-04-11/23:47");
}

TEST_CASE("a pattern that leads elsewhere or is not known is a problem with a proposal") {
    for (const char* good : {"", "a", "%Y", "dt=%Y-%m-%d/hour=%H", "..x/y..", "%%"})
        CHECK(partition_pattern(good).problem() == "");
    for (const char* bad : {"/a", "a/", "a//b", "..", "a/../b", ".", "./a", "/"})
        CHECK(partition_pattern(bad).problem().find("it must stay below the folder. Use names") != std::string::npos);
    CHECK(partition_pattern("dt=%F").problem() ==
          "partition \"dt=%F\": \"%F\" is not known. Use %Y, %m, %d, %H, %M, or %% for a percent sign");
    CHECK(partition_pattern("dt=%").problem().find("\"%\" is not known") != std::string::npos);
    CHECK(partition_pattern(std::string("a\0b", 3)).problem().find("null character") != std::string::npos);
}
