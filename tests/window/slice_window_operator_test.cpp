#include "runnel/window/slice_window_operator.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "differential.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/sum.hpp"
#include "runnel/window/window_operator.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using test::bag;
using test::bag_result;
using test::event;

namespace {

struct some_side {};

template <class Spec, class Recipe = bag>
auto make(const Spec& spec, Recipe recipe = {}) {
    return make_window_operator<std::int64_t, event>(&event::key, spec, recipe);
}

bag_result result(std::int64_t key, std::int64_t start, std::int64_t end, std::vector<std::int64_t> values) {
    return {key, timestamp(start), timestamp(end), std::move(values)};
}
using results = std::vector<bag_result>;

void compare_grid(std::uint64_t seed, std::int64_t size, std::int64_t slide, std::int64_t offset, std::int64_t lateness,
                  test::drive_options options, std::size_t restart_every = 0) {
    std::mt19937_64 random(seed);
    INFO("seed " << seed << " size " << size << " slide " << slide << " offset " << offset << " lateness " << lateness
                 << " batch " << options.batch_size << " restart every " << restart_every);
    const auto steps = test::random_stream(random, {});
    const test::grid_oracle oracle(size, slide, offset, lateness);
    if (size == slide)
        test::compare(
            make(tumbling(duration(size), duration(offset)).lateness(duration(lateness)).late_to(some_side{})), oracle,
            steps, options, restart_every);
    test::compare(make(sliding(duration(size), duration(slide), duration(offset))
                           .lateness(duration(lateness))
                           .late_to(some_side{})),
                  oracle, steps, options, restart_every);
}

}  // namespace

TEST_CASE("a window fires when the watermark reaches end - 1, with the time end - 1") {
    test::driver d(make(tumbling(10ns).drop_late()));
    d.record({1, 100}, 0);
    d.record({1, 101}, 9);
    d.watermark(8);
    CHECK(d.take().empty());
    d.watermark(9);
    CHECK(d.results().at(0).second == timestamp(9));
    CHECK(d.take() == results{result(1, 0, 10, {100, 101})});
}

TEST_CASE("windows of keys that have gone silent fire too") {
    test::driver d(make(tumbling(10ns).drop_late()));
    d.record({1, 100}, 0);
    d.record({2, 101}, 25);
    d.watermark(24);
    CHECK(d.take() == results{result(1, 0, 10, {100})});
}

TEST_CASE("tumbling windows of negative times start at floored multiples of the size") {
    test::driver d(make(tumbling(10ns).drop_late()));
    d.record({1, 1}, -1);
    d.record({1, 2}, -10);
    d.record({1, 3}, -11);
    d.record({1, 4}, 0);
    d.finish();
    CHECK(d.take() == results{result(1, -20, -10, {3}), result(1, -10, 0, {1, 2}), result(1, 0, 10, {4})});
}

TEST_CASE("an offset moves the window starts, also for negative times and offsets") {
    for (const std::int64_t offset : {3, -7}) {
        test::driver d(make(tumbling(10ns, duration(offset)).drop_late()));
        d.record({1, 1}, -8);
        d.record({1, 2}, -7);
        d.record({1, 3}, 2);
        d.record({1, 4}, 3);
        d.finish();
        CHECK(d.take() == results{result(1, -17, -7, {1}), result(1, -7, 3, {2, 3}), result(1, 3, 13, {4})});
    }
}

TEST_CASE("a sliding record counts for every window that contains it") {
    test::driver d(make(sliding(10ns, 4ns).drop_late()));
    d.record({1, 1}, 5);
    d.finish();
    CHECK(d.take() == results{result(1, -4, 6, {1}), result(1, 0, 10, {1}), result(1, 4, 14, {1})});
}

