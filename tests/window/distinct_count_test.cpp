#include "runnel/window/distinct_count.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "aggregate_grouping.hpp"

using namespace runnel;

namespace {

struct visit {
    std::string user;
    int page;
};

template <class T>
std::uint64_t distinct(const std::vector<T>& values) {
    return test::in_one(bind_aggregate<T>(distinct_count()), values);
}

}  // namespace

TEST_CASE("distinct_count gives the number of different values of a field, or of different records") {
    const std::vector<visit> visits{{"ann", 1}, {"bob", 1}, {"ann", 2}, {"ann", 1}};
    CHECK(test::in_one(bind_aggregate<visit>(distinct_count(&visit::user)), visits) == 2);
    const auto pair_of = [](const visit& v) { return std::tuple(v.user, v.page); };
    CHECK(test::in_one(bind_aggregate<visit>(distinct_count(pair_of)), visits) == 3);
    CHECK(distinct<int>({7, 7, 7}) == 1);
    std::vector<int> many(100'000);
    for (std::size_t i = 0; i != many.size(); ++i) many[i] = static_cast<int>(i % 54'321);
    CHECK(distinct(many) == 54'321);
}

TEST_CASE("zeros of both signs are one value, and so are all NaN, alone or inside a value") {
    CHECK(distinct<double>({0.0, -0.0}) == 1);
    CHECK(distinct<double>({NAN, 1, -NAN, NAN}) == 2);
    CHECK(distinct<std::pair<int, double>>({{1, NAN}, {1, NAN}, {1, 0}}) == 2);
}

TEST_CASE("distinct_count is the same in any grouping and order") {
    test::check_grouping(bind_aggregate<std::string>(distinct_count()),
                         [](auto& random) { return std::to_string(random() % 30); });
    test::check_grouping(bind_aggregate<double>(distinct_count()),
                         [](auto& random) { return random() % 9 == 0 ? NAN : static_cast<double>(random() % 9); });
}

TEST_CASE("equal sets have equal bytes, whatever the order of their elements") {
    const auto agg = bind_aggregate<int>(distinct_count());
    auto a = agg.create(), b = agg.create();
    for (int i = 0; i != 500; ++i) agg.add(a, i);
    for (int i = 499; i >= 0; --i) agg.add(b, i);
    std::string bytes_a, bytes_b;
    codec<decltype(a)>::encode(a, bytes_a);
    codec<decltype(b)>::encode(b, bytes_b);
    CHECK(bytes_a == bytes_b);
}

TEST_CASE("a saved set that is cut off or holds a value twice is refused") {
    using state = accumulator_of<bound_aggregate<int, decltype(distinct_count())>>;
    std::string bytes;
    encode_size(2, bytes);
    codec<int>::encode(5, bytes);
    codec<int>::encode(5, bytes);
    codec<bool>::encode(false, bytes);
    byte_reader twice(bytes);
    CHECK_THROWS_AS(codec<state>::decode(twice), decode_error);
    byte_reader cut(std::string_view(bytes).substr(0, 9));
    CHECK_THROWS_AS(codec<state>::decode(cut), decode_error);
}
