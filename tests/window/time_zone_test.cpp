#include "runnel/window/time_zone.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>
#include <random>
#include <string>

#include "runnel/core/error.hpp"

using namespace runnel;

namespace {

std::string number(std::int64_t n, int bytes) {
    std::string out;
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(n >> (8 * i) & 0xff);
    return out;
}

struct zone_file {
    std::vector<std::int64_t> changes{};
    std::vector<int> kinds{};
    std::vector<std::int64_t> offsets{0};
    std::string rule = "";
    char version = '2';

    std::string header(std::size_t n, std::size_t types) const {
        return std::string("TZif") + version + std::string(15, '\0') + number(0, 4) + number(0, 4) + number(0, 4) +
               number(static_cast<std::int64_t>(n), 4) + number(static_cast<std::int64_t>(types), 4) + number(4, 4);
    }
    std::string text() const {
        std::string out;
        if (version != '\0') out = header(0, 1) + std::string(6, '\0') + std::string("UTC\0", 4);
        out += header(changes.size(), offsets.size());
        for (auto t : changes) out += number(t, version == '\0' ? 4 : 8);
        for (auto k : kinds) out += static_cast<char>(k);
        for (auto o : offsets) out += number(o, 4) + std::string(2, '\0');
        out += std::string("XYZ\0", 4);
        return version == '\0' ? out : out + "\n" + rule + "\n";
    }
};

time_zone parse(const zone_file& f) { return time_zone::parse("test", f.text()); }

}  // namespace

TEST_CASE("offsets are those of the C library, from 1700 to 2250, in zones of every kind") {
    const char* old = std::getenv("TZ");
    const std::string before = old ? old : "";
    std::mt19937_64 random(1);
    for (const char* name : {"Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Tokyo",
                             "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns", "Africa/Casablanca",
                             "Europe/Dublin", "Asia/Gaza", "America/Havana", "Antarctica/Troll", "Etc/GMT+5"}) {
        const time_zone zone = time_zone::load(name);
        setenv("TZ", name, 1);
        tzset();
        for (int i = 0; i != 2000; ++i) {
            const auto t = static_cast<std::int64_t>(random() % 17'000'000'000) - 8'500'000'000;
            const time_zone::stretch s = zone.at(t);
            CAPTURE(name);
            CAPTURE(t);
            REQUIRE(s.start <= t);
            REQUIRE(t < s.end);
            for (const std::int64_t x : {t, s.end - 1, s.start}) {
                if (x < -8'500'000'000 || x > 8'900'000'000) continue;
                const auto c = static_cast<std::time_t>(x);
                std::tm local{};
                REQUIRE(localtime_r(&c, &local) != nullptr);
                REQUIRE(s.offset == local.tm_gmtoff);
            }
        }
    }
    old ? setenv("TZ", before.c_str(), 1) : unsetenv("TZ");
    tzset();
}

TEST_CASE("the first second at or after a local time: the earlier of two, or the one where clocks go forward") {
    const time_zone zone = parse({{1000, 2000}, {1, 0}, {0, 100}});
    CHECK(zone.first_at_or_after(999) == 999);
    CHECK(zone.first_at_or_after(1000) == 1000);
    CHECK(zone.first_at_or_after(1099) == 1000);
    CHECK(zone.first_at_or_after(1100) == 1000);
    CHECK(zone.first_at_or_after(1101) == 1001);
    CHECK(zone.first_at_or_after(2050) == 1950);
    CHECK(zone.first_at_or_after(2099) == 1999);
    CHECK(zone.first_at_or_after(2100) == 2100);
}

TEST_CASE("changes that leave the offset as it is are none") {
    const time_zone zone = parse({{1000, 2000, 3000}, {1, 0, 1}, {60, 60}});
    CHECK(zone.at(1500).start < -1'000'000'000'000);
    CHECK(zone.at(1500).end > 1'000'000'000'000);
}

TEST_CASE("version 1 files have changes in 32 bits and no rule") {
    const time_zone zone = parse({{-5, 70}, {1, 0}, {0, -3600}, "", '\0'});
    CHECK(zone.at(-6).offset == 0);
    CHECK(zone.at(-5).offset == -3600);
    CHECK(zone.at(70).offset == 0);
}

TEST_CASE("damaged zone files are refused with what is wrong") {
    const auto fails = [](const std::string& bytes, const char* what) {
        CHECK_THROWS_WITH_AS(time_zone::parse("test", bytes), doctest::Contains(what), error);
    };
    const std::string good = zone_file{{1000, 2000}, {1, 0}, {0, 100}, "AAA0"}.text();
    CHECK_NOTHROW(time_zone::parse("test", good));
    for (std::size_t n = 0; n != good.size(); ++n) CHECK_THROWS_AS(time_zone::parse("test", good.substr(0, n)), error);
    fails("PZif" + good.substr(4), "does not begin with TZif");
    fails(zone_file{{2000, 1000}, {1, 0}, {0, 100}}.text(), "not in order");
    fails(zone_file{{1000}, {2}, {0, 100}}.text(), "offset that is not there");
    fails(zone_file{{}, {}, {100'000}}.text(), "out of range");
    fails(zone_file{{}, {}, {}}.text(), "no offset");
    for (const char* rule : {"AB1", "AAA", "AAA1BBB", "AAA1BBB,M13.1.0,M1.1.0", "AAA1BBB,M3.6.0,M1.1.0",
                             "AAA1BBB,M3.1.7,M1.1.0", "AAA1BBB,J0,J5", "AAA1BBB,366,5", "AAA25", "<AAA1",
                             "AAA1BBB,M3.1.0/168,J5", "AAA1BBB,J1,J5x"}) {
        CAPTURE(rule);
        fails(zone_file{{}, {}, {0}, rule}.text(), "rule at its end cannot be read");
    }
    fails(std::string(2 << 20, 'x'), "larger");
    std::string huge = good;
    huge[44 - 12] = '\x7f';  // the number of changes
    CHECK_THROWS_AS(time_zone::parse("test", huge), error);
}

TEST_CASE("a name that is no zone is refused, and no other file is looked at") {
    for (const char* name : {"Europe/Nowhere", "/etc/passwd", "../zoneinfo/UTC", "Europe", "a//b", "x\ny", "tab\t", "Europe/"}) {
        CAPTURE(name);
        CHECK_THROWS_AS(time_zone::load(name), error);
    }
    CHECK(time_zone::load("").name() == "UTC");
    CHECK(time_zone::load("UTC").at(5).offset == 0);
}