TEST_CASE("a slide larger than the size leaves gaps: a record in a gap has no window and is not late") {
    test::driver d(make(sliding(3ns, 10ns).drop_late().late_to(some_side{})));
    d.record({1, 1}, -8);
    d.record({1, 2}, -7);
    d.record({1, 3}, 3);
    d.record({1, 4}, 12);
    d.record({1, 5}, 13);
    d.watermark(50);
    d.record({1, 6}, 15);
    CHECK(d.take() == results{result(1, -10, -7, {1}), result(1, 10, 13, {4})});
    CHECK(d.late().empty());
    CHECK(d.late_dropped() == 0);
    CHECK(d.op().without_window() == 4);
}

TEST_CASE("drop_late: a record is late when its window is complete; it is dropped and counted") {
    test::driver d(make(tumbling(10ns).drop_late()));
    d.record({1, 1}, 5);
    d.watermark(8);
    d.record({1, 2}, 5);
    d.watermark(9);
    d.record({1, 3}, 9);
    d.record({2, 4}, 9);
    d.record({1, 5}, 10);
    d.finish();
    CHECK(d.take() == results{result(1, 0, 10, {1, 2}), result(1, 10, 20, {5})});
    CHECK(d.late_dropped() == 2);
}

TEST_CASE("a late record goes to the late output with its time, the watermark and a reason, and isn't counted") {
    test::driver d(make(tumbling(10ns).lateness(5ns).late_to(some_side{})));
    d.watermark(13);
    d.record({1, 1}, 9);
    d.watermark(14);
    d.record({1, 2}, 9);
    CHECK(d.late() ==
          std::vector<late_record<event>>{{{1, 2}, timestamp(9), timestamp(14), late_reason::window_cleared}});
    CHECK(d.late_dropped() == 0);
    CHECK(d.take() == results{result(1, 0, 10, {1})});
}

TEST_CASE("a late record within the lateness makes its window fire again, at once and with the full contents") {
    test::driver d(make(tumbling(10ns).lateness(5ns)));
    d.record({1, 1}, 5);
    d.record({2, 2}, 5);
    d.watermark(9);
    d.take();
    d.record({1, 3}, 6);
    CHECK(d.take() == results{result(1, 0, 10, {1, 3})});
    d.record({3, 4}, 7);
    d.record({1, 5}, 8);
    CHECK(d.take() == results{result(3, 0, 10, {4}), result(1, 0, 10, {1, 3, 5})});
    d.watermark(13);
    d.finish();
    CHECK(d.take().empty());
}

TEST_CASE("lateness over several windows: each complete and kept window fires again, the others wait") {
    test::driver d(make(sliding(10ns, 5ns).lateness(7ns)));
    d.record({1, 1}, 12);
    d.watermark(14);  // completes [5, 15)
    CHECK(d.take() == results{result(1, 5, 15, {1})});
    d.record({1, 2}, 11);  // [5, 15) again; [10, 20) is not complete
    CHECK(d.take() == results{result(1, 5, 15, {1, 2})});
    d.watermark(19);
    CHECK(d.take() == results{result(1, 10, 20, {1, 2})});
    d.record({1, 3}, 10);  // both are complete, both are kept
    CHECK(d.take() == results{result(1, 5, 15, {1, 2, 3}), result(1, 10, 20, {1, 2, 3})});
    d.watermark(21);  // clears [5, 15)
    d.record({1, 4}, 12);
    CHECK(d.take() == results{result(1, 10, 20, {1, 2, 3, 4})});
    d.watermark(26);  // clears [10, 20)
    d.record({1, 5}, 14);
    CHECK(d.take().empty());
    CHECK(d.late_dropped() == 1);
}

TEST_CASE("a record that is late for some of its windows still counts for the others") {
    test::driver d(make(sliding(10ns, 5ns).drop_late()));
    d.record({1, 1}, 12);
    d.watermark(14);
    d.record({1, 2}, 13);
    d.finish();
    CHECK(d.take() == results{result(1, 5, 15, {1}), result(1, 10, 20, {1, 2})});
    CHECK(d.late_dropped() == 0);
}

