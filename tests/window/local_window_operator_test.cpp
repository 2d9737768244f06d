#include "runnel/window/local_window_operator.hpp"

#include <doctest/doctest.h>

#include "runnel/testing/harness.hpp"
#include "runnel/window/assigners.hpp"
#include "window_grid.hpp"
#include "window_oracle.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using test::bag;
using test::event;

namespace {

template <class Spec>
auto make(const Spec& spec) {
    return local_window_operator<event, Spec, bag>(spec, bag{});
}
template <class Harness>
std::vector<std::vector<std::int64_t>> take(Harness& h) {
    std::vector<std::vector<std::int64_t>> all;
    for (auto& r : h.take_outputs()) {
        CHECK(r.value.records == r.value.value.values.size());
        all.push_back(bag().result(r.value.value));
    }
    return all;
}
using sums = std::vector<std::vector<std::int64_t>>;

}  // namespace

TEST_CASE("the records of a slice go on as one when its first window is complete") {
    testing::operator_harness h(make(sliding(10ns, 5ns).drop_late()));
    for (std::int64_t t = 0; t != 10; ++t) h.push({1, t}, timestamp(t));
    h.watermark(timestamp(3));
    CHECK(take(h).empty());
    h.watermark(timestamp(4));
    CHECK(take(h) == sums{{0, 1, 2, 3, 4}});
    h.end();
    CHECK(take(h) == sums{{5, 6, 7, 8, 9}});
}

TEST_CASE("a record of a slice with a complete window goes on at once, by itself and with its own time") {
    testing::operator_harness h(make(tumbling(10ns).lateness(5ns)));
    h.watermark(timestamp(12));
    h.push({1, 100}, timestamp(3));
    h.push({1, 101}, timestamp(3));
    REQUIRE(h.outputs().size() == 2);
    CHECK(h.outputs()[0].time == timestamp(3));
    CHECK(take(h) == sums{{100}, {101}});
}

TEST_CASE("records between windows go nowhere") {
    testing::operator_harness h(make(sliding(3ns, 10ns).drop_late()));
    h.push({1, 100}, timestamp(5));
    h.push({1, 101}, timestamp(11));
    h.end();
    CHECK(take(h) == sums{{101}});
}

TEST_CASE("after a restore at another parallelism the first subtask goes on with all sums") {
    const auto op = make(tumbling(10ns).drop_late());
    operator_snapshot all;
    for (std::size_t i = 0; i != 3; ++i) {
        testing::operator_harness h(op, {.parallelism = 3, .subtask = i});
        h.push({1, static_cast<std::int64_t>(i)}, timestamp(15));
        h.watermark(timestamp(10 + static_cast<std::int64_t>(i)));
        all.add(h.snapshot());
    }
    testing::operator_harness first(op, {.parallelism = 2});
    testing::operator_harness second(op, {.parallelism = 2, .subtask = 1});
    first.restore(all);
    second.restore(all);
    second.push({1, 7}, timestamp(9));
    CHECK(take(second) == sums{{7}});
    first.end();
    second.end();
    CHECK(take(first) == sums{{0, 1, 2}});
    CHECK(take(second).empty());
}

TEST_CASE("sums of slices are the same in every way") {
    const auto check = [](const auto& spec) {
        using op = local_window_operator<test::click, std::remove_cvref_t<decltype(spec)>, test::weights>;
        using result = typename op::output_type;
        testing::grid_options<test::click, result> options;
        options.equal = [](const result& a, const result& b) { return a.value == b.value && a.records == b.records; };
        for (std::uint64_t seed = 1; seed <= 3; ++seed)
            CHECK(testing::run_grid(op(spec, test::weights{}), test::clicks(seed), options) > 10);
    };
    check(tumbling(1s).drop_late());
    check(sliding(5s, 2s).lateness(2s));
    check(cumulative(4s, 1s).lateness(30s));
}
