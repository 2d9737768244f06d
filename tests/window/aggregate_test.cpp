#include "runnel/window/aggregate.hpp"

#include <doctest/doctest.h>

#include "aggregate_grouping.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/sum.hpp"

using namespace runnel;

namespace {

struct click {
    int amount;
};

struct own {
    int create() const { return 0; }
    void add(int& a, const click& c) const { a += c.amount; }
    void merge(int& a, int b) const { a += b; }
    double result(int a) const { return a; }
};

/// Sums up the times.
struct own_timed {
    std::int64_t create() const { return 0; }
    void add(std::int64_t& a, const click&, timestamp t) const { a += t.ns(); }
    void merge(std::int64_t& a, std::int64_t b) const { a += b; }
    std::int64_t result(std::int64_t a) const { return a; }
};

struct incomplete {
    int create() const { return 0; }
};

}  // namespace

TEST_CASE("a user's class with create, add, merge and result is an aggregate for the records that add takes") {
    static_assert(aggregate_for<own, click>);
    static_assert(!aggregate_for<own, std::string>);
    static_assert(!aggregate_for<incomplete, click>);
    static_assert(!aggregate_recipe_for<own, click>);
    static_assert(std::is_same_v<accumulator_of<own>, int>);
    static_assert(std::is_same_v<result_of<own>, double>);
    static_assert(std::is_same_v<bound_aggregate<click, own>, own>);
    CHECK(test::in_one(bind_aggregate<click>(own{}), std::vector<click>{{1}, {2}}) == 3.0);
}

TEST_CASE("an aggregate whose add takes a third argument learns each record's time") {
    static_assert(aggregate_for<own_timed, click>);
    static_assert(adds_timed_records<own_timed, click> && !adds_records<own_timed, click>);
    static_assert(adds_records<own, click> && !adds_timed_records<own, click>);
    CHECK(test::in_one(own_timed{}, std::vector<timed<click>>{{{1}, timestamp(5)}, {{1}, timestamp(7)}}) == 12);
    CHECK(test::in_one(own{}, std::vector<timed<click>>{{{1}, timestamp(5)}, {{1}, timestamp(7)}}) == 2.0);
}

TEST_CASE("a recipe becomes an aggregate when the record type is known") {
    auto recipe = sum(&click::amount);
    static_assert(aggregate_recipe_for<decltype(recipe), click>);
    static_assert(!aggregate_recipe_for<decltype(recipe), std::string>);
    static_assert(aggregate_for<bound_aggregate<click, decltype(recipe)>, click>);
    CHECK(test::in_one(bind_aggregate<click>(recipe), std::vector<click>{{1}, {2}}) == 3);
}

TEST_CASE("count counts records of any type, in any grouping") {
    CHECK(test::in_one(bind_aggregate<click>(count()), std::vector<click>(7)) == 7);
    test::check_grouping(bind_aggregate<int>(count()), [](auto& random) { return static_cast<int>(random()); });
}
