#include "runnel/window/staged_records.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "differential.hpp"
#include "pane_oracle.hpp"
#include "runnel/window/window_operator.hpp"
#include "tests/seeds.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using test::bag;
using test::event;
using test::pane_oracle;
using test::paned_result;

namespace {

struct some_side {};

template <class Spec>
auto make(const Spec& spec) {
    return make_window_operator<std::int64_t, event>(&event::key, spec, bag{});
}

paned_result early(std::int64_t key, std::vector<std::int64_t> values, std::uint64_t index) {
    return {key, timestamp(0), timestamp(20), std::move(values), {index, pane_timing::early}};
}
paned_result on_time(std::int64_t key, std::vector<std::int64_t> values, std::uint64_t index) {
    return {key, timestamp(0), timestamp(20), std::move(values), {index, pane_timing::on_time}};
}

/// A random stream through windows that fire early every few ticks, accumulating and discarding, against raw records.
template <class Undecided>
void compare_early(std::uint64_t seed, const Undecided& undecided, const test::window_list& windows,
                   const test::stream_options& o) {
    std::mt19937_64 random(seed);
    const auto below = [&](std::int64_t n) { return static_cast<std::int64_t>(random() % std::uint64_t(n)); };
    test::pane_rules rules{every(duration(1 + below(12))), every_records(1 + below(3)), false, below(2) * below(40)};
    if (below(3) == 0) rules.late = every(duration(1 + below(9)));
    const test::drive_options options{.batch_size = seed % 3 == 0 ? 1u : 64u,
                                      .output_batch = seed % 2 == 0 ? 2u : 256u,
                                      .refuse_every = seed % 4 == 0 ? 3u : 0u};
    const auto steps = test::random_stream(random, o);
    const auto kept = undecided.lateness(duration(rules.lateness)).late_to(some_side{});
    const auto spec = kept.early(rules.early).late(rules.late);
    INFO("seed " << seed << " " << spec.accumulating().text());
    const std::size_t restart_every = seed % 5 == 0 ? 20 : 0;
    test::compare(make(spec.accumulating()), pane_oracle(windows, rules), steps, options, restart_every);
    rules.discards = true;
    test::compare(make(spec.discarding()), pane_oracle(windows, rules), steps, options, restart_every);
}

/// Watermarks that pass many multiples at once, and some that pass none.
constexpr test::stream_options sparse{.disorder = 40, .watermark_percent = 5};
constexpr test::stream_options dense{.records = 200, .watermark_percent = 60};

}  // namespace

TEST_CASE("early every d on a grid: several multiples per watermark, and several watermarks per multiple") {
    for (std::uint64_t seed = 1; seed <= test::seeds(60); ++seed) {
        std::mt19937_64 random(seed * 31);
        const auto below = [&](std::int64_t n) { return static_cast<std::int64_t>(random() % std::uint64_t(n)); };
        const std::int64_t size = 1 + below(40), slide = 1 + below(30), step = 1 + below(10);
        const test::stream_options& o = seed % 2 == 0 ? sparse : dense;
        const std::int64_t offset = below(size);
        compare_early(seed, tumbling(duration(size), duration(offset)), test::sliding_list(size, size, offset), o);
        compare_early(seed, sliding(duration(size), duration(slide)), test::sliding_list(size, slide, 0), o);
        const auto list = test::cumulative_list(4 * step, step, 0);
        compare_early(seed, cumulative(duration(4 * step), duration(step)), list, o);
    }
}

TEST_CASE("early every tick: what is more than can be held back slice by slice gives the same") {
    const test::stream_options o{.from = -1400, .to = 1400, .records = 4000, .keys = 2, .watermark_percent = 0};
    std::mt19937_64 random(1);
    const auto steps = test::random_stream(random, o);
    const test::pane_rules rules{every(1ns), on_each_record(), false, 0};
    const auto spec = tumbling(100ns).drop_late().late_to(some_side{}).early(rules.early).accumulating();
    test::compare(make(spec), pane_oracle(test::sliding_list(100, 100, 0), rules), steps, {}, 0);
}

TEST_CASE("records held back wait for the multiple that they came for, also after a restore with another period") {
    operator_snapshot saved;
    {
        test::driver d(make(tumbling(20ns).drop_late().early(every(4ns)).accumulating()));
        d.record({1, 100}, 1);
        d.record({1, 101}, 5);
        d.flush();
        CHECK(d.op().next_due() == timestamp(3));
        CHECK(d.op().live_keys() == 0);
        d.save(saved);
    }
    test::driver d(make(tumbling(20ns).drop_late().early(every(10ns)).accumulating()));
    d.load(saved);
    CHECK(d.op().next_due() <= timestamp(3));
    d.record({1, 102}, 8);
    d.watermark(2);
    CHECK(d.take().empty());
    d.watermark(3);
    CHECK(d.take() == std::vector{early(1, {100}, 0)});
    d.watermark(8);
    CHECK(d.take() == std::vector{early(1, {100, 101}, 1)});
    d.watermark(9);
    CHECK(d.take() == std::vector{early(1, {100, 101, 102}, 2)});
    d.finish();
    CHECK(d.take() == std::vector{on_time(1, {100, 101, 102}, 3)});
}

TEST_CASE("a snapshot while the output has no room holds the keys of a slice that have not fired yet, and no others") {
    auto first = make(tumbling(20ns).drop_late().early(every(4ns)).accumulating());
    auto second = first;
    operator_context context;
    test::collector<paned_result> results;
    output<paned_result> out;
    out.connect(results, 4);
    first.open(context);
    batch<event> in;
    for (std::int64_t key = 0; key != 50; ++key) in.append({key, 100 + key}, timestamp(1));
    REQUIRE(first.process(in, out) == progress::done);
    results.refuse_every = 2;
    REQUIRE(first.advance(timestamp(3), out) == progress::blocked);
    operator_snapshot saved;
    snapshot_writer writer(saved);
    std::as_const(first).save(writer);

    results.refuse_every = 0;
    REQUIRE(out.send() == progress::done);
    const std::size_t before = results.got.size();
    CHECK(before > 0);
    CHECK(before < 50);
    second.open(context);
    snapshot_reader reader(saved, context.mine);
    second.load(reader);
    REQUIRE(second.advance(timestamp(3), out) == progress::done);
    REQUIRE(out.send() == progress::done);
    std::vector<paned_result> got, expected;
    for (const auto& [result, time] : results.got) got.push_back(result);
    std::sort(got.begin(), got.end(), [](auto& a, auto& b) { return a.key < b.key; });
    for (std::int64_t key = 0; key != 50; ++key) expected.push_back(early(key, {100 + key}, 0));
    CHECK(got == expected);
}

TEST_CASE("records at both ends of time fire early and on time") {
    for (const std::int64_t edge : {INT64_MIN, INT64_MAX}) {
        CAPTURE(edge);
        test::driver d(make(tumbling(20ns).drop_late().early(every(4ns)).discarding()));
        const std::int64_t step = edge < 0 ? 1 : -1;
        for (std::int64_t i = 0; i != 12; ++i) d.record({1, i}, edge + i * step);
        d.finish();
        std::vector<std::int64_t> values;
        std::size_t on_time_panes = 0;
        for (const auto& [result, time] : d.results()) {
            values.insert(values.end(), result.value.begin(), result.value.end());
            on_time_panes += result.pane.timing == pane_timing::on_time;
        }
        std::sort(values.begin(), values.end());
        CHECK(values == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
        CHECK(on_time_panes >= 1);
    }
}
