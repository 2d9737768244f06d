#include "runnel/window/variance.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "aggregate_grouping.hpp"

using namespace runnel;

namespace {

struct reading {
    int sensor;
    float value;
};

double sample(const std::vector<double>& v) { return test::in_one(bind_aggregate<double>(variance()), v); }
double population(const std::vector<double>& v) {
    return test::in_one(bind_aggregate<double>(population_variance()), v);
}

/// As the definition says, in twice the precision and in two passes.
double by_definition(const std::vector<double>& values) {
    long double mean = 0, squares = 0;
    for (double v : values) mean += v;
    mean /= static_cast<long double>(values.size());
    for (double v : values) squares += (v - mean) * (v - mean);
    return static_cast<double>(squares / static_cast<long double>(values.size() - 1));
}

}  // namespace

TEST_CASE("variance divides by n - 1, population variance by n") {
    CHECK(sample({1, 2, 3, 4}) == doctest::Approx(5.0 / 3).epsilon(1e-15));
    CHECK(population({1, 2, 3, 4}) == doctest::Approx(1.25).epsilon(1e-15));
    CHECK(test::in_one(bind_aggregate<reading>(variance(&reading::value)), std::vector<reading>{{1, 2}, {7, 4}}) == 2);
    CHECK(test::in_one(bind_aggregate<int>(population_variance()), std::vector<int>{2, 4}) == 1);
}

TEST_CASE("the variance of a single record is NaN, its population variance 0") {
    CHECK(std::isnan(sample({5})));
    CHECK(population({5}) == 0);
}

TEST_CASE("the variance of equal numbers is exactly 0, in any grouping") {
    test::check_grouping(bind_aggregate<double>(population_variance()), [](auto&) { return 0.1; });
    CHECK(sample(std::vector<double>(1000, 0.1)) == 0);
}

TEST_CASE("a variance that is small beside the mean keeps its places") {
    CHECK(sample({1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16}) == 30);
}

TEST_CASE("variances of any grouping and order are within the stated error of the exact one") {
    const auto agg = bind_aggregate<double>(variance());
    for (std::uint64_t seed = 1; seed != 500; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        std::vector<double> values;
        const double mean = std::ldexp(1.0, static_cast<int>(random() % 60)) - 1;
        for (std::size_t n = 2 + random() % 300; n != 0; --n)
            values.push_back(mean + std::ldexp(static_cast<double>(random() >> 11), -53));
        const double exact = by_definition(values);
        const double places = 0x1p-53 * static_cast<double>(values.size());
        const double allowed = exact * places * (1 + mean / std::sqrt(exact)) + 0x1p-1000;
        if (exact != 0) {
            REQUIRE(std::fabs(test::in_one(agg, values) - exact) <= allowed);
            for (int i = 0; i != 5; ++i)
                REQUIRE(std::fabs(test::in_parts(agg, values, random) - exact) <= allowed);
        }
    }
}

TEST_CASE("infinities and NaN make a variance NaN") {
    CHECK(std::isnan(sample({1, INFINITY, 2})));
    CHECK(std::isnan(sample({1, NAN, 2})));
    CHECK(std::isnan(population({INFINITY})));
}
