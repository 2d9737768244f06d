#include "runnel/window/calendar_windows.hpp"

#include <doctest/doctest.h>

#include "differential.hpp"
#include "runnel/window/window_operator.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using test::bag;
using test::event;

namespace {

timestamp utc(int y, unsigned m, unsigned d, int h = 0, int min = 0, int s = 0) {
    using namespace std::chrono;
    return timestamp(sys_days(year(y) / month(m) / day(d)) + hours(h) + minutes(min) + seconds(s));
}

/// The window that contains t.
window at(const undecided_window_spec<calendar_windows>& spec, timestamp t) {
    const auto grid = spec.windows().slices(0s);
    const auto w = grid.first_window(t);
    return {grid.start(w), grid.end(w)};
}

template <class Spec>
auto make(const Spec& spec) {
    return make_window_operator<std::int64_t, event>(&event::key, spec, bag{});
}

struct some_side {};

}  // namespace

TEST_CASE("a day is from midnight to midnight of local time, with 23 hours when the clocks go forward, 25 when back") {
    const auto berlin = daily("Europe/Berlin");
    CHECK(at(berlin, utc(2026, 3, 28, 12)) == window{utc(2026, 3, 27, 23), utc(2026, 3, 28, 23)});
    CHECK(at(berlin, utc(2026, 3, 29, 12)) == window{utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)});
    CHECK(at(berlin, utc(2026, 10, 25, 12)) == window{utc(2026, 10, 24, 22), utc(2026, 10, 25, 23)});
    CHECK(at(berlin, utc(2050, 7, 1, 12)) == window{utc(2050, 6, 30, 22), utc(2050, 7, 1, 22)});
    CHECK(at(daily("America/New_York"), utc(2026, 11, 1, 12)) == window{utc(2026, 11, 1, 4), utc(2026, 11, 2, 5)});
    CHECK(at(daily(), utc(2026, 11, 1, 12)) == window{utc(2026, 11, 1), utc(2026, 11, 2)});
}

TEST_CASE("days before 1970 are ordinary") {
    CHECK(at(daily(), timestamp(-1)) == window{utc(1969, 12, 31), utc(1970, 1, 1)});
    CHECK(at(daily("Europe/Berlin"), utc(1945, 7, 1, 12)) == window{utc(1945, 6, 30, 21), utc(1945, 7, 1, 21)});
    CHECK(at(monthly(), timestamp(-1)) == window{utc(1969, 12, 1), utc(1970, 1, 1)});
    CHECK(at(weekly(), timestamp(-1)) == window{utc(1969, 12, 29), utc(1970, 1, 5)});
    CHECK(at(hourly(), timestamp(-1)) == window{utc(1969, 12, 31, 23), utc(1970, 1, 1)});
}

TEST_CASE("a day whose midnight is left out begins when the clocks go forward; a day that is left out has no window") {
    // Clocks went from 00:00 to 01:00 on 2018-11-04.
    CHECK(at(daily("America/Sao_Paulo"), utc(2018, 11, 4, 12)) == window{utc(2018, 11, 4, 3), utc(2018, 11, 5, 2)});
    // 2011-12-30 did not exist.
    CHECK(at(daily("Pacific/Apia"), utc(2011, 12, 30, 9, 59, 59)) ==
          window{utc(2011, 12, 29, 10), utc(2011, 12, 30, 10)});
    CHECK(at(daily("Pacific/Apia"), utc(2011, 12, 30, 10)) == window{utc(2011, 12, 30, 10), utc(2011, 12, 31, 10)});
}

TEST_CASE("clocks that are put back over midnight do not bring the day before back") {
    // 2006-10-29 00:01 became 2006-10-28 23:01.
    const auto days = daily("America/St_Johns");
    const window next = at(days, utc(2006, 10, 29, 12));
    CHECK(next.start == utc(2006, 10, 29, 2, 30));
    CHECK(at(days, utc(2006, 10, 29, 3, 0)) == next);
    CHECK(at(days, utc(2006, 10, 29, 2, 29, 59)).end == next.start);
}

