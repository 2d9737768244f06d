#include "runnel/window/inline_list.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

using namespace runnel;

TEST_CASE("a list with its only element inline holds what a vector holds, through insertions, erasures and moves") {
    for (std::uint64_t seed = 1; seed != 50; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        detail::inline_list<std::unique_ptr<int>> list;
        std::vector<int> expected;
        for (int i = 0; i != 200; ++i) {
            if (random() % 2 == 0) {
                const auto at = static_cast<std::ptrdiff_t>(random() % (expected.size() + 1));
                expected.insert(expected.begin() + at, i);
                REQUIRE(**list.insert(list.begin() + at, std::make_unique<int>(i)) == i);
            } else {
                const auto first = static_cast<std::ptrdiff_t>(random() % (expected.size() + 1));
                const std::ptrdiff_t behind = list.end() - list.begin() - first;
                const auto last = first + std::min(behind, static_cast<std::ptrdiff_t>(random() % 3));
                expected.erase(expected.begin() + first, expected.begin() + last);
                list.erase(list.begin() + first, list.begin() + last);
            }
            if (random() % 10 == 0) {
                detail::inline_list<std::unique_ptr<int>> moved(std::move(list));
                list = std::move(moved);
            }
            REQUIRE(list.size() == expected.size());
            REQUIRE(list.empty() == expected.empty());
            std::vector<int> held;
            for (const auto& each : list) held.push_back(*each);
            REQUIRE(held == expected);
        }
    }
}
