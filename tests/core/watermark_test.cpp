#include "runnel/core/watermark.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

/// The rules for several inputs, each as it is written, without any thought of speed.
struct naive_merger {
    enum class state { active, idle, finished };
    struct input {
        timestamp w;
        state now = state::active;
        /// False from waking up until the input's watermark has reached the result.
        bool counts = true;
    };
    std::vector<input> inputs;
    timestamp result;

    naive_merger(std::size_t n, timestamp w) : inputs(n, {w}), result(w) {}

    bool all(state s) const {
        for (const input& i : inputs)
            if (i.now != s) return false;
        return true;
    }
    bool is_finished() const { return all(state::finished); }
    bool is_idle() const {
        for (const input& i : inputs)
            if (i.now == state::active) return false;
        return !is_finished();
    }
    void settle() {
        if (is_finished()) {
            result = timestamp::max();
            return;
        }
        if (is_idle()) {
            for (const input& i : inputs)
                if (i.now == state::idle) result = std::max(result, i.w);
            return;
        }
        for (input& i : inputs)
            if (i.now == state::active && i.w >= result) i.counts = true;
        timestamp lowest = timestamp::max();
        bool any = false;
        for (const input& i : inputs) {
            if (i.now != state::active || !i.counts) continue;
            any = true;
            lowest = std::min(lowest, i.w);
        }
        if (any) result = std::max(result, lowest);
    }
    void watermark(std::size_t i, timestamp w) {
        if (inputs[i].now == state::finished) return;
        if (w == timestamp::max()) return finish(i);
        if (inputs[i].now == state::idle) return;
        inputs[i].w = std::max(inputs[i].w, w);
        settle();
    }
    void idle(std::size_t i) {
        if (inputs[i].now != state::active) return;
        inputs[i].now = state::idle;
        settle();
    }
    void wake(std::size_t i) {
        if (inputs[i].now != state::idle) return;
        inputs[i].now = state::active;
        inputs[i].counts = false;
        settle();
    }
    void finish(std::size_t i) {
        inputs[i].now = state::finished;
        settle();
    }
    void add_input() {
        inputs.push_back({timestamp::min(), state::active, false});
        settle();
    }
};

}  // namespace

TEST_CASE("the watermark is the minimum over the active inputs and never goes back") {
    watermark_merger m(3);
    CHECK(m.current() == timestamp::min());
    m.watermark(0, at(10));
    m.watermark(1, at(20));
    CHECK(m.current() == timestamp::min());
    CHECK(m.held_by() == 2U);
    m.watermark(2, at(5));
    CHECK(m.current() == at(5));
    CHECK(m.held_by() == 2U);
    m.watermark(2, at(3));
    CHECK(m.current() == at(5));
    m.watermark(2, at(30));
    CHECK(m.current() == at(10));
    CHECK(m.held_by() == 0U);
}

TEST_CASE("negative watermarks are ordinary") {
    watermark_merger m(2);
    m.watermark(0, at(-1000));
    m.watermark(1, at(-10));
    CHECK(m.current() == at(-1000));
    m.watermark(0, at(-5));
    CHECK(m.current() == at(-10));
}

TEST_CASE("an idle input does not count") {
    watermark_merger m(2);
    m.watermark(0, at(10));
    CHECK(m.current() == timestamp::min());
    m.idle(1);
    CHECK(m.current() == at(10));
    CHECK_FALSE(m.is_idle());
    CHECK(m.is_idle(1));
}

TEST_CASE("a watermark of an input that is still idle is ignored") {
    watermark_merger m(2);
    m.watermark(0, at(10));
    m.watermark(1, at(5));
    m.idle(1);
    m.watermark(1, at(50));
    CHECK(m.of(1) == at(5));
    m.wake(1);
    m.watermark(0, at(20));
    CHECK(m.current() == at(20));
    m.watermark(1, at(20));
    m.watermark(0, at(30));
    CHECK(m.current() == at(20));
}

TEST_CASE("an input that wakes up behind neither holds back nor pulls back, and counts once it has caught up") {
    watermark_merger m(2);
    m.watermark(0, at(10));
    m.watermark(1, at(5));
    m.idle(1);
    CHECK(m.current() == at(10));
    m.wake(1);
    CHECK(m.current() == at(10));
    m.watermark(0, at(20));
    CHECK(m.current() == at(20));  // Not held back.
    m.watermark(1, at(15));
    CHECK(m.current() == at(20));  // Not pulled back.
    m.watermark(1, at(20));        // Has reached it: from here on it counts.
    m.watermark(0, at(40));
    CHECK(m.current() == at(20));
    CHECK(m.held_by() == 1U);
    m.watermark(1, at(25));
    CHECK(m.current() == at(25));
}

TEST_CASE("when all inputs are idle the largest of their watermarks comes first, then idleness") {
    watermark_merger m(2);
    m.watermark(0, at(10));
    m.watermark(1, at(30));
    m.idle(0);
    CHECK(m.current() == at(30));
    CHECK_FALSE(m.is_idle());
    watermark_merger n(2);
    n.watermark(0, at(10));
    n.watermark(1, at(30));
    n.idle(1);
    CHECK(n.current() == at(10));
    n.idle(0);
    CHECK(n.current() == at(30));
    CHECK(n.is_idle());
    CHECK_FALSE(n.held_by().has_value());
    n.wake(0);
    CHECK_FALSE(n.is_idle());
    CHECK(n.current() == at(30));
}

