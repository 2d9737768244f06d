#include "runnel/window/trigger_window_operator.hpp"

#include <doctest/doctest.h>

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

paned_result early(std::int64_t key, std::int64_t start, std::int64_t end, std::vector<std::int64_t> values,
                   std::uint64_t index) {
    return {key, timestamp(start), timestamp(end), std::move(values), {index, pane_timing::early}};
}
paned_result on_time(std::int64_t key, std::int64_t start, std::int64_t end, std::vector<std::int64_t> values,
                     std::uint64_t index) {
    return {key, timestamp(start), timestamp(end), std::move(values), {index, pane_timing::on_time}};
}
paned_result late(std::int64_t key, std::int64_t start, std::int64_t end, std::vector<std::int64_t> values,
                  std::uint64_t index) {
    return {key, timestamp(start), timestamp(end), std::move(values), {index, pane_timing::late}};
}
using results = std::vector<paned_result>;

/// A gap of 5 to 19 ns, by key and value.
struct gap_of_event {
    duration operator()(const event& e) const { return duration(5 + (e.key * 3 + e.value) % 15); }
};

firing_rule random_rule(std::mt19937_64& random, bool may_be_none) {
    switch (random() % (may_be_none ? 4 : 3)) {
        case 0: return on_each_record();
        case 1: return every_records(1 + static_cast<std::int64_t>(random() % 5));
        case 2: return every(duration(1 + static_cast<std::int64_t>(random() % 12)));
        default: return {};
    }
}

/// The same random stream through the operator and the oracle, in both modes.
template <class Undecided, class Oracle>
void compare_both(std::uint64_t seed, const Undecided& undecided, const Oracle& base) {
    std::mt19937_64 random(seed);
    test::pane_rules rules{random_rule(random, true), random_rule(random, false), false,
                           random() % 2 == 0 ? 0 : static_cast<std::int64_t>(random() % 50)};
    const test::drive_options options{.batch_size = seed % 3 == 0 ? 1u : 64u,
                                      .output_batch = 7,
                                      .refuse_every = seed % 4 == 0 ? 3u : 0u};
    const std::size_t restart_every = seed % 5 == 0 ? 20 : 0;
    const auto steps = test::random_stream(random, {});
    const auto spec = undecided.lateness(duration(rules.lateness)).late_to(some_side{}).early(rules.early).late(rules.late);
    INFO("seed " << seed << " " << spec.accumulating().text());
    auto oracle = base;
    oracle.rules = rules;
    test::compare(make(spec.accumulating()), oracle, steps, options, restart_every);
    oracle.rules.discards = true;
    test::compare(make(spec.discarding()), oracle, steps, options, restart_every);
}

}  // namespace

TEST_CASE("early every n records: accumulating gives all so far, discarding what is new") {
    const auto feed = [](auto&& d) {
        d.record({1, 100}, 1);
        d.record({2, 200}, 1);
        d.record({1, 101}, 2);
        d.record({1, 102}, 3);
        d.finish();
        return d.take();
    };
    const auto spec = tumbling(10ns).drop_late().early(every_records(2));
    CHECK(test::by_key(feed(test::driver(make(spec.accumulating())))) ==
          test::paned_outcome{{1, {early(1, 0, 10, {100, 101}, 0), on_time(1, 0, 10, {100, 101, 102}, 1)}},
                              {2, {on_time(2, 0, 10, {200}, 0)}}});
    CHECK(test::by_key(feed(test::driver(make(spec.discarding())))) ==
          test::paned_outcome{{1, {early(1, 0, 10, {100, 101}, 0), on_time(1, 0, 10, {102}, 1)}},
                              {2, {on_time(2, 0, 10, {200}, 0)}}});
}

TEST_CASE("on each record: a result for every record, and exactly one on-time pane, even an empty one") {
    test::driver d(make(tumbling(10ns).drop_late().early(on_each_record()).discarding()));
    d.record({1, 100}, 1);
    d.record({1, 101}, 2);
    d.finish();
    CHECK(d.take() == results{early(1, 0, 10, {100}, 0), early(1, 0, 10, {101}, 1), on_time(1, 0, 10, {}, 2)});
}

