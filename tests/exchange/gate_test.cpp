#include "runnel/exchange/gate.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "runnel/testing/recording.hpp"
#include "tests/support/noted_wake.hpp"
#include "tests/support/print.hpp"
#include "tests/support/tracked.hpp"

using namespace runnel;
using testing::recorder;
using tests::noted_wake;
using tests::tracked;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

/// A gate with some inputs, fed by hand.
template <class T = int>
struct fed_gate {
    noted_wake nobody;
    std::vector<std::unique_ptr<channel>> channels;
    recorder<T> out;
    gate under_test;

    explicit fed_gate(std::size_t inputs, std::size_t capacity = 64) {
        for (std::size_t i = 0; i < inputs; ++i) {
            channels.push_back(std::make_unique<channel>(capacity));
            channels.back()->connect(nobody, nobody);
            under_test.add(*channels.back(), out);
        }
        under_test.connect(out);
    }
    void records(std::size_t i, std::vector<timed<T>> all, timestamp w = timestamp::min()) {
        auto b = std::make_unique<batch<T>>();
        for (timed<T>& r : all) b->append(std::move(r.value), r.time);
        envelope e;
        e.records = b.get();
        e.watermark = w;
        REQUIRE(channels[i]->push(e));
        (void)b.release();
    }
    void signal(std::size_t i, envelope e) { REQUIRE(channels[i]->push(e)); }
    void watermark(std::size_t i, timestamp w) { signal(i, {nullptr, w, 0, envelope::kind::data}); }
    void end(std::size_t i) { watermark(i, timestamp::max()); }
    void idle(std::size_t i) { signal(i, {nullptr, timestamp::min(), 0, envelope::kind::idle}); }
    void active(std::size_t i) { signal(i, {nullptr, timestamp::min(), 0, envelope::kind::active}); }
    void barrier(std::size_t i, checkpoint_id id) { signal(i, {nullptr, timestamp::min(), id, envelope::kind::barrier}); }

    /// Steps until there is nothing to do; blocked steps are repeated.
    gate::state run() {
        for (int i = 0; i < 100'000; ++i) {
            const gate::state s = under_test.step();
            if (s == gate::state::empty || s == gate::state::finished) return s;
        }
        FAIL("the gate never comes to rest");
        return {};
    }
    std::vector<T> values() const {
        std::vector<T> all;
        for (const timed<T>& r : out.records()) all.push_back(r.value);
        return all;
    }
    std::vector<checkpoint_id> barriers() const {
        std::vector<checkpoint_id> all;
        for (const auto& s : out.signals())
            if (s.what == testing::arrived_signal::kind::barrier) all.push_back(s.barrier);
        return all;
    }
    std::string signals() const {
        std::string all;
        for (const auto& s : out.signals()) {
            using kind = testing::arrived_signal::kind;
            if (!all.empty()) all += ' ';
            switch (s.what) {
                case kind::watermark:
                    all += s.watermark == timestamp::max() ? "max" : std::to_string(s.watermark.ns());
                    break;
                case kind::idle: all += "idle"; break;
                case kind::active: all += "active"; break;
                case kind::barrier: all += "b" + std::to_string(s.barrier); break;
            }
            all += "@" + std::to_string(s.records_before);
        }
        return all;
    }
};

}  // namespace

TEST_CASE("inputs are taken from in turn") {
    fed_gate<> g(3);
    for (int i = 0; i < 3; ++i)
        for (std::size_t from = 0; from < 3; ++from) g.records(from, {{static_cast<int>(from), at(1)}});
    CHECK(g.run() == gate::state::empty);
    CHECK(g.values() == std::vector<int>{0, 1, 2, 0, 1, 2, 0, 1, 2});
}

TEST_CASE("the watermark of a gate is the minimum over its inputs, comes after the records before it, and rises strictly") {
    fed_gate<> g(2);
    g.records(0, {{1, at(5)}}, at(4));
    g.records(1, {{2, at(9)}}, at(8));
    g.watermark(1, at(9));
    g.watermark(0, at(6));
    g.watermark(0, at(7));
    CHECK(g.run() == gate::state::empty);
    CHECK(g.signals() == "4@2 6@2 7@2");
    CHECK(g.under_test.watermark() == at(7));
    CHECK(g.under_test.held_by() == 0U);
}

TEST_CASE("the end comes once, after all inputs have ended, and one that ended does not hold the others") {
    fed_gate<> g(2);
    g.watermark(0, at(5));
    g.records(1, {{1, at(9)}}, timestamp::max());
    CHECK(g.run() == gate::state::empty);
    CHECK(g.signals() == "5@1");
    g.records(0, {{2, at(10)}}, at(9));
    g.end(0);
    CHECK(g.run() == gate::state::finished);
    CHECK(g.signals() == "5@1 9@2 max@2");
    CHECK(g.under_test.step() == gate::state::finished);
}

