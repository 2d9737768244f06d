#include "runnel/window/mean.hpp"

#include <doctest/doctest.h>

#include "aggregate_grouping.hpp"

using namespace runnel;

TEST_CASE("mean of integers sums up exactly, then divides") {
    CHECK(test::in_one(bind_aggregate<int>(mean()), std::vector<int>{1, 2, 4}) == 7.0 / 3.0);
    CHECK_THROWS_AS(test::in_one(bind_aggregate<std::int64_t>(mean()), std::vector<std::int64_t>{INT64_MAX, 1}),
                    std::overflow_error);
    test::check_grouping(bind_aggregate<int>(mean()), [](auto& random) { return static_cast<int>(random()); });
}

TEST_CASE("mean of doubles is compensated") {
    CHECK(test::in_one(bind_aggregate<double>(mean()), std::vector<double>{1.0, 1e100, 1.0, -1e100}) == 0.5);
}
