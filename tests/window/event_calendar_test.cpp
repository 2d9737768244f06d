#include "runnel/window/event_calendar.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

using namespace runnel;

namespace {

using calendar = detail::event_calendar<int>;
auto keep_all = [](std::vector<calendar::event>&) {};

}  // namespace

TEST_CASE("events come in order of time, up to the time asked for, whatever the width of the buckets") {
    for (std::uint64_t seed = 1; seed != 100; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        auto below = [&](int n) { return static_cast<std::int64_t>(random() % static_cast<unsigned>(n)); };
        calendar events{duration(below(60))};
        std::multimap<timestamp, int> expected;
        std::int64_t now = -200;
        for (int i = 0; i != 500; ++i) {
            const timestamp at(now + 1 + below(100));
            events.push(at, i);
            expected.emplace(at, i);
            if (below(3) != 0) continue;
            now += below(40);
            while (const auto* e = events.first(timestamp(now), keep_all)) {
                REQUIRE(e->at <= timestamp(now));
                REQUIRE(e->at == expected.begin()->first);
                const auto found = std::find_if(expected.begin(), expected.end(),
                                                [&](auto& each) { return each.second == e->key; });
                REQUIRE(found != expected.end());
                REQUIRE(found->first == e->at);
                const int key = found->second;
                expected.erase(found);
                if (below(2) == 0) {
                    const timestamp later(now + 1 + below(50));
                    events.put_off(later);
                    expected.emplace(later, key);
                } else {
                    events.pop();
                }
            }
            REQUIRE((expected.empty() || expected.begin()->first > timestamp(now)));
        }
    }
}

TEST_CASE("an event set behind what has been asked for comes next") {
    calendar events{duration(10)};
    events.push(timestamp(100), 1);
    CHECK(events.first(timestamp(105), keep_all)->key == 1);
    events.push(timestamp(7), 2);
    CHECK(events.first(timestamp(105), keep_all)->key == 2);
}

TEST_CASE("refresh may put events off or remove them when their bucket opens") {
    calendar events{duration(10)};
    for (int i = 0; i != 10; ++i) events.push(timestamp(i), i);
    auto refresh = [](std::vector<calendar::event>& opened) {
        std::erase_if(opened, [](auto& e) { return e.key % 2 == 0; });
        for (auto& e : opened)
            if (e.key == 3) e.at = timestamp(55);
    };
    std::vector<int> keys;
    while (const auto* e = events.first(timestamp(50), refresh)) {
        keys.push_back(e->key);
        events.pop();
    }
    CHECK(keys == std::vector<int>{1, 5, 7, 9});
    CHECK(events.first(timestamp(55), keep_all)->key == 3);
}

TEST_CASE("times at both ends have buckets too") {
    calendar events{duration(3)};
    events.push(timestamp::max(), 1);
    events.push(timestamp::min(), 2);
    CHECK(events.first(timestamp(0), keep_all)->key == 2);
    events.pop();
    CHECK(events.first(timestamp::max().previous() - duration(5), keep_all) == nullptr);
    CHECK(events.first(timestamp::max(), keep_all)->key == 1);
}