TEST_CASE("early every d of event time holds the records before each multiple of d, whatever else has come") {
    test::driver d(make(tumbling(10ns).drop_late().early(every(4ns)).accumulating()));
    d.record({1, 100}, 1);
    d.record({1, 101}, 5);
    d.watermark(2);
    CHECK(d.take().empty());
    d.watermark(3);
    CHECK(d.take() == results{early(1, 0, 10, {100}, 0)});
    d.record({1, 102}, 2);
    d.watermark(6);
    CHECK(d.take().empty());
    d.watermark(9);
    CHECK(d.take() == results{early(1, 0, 10, {100, 101, 102}, 1), on_time(1, 0, 10, {100, 101, 102}, 2)});
}

TEST_CASE("early every d of event time is silent when there is nothing new") {
    test::driver d(make(tumbling(20ns).drop_late().early(every(4ns)).discarding()));
    d.record({1, 100}, 1);
    d.watermark(15);
    d.record({1, 101}, 18);
    d.finish();
    CHECK(d.take() == results{early(1, 0, 20, {100}, 0), on_time(1, 0, 20, {101}, 1)});
}

TEST_CASE("late per record: with the full contents, or the difference if discarding") {
    test::driver full(make(tumbling(10ns).lateness(5ns).accumulating()));
    test::driver difference(make(tumbling(10ns).lateness(5ns).discarding()));
    const auto feed = [](auto& d) {
        d.record({1, 100}, 1);
        d.watermark(9);
        d.record({1, 101}, 2);
        d.record({1, 102}, 3);
        d.watermark(14);
        d.record({1, 103}, 3);
        CHECK(d.late_dropped() == 0);
        d.finish();
        CHECK(d.late_dropped() == 1);
        return d.take();
    };
    CHECK(feed(full) == results{on_time(1, 0, 10, {100}, 0), late(1, 0, 10, {100, 101}, 1),
                                late(1, 0, 10, {100, 101, 102}, 2)});
    CHECK(feed(difference) ==
          results{on_time(1, 0, 10, {100}, 0), late(1, 0, 10, {101}, 1), late(1, 0, 10, {102}, 2)});
}

TEST_CASE("late every d gathers late records, and gives what is left before the window is cleared") {
    test::driver d(make(tumbling(10ns).lateness(20ns).late(every(5ns)).accumulating()));
    d.record({1, 100}, 1);
    d.watermark(10);
    d.record({1, 101}, 2);
    d.record({1, 102}, 3);
    CHECK(d.take() == results{on_time(1, 0, 10, {100}, 0)});
    d.watermark(14);
    CHECK(d.take() == results{late(1, 0, 10, {100, 101, 102}, 1)});
    d.watermark(26);
    CHECK(d.take().empty());
    d.record({1, 103}, 4);
    d.watermark(29);
    CHECK(d.take() == results{late(1, 0, 10, {100, 101, 102, 103}, 2)});
    CHECK(d.op().live_keys() == 0);
}

TEST_CASE("the first result after the window's end is its on-time pane, also if its first record came late") {
    test::driver d(make(tumbling(10ns).lateness(5ns).accumulating()));
    d.watermark(12);
    d.record({1, 100}, 1);
    d.record({1, 101}, 1);
    CHECK(d.take() == results{on_time(1, 0, 10, {100}, 0), late(1, 0, 10, {100, 101}, 1)});
}

TEST_CASE("the global window gives all records at the end of the input, with the time max") {
    test::driver d(make(global()));
    d.record({1, 100}, 1);
    d.record({1, 101}, 1'000'000);
    d.watermark(2'000'000);
    d.record({1, 102}, -5);
    CHECK(d.results().empty());
    d.finish();
    REQUIRE(d.results().size() == 1);
    CHECK(d.results()[0].second == timestamp::max());
    CHECK(d.results()[0].first ==
          test::bag_result{1, timestamp::min(), timestamp::max(), {100, 101, 102}});
    CHECK(d.late_dropped() == 0);
}

TEST_CASE("the global window every n records, discarding: blocks of n, and the rest at the end") {
    test::driver d(make(global().early(every_records(2)).discarding()));
    for (int i = 0; i != 5; ++i) d.record({1, i}, 10 - i);
    d.flush();
    CHECK(d.results().size() == 2);
    d.finish();
    REQUIRE(d.results().size() == 3);
    CHECK(d.results()[1].first.value == std::vector<std::int64_t>{2, 3});
    CHECK(d.results()[2].first.value == std::vector<std::int64_t>{4});
    CHECK(d.results()[2].first.pane == pane{2, pane_timing::on_time});
}

