#include "runnel/window/session_window_operator.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "differential.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/window_operator.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using test::bag;
using test::bag_result;
using test::event;

namespace {

struct some_side {};
using results = std::vector<bag_result>;

template <class Spec, class Recipe = bag>
auto make(const Spec& spec, Recipe recipe = {}) {
    return make_window_operator<std::int64_t, event>(&event::key, spec, recipe);
}

bag_result result(std::int64_t key, std::int64_t start, std::int64_t end, std::vector<std::int64_t> values) {
    return {key, timestamp(start), timestamp(end), std::move(values)};
}

}  // namespace

TEST_CASE("a session ends a gap after its last record and fires, with the time end - 1, also for silent keys") {
    test::driver d(make(session(10ns).drop_late()));
    d.record({1, 1}, 0);
    d.record({1, 2}, 7);
    d.record({2, 3}, 20);
    d.watermark(16);
    CHECK(d.take().empty());
    d.watermark(17);
    CHECK(d.results().at(0).second == timestamp(16));
    CHECK(d.take() == results{result(1, 0, 17, {1, 2})});
}

TEST_CASE("a record at the end of a session joins it, whether or not a watermark of end - 1 came before it") {
    for (const bool between : {false, true}) {
        test::driver d(make(session(10ns).drop_late()));
        d.record({1, 1}, 0);
        if (between) d.watermark(9);
        d.record({1, 2}, 10);
        d.finish();
        CHECK(d.take() == results{result(1, 0, 20, {1, 2})});
    }
}

TEST_CASE("the watermark that is forwarded never overtakes a result that is still to come") {
    const auto op = make(session(10ns).drop_late());
    CHECK(op.output_watermark(timestamp(9)) == timestamp(8));
    CHECK(op.output_watermark(timestamp::max()) == timestamp::max());
    std::mt19937_64 random(3);
    test::driver d(op);
    timestamp forwarded = timestamp::min();
    for (const test::step& s : test::random_stream(random, {.disorder = 1, .late_percent = 0})) {
        if (!s.is_watermark) {
            d.record(s.record, s.time);
            continue;
        }
        d.watermark(s.time);
        for (const auto& [value, time] : d.results()) REQUIRE(time > forwarded);
        d.results().clear();
        forwarded = d.op().output_watermark(timestamp(s.time));
    }
}

TEST_CASE("sessions that overlap or touch are one; one tick further apart they are two") {
    test::driver d(make(session(10ns).drop_late()));
    d.record({1, 1}, 0);
    d.record({1, 2}, 10);
    d.record({2, 3}, 0);
    d.record({2, 4}, 11);
    d.record({3, 5}, -4);
    d.record({3, 6}, -14);
    d.finish();
    CHECK(test::by_key(d.take()) == test::by_key(results{result(1, 0, 20, {1, 2}), result(2, 0, 10, {3}),
                                                         result(2, 11, 21, {4}), result(3, -14, 6, {5, 6})}));
}

TEST_CASE("a record between two sessions bridges them, and each record counts once") {
    test::driver d(make(session(10ns).drop_late()));
    for (const std::int64_t t : {0, 40, 20, 60}) d.record({1, t}, t);
    d.record({1, 10}, 10);
    d.record({1, 50}, 50);
    d.record({1, 30}, 30);
    d.finish();
    CHECK(d.take() == results{result(1, 0, 70, {0, 10, 20, 30, 40, 50, 60})});
}

TEST_CASE("lateness is judged after the merge: a record too late alone is taken by a session that is still open") {
    test::driver d(make(session(10ns).drop_late()));
    d.record({1, 1}, 15);
    d.watermark(23);
    d.record({1, 2}, 5);  // alone it would end at 15; merged it ends at 25
    d.record({2, 3}, 5);
    d.finish();
    CHECK(d.take() == results{result(1, 5, 25, {1, 2})});
    CHECK(d.late_dropped() == 1);
}

