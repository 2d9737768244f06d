#include "runnel/window/min_max.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "aggregate_grouping.hpp"

using namespace runnel;

namespace {

double min_of(const std::vector<double>& v) { return test::in_one(bind_aggregate<double>(runnel::min()), v); }
double max_of(const std::vector<double>& v) { return test::in_one(bind_aggregate<double>(runnel::max()), v); }

struct named {
    std::string name;
};

}  // namespace

TEST_CASE("min and max give the least and the greatest value of a field, of any type with <") {
    const std::vector<named> all{{"bob"}, {"ann"}, {"eve"}};
    CHECK(test::in_one(bind_aggregate<named>(runnel::min(&named::name)), all) == "ann");
    CHECK(test::in_one(bind_aggregate<named>(runnel::max([](const named& n) { return n.name; })), all) == "eve");
    CHECK(min_of({3, -1, 2}) == -1);
    CHECK(max_of({-3, -1, -2}) == -1);
}

TEST_CASE("min and max ignore NaN unless there is nothing else") {
    CHECK(min_of({NAN, 2, NAN, 1, NAN}) == 1);
    CHECK(max_of({NAN, 2, NAN, 1, NAN}) == 2);
    CHECK(std::isnan(min_of({NAN, NAN})));
    CHECK(std::isnan(max_of({NAN})));
}

TEST_CASE("min and max of zeros of both signs don't depend on the order") {
    CHECK(std::signbit(min_of({0.0, -0.0})));
    CHECK(std::signbit(min_of({-0.0, 0.0})));
    CHECK(!std::signbit(max_of({0.0, -0.0})));
    CHECK(!std::signbit(max_of({-0.0, 0.0})));
}

TEST_CASE("min and max are the same in any grouping and order") {
    auto make = [](auto& random) { return std::to_string(random() % 100); };
    test::check_grouping(bind_aggregate<std::string>(runnel::min()), make);
    test::check_grouping(bind_aggregate<std::string>(runnel::max()), make);
}

TEST_CASE("min and max of no records, which a discarding window may give, are NaN or a value-initialised value") {
    struct item {
        double weight;
        std::int64_t count;
    };
    const auto weight = bind_aggregate<item>(min(&item::weight));
    CHECK(std::isnan(weight.result(weight.create())));
    const auto number = bind_aggregate<item>(max(&item::count));
    CHECK(number.result(number.create()) == 0);
}