TEST_CASE("a window without records does not exist, and a key without records in a window is left out") {
    test::driver d(make(sliding(4ns, 2ns).drop_late()));
    d.record({1, 1}, 0);
    d.record({2, 2}, 100);
    d.record({1, 3}, 101);
    d.finish();
    CHECK(test::by_key(d.take()) ==
          test::by_key(results{result(1, -2, 2, {1}), result(1, 0, 4, {1}), result(1, 98, 102, {3}),
                               result(2, 98, 102, {2}), result(1, 100, 104, {3}), result(2, 100, 104, {2})}));
}

TEST_CASE("windows that one watermark completes fire in order of their end") {
    test::driver d(make(sliding(10ns, 3ns).drop_late()), {.output_batch = 5, .refuse_every = 3});
    std::mt19937_64 random(7);
    for (int i = 0; i != 500; ++i)
        d.record({static_cast<std::int64_t>(random() % 7), i}, static_cast<std::int64_t>(random() % 1000) - 500);
    d.finish();
    CHECK(test::in_order_of_end(d.take()));
}

TEST_CASE("the end of the input closes every window, and a jump of the watermark costs no more than the records") {
    test::driver d(make(sliding(2ns, 1ns).drop_late()));
    const std::int64_t far = 4'000'000'000'000'000'000;
    d.record({1, 1}, -far);
    d.record({1, 2}, far);
    d.watermark(far / 2);
    CHECK(d.take() == results{result(1, -far - 1, -far + 1, {1}), result(1, -far, -far + 2, {1})});
    d.finish();
    CHECK(d.take().size() == 2);
    CHECK(d.op().live_slices() == 0);
}

TEST_CASE("windows at both ends of time are cut off there and never overflow") {
    const timestamp low = timestamp::min(), high = timestamp::max();
    const std::int64_t size = 3'000'000'000'000'000'000;
    for (const bool slide : {false, true}) {
        auto spec_driver = [&](auto spec) {
            test::driver d(make(spec));
            d.record({1, 1}, low);
            d.record({1, 2}, high.previous());
            d.record({1, 3}, low + 1ns);
            d.watermark(0);
            d.record({1, 4}, high);
            d.finish();
            return d.take();
        };
        const results got = slide ? spec_driver(sliding(duration(size), duration(size / 4)).lateness(duration::max()))
                                  : spec_driver(tumbling(duration(size)).lateness(duration::max()));
        REQUIRE(got.size() == (slide ? 8 : 2));
        for (const bag_result& r : got) CHECK((r.start == low || r.end == high || (r.start < r.end)));
        CHECK(got.front().value == std::vector<std::int64_t>{1, 3});
        CHECK(got.front().start == low);
        CHECK(got.back().value == std::vector<std::int64_t>{2, 4});
        CHECK(got.back().end == high);
    }
}

TEST_CASE("a window whose end plus lateness lies behind all times is kept until the end of the input") {
    test::driver d(make(tumbling(10ns).lateness(duration::max())));
    d.record({1, 1}, 5);
    d.watermark(9);
    d.watermark(timestamp::max().previous());
    d.record({1, 2}, 6);
    CHECK(d.take() == results{result(1, 0, 10, {1}), result(1, 0, 10, {1, 2})});
    d.finish();
    CHECK(d.take().empty());
    CHECK(d.op().live_slices() == 0);
}

TEST_CASE("slices are freed as soon as all their windows are cleared") {
    test::driver d(make(sliding(10ns, 4ns).lateness(3ns)));
    for (std::int64_t t = 0; t != 100; ++t) d.record({1, t}, t);
    d.flush();
    CHECK(d.op().live_slices() == 50);
    d.watermark(49);  // windows that end at 46 or before are cleared: [36, 46) is the last of them
    CHECK(d.op().live_slices() == 30);
    d.finish();
    CHECK(d.op().live_slices() == 0);
}

TEST_CASE("keys that have gone silent are forgotten") {
    test::driver d(make(sliding(10ns, 4ns).drop_late()));
    for (std::int64_t key = 0; key != 100; ++key) d.record({key, 1}, key);
    for (std::int64_t t = 0; t < 200; t += 3) d.record({-1, 1}, t);
    d.watermark(50);
    CHECK(d.op().window_keys() == 11);
    d.watermark(150);
    CHECK(d.op().window_keys() == 1);
    d.finish();
    CHECK(d.op().window_keys() == 0);
}

