#include "runnel/source/alignment.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "runnel/source/watermarks.hpp"
#include "runnel/testing/manual_source.hpp"
#include "tests/source/drive_stage.hpp"
#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using testing::manual_source;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

/// A member in the hands of a test.
struct place {
    place(const alignment_group& group, duration drift)
        : member(group.join(timestamp::min(), drift, [this] { ++wakes; })) {}
    bool may_read(std::int64_t watermark, bool idle = false) { return member->may_read(at(watermark), idle); }
    int wakes = 0;
    std::unique_ptr<detail::alignment_member> member;
};

/// One subtask of a source of numbers that is aligned, read one batch after the other.
struct aligned_stage {
    static source_timing aligned(const alignment_group& group, duration drift, duration idle = {}) {
        return timing_of<int>(event_timing<time_of_source, bounded_generator>{{}, {}, idle, group, drift});
    }
    aligned_stage(const alignment_group& group, duration drift, std::size_t splits = 1, duration idle = {})
        : numbers(splits),
          d(std::make_shared<manual_source<int>>(numbers), aligned(group, drift, idle), 1) {
        d.start();
    }
    aligned_stage& push(std::initializer_list<int> times, std::size_t split = 0) {
        for (int t : times) numbers.push(split, t, at(t));
        return *this;
    }
    /// Runs as often as it is woken; the number of records read so far.
    std::size_t run() {
        do d.run();
        while (d.wakes > 0);
        return d.values().size();
    }

    manual_source<int> numbers;
    test::driven_stage<int> d;
};

}  // namespace

TEST_CASE("a member may read up to the slowest active one and the drift, and is woken when that has moved") {
    alignment_group group;
    place a(group, 10ns), b(group, 10ns);
    CHECK(a.may_read(5) == false);  // b has nothing yet: it is the slowest.
    CHECK(b.may_read(0));
    CHECK(a.wakes == 1);
    CHECK(a.may_read(10));
    CHECK_FALSE(a.may_read(11));
    b.member->report(at(0), false);
    CHECK(a.wakes == 1);
    b.member->report(at(1), false);
    CHECK(a.wakes == 2);
    b.member->report(at(2), false);
    CHECK(a.wakes == 2);  // It waits no more.
    CHECK(a.may_read(11));
}

TEST_CASE("idle members and those that have left don't count, and an idle one that wakes does again") {
    alignment_group group;
    place a(group, 0ns);
    {
        place b(group, 0ns), c(group, 0ns);
        b.member->report(at(3), false);
        c.member->report(at(4), true);
        CHECK_FALSE(a.may_read(5));
        b.member->report(at(3), true);
        CHECK(a.wakes == 1);
        CHECK(a.may_read(5));
        c.member->report(at(4), false);
        CHECK_FALSE(a.may_read(5));
        CHECK(a.wakes == 1);
    }
    CHECK(a.wakes == 2);
    CHECK(a.may_read(5));
    CHECK(a.may_read(timestamp::max().ns()));
}

TEST_CASE("each member has a drift of its own; the largest never stops, not even at the ends of time") {
    alignment_group group;
    place slow(group, 0ns), careful(group, 1ns), free(group, duration::max());
    slow.member->report(at(100), false);
    CHECK_FALSE(careful.may_read(102));
    CHECK(free.may_read(timestamp::max().previous().ns()));
}

TEST_CASE("a member is stopped only as long as it is ahead: no wake is missing, and one of those that count may read") {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        alignment_group group;
        struct model {
            std::unique_ptr<place> real;
            std::int64_t drift;
            std::int64_t value = 0;
            bool idle = false;
            bool held = false;
        };
        std::vector<model> all(1 + random.below(5));
        for (model& m : all) {
            m.drift = random.between(0, 20);
            m.real = std::make_unique<place>(group, duration(m.drift));
            m.real->member->report(at(0), false);
        }
        for (int step = 0; step < 300; ++step) {
            model& m = all[random.below(all.size())];
            if (!m.held) m.value += random.between(0, 15);  // It has been read.
            m.idle = random.chance(20);
            for (model& k : all) k.real->wakes = 0;
            m.held = !m.real->may_read(m.value, m.idle);
            std::int64_t slowest = std::numeric_limits<std::int64_t>::max() - 100;
            for (const model& k : all)
                if (!k.idle) slowest = std::min(slowest, k.value);
            for (model& k : all) {
                if (k.real->wakes > 0) k.held = false;
                if (k.held) REQUIRE(k.value > slowest + k.drift);
            }
            REQUIRE(m.held == (m.value > slowest + m.drift));
        }
    }
}