TEST_CASE("an input that wakes ahead of the result counts at once, even if the others that are awake do not count") {
    watermark_merger m(3);
    m.watermark(0, at(5));
    m.watermark(1, at(7));
    m.watermark(2, at(10));
    m.idle(2);
    m.idle(0);
    CHECK(m.current() == at(7));
    m.wake(0);  // At 5: behind.
    m.idle(1);  // Now only input 0 is awake, and it does not count.
    CHECK(m.current() == at(7));
    m.wake(2);  // At 10, the only one that counts.
    CHECK(m.current() == at(10));
    m.watermark(2, at(12));
    CHECK(m.current() == at(12));
}

TEST_CASE("a finished input stops counting and never makes the result jump to max") {
    watermark_merger m(3);
    m.watermark(0, at(10));
    m.watermark(1, at(20));
    m.watermark(2, at(30));
    m.finish(0);
    CHECK(m.current() == at(20));
    CHECK(m.is_finished(0));
    m.watermark(1, timestamp::max());
    CHECK(m.current() == at(30));
    m.watermark(1, at(50));  // Comes after its end: nothing.
    CHECK(m.current() == at(30));
    CHECK_FALSE(m.is_finished());
    m.finish(2);
    CHECK(m.is_finished());
    CHECK(m.current() == timestamp::max());
}

TEST_CASE("idle and finished inputs in all orders: max follows only when all are finished") {
    // Each of two inputs goes through: a watermark, idle or not, the end. All interleavings.
    const std::vector<std::string> steps{"wf", "wif", "wiaf", "if", "f"};
    for (const std::string& first : steps)
        for (const std::string& second : steps) {
            const std::size_t all = first.size() + second.size();
            for (std::size_t choice = 0; choice < (std::size_t{1} << all); ++choice) {
                std::size_t position[2] = {0, 0};
                watermark_merger m(2);
                naive_merger expected(2, timestamp::min());
                bool valid = true;
                std::string order;
                for (std::size_t k = 0; k < all && valid; ++k) {
                    const std::size_t i = choice >> k & 1;
                    const std::string& mine = i == 0 ? first : second;
                    if (position[i] == mine.size()) {
                        valid = false;
                        break;
                    }
                    const char step = mine[position[i]++];
                    order += std::to_string(i) + step;
                    const timestamp w = at(10 * static_cast<std::int64_t>(i + 1));
                    if (step == 'w') m.watermark(i, w), expected.watermark(i, w);
                    if (step == 'i') m.idle(i), expected.idle(i);
                    if (step == 'a') m.wake(i), expected.wake(i);
                    if (step == 'f') m.finish(i), expected.finish(i);
                    CAPTURE(order);
                    REQUIRE(m.current() == expected.result);
                    REQUIRE(m.is_idle() == expected.is_idle());
                    REQUIRE((m.current() == timestamp::max()) == (k + 1 == all));
                }
            }
        }
}

TEST_CASE("a restored merger starts at the saved watermark") {
    watermark_merger m(2, at(100));
    CHECK(m.current() == at(100));
    m.watermark(0, at(50));
    CHECK(m.current() == at(100));
    m.watermark(0, at(200));
    CHECK(m.current() == at(100));
    m.watermark(1, at(150));
    CHECK(m.current() == at(150));
}

TEST_CASE("an input added later counts once it has reached the result") {
    watermark_merger m(1);
    m.watermark(0, at(10));
    CHECK(m.add_input() == 1);
    m.watermark(0, at(20));
    CHECK(m.current() == at(20));
    m.watermark(1, at(25));
    m.watermark(0, at(40));
    CHECK(m.current() == at(25));
}

TEST_CASE("random events: the merger does what the rules say, step by step") {
    for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        const std::size_t inputs = 1 + random.below(5);
        const timestamp start = random.chance(20) ? at(random.between(-30, 30)) : timestamp::min();
        watermark_merger m(inputs, start);
        naive_merger expected(inputs, start);
        timestamp last = m.current();
        std::string history;
        for (int step = 0; step < 60; ++step) {
            const std::size_t i = random.below(m.size());
            const std::size_t what = random.below(100);
            const std::string which = std::to_string(i);
            if (what < 55) {
                const timestamp w = at(random.between(-40, 40) + step);
                history += " w" + which + "=" + std::to_string(w.ns());
                m.watermark(i, w), expected.watermark(i, w);
            } else if (what < 72) {
                history += " idle" + which;
                m.idle(i), expected.idle(i);
            } else if (what < 90) {
                history += " wake" + which;
                m.wake(i), expected.wake(i);
            } else if (what < 94) {
                history += " finish" + which;
                m.finish(i), expected.finish(i);
            } else if (what < 96) {
                history += " max" + which;
                m.watermark(i, timestamp::max()), expected.watermark(i, timestamp::max());
            } else if (what < 97 && m.size() < 6 && !m.is_finished()) {
                history += " add";
                m.add_input(), expected.add_input();
            }
            CAPTURE(history);
            REQUIRE(m.current() == expected.result);
            REQUIRE(m.is_idle() == expected.is_idle());
            REQUIRE(m.is_finished() == expected.is_finished());
            REQUIRE(m.current() >= last);
            last = m.current();
            if (const auto held = m.held_by()) {
                REQUIRE(expected.inputs[*held].now == naive_merger::state::active);
                REQUIRE(m.of(*held) == m.current());
            }
        }
    }
}
