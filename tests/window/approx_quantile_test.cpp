#include "runnel/window/approx_quantile.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "aggregate_grouping.hpp"

using namespace runnel;

namespace {

struct request {
    int millis;
};

}  // namespace

TEST_CASE("approx_quantile gives the value below which a share of the records lies, approx_quantiles several") {
    std::vector<request> requests;
    for (int i = 0; i != 100'000; ++i) requests.push_back({i * 7919 % 100'000});
    CHECK(test::in_one(bind_aggregate<request>(approx_quantile(0.99, &request::millis)), requests) ==
          doctest::Approx(99'000).epsilon(0.003));
    const auto agg = bind_aggregate<request>(approx_quantiles({1, 0.5, 0}, &request::millis));
    const auto several = test::in_one(agg, requests);
    REQUIRE(several.size() == 3);
    CHECK(several[0] == 99'999);
    CHECK(several[1] == doctest::Approx(50'000).epsilon(0.03));
    CHECK(several[2] == 0);
    CHECK(test::in_one(bind_aggregate<int>(approx_quantile(0.5)), std::vector<int>{3, 1, 2}) == 2);
}

TEST_CASE("a share that is none is refused where it is written") {
    CHECK_THROWS_WITH_AS(approx_quantile(99),
                         "approx_quantile: 99.000000 is no share of the records. Use a number from 0 to 1; 0.5 is the "
                         "median",
                         error);
    CHECK_THROWS_AS(approx_quantiles({0.5, -0.1}), error);
    CHECK_THROWS_AS(approx_quantile(NAN), error);
}

TEST_CASE("quantiles of few records are the same in any grouping and order") {
    test::check_grouping(bind_aggregate<int>(approx_quantiles({0, 0.1, 0.5, 1})),
                         [](auto& random) { return static_cast<int>(random() % 40); });
}