TEST_CASE("results are those of a brute-force oracle, whatever size, slide, offset, lateness and batch size") {
    const std::pair<std::int64_t, std::int64_t> shapes[] = {{10, 10}, {1, 1},  {10, 5},  {10, 3},  {7, 2},  {60, 1},
                                                            {3, 10},  {1, 13}, {30, 29}, {29, 30}, {50, 7}, {100, 10}};
    std::uint64_t seed = 1;
    for (const auto& [size, slide] : shapes)
        for (const std::int64_t lateness : {0, 1, 13, 120})
            for (const std::size_t batch : {1, 7, 256}) {
                const std::int64_t offset = static_cast<std::int64_t>(seed * 7) % (2 * slide - 1) - slide + 1;
                const std::size_t refuse_every = seed % 3 == 0 ? 0 : 1 + seed % 3;
                compare_grid(seed, size, slide, offset, lateness,
                             {.batch_size = batch, .output_batch = batch, .refuse_every = refuse_every});
                ++seed;
            }
}

TEST_CASE("saving and restoring between any two records changes nothing, also at another parallelism") {
    const std::pair<std::int64_t, std::int64_t> shapes[] = {{10, 10}, {10, 3}, {3, 10}, {60, 2}};
    std::uint64_t seed = 1000;
    for (const auto& [size, slide] : shapes)
        for (const std::int64_t lateness : {0, 30})
            for (const std::size_t restart_every : {1, 5, 11}) {
                compare_grid(seed++, size, slide, 0, lateness, {.batch_size = 7}, restart_every);
            }
}

TEST_CASE("instances saved at different watermarks: together again, nothing fires twice or is judged differently") {
    for (std::uint64_t seed = 1; seed != 40; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        const bool slide = seed % 2 == 0;
        const auto steps = test::random_stream(random, {.keys = 20});
        auto check = [&](const auto& op) {
            test::driver_group group(op, 3, {.batch_size = 7});
            test::compare_apart(group, std::vector(3, test::grid_oracle(10, slide ? 3 : 10, 0, 15)), steps);
        };
        if (slide)
            check(make(sliding(10ns, 3ns).lateness(15ns).late_to(some_side{})));
        else
            check(make(tumbling(10ns).lateness(15ns).late_to(some_side{})));
    }
}

TEST_CASE("state of other windows is refused with both named; another lateness is not") {
    operator_snapshot saved;
    test::driver a(make(tumbling(10s).drop_late()));
    a.record({1, 1}, 5);
    a.save(saved);
    test::driver b(make(tumbling(20s).drop_late()));
    CHECK_THROWS_WITH_AS(b.load(saved),
                         "window state was saved by tumbling(10s) and can't be loaded into tumbling(20s). Give the "
                         "operator another name to start it empty",
                         runnel::error);
    test::driver c(make(tumbling(10s).lateness(1s)));
    c.load(saved);
    c.finish();
    CHECK(c.take().size() == 1);
}

TEST_CASE("an accumulator without codec works, and is refused when it is to be saved") {
    struct opaque {
        struct state {
            int n = 0;
        };
        state create() const { return {}; }
        void add(state& s, const event&) const { ++s.n; }
        void merge(state& s, const state& other) const { s.n += other.n; }
        int result(const state& s) const { return s.n; }
    };
    test::driver d(make(tumbling(10ns).drop_late(), opaque{}));
    d.record({1, 1}, 5);
    operator_snapshot saved;
    CHECK_THROWS_AS(d.save(saved), runnel::error);
    d.finish();
    CHECK(d.take().at(0).value == 1);
}

