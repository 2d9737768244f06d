#include "runnel/window/assigners.hpp"

#include <doctest/doctest.h>

using namespace runnel;
using namespace std::chrono_literals;
using problems = std::vector<std::string>;

TEST_CASE("a window spec is complete only when it says what happens to late records") {
    static_assert(!lateness_chosen<decltype(tumbling(1s))>);
    static_assert(!lateness_chosen<decltype(sliding(1s, 1s))>);
    static_assert(!lateness_chosen<decltype(session(1s))>);
    static_assert(is_window_spec<decltype(session(1s))>);
    static_assert(lateness_chosen<decltype(tumbling(1s).drop_late())>);
    static_assert(lateness_chosen<decltype(sliding(1s, 1s).lateness(1s))>);
    static_assert(lateness_chosen<decltype(session(1s).lateness(1s).late_to(3))>);
    static_assert(!lateness_chosen<int>);
    static_assert(lateness_chosen<decltype(global())> && lateness_chosen<decltype(count(3))>);
    static_assert(lateness_chosen<decltype(tumbling(1s).by_processing_time())>);
    CHECK(tumbling(1s).drop_late().lateness() == 0s);
    CHECK(tumbling(1s).lateness(3min).lateness() == 3min);
}

TEST_CASE("a window that fires early is complete only when it says what it gives then") {
    static_assert(contents_chosen<decltype(tumbling(1s).lateness(1s))>);
    static_assert(!contents_chosen<decltype(tumbling(1s).drop_late().early(every(1s)))>);
    static_assert(!contents_chosen<decltype(tumbling(1s).lateness(1s).late(every(1s)))>);
    static_assert(contents_chosen<decltype(tumbling(1s).drop_late().early(every(1s)).discarding())>);
    static_assert(contents_chosen<decltype(tumbling(1s).lateness(1s).discarding())>);
    static_assert(contents_chosen<decltype(global().discarding().early(every_records(3)))>);
}

TEST_CASE("a late output is carried by value, whatever it is") {
    auto spec = tumbling(1s).lateness(2s).late_to(std::string("side"));
    static_assert(spec.has_side);
    static_assert(!decltype(tumbling(1s).lateness(2s))::has_side);
    CHECK(spec.side() == "side");
    CHECK(spec.lateness() == 2s);
}

TEST_CASE("wrong numbers are all reported, none is thrown") {
    CHECK(tumbling(10s, 9s).drop_late().problems().empty());
    CHECK(sliding(10s, 3s, -2s).lateness(1ns).problems().empty());
    CHECK(sliding(3s, 10s, 9s).drop_late().problems().empty());
    CHECK(session(1ns).drop_late().problems().empty());
    CHECK(tumbling(0s).drop_late().problems() == problems{"tumbling: size is 0s; it must be larger than zero"});
    CHECK(tumbling(-5s, 3s).lateness(-1500us).problems() ==
          problems{"tumbling: size is -5s; it must be larger than zero",
                   "lateness is -1500us; it must not be negative"});
    CHECK(tumbling(10s, 10s).drop_late().problems() ==
          problems{"tumbling: offset 10s must lie between minus and plus the size, 10s"});
    CHECK(tumbling(10s, -10s).drop_late().problems().size() == 1);
    CHECK(sliding(0s, -1s).drop_late().problems() ==
          problems{"sliding: size is 0s; it must be larger than zero",
                   "sliding: slide is -1s; it must be larger than zero"});
    CHECK(sliding(10s, 3s, 3s).drop_late().problems() ==
          problems{"sliding: offset 3s must lie between minus and plus the slide, 3s"});
    CHECK(cumulative(10s, 2s, -9s).drop_late().problems().empty());
    CHECK(cumulative(10s, 0s).drop_late().problems() ==
          problems{"cumulative: step is 0s; it must be larger than zero"});
    CHECK(cumulative(10s, 11s).drop_late().problems() ==
          problems{"cumulative: step 11s is larger than max_size, 10s"});
    CHECK(cumulative(10s, 3s).drop_late().problems() ==
          problems{"cumulative: max_size 10s must be a whole multiple of step, 3s"});
    CHECK(cumulative(10s, 5s, 10s).drop_late().problems() ==
          problems{"cumulative: offset 10s must lie between minus and plus the max_size, 10s"});
    CHECK(count(0).problems() == problems{"count: n is 0; it must be larger than zero"});
    CHECK(count(3, -1).problems() == problems{"count: slide is -1; it must be larger than zero"});
    CHECK(tumbling(1s).drop_late().early(every(0s)).accumulating().problems() ==
          problems{"early: period is 0s; it must be larger than zero"});
    CHECK(tumbling(1s).lateness(1s).early(every_records(0)).late(every_processing_time(-1s)).discarding().problems() ==
          problems{"early: number of records is 0; it must be larger than zero",
                   "late: period is -1s; it must be larger than zero"});
    CHECK(session(0ms).drop_late().problems() == problems{"session: gap is 0s; it must be larger than zero"});
}

TEST_CASE("a window spec has a text with its numbers in the largest whole unit") {
    CHECK(tumbling(10s).drop_late().text() == "tumbling(10s)");
    CHECK(tumbling(24h, -90min).lateness(2s).text() == "tumbling(24h, offset -90min), lateness 2s");
    CHECK(sliding(1500us, 1ms, 1ns).drop_late().text() == "sliding(1500us every 1ms, offset 1ns)");
    CHECK(session(100ms).drop_late().text() == "session(gap 100ms)");
    CHECK(cumulative(24h, 1h).drop_late().text() == "cumulative(24h by 1h)");
    CHECK(count(10).text() == "count(10)");
    CHECK(count(10, 3).text() == "count(10 every 3)");
    CHECK(global().early(on_each_record()).discarding().text() == "global, early on each record, discarding");
    CHECK(tumbling(1h).lateness(1min).early(every(1min)).late(every_processing_time(5s)).accumulating().text() ==
          "tumbling(1h), lateness 1min, early every 1min, late every 5s of processing time, accumulating");
    CHECK(tumbling(1s).by_processing_time().text() == "tumbling(1s) by processing time");
}
