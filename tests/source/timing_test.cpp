#include "runnel/source/timing.hpp"

#include <doctest/doctest.h>


#include "tests/support/print.hpp"

using namespace runnel;

namespace {

struct click {
    timestamp at;
    std::optional<timestamp> perhaps;
    std::chrono::sys_seconds second;
};

template <class Extract>
std::optional<timestamp> time_of(Extract extract, const click& c) {
    event_timing<Extract, bounded_generator> timing{extract, {}};
    return timing.time_of(c);
}

}  // namespace

TEST_CASE("a time may be given as timestamp, as optional or as a point of the system clock, by member or function") {
    using namespace std::chrono_literals;
    const click c{timestamp(5), timestamp(6), std::chrono::sys_seconds(7s)};
    CHECK(time_of(&click::at, c) == timestamp(5));
    CHECK(time_of(&click::perhaps, c) == timestamp(6));
    CHECK(time_of(&click::second, c) == timestamp(7s));
    CHECK(time_of([](const click& r) { return r.at + 1ns; }, c) == timestamp(6));
    CHECK(time_of(&click::perhaps, click{}) == std::nullopt);
}

TEST_CASE("what can be an extractor") {
    CHECK(time_extractor<timestamp click::*, click>);
    CHECK(time_extractor<std::optional<timestamp> click::*, click>);
    CHECK(time_extractor<std::chrono::sys_seconds click::*, click>);
    struct f {
        std::chrono::system_clock::time_point operator()(const click&) const { return {}; }
    };
    struct number {
        long operator()(const click&) const { return 0; }
    };
    struct changes_record {
        timestamp operator()(click&) const { return {}; }
    };
    CHECK(time_extractor<f, click>);
    CHECK_FALSE(time_extractor<number, click>);
    CHECK_FALSE(time_extractor<changes_record, click>);
}
