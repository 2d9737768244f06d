#include "runnel/window/approx_counts.hpp"

#include <doctest/doctest.h>

#include "aggregate_grouping.hpp"

using namespace runnel;

namespace {

struct visit {
    std::string user;
    int page;
};

}  // namespace

TEST_CASE("approx_counts gives a sketch that tells about how often a value came") {
    std::vector<visit> visits;
    for (int i = 0; i != 30'000; ++i) visits.push_back({"user " + std::to_string(i % 10 ? i : 0), i % 3});
    const auto users = test::in_one(bind_aggregate<visit>(approx_counts(&visit::user, {.epsilon = 0.01})), visits);
    CHECK(users.total() == 30'000);
    CHECK(users.estimate("user 0") >= 3000);
    CHECK(users.estimate("user 0") <= 3300);
    const auto pages = test::in_one(bind_aggregate<visit>(approx_counts(&visit::page)), visits);
    CHECK(pages.estimate(2) == 10'000);
}

TEST_CASE("options are checked where approx_counts is written") {
    CHECK_THROWS_AS(approx_counts(&visit::user, {.epsilon = 2}), error);
}

TEST_CASE("approx_counts is the same in any grouping and order") {
    const auto make = [](auto& random) { return static_cast<int>(random() % 40); };
    test::check_grouping(bind_aggregate<int>(approx_counts()), make);
    test::check_grouping(bind_aggregate<int>(approx_counts(detail::whole_record(), {.epsilon = 0.1, .delta = 0.1})),
                         make);
}
