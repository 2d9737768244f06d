#include "runnel/window/sum.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "aggregate_grouping.hpp"

using namespace runnel;

namespace {

struct trade {
    int amount;
    float price;
};

template <class T>
auto sum_of(const std::vector<T>& values) {
    return test::in_one(bind_aggregate<T>(sum()), values);
}

}  // namespace

TEST_CASE("sum takes a member, a function, or the numbers themselves, into 64 bits of their kind") {
    const std::vector<trade> trades{{3, 0.5f}, {-5, 0.25f}};
    CHECK(test::in_one(bind_aggregate<trade>(sum(&trade::amount)), trades) == -2);
    CHECK(test::in_one(bind_aggregate<trade>(sum(&trade::price)), trades) == 0.75);
    CHECK(test::in_one(bind_aggregate<trade>(sum([](const trade& t) { return t.amount * 10; })), trades) == -20);
    CHECK(sum_of<bool>({true, true, false}) == 2);
    static_assert(std::is_same_v<decltype(sum_of<short>({})), std::int64_t>);
    static_assert(std::is_same_v<decltype(sum_of<unsigned>({})), std::uint64_t>);
    static_assert(std::is_same_v<decltype(sum_of<float>({})), double>);
    CHECK(sum_of<unsigned>({4'000'000'000, 4'000'000'000}) == 8'000'000'000);
}

TEST_CASE("an integer sum that leaves its range throws and says so, from add and from merge") {
    const auto max = std::numeric_limits<std::int64_t>::max();
    CHECK(sum_of<std::int64_t>({max, -1, 1}) == max);
    CHECK_THROWS_WITH_AS(sum_of<std::int64_t>({max, 1}),
                         "a sum of integers left the range of std::int64_t: sum up a double instead",
                         std::overflow_error);
    CHECK_THROWS_AS(sum_of<std::int64_t>({-max, -2}), std::overflow_error);
    CHECK_THROWS_WITH_AS(sum_of<std::uint64_t>({~0ull, 1}),
                         "a sum of integers left the range of std::uint64_t: sum up a double instead",
                         std::overflow_error);
    const auto agg = bind_aggregate<std::int64_t>(sum());
    std::int64_t a = max;
    CHECK_THROWS_AS(agg.merge(a, 1), std::overflow_error);
    CHECK(a == max);
}

TEST_CASE("a saturating sum stops at the limits of 64 bits, and only where it ends counts") {
    const auto max = std::numeric_limits<std::int64_t>::max(), min = std::numeric_limits<std::int64_t>::min();
    auto total = [](std::vector<std::int64_t> values) {
        return test::in_one(bind_aggregate<std::int64_t>(sum().saturating()), values);
    };
    CHECK(total({1, -3}) == -2);
    CHECK(total({max, 1}) == max);
    CHECK(total({max, max, min, 1}) == max);
    CHECK(total({max, 1, -2}) == max - 1);
    CHECK(total({min, -1, -1}) == min);
    CHECK(test::in_one(bind_aggregate<std::uint64_t>(sum().saturating()), std::vector<std::uint64_t>{~0ull, 5}) ==
          ~0ull);
    CHECK(test::in_one(bind_aggregate<trade>(sum(&trade::amount).saturating()), std::vector<trade>{{3, 0}}) == 3);
    test::check_grouping(bind_aggregate<std::int64_t>(sum().saturating()),
                         [](auto& random) { return static_cast<std::int64_t>(random()); });
}

TEST_CASE("integer sums are the same in any grouping and order") {
    test::check_grouping(bind_aggregate<std::int64_t>(sum()),
                         [](auto& random) { return static_cast<std::int64_t>(random() >> 8) - (1ll << 54); });
}

TEST_CASE("double sums are compensated: what plain summation loses is kept, in every grouping") {
    CHECK(sum_of<double>({1.0, 1e100, 1.0, -1e100}) == 2.0);
    std::vector<double> tenths(10'000'000, 0.1);
    CHECK(sum_of(tenths) == 1e6);
    const auto agg = bind_aggregate<double>(sum());
    auto a = agg.create(), b = agg.create();
    agg.add(a, 1.0);
    agg.add(a, 1e100);
    agg.add(b, 1.0);
    agg.add(b, -1e100);
    agg.merge(a, b);
    CHECK(agg.result(a) == 2.0);
}

TEST_CASE("double sums of another grouping or order differ by at most two units in the last place") {
    const auto agg = bind_aggregate<double>(sum());
    for (std::uint64_t seed = 1; seed != 300; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        std::vector<double> values;
        for (std::size_t n = 1 + random() % 300; n != 0; --n)
            values.push_back(std::ldexp(static_cast<double>(random() >> 11), static_cast<int>(random() % 40) - 60));
        const double expected = test::in_one(agg, values), got = test::in_parts(agg, values, random);
        const double ulp = std::nextafter(expected, INFINITY) - expected;
        REQUIRE(std::fabs(got - expected) <= 2 * ulp);
    }
}

TEST_CASE("infinities and NaN come out of a sum as in plain arithmetic") {
    const double inf = INFINITY;
    CHECK(sum_of<double>({1, inf, 2}) == inf);
    CHECK(sum_of<double>({-inf, 2, 3}) == -inf);
    CHECK(std::isnan(sum_of<double>({inf, -inf, 1})));
    CHECK(std::isnan(sum_of<double>({1, NAN, 1})));
    CHECK(sum_of<double>({1e308, 1e308}) == inf);
}