TEST_CASE("a late record of a cleared session goes to the late output with a reason and changes nothing") {
    test::driver d(make(session(10ns).lateness(5ns).late_to(some_side{})));
    d.record({1, 1}, 0);
    d.watermark(14);
    d.record({1, 2}, 0);
    d.finish();
    CHECK(d.take() == results{result(1, 0, 10, {1})});
    CHECK(d.late() ==
          std::vector<late_record<event>>{{{1, 2}, timestamp(0), timestamp(14), late_reason::session_cleared}});
    CHECK(d.late_dropped() == 0);
    CHECK(d.op().live_keys() == 0);
}

TEST_CASE("a late record within the lateness makes its session fire again, at once and in full") {
    test::driver d(make(session(10ns).lateness(20ns)));
    d.record({1, 1}, 0);
    d.watermark(10);
    d.take();
    d.watermark(20);
    d.record({1, 2}, 5);
    CHECK(d.take() == results{result(1, 0, 15, {1, 2})});
    d.record({1, 3}, 6);
    CHECK(d.take() == results{result(1, 0, 16, {1, 2, 3})});
    d.finish();
    CHECK(d.take().empty());
}

TEST_CASE("a late record that makes a fired session reach beyond the watermark makes it fire when that is complete") {
    test::driver d(make(session(10ns).lateness(20ns)));
    d.record({1, 1}, 0);
    d.watermark(12);
    d.take();
    d.record({1, 2}, 10);
    CHECK(d.take().empty());
    d.watermark(19);
    CHECK(d.take().empty());
    d.watermark(20);
    CHECK(d.take() == results{result(1, 0, 20, {1, 2})});
    d.watermark(38);
    d.record({1, 3}, 19);
    CHECK(d.take() == results{result(1, 0, 29, {1, 2, 3})});
    d.watermark(47);
    CHECK(d.op().live_keys() == 1);
    d.watermark(48);
    CHECK(d.op().live_keys() == 0);
}

TEST_CASE("a late record that bridges a fired and an open session makes one that fires at the end of both") {
    test::driver d(make(session(10ns).lateness(30ns)));
    d.record({1, 1}, 0);
    d.record({1, 2}, 18);
    d.watermark(15);
    CHECK(d.take() == results{result(1, 0, 10, {1})});
    d.record({1, 3}, 9);
    CHECK(d.take().empty());
    d.finish();
    CHECK(d.take() == results{result(1, 0, 28, {1, 2, 3})});
}

TEST_CASE("sessions that one watermark completes fire in order of their end, of all keys together") {
    test::driver d(make(session(3ns).lateness(50ns)), {.output_batch = 4, .refuse_every = 3});
    std::mt19937_64 random(11);
    for (int i = 0; i != 500; ++i)
        d.record({static_cast<std::int64_t>(random() % 20), i}, static_cast<std::int64_t>(random() % 2000) - 1000);
    d.finish();
    CHECK(test::in_order_of_end(d.take()));
    CHECK(d.op().live_keys() == 0);
}

TEST_CASE("sessions at both ends of time are cut off there and never overflow") {
    for (const duration lateness : {duration(0), duration::max()}) {
        test::driver d(make(session(10ns).lateness(lateness)));
        d.record({1, 1}, timestamp::min());
        d.record({1, 2}, timestamp::max().previous());
        d.record({1, 3}, timestamp::max().previous() - 5ns);
        d.watermark(0);
        d.record({2, 4}, timestamp::max());
        d.finish();
        const auto got = d.take();
        REQUIRE(got.size() == 3);
        CHECK(got[0] == bag_result{1, timestamp::min(), timestamp::min() + 10ns, {1}});
        for (std::size_t i : {1, 2}) CHECK(got[i].end == timestamp::max());
        CHECK(d.op().live_keys() == 0);
    }
}