TEST_CASE("create() is asked for every new accumulator unless it is known to give the default") {
    struct from_ten {
        long create() const { return 10; }
        void add(long& s, const event& e) const { s += e.value; }
        void merge(long& s, long other) const { s += other - 10; }
        long result(long s) const { return s; }
    };
    test::driver d(make(sliding(10ns, 5ns).lateness(100ns), from_ten{}));
    d.record({1, 1}, 5);
    d.record({1, 2}, 11);
    d.watermark(14);
    d.record({2, 3}, 12);
    d.finish();
    const auto got = d.take();
    REQUIRE(got.size() == 5);
    CHECK(got[0].value == 11);
    CHECK(got[1].value == 13);
    CHECK(got[2].value == 13);
    CHECK(got[3].value + got[4].value == 25);
}

TEST_CASE("an exception of the user's functions leaves the cursor at the record in hand and the operator destroyable") {
    struct picky {
        std::int64_t create() const { return 0; }
        void add(std::int64_t& s, const event& e) const {
            if (e.value == 3) throw std::runtime_error("three");
            s += e.value;
        }
        void merge(std::int64_t& s, std::int64_t other) const { s += other; }
        std::int64_t result(std::int64_t s) const {
            if (s == 100) throw std::runtime_error("a hundred");
            return s;
        }
    };
    for (const int where : {0, 1, 2}) {
        auto key = [=](const event& e) {
            if (where == 0 && e.value == 2) throw std::runtime_error("two");
            return e.key;
        };
        auto op = make_window_operator<std::int64_t, event>(key, sliding(10ns, 3ns).drop_late(), picky{});
        op.open({});
        output<decltype(op)::output_type> out;
        batch<event> in;
        for (std::int64_t i = 0; i != 5; ++i) in.append({i, where == 2 ? 100 : i}, timestamp(i / 3));
        if (where == 2) {
            CHECK(op.process(in, out) == progress::done);
            CHECK_THROWS_WITH(op.advance(timestamp::max(), out), "a hundred");
        } else {
            CHECK_THROWS_WITH(op.process(in, out), where == 0 ? "two" : "three");
            CHECK(in.cursor() == (where == 0 ? 2u : 3u));
        }
    }
}

TEST_CASE("a NaN as key is an error") {
    auto op = make_window_operator<double, double>([](double x) { return x; }, tumbling(10ns).drop_late(), count());
    test::driver d(op);
    d.record(1.0, 5);
    d.record(0.0 / 0.0, 5);
    CHECK_THROWS_AS(d.flush(), runnel::error);
}

TEST_CASE("an integer sum that overflows is an error, from the record or from the merge") {
    const std::int64_t big = INT64_MAX - 1;
    test::driver d(make(tumbling(10ns).drop_late(), sum(&event::value)));
    d.record({1, big}, 5);
    d.record({1, 2}, 5);
    CHECK_THROWS_AS(d.flush(), std::overflow_error);
    test::driver s(make(sliding(10ns, 5ns).drop_late(), sum(&event::value)));
    s.record({1, big}, 4);
    s.record({1, 2}, 5);
    s.flush();
    CHECK_THROWS_AS(s.finish(), std::overflow_error);
}

TEST_CASE("many keys, and strings as keys") {
    auto op = make_window_operator<std::string, event>([](const event& e) { return "user-" + std::to_string(e.key); },
                                                       sliding(10ns, 5ns).drop_late(), sum(&event::value));
    test::driver d(op, {.batch_size = 500, .output_batch = 64, .refuse_every = 5});
    std::map<std::tuple<timestamp, std::string>, std::int64_t> expected;
    for (std::int64_t i = 0; i != 30000; ++i) {
        const std::int64_t t = i / 1000, key = i * 7919 % 5000;
        d.record({key, i}, t);
        for (std::int64_t end = (t / 5 + 1) * 5; end <= t + 10; end += 5)
            expected[{timestamp(end), "user-" + std::to_string(key)}] += i;
        if (i % 1000 == 999) d.watermark(t);
    }
    d.finish();
    std::map<std::tuple<timestamp, std::string>, std::int64_t> got;
    for (const auto& r : d.take()) got[{r.end, r.key}] += r.value;
    CHECK(got == expected);
}
