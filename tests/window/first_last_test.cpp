#include "runnel/window/first_last.hpp"

#include <doctest/doctest.h>

#include "aggregate_grouping.hpp"

using namespace runnel;

namespace {

using texts = std::vector<timed<std::string>>;

timed<std::string> make(std::mt19937_64& random) {
    return {std::to_string(random() % 1000), timestamp(static_cast<std::int64_t>(random() % 10) - 5)};
}

}  // namespace

TEST_CASE("first and last go by event time, not by arrival") {
    const texts out_of_order{{"b", timestamp(2)}, {"a", timestamp(-1)}, {"d", timestamp(7)}, {"c", timestamp(5)}};
    CHECK(test::in_one(bind_aggregate<std::string>(first()), out_of_order) == "a");
    CHECK(test::in_one(bind_aggregate<std::string>(last()), out_of_order) == "d");
}

TEST_CASE("of records with equal times, first is the one that came first, last the one that came last") {
    const texts equal{{"a", timestamp::min()}, {"b", timestamp::min()}, {"c", timestamp::min()}};
    CHECK(test::in_one(bind_aggregate<std::string>(first()), equal) == "a");
    CHECK(test::in_one(bind_aggregate<std::string>(last()), equal) == "c");
}

TEST_CASE("first and last are the same in any grouping of the records as they come") {
    test::check_grouping_in_order(bind_aggregate<std::string>(first()), make);
    test::check_grouping_in_order(bind_aggregate<std::string>(last()), make);
}

TEST_CASE("first and last are the same in any grouping and order if no times are equal") {
    std::int64_t t = 0;
    auto rising = [&](auto& random) { return timed<std::string>{make(random).value, timestamp(++t)}; };
    test::check_grouping(bind_aggregate<std::string>(first()), rising);
    test::check_grouping(bind_aggregate<std::string>(last()), rising);
}
