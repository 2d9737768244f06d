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
    CHECK(tumbling(1s).drop_late().lateness() == 0s);
    CHECK(tumbling(1s).lateness(3min).lateness() == 3min);
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
    CHECK(session(0ms).drop_late().problems() == problems{"session: gap is 0s; it must be larger than zero"});
}

TEST_CASE("a window spec has a text with its numbers in the largest whole unit") {
    CHECK(tumbling(10s).drop_late().text() == "tumbling(10s)");
    CHECK(tumbling(24h, -90min).lateness(2s).text() == "tumbling(24h, offset -90min), lateness 2s");
    CHECK(sliding(1500us, 1ms, 1ns).drop_late().text() == "sliding(1500us every 1ms, offset 1ns)");
    CHECK(session(100ms).drop_late().text() == "session(gap 100ms)");
}