TEST_CASE("results are those of a brute-force oracle, whatever gap, lateness and batch size") {
    std::uint64_t seed = 1;
    for (int round = 0; round != 3; ++round)
        for (const std::int64_t gap : {1, 2, 5, 12, 40})
            for (const std::int64_t lateness : {0, 1, 13, 120})
                for (const std::size_t batch : {1, 7, 256}) {
                    std::mt19937_64 random(seed);
                    INFO("seed " << seed << " gap " << gap << " lateness " << lateness << " batch " << batch);
                    const auto steps = test::random_stream(random, {.keys = 1 + static_cast<std::int64_t>(seed % 20)});
                    test::compare(make(session(duration(gap)).lateness(duration(lateness)).late_to(some_side{})),
                                  test::session_oracle(gap, lateness), steps,
                                  {.batch_size = batch,
                                   .output_batch = batch,
                                   .refuse_every = seed % 3 == 0 ? 0 : 1 + seed % 3});
                    ++seed;
                }
}

TEST_CASE("saving and restoring between any two records changes nothing, also at another parallelism") {
    std::uint64_t seed = 1000;
    for (const std::int64_t gap : {2, 5, 12, 40})
        for (const std::int64_t lateness : {0, 30})
            for (const std::size_t restart_every : {1, 5, 11}) {
                std::mt19937_64 random(seed);
                INFO("seed " << seed << " gap " << gap << " lateness " << lateness);
                const auto steps = test::random_stream(random, {.keys = 12});
                test::compare(make(session(duration(gap)).lateness(duration(lateness)).late_to(some_side{})),
                              test::session_oracle(gap, lateness), steps, {.batch_size = 7}, restart_every);
                ++seed;
            }
}

TEST_CASE("instances saved at different watermarks: together again, nothing fires twice or is judged differently") {
    for (std::uint64_t seed = 1; seed != 40; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        const auto steps = test::random_stream(random, {.keys = 20});
        test::driver_group group(make(session(8ns).lateness(15ns).late_to(some_side{})), 3, {.batch_size = 7});
        test::compare_apart(group, std::vector<test::session_oracle>(3, test::session_oracle(8, 15)), steps);
    }
}

TEST_CASE("state of sessions of another gap is refused") {
    operator_snapshot saved;
    test::driver a(make(session(10s).drop_late()));
    a.record({1, 1}, 5);
    a.save(saved);
    test::driver b(make(session(11s).drop_late()));
    CHECK_THROWS_AS(b.load(saved), runnel::error);
}

TEST_CASE("an exception of the user's functions leaves the cursor at the record in hand and the operator destroyable") {
    for (const bool in_key : {false, true}) {
        auto key = [=](const event& e) {
            if (in_key && e.value == 3) throw std::runtime_error("key");
            return e.key;
        };
        struct picky : bag {
            void add(state& s, const event& e) const {
                if (e.value == 3) throw std::runtime_error("add");
                bag::add(s, e);
            }
        };
        auto op = make_window_operator<std::int64_t, event>(key, session(10ns).drop_late(), picky{});
        op.open({});
        output<decltype(op)::output_type> out;
        batch<event> in;
        for (std::int64_t i = 0; i != 5; ++i) in.append({i / 2, i}, timestamp(i));
        CHECK_THROWS_WITH(op.process(in, out), in_key ? "key" : "add");
        CHECK(in.cursor() == 3);
    }
}

TEST_CASE("many keys: sessions of 20,000 keys that records extend again and again") {
    test::driver d(make(session(50ns).drop_late(), count()), {.batch_size = 512});
    std::mt19937_64 random(5);
    std::uint64_t records = 0;
    for (std::int64_t t = 0; t != 300; ++t) {
        for (int i = 0; i != 300; ++i, ++records) d.record({static_cast<std::int64_t>(random() % 20000), 0}, t);
        d.watermark(t);
    }
    d.finish();
    std::uint64_t counted = 0;
    const auto got = d.take();
    for (const auto& r : got) counted += r.value;
    CHECK(counted == records);
    CHECK(test::in_order_of_end(got));
}