TEST_CASE("a session with a gap of each record's own ends that long after the record which lasts longest") {
    test::driver d(make_window_operator<std::int64_t, event>(
        &event::key, session([](const event& e) { return duration(e.value); }).drop_late(), bag{}));
    d.record({1, 20}, 0);
    d.record({1, 5}, 10);
    d.record({1, 3}, 20);
    d.record({1, 4}, 24);
    d.finish();
    using test::bag_result;
    CHECK(d.take() == std::vector<bag_result>{{1, timestamp(0), timestamp(23), {3, 5, 20}},
                                              {1, timestamp(24), timestamp(28), {4}}});
}

TEST_CASE("a gap that isn't above zero is an error that names it") {
    test::driver d(make_window_operator<std::int64_t, event>(
        &event::key, session([](const event& e) { return duration(e.value); }).drop_late(), bag{}));
    d.record({1, 0}, 0);
    CHECK_THROWS_WITH_AS(d.flush(), doctest::Contains("the gap of the record is 0s"), error);
}

TEST_CASE("windows of the user's own: any list, judged each by its end") {
    struct whole_and_half {
        std::vector<window> windows_of(timestamp t) const {
            if (t.ns() < 0) return {};
            return {{timestamp(0), timestamp(10)}, {timestamp(0), timestamp(20)}};
        }
    };
    test::driver d(make(windows_of(whole_and_half{}).drop_late().late_to(some_side{})));
    d.record({1, 100}, 1);
    d.record({1, 101}, -1);
    d.watermark(9);
    d.record({1, 102}, 2);
    d.watermark(19);
    d.record({1, 103}, 2);
    d.finish();
    using test::bag_result;
    CHECK(d.take() == std::vector<bag_result>{{1, timestamp(0), timestamp(10), {100}},
                                              {1, timestamp(0), timestamp(20), {100, 102}}});
    CHECK(d.op().without_window() == 1);
    CHECK(d.late().size() == 1);
}

TEST_CASE("a window of the user's own that is empty is an error") {
    struct wrong {
        std::vector<window> windows_of(timestamp t) const { return {{t, t}}; }
    };
    test::driver d(make(windows_of(wrong{}).drop_late()));
    d.record({1, 100}, 1);
    CHECK_THROWS_WITH_AS(d.flush(), doctest::Contains("which is empty"), error);
}

TEST_CASE("windows on a grid with any early and late rule give what a list of raw records per window gives") {
    for (std::uint64_t seed = 1; seed <= test::seeds(120); ++seed) {
        std::mt19937_64 random(seed * 31);
        const auto below = [&](std::int64_t n) { return static_cast<std::int64_t>(random() % std::uint64_t(n)); };
        const std::int64_t size = 1 + below(40);
        const std::int64_t slide = seed % 3 == 0 ? 1 + below(30) : size;
        const std::int64_t offset = below(slide);
        const pane_oracle oracle(test::sliding_list(size, slide, offset), {});
        if (slide == size)
            compare_both(seed, tumbling(duration(size), duration(offset)), oracle);
        else
            compare_both(seed, sliding(duration(size), duration(slide), duration(offset)), oracle);
        if (seed % 4 == 0) {
            const std::int64_t step = 1 + below(10);
            compare_both(seed, cumulative(duration(4 * step), duration(step)),
                         pane_oracle(test::cumulative_list(4 * step, step, 0), {}));
        }
    }
}

TEST_CASE("sessions with any early and late rule, fixed and dynamic gaps, give what lists of raw records give") {
    for (std::uint64_t seed = 1; seed <= test::seeds(120); ++seed) {
        const std::int64_t gap = 1 + static_cast<std::int64_t>(seed % 17);
        compare_both(seed, session(duration(gap)), pane_oracle([=](const event&) { return gap; }, {}));
        compare_both(seed, session(gap_of_event()),
                     pane_oracle([](const event& e) { return gap_of_event()(e).count(); }, {}));
    }
}

TEST_CASE("windows with early results of groups saved at different watermarks go on where each was") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        std::mt19937_64 random(seed);
        INFO("seed " << seed);
        const auto steps = test::random_stream(random, {});
        const auto spec = tumbling(20ns).lateness(10ns).late_to(some_side{}).early(every(7ns)).late(every_records(2));
        test::driver_group group(make(spec.accumulating()), 3, {});
        const pane_oracle oracle(test::sliding_list(20, 20, 0), {every(7ns), every_records(2), false, 10});
        test::compare_apart(group, std::vector{oracle, oracle, oracle}, steps);
    }
}