TEST_CASE("weeks and months are made of local days") {
    CHECK(at(weekly("Europe/Berlin"), utc(2026, 3, 29, 12)) == window{utc(2026, 3, 22, 23), utc(2026, 3, 29, 22)});
    CHECK(at(weekly("Europe/Berlin", std::chrono::Sunday), utc(2026, 3, 29, 12)) ==
          window{utc(2026, 3, 28, 23), utc(2026, 4, 4, 22)});
    CHECK(at(monthly("Europe/Berlin"), utc(2026, 10, 25, 12)) == window{utc(2026, 9, 30, 22), utc(2026, 10, 31, 23)});
    CHECK(at(monthly(), utc(2024, 2, 29, 12)) == window{utc(2024, 2, 1), utc(2024, 3, 1)});
}

TEST_CASE("hours are hours of local time; one that comes twice gives two windows; half-hour changes end one") {
    CHECK(at(hourly("Asia/Kolkata"), utc(2026, 1, 1, 0, 45)) == window{utc(2026, 1, 1, 0, 30), utc(2026, 1, 1, 1, 30)});
    CHECK(at(hourly("Europe/Berlin"), utc(2026, 10, 25, 0, 30)) == window{utc(2026, 10, 25, 0), utc(2026, 10, 25, 1)});
    CHECK(at(hourly("Europe/Berlin"), utc(2026, 10, 25, 1, 30)) == window{utc(2026, 10, 25, 1), utc(2026, 10, 25, 2)});
    // 02:00 became 01:30 on 2026-04-05, which is 15:00 UTC the day before.
    const auto howe = hourly("Australia/Lord_Howe");
    CHECK(at(howe, utc(2026, 4, 4, 14, 59)) == window{utc(2026, 4, 4, 14), utc(2026, 4, 4, 15)});
    CHECK(at(howe, utc(2026, 4, 4, 15, 0)) == window{utc(2026, 4, 4, 15), utc(2026, 4, 4, 15, 30)});
    CHECK(at(howe, utc(2026, 4, 4, 15, 30)) == window{utc(2026, 4, 4, 15, 30), utc(2026, 4, 4, 16, 30)});
}

TEST_CASE("calendar windows cover all time without gap or overlap, up to both ends") {
    for (const char* zone : {"Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia", "UTC"})
        for (const auto& spec : {hourly(zone), daily(zone), weekly(zone), monthly(zone)}) {
            const auto grid = spec.windows().slices(1h);
            const auto check = [&](timestamp t) {
                const auto span = grid.span_of(t);
                CAPTURE(t);
                CAPTURE(spec.windows().text());
                REQUIRE(span.holds(t));
                REQUIRE(span.first_due == std::clamp(span.last, timestamp(timestamp::min().ns() + 1),
                                                     timestamp::max().previous()));
                if (span.last < timestamp::max().previous()) {
                    const timestamp next = span.last + duration(1);
                    REQUIRE(grid.span_of(next).first == next);
                }
                REQUIRE(grid.span_of(span.first).first == span.first);
            };
            for (timestamp t = utc(2005, 1, 1); t < utc(2012, 12, 31); t = t + 9973s) check(t);
            for (const timestamp t : {timestamp::min(), timestamp::max(), timestamp(0), timestamp::max().previous()})
                check(t);
        }
}

TEST_CASE("a zone that is not there is reported with all other problems") {
    const auto spec = daily("Europe/Nowhere").lateness(-1s);
    REQUIRE(spec.problems().size() == 2);
    CHECK(spec.problems()[0].find("daily: time zone Europe/Nowhere: the system has no such zone") == 0);
    CHECK(daily("Europe/Berlin").drop_late().problems().empty());
    CHECK(weekly("Europe/Berlin", std::chrono::Sunday).drop_late().text() == "weekly(Europe/Berlin, from Sunday)");
}

TEST_CASE("calendar windows fire, take late records and are cleared like other windows") {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        std::mt19937_64 random(seed);
        INFO("seed " << seed);
        // The script's ticks become hours around the autumn change.
        const std::int64_t hour = 3'600'000'000'000;
        const std::int64_t base = utc(2026, 10, 25).ns();
        auto steps = test::random_stream(random, {});
        for (auto& s : steps) s.time = base + s.time * hour;
        const auto spec = daily("Europe/Berlin");
        const test::window_list list = [&](std::int64_t t) {
            const window w = at(spec, timestamp(t));
            return std::vector<std::pair<std::int64_t, std::int64_t>>{{w.start.ns(), w.end.ns()}};
        };
        const std::int64_t lateness = seed % 2 == 0 ? 0 : 30 * hour;
        test::compare(make(spec.lateness(duration(lateness)).late_to(some_side{})), test::grid_oracle(list, lateness),
                      steps, {}, seed % 3 == 0 ? 20 : 0);
    }
}
