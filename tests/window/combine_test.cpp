#include "runnel/window/combine.hpp"

#include <doctest/doctest.h>

#include "aggregate_grouping.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/first_last.hpp"
#include "runnel/window/mean.hpp"
#include "runnel/window/min_max.hpp"
#include "runnel/window/sum.hpp"
#include "runnel/window/top.hpp"

using namespace runnel;

namespace {

struct totals {
    std::uint64_t clicks;
    std::int64_t sum;
    friend bool operator==(const totals&, const totals&) = default;
};

struct from_one {
    int create() const { return 1; }
    void add(int& a, int b) const { a *= b; }
    void merge(int& a, int b) const { a *= b; }
    int result(int a) const { return a; }
};

}  // namespace

TEST_CASE("combine runs several aggregates in one pass and gives a tuple of their results") {
    const auto agg = bind_aggregate<int>(combine(count(), sum(), runnel::max(), mean()));
    CHECK(test::in_one(agg, std::vector<int>{1, 2, 6}) == std::tuple(3u, 9, 6, 3.0));
    static_assert(std::is_same_v<result_of<decltype(agg)>, std::tuple<std::uint64_t, std::int64_t, int, double>>);
}

TEST_CASE("combine gives a user's struct if one is named") {
    CHECK(test::in_one(bind_aggregate<int>(combine<totals>(count(), sum())), std::vector<int>{1, 2}) == totals{2, 3});
}

TEST_CASE("combine takes own aggregates, with their own create, and other combinations") {
    const auto agg = bind_aggregate<int>(combine(combine(from_one{}), from_one{}, count()));
    CHECK(test::in_one(agg, std::vector<int>{2, 3}) == std::tuple(std::tuple(6), 6, 2u));
    static_assert(!detail::creates_default<decltype(agg)>);
    static_assert(detail::creates_default<bound_aggregate<int, decltype(combine(count(), sum()))>>);
}

TEST_CASE("a combination hands on the time if one of its aggregates wants it, and only then") {
    const auto agg = bind_aggregate<int>(combine(count(), combine(sum(), first()), last()));
    const std::vector<timed<int>> records{{7, timestamp(2)}, {8, timestamp(3)}, {9, timestamp(1)}};
    CHECK(test::in_one(agg, records) == std::tuple(3u, std::tuple(24, 9), 8));
    static_assert(adds_timed_records<decltype(agg), int> && !adds_records<decltype(agg), int>);
    using untimed = bound_aggregate<int, decltype(combine(count(), sum()))>;
    static_assert(adds_records<untimed, int> && !adds_timed_records<untimed, int>);
}

TEST_CASE("a combined accumulator of trivial ones is trivial and as small as they are") {
    using a = accumulator_of<bound_aggregate<int, decltype(combine(count(), sum()))>>;
    static_assert(std::is_trivially_copyable_v<a>);
    static_assert(sizeof(a) == 16);
}

TEST_CASE("combined aggregates are the same in any grouping and order") {
    test::check_grouping(bind_aggregate<int>(combine(count(), sum(), runnel::min(), top(3), mean())),
                         [](auto& random) { return static_cast<int>(random() % 1000); });
}
