#include "runnel/operators/held_records.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;

TEST_CASE("held records come in order of time, those of equal time as they came, none before its time") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        detail::held_records<int> held;
        std::vector<timed<int>> waiting;
        std::int64_t now = 0;
        const auto disorder = static_cast<std::int64_t>(random.below(60));
        for (int i = 0; i < 1000; ++i) {
            now += static_cast<std::int64_t>(random.below(3));
            const timestamp t(now - random.between(0, disorder));
            held.push(i, t);
            waiting.push_back({i, t});
            if (!random.chance(5)) continue;
            const timestamp until(now - static_cast<std::int64_t>(random.below(40)));
            std::stable_sort(waiting.begin(), waiting.end(), [](auto& a, auto& b) { return a.time < b.time; });
            while (const timestamp* t0 = held.next(until)) {
                REQUIRE(!waiting.empty());
                REQUIRE(*t0 == waiting.front().time);
                REQUIRE(held.take() == waiting.front());
                waiting.erase(waiting.begin());
            }
            REQUIRE((waiting.empty() || waiting.front().time > until));
            if (!random.chance(20)) continue;
            // As through a snapshot.
            detail::held_records<int> again;
            held.for_each([&](int value, timestamp at) { again.push(value, at); });
            std::swap(held, again);
        }
    }
}

TEST_CASE("records that can only be moved can be held") {
    detail::held_records<std::unique_ptr<int>> held;
    held.push(std::make_unique<int>(2), timestamp(2));
    held.push(std::make_unique<int>(1), timestamp(1));
    REQUIRE(held.next(timestamp(2)) != nullptr);
    CHECK(*held.take().value == 1);
    REQUIRE(held.next(timestamp(2)) != nullptr);
    CHECK(*held.take().value == 2);
    CHECK(held.next(timestamp(2)) == nullptr);
}
