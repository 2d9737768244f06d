#include "runnel/window/collect.hpp"

#include <doctest/doctest.h>

#include "aggregate_grouping.hpp"
#include "runnel/sink/collect.hpp"

using namespace runnel;

namespace {

using strings = std::vector<std::string>;

timed<std::string> make(std::mt19937_64& random) {
    return {std::to_string(random() % 1000), timestamp(static_cast<std::int64_t>(random() % 10) - 5)};
}

}  // namespace

TEST_CASE("collect gives the records in order of time, those with equal times in order of arrival") {
    const std::vector<timed<std::string>> records{
        {"c", timestamp(2)}, {"a", timestamp(-1)}, {"d", timestamp(2)}, {"b", timestamp(0)}, {"a", timestamp(9)}};
    CHECK(test::in_one(bind_aggregate<std::string>(collect()), records) == strings{"a", "b", "c", "d", "a"});
}

TEST_CASE("collect takes a field or function") {
    const auto agg = bind_aggregate<std::string>(collect([](const std::string& s) { return s.size(); }));
    CHECK(test::in_one(agg, strings{"abc", "", "x"}) == std::vector<std::size_t>{3, 0, 1});
}

TEST_CASE("collect of a vector is still the sink") {
    strings into;
    static_assert(std::is_base_of_v<sink<std::string>, decltype(runnel::collect(into))>);
}

TEST_CASE("collect is the same in any grouping of the records as they come") {
    test::check_grouping_in_order(bind_aggregate<std::string>(collect()), make);
}

TEST_CASE("collect is the same in any grouping and order if no times are equal") {
    std::int64_t t = 0;
    test::check_grouping(bind_aggregate<std::string>(collect()), [&](auto& random) {
        return timed<std::string>{make(random).value, timestamp(++t)};
    });
}

TEST_CASE("collected state that is cut off anywhere is refused") {
    const auto agg = bind_aggregate<std::string>(collect());
    auto a = agg.create();
    agg.add(a, "abc", timestamp(1));
    agg.add(a, "", timestamp(2));
    std::string bytes;
    codec<decltype(a)>::encode(a, bytes);
    for (std::size_t n = 0; n != bytes.size(); ++n) {
        byte_reader in(std::string_view(bytes).substr(0, n));
        CHECK_THROWS_AS(codec<decltype(a)>::decode(in), decode_error);
    }
}
