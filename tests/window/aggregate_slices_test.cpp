#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "aggregate_grouping.hpp"
#include "drive.hpp"
#include "runnel/window/approx_counts.hpp"
#include "runnel/window/approx_distinct.hpp"
#include "runnel/window/approx_quantile.hpp"
#include "runnel/window/best_by.hpp"
#include "runnel/window/collect.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/distinct_count.hpp"
#include "runnel/window/first_last.hpp"
#include "runnel/window/mean.hpp"
#include "runnel/window/min_max.hpp"
#include "runnel/window/sum.hpp"
#include "runnel/window/top.hpp"
#include "runnel/window/variance.hpp"
#include "runnel/window/window_operator.hpp"
#include "window_oracle.hpp"

using namespace runnel;
using namespace std::chrono_literals;

// Sliced equals unsliced: what a window operator makes of accumulators that it shares between windows, merges and
// moves, is what the aggregate makes of the window's records, added one after the other as they came.

namespace {

using test::event;

/// The records themselves. An event's value is its place in the order of arrival.
struct raw {
    std::vector<timed<event>> create() const { return {}; }
    void add(std::vector<timed<event>>& all, const event& e, timestamp t) const { all.push_back({e, t}); }
    void merge(std::vector<timed<event>>& all, const std::vector<timed<event>>& more) const {
        all.insert(all.end(), more.begin(), more.end());
    }
    std::vector<timed<event>> result(std::vector<timed<event>> all) const {
        std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.value.value < b.value.value; });
        return all;
    }
};

const auto key_of = [](const event& e) { return e.key; };

template <class Spec, class Agg>
auto outcome(const Spec& spec, const Agg& agg, const std::vector<test::step>& steps) {
    test::driver d(make_window_operator<std::int64_t, event>(key_of, spec, agg));
    for (const test::step& s : steps) {
        if (s.is_watermark) d.watermark(s.time);
        else d.record(s.record, s.time);
    }
    d.finish();
    return test::by_key(d.take());
}

/// `same(a, b)` compares two results.
template <class Spec, class Agg, class Same>
void check_slices(const Spec& spec, const Agg& recipe, Same same) {
    const auto agg = bind_aggregate<event>(recipe);
    for (std::uint64_t seed = 1; seed != 20; ++seed) {
        CAPTURE(seed);
        CAPTURE(spec.text());
        std::mt19937_64 random(seed);
        const auto steps = test::random_stream(random, {});
        auto sliced = outcome(spec, agg, steps);
        auto unsliced = outcome(spec, raw(), steps);
        REQUIRE(sliced.size() == unsliced.size());
        for (auto& [key, results] : unsliced) {
            REQUIRE(sliced[key].size() == results.size());
            for (std::size_t i = 0; i != results.size(); ++i) {
                REQUIRE(sliced[key][i].start == results[i].start);
                REQUIRE(same(sliced[key][i].value, test::in_one(agg, results[i].value)));
            }
        }
    }
}

template <class Agg, class Same = std::equal_to<>>
void check_slices_of_all_windows(const Agg& recipe, Same same = {}) {
    check_slices(tumbling(30ns).lateness(40ns), recipe, same);
    check_slices(sliding(40ns, 10ns).lateness(25ns), recipe, same);
    check_slices(sliding(35ns, 15ns, 4ns).drop_late(), recipe, same);
    check_slices(session(6ns).lateness(30ns), recipe, same);
}

std::int64_t few(const event& e) { return e.value * 7919 % 10; }

}  // namespace

TEST_CASE("first and last of slices are those of the records, also where times are equal") {
    check_slices_of_all_windows(first());
    check_slices_of_all_windows(last());
}

TEST_CASE("min_by and max_by of slices are those of the records, also where fields are equal") {
    check_slices_of_all_windows(min_by(few));
    check_slices_of_all_windows(max_by(few));
}

TEST_CASE("collect over slices gives the records in order of time, as over the records") {
    check_slices_of_all_windows(collect());
}

TEST_CASE("exact aggregates of slices are those of the records") {
    check_slices_of_all_windows(combine(count(), sum(few), sum(few).saturating(), mean(few), runnel::min(few),
                                        runnel::max(few), top(3, few), bottom(3, few), distinct_count(few)));
}

TEST_CASE("the variance of slices is that of the records, but for rounding") {
    check_slices_of_all_windows(population_variance(few),
                                [](double a, double b) { return std::fabs(a - b) <= 1e-13 * (a + b); });
}

TEST_CASE("sketches of slices are those of the records") {
    check_slices_of_all_windows(combine(approx_distinct(few), approx_distinct(few, 4),
                                        approx_counts(few, {.epsilon = 0.4, .delta = 0.2}),
                                        approx_quantiles({0, 0.3, 1}, few)));
}
