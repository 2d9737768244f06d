#include "runnel/window/best_by.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "aggregate_grouping.hpp"

using namespace runnel;

namespace {

struct bid {
    int price;
    std::string who;
    friend bool operator==(const bid&, const bid&) = default;
};

struct reading {
    double value;
    int id;
};

int id_of_max(const std::vector<double>& values) {
    std::vector<timed<reading>> readings;
    for (double v : values) readings.push_back({{v, static_cast<int>(readings.size())}, timestamp(0)});
    return test::in_one(bind_aggregate<reading>(max_by(&reading::value)), readings).id;
}

}  // namespace

template <>
struct runnel::codec<bid> {
    static void encode(const bid& b, std::string& out) {
        codec<int>::encode(b.price, out);
        codec<std::string>::encode(b.who, out);
    }
    static bid decode(byte_reader& in) {
        const int price = codec<int>::decode(in);
        return {price, codec<std::string>::decode(in)};
    }
};

namespace {

timed<bid> make(std::mt19937_64& random) {
    return {{static_cast<int>(random() % 5), std::to_string(random() % 1000)},
            timestamp(static_cast<std::int64_t>(random() % 10) - 5)};
}

}  // namespace

TEST_CASE("min_by and max_by give the whole record whose field is least or greatest") {
    const std::vector<timed<bid>> bids{
        {{5, "ann"}, timestamp(1)}, {{9, "bob"}, timestamp(2)}, {{2, "eve"}, timestamp(3)}};
    CHECK(test::in_one(bind_aggregate<bid>(max_by(&bid::price)), bids) == bid{9, "bob"});
    CHECK(test::in_one(bind_aggregate<bid>(min_by(&bid::price)), bids) == bid{2, "eve"});
    CHECK(test::in_one(bind_aggregate<bid>(max_by([](const bid& b) { return b.who; })), bids) == bid{2, "eve"});
}

TEST_CASE("of equal fields the record with the earliest time is picked, of equal times the one that came first") {
    const std::vector<timed<bid>> bids{{{5, "late"}, timestamp(3)},
                                       {{5, "first"}, timestamp(1)},
                                       {{5, "second"}, timestamp(1)},
                                       {{5, "later"}, timestamp(2)}};
    CHECK(test::in_one(bind_aggregate<bid>(max_by(&bid::price)), bids).who == "first");
    CHECK(test::in_one(bind_aggregate<bid>(min_by(&bid::price)), bids).who == "first");
}

TEST_CASE("NaN is picked only if there is nothing else; 0.0 is greater than -0.0") {
    CHECK(id_of_max({NAN, 1, NAN}) == 1);
    CHECK(id_of_max({NAN, NAN}) == 0);
    CHECK(id_of_max({-0.0, 0.0, -0.0}) == 1);
}

TEST_CASE("min_by and max_by are the same in any grouping of the records as they come") {
    test::check_grouping_in_order(bind_aggregate<bid>(min_by(&bid::price)), make);
    test::check_grouping_in_order(bind_aggregate<bid>(max_by(&bid::price)), make);
}

TEST_CASE("min_by and max_by are the same in any grouping and order if no times are equal") {
    std::int64_t t = 0;
    auto rising = [&](auto& random) { return timed<bid>{make(random).value, timestamp(++t)}; };
    test::check_grouping(bind_aggregate<bid>(min_by(&bid::price)), rising);
    test::check_grouping(bind_aggregate<bid>(max_by(&bid::price)), rising);
}