TEST_CASE("when all inputs are idle the largest watermark goes out, then idleness; a record makes the gate active first") {
    fed_gate<> g(2);
    g.watermark(0, at(5));
    g.watermark(1, at(8));
    g.idle(0);
    g.idle(1);
    CHECK(g.run() == gate::state::empty);
    CHECK(g.signals() == "5@0 8@0 idle@0");
    CHECK(g.under_test.is_idle());
    g.watermark(0, at(50));  // Of an idle input: ignored.
    CHECK(g.run() == gate::state::empty);
    CHECK(g.under_test.watermark() == at(8));
    g.records(0, {{1, at(51)}}, at(50));
    CHECK(g.run() == gate::state::empty);
    CHECK(g.signals() == "5@0 8@0 idle@0 active@0 50@1");
    g.idle(0);
    CHECK(g.run() == gate::state::empty);
    g.active(1);
    g.records(1, {{2, at(20)}}, at(20));
    g.watermark(1, at(60));
    CHECK(g.run() == gate::state::empty);
    CHECK(g.signals() == "5@0 8@0 idle@0 active@0 50@1 idle@1 active@1 60@2");
}

TEST_CASE("an input that ends while the other is idle makes the gate idle, not finished") {
    fed_gate<> g(2);
    g.watermark(0, at(5));
    g.watermark(1, at(3));
    g.idle(1);
    CHECK(g.run() == gate::state::empty);
    g.end(0);
    CHECK(g.run() == gate::state::empty);
    CHECK(g.signals() == "3@0 5@0 idle@0");
    g.end(1);
    CHECK(g.run() == gate::state::finished);
    CHECK(g.signals() == "3@0 5@0 idle@0 max@0");
}

TEST_CASE("a barrier goes out when every input has delivered it, and no record crosses it") {
    for (std::size_t inputs : {1, 2, 3}) {
        CAPTURE(inputs);
        fed_gate<> g(inputs);
        for (std::size_t i = 0; i < inputs; ++i) {
            g.records(i, {{1, at(1)}});
            g.barrier(i, 7);
            g.records(i, {{2, at(2)}}, at(1));
            CHECK(g.run() == gate::state::empty);
            CHECK(g.barriers().size() == (i + 1 == inputs ? 1 : 0));
        }
        const auto& signals = g.out.signals();
        CHECK(signals[0].barrier == 7);
        CHECK(signals[0].records_before == inputs);
        for (std::size_t i = 0; i < 2 * inputs; ++i) CHECK(g.out.records()[i].value == (i < inputs ? 1 : 2));
        CHECK(g.under_test.watermark() == at(1));
    }
}

TEST_CASE("an input that has delivered its barrier is held back even if it has more") {
    fed_gate<> g(2, 3);
    g.barrier(0, 1);
    g.records(0, {{10, at(1)}});
    g.end(0);
    CHECK(g.run() == gate::state::empty);
    CHECK(g.values().empty());
    CHECK(g.under_test.fill() == doctest::Approx(2.0 / 6));
    g.records(1, {{20, at(1)}});
    g.barrier(1, 1);
    g.end(1);
    CHECK(g.run() == gate::state::finished);
    CHECK(g.values() == std::vector<int>{20, 10});
    CHECK(g.signals() == "b1@1 max@2");
}

TEST_CASE("a finished input counts as one that has delivered its barrier") {
    SUBCASE("ended before") {
        fed_gate<> g(3);
        g.end(1);
        g.barrier(0, 4);
        g.barrier(2, 4);
        CHECK(g.run() == gate::state::empty);
        CHECK(g.barriers() == std::vector<checkpoint_id>{4});
    }
    SUBCASE("ends while the others wait") {
        fed_gate<> g(3);
        g.barrier(0, 4);
        g.barrier(2, 4);
        CHECK(g.run() == gate::state::empty);
        CHECK(g.barriers().empty());
        g.records(1, {{1, at(1)}}, timestamp::max());
        CHECK(g.run() == gate::state::empty);
        CHECK(g.barriers() == std::vector<checkpoint_id>{4});
        CHECK(g.out.signals().front().records_before == 1);
        CHECK(g.values() == std::vector<int>{1});
    }
    SUBCASE("the last one ends: the barrier is not lost and comes before the end") {
        fed_gate<> g(2);
        g.barrier(0, 4);
        g.end(0);
        g.records(1, {{1, at(1)}});
        g.end(1);
        CHECK(g.run() == gate::state::finished);
        CHECK(g.signals() == "b4@1 max@1");
    }
}

