#include "runnel/window/top.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <tuple>

#include "aggregate_grouping.hpp"

using namespace runnel;

namespace {

struct bid {
    int price;
    std::string who;
};

}  // namespace

TEST_CASE("top gives the n largest values in descending order, equal ones each, fewer if there are no more") {
    const auto agg = bind_aggregate<int>(top(3));
    CHECK(test::in_one(agg, std::vector<int>{5, 1, 9, 9, 3}) == std::vector<int>{9, 9, 5});
    CHECK(test::in_one(agg, std::vector<int>{1, 2}) == std::vector<int>{2, 1});
    CHECK(test::in_one(bind_aggregate<int>(top(0)), std::vector<int>{1, 2}).empty());
    CHECK(test::in_one(bind_aggregate<bid>(top(1, &bid::price)), std::vector<bid>{{1, "a"}, {2, "b"}}) ==
          std::vector<int>{2});
}

TEST_CASE("a tuple carries more of the record, and says which of equal numbers wins, whatever the order") {
    auto by_price = top(2, [](const bid& b) { return std::tuple(b.price, b.who); });
    const auto agg = bind_aggregate<bid>(by_price);
    using entries = std::vector<std::tuple<int, std::string>>;
    CHECK(test::in_one(agg, std::vector<bid>{{7, "a"}, {7, "c"}, {7, "b"}}) == entries{{7, "c"}, {7, "b"}});
    CHECK(test::in_one(agg, std::vector<bid>{{7, "c"}, {7, "b"}, {7, "a"}}) == entries{{7, "c"}, {7, "b"}});
}

TEST_CASE("bottom gives the n smallest values in ascending order, equal ones each, NaN last") {
    CHECK(test::in_one(bind_aggregate<int>(bottom(3)), std::vector<int>{5, 1, 9, 1, 3}) == std::vector<int>{1, 1, 3});
    CHECK(test::in_one(bind_aggregate<int>(bottom(3)), std::vector<int>{2}) == std::vector<int>{2});
    CHECK(test::in_one(bind_aggregate<bid>(bottom(1, &bid::price)), std::vector<bid>{{2, "a"}, {1, "b"}}) ==
          std::vector<int>{1});
    const auto got = test::in_one(bind_aggregate<double>(bottom(2)), std::vector<double>{NAN, 1, NAN});
    REQUIRE(got.size() == 2);
    CHECK(got[0] == 1);
    CHECK(std::isnan(got[1]));
}

TEST_CASE("NaN comes last in top") {
    const auto got = test::in_one(bind_aggregate<double>(top(3)), std::vector<double>{NAN, 1, NAN, 2});
    REQUIRE(got.size() == 3);
    CHECK(got[0] == 2);
    CHECK(got[1] == 1);
    CHECK(std::isnan(got[2]));
}

TEST_CASE("top and bottom are the same in any grouping and order") {
    test::check_grouping(bind_aggregate<int>(bottom(4)),
                         [](auto& random) { return static_cast<int>(random() % 20); });
    test::check_grouping(bind_aggregate<int>(top(4)), [](auto& random) { return static_cast<int>(random() % 20); });
}