TEST_CASE("a split ahead of the slowest by more than the drift is not read until that one has come after") {
    alignment_group group;
    aligned_stage fast(group, 10ns), slow(group, 10ns);
    fast.push({1, 11, 22, 33, 44});
    CHECK(fast.run() == 1);  // The other one has had no record yet.
    slow.push({1});
    CHECK(slow.run() == 1);
    CHECK(fast.d.wakes > 0);
    CHECK(fast.run() == 3);  // 22 stands at 21, which is beyond 0 + 10.
    slow.push({12});
    CHECK(slow.run() == 2);
    CHECK(fast.run() == 4);
    slow.numbers.finish();
    slow.run();
    CHECK(fast.run() == 5);
    fast.numbers.finish();
    fast.run();
    CHECK(fast.d.out.is_finished());
    CHECK(slow.d.out.is_finished());
}

TEST_CASE("splits of one source are aligned with each other, too") {
    alignment_group group;
    aligned_stage both(group, 5ns, 2);
    both.push({1, 50, 60}, 0).push({1, 2}, 1);
    CHECK(both.run() == 4);
    both.push({47}, 1);
    CHECK(both.run() == 6);
}

TEST_CASE("a slowest split that falls idle, ends or is dropped with its job lets the others go on") {
    for (const char* how : {"idle", "drained", "dropped"}) {
        CAPTURE(how);
        alignment_group group;
        aligned_stage fast(group, 0ns);
        auto slow = std::make_unique<aligned_stage>(group, 0ns, 1, 100ns);
        slow->push({5});
        fast.push({3, 9, 12});
        slow->run();
        CHECK(fast.run() == 2);
        if (how == std::string("idle")) {
            slow->d.clock.time = at(200);
            slow->run();
        } else if (how == std::string("drained")) {
            slow->d.stage->drain();
            slow->run();
        } else {
            slow.reset();
        }
        CHECK(fast.d.wakes > 0);
        CHECK(fast.run() == 3);
    }
}

TEST_CASE("being held back is not silence: it makes no split idle, neither meanwhile nor when it goes on") {
    alignment_group group;
    aligned_stage fast(group, 0ns, 1, 100ns), slow(group, 0ns);
    fast.push({9, 12});
    slow.push({5});
    slow.run();
    CHECK(fast.run() == 1);
    CHECK(fast.d.until == timestamp::max());  // Nothing to look for by the clock.
    fast.d.clock.time = at(1'000);
    CHECK(fast.run() == 1);
    CHECK(fast.d.stage->held_by() == 0U);
    slow.push({10});
    slow.run();
    fast.d.clock.time = at(5'000);
    CHECK(fast.run() == 2);
    CHECK(fast.d.stage->held_by() == 0U);
    CHECK(fast.d.until == at(5'100));
}

TEST_CASE("after a restore a split stands in its group where it was") {
    alignment_group before;
    aligned_stage first(before, 10ns);
    first.push({100, 101});
    first.run();
    const operator_snapshot saved = first.d.snapshot();
    alignment_group group;
    aligned_stage slow(group, 10ns);
    test::driven_stage<int> again(first.d.from, aligned_stage::aligned(group, 10ns), 1);
    again.start(&saved);
    slow.push({5});
    slow.run();
    first.numbers.push(200, at(200));
    again.run();
    CHECK(again.values().empty());
    slow.numbers.finish();
    slow.run();
    CHECK(again.wakes > 0);
    again.run();
    CHECK(again.values() == std::vector{200});
}

TEST_CASE("a negative drift is a problem of the graph") {
    CHECK(monotonous().align(alignment_group(), 0ns).problems().empty());
    CHECK(monotonous().align(alignment_group(), -1ns).problems().size() == 1);
}
