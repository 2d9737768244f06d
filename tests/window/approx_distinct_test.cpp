#include "runnel/window/approx_distinct.hpp"

#include <doctest/doctest.h>

#include "aggregate_grouping.hpp"

using namespace runnel;

namespace {

struct visit {
    std::string user;
    int page;
};

}  // namespace

TEST_CASE("approx_distinct gives about the number of different values of a field, or of different records") {
    std::vector<visit> visits;
    for (int i = 0; i != 30'000; ++i) visits.push_back({"user " + std::to_string(i % 10'000), i % 3});
    CHECK(test::in_one(bind_aggregate<visit>(approx_distinct(&visit::user)), visits) ==
          doctest::Approx(10'000).epsilon(0.03));
    CHECK(test::in_one(bind_aggregate<visit>(approx_distinct(&visit::page)), visits) == 3);
    CHECK(test::in_one(bind_aggregate<int>(approx_distinct()), std::vector<int>{5, 5, 7}) == 2);
    CHECK(test::in_one(bind_aggregate<int>(approx_distinct()), std::vector<int>{}) == 0);
}

TEST_CASE("the precision is chosen, and checked, where approx_distinct is written") {
    CHECK(bind_aggregate<int>(approx_distinct(detail::whole_record(), 11)).create().precision() == 11);
    CHECK_THROWS_AS(approx_distinct(&visit::user, 30), error);
}

TEST_CASE("approx_distinct is the same in any grouping and order") {
    const auto make = [](auto& random) { return static_cast<int>(random() % 40); };
    test::check_grouping(bind_aggregate<int>(approx_distinct()), make);
    test::check_grouping(bind_aggregate<int>(approx_distinct(detail::whole_record(), 6)), make);
}