TEST_CASE("an idle input has to deliver its barrier like any other") {
    fed_gate<> g(2);
    g.idle(0);
    g.barrier(1, 1);
    CHECK(g.run() == gate::state::empty);
    CHECK(g.barriers().empty());
    g.barrier(0, 1);
    CHECK(g.run() == gate::state::empty);
    CHECK(g.barriers() == std::vector<checkpoint_id>{1});
}

TEST_CASE("a newer barrier gives up the older one, and what was held for it flows on") {
    fed_gate<> g(2);
    g.barrier(0, 1);
    g.records(0, {{1, at(1)}});
    g.barrier(0, 2);
    g.records(0, {{2, at(2)}});
    CHECK(g.run() == gate::state::empty);
    CHECK(g.values().empty());
    g.records(1, {{3, at(3)}});
    g.barrier(1, 2);
    g.records(1, {{4, at(4)}});
    CHECK(g.run() == gate::state::empty);
    CHECK(g.barriers() == std::vector<checkpoint_id>{2});
    CHECK(g.out.signals().front().records_before == 2);
    CHECK(g.values().size() == 4);
}

TEST_CASE("a late barrier of a checkpoint that was given up is dropped, without holding its input") {
    fed_gate<> g(2);
    g.barrier(0, 2);
    g.barrier(1, 1);
    g.records(1, {{1, at(1)}});
    CHECK(g.run() == gate::state::empty);
    CHECK(g.values() == std::vector<int>{1});
    CHECK(g.barriers().empty());
    g.barrier(1, 2);
    CHECK(g.run() == gate::state::empty);
    CHECK(g.barriers() == std::vector<checkpoint_id>{2});
}

TEST_CASE("whatever is refused is repeated, and nothing else comes in between") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        fed_gate<std::string> g(2);
        g.out.refuse_at_random(seed, 70);
        g.records(0, {{"a", at(5)}, {"b", at(6)}, {"c", at(7)}}, at(4));
        g.records(1, {{"d", at(9)}}, at(6));
        g.barrier(0, 1);
        g.idle(0);
        g.idle(1);
        g.barrier(1, 1);
        g.active(1);
        g.records(1, {{"e", at(10)}}, at(9));
        g.end(0);
        g.end(1);
        REQUIRE(g.run() == gate::state::finished);
        REQUIRE(g.out.records().size() == 5);
        REQUIRE(g.barriers().size() == 1);
        REQUIRE(g.out.is_finished());
    }
}

TEST_CASE("flush goes on with what was blocked before it flushes") {
    fed_gate<> g(1);
    g.records(0, {{1, at(1)}}, at(1));
    g.out.refuse_next(3);
    CHECK(g.under_test.step() == gate::state::blocked);
    CHECK(g.under_test.flush() == progress::blocked);
    CHECK(g.under_test.flush() == progress::blocked);
    CHECK(g.under_test.flush() == progress::done);
    CHECK(g.signals() == "1@1");
}

TEST_CASE("a restored gate goes on from the saved watermark and repeats none below it") {
    fed_gate<> g(2);
    g.under_test.restore(at(10));
    g.watermark(0, at(5));
    g.watermark(1, at(8));
    g.watermark(0, at(20));
    CHECK(g.run() == gate::state::empty);
    CHECK(g.signals().empty());
    g.watermark(1, at(15));
    CHECK(g.run() == gate::state::empty);
    CHECK(g.signals() == "15@0");
}

TEST_CASE("emptied batches go back to their own channel") {
    fed_gate<> g(2);
    g.records(1, {{1, at(1)}});
    CHECK(g.run() == gate::state::empty);
    CHECK(g.channels[0]->recycled() == nullptr);
    std::unique_ptr<batch_base> back(g.channels[1]->recycled());
    REQUIRE(back != nullptr);
    CHECK(back->size() == 0);
}

TEST_CASE("a gate that is destroyed while blocked destroys the batch in its hand") {
    {
        fed_gate<tracked> g(1);
        auto b = std::make_unique<batch<tracked>>();
        for (int i = 0; i < 4; ++i) b->append(tracked(i), at(i));
        envelope e;
        e.records = b.release();
        g.signal(0, e);
        g.out.refuse_next(1);
        CHECK(g.under_test.step() == gate::state::blocked);
        CHECK(tracked::living == 4);
    }
    CHECK(tracked::living == 0);
}
