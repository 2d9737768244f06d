#include "runnel/exchange/sender.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runnel/exchange/gate.hpp"
#include "runnel/testing/recording.hpp"
#include "tests/support/noted_wake.hpp"
#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using testing::recorder;
using tests::noted_wake;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

/// Places a number by its remainder.
struct by_remainder {
    std::size_t operator()(int value, std::size_t channels) { return static_cast<std::size_t>(value) % channels; }
};

/// A sender with some channels, emptied by hand.
struct drained_sender {
    noted_wake nobody;
    std::vector<std::unique_ptr<channel>> channels;
    std::optional<sender<int, by_remainder>> under_test;

    drained_sender(std::size_t count, std::size_t capacity, std::size_t batch_size) {
        std::vector<channel*> to;
        for (std::size_t i = 0; i < count; ++i) {
            channels.push_back(std::make_unique<channel>(capacity));
            channels.back()->connect(nobody, nobody);
            to.push_back(channels.back().get());
        }
        under_test.emplace(to, by_remainder{}, batch_size);
    }
    progress send(std::vector<timed<int>> records) {
        batch<int> b;
        for (const auto& r : records) b.append(r.value, r.time);
        return under_test->on_any_batch(b);
    }
    /// What is in channel `i`, in words: "1@5 2@6 w4" is two records followed by a watermark in one envelope.
    std::string take(std::size_t i) {
        std::string all;
        envelope e;
        while (channels[i]->pop(e)) {
            all += all.empty() ? "" : " | ";
            std::string text;
            if (e.records) {
                auto& b = static_cast<batch<int>&>(*e.records);
                for (std::size_t k = 0; k < b.size(); ++k)
                    text += (text.empty() ? "" : " ") + std::to_string(std::as_const(b).value(k)) + "@" +
                            std::to_string(b.time(k).ns());
                b.reuse();
                channels[i]->give_back(&b);
            }
            if (e.watermark == timestamp::max()) text += (text.empty() ? "" : " ") + std::string("max");
            else if (e.watermark != timestamp::min())
                text += (text.empty() ? "" : " ") + std::string("w") + std::to_string(e.watermark.ns());
            if (e.what == envelope::kind::idle) text += "idle";
            if (e.what == envelope::kind::active) text += "active";
            if (e.what == envelope::kind::barrier) text += "b" + std::to_string(e.barrier);
            all += text;
        }
        return all;
    }
};

}  // namespace

TEST_CASE("records go where the partitioner says, in full batches, in order") {
    drained_sender s(2, 8, 2);
    CHECK(s.send({{0, at(1)}, {1, at(2)}, {2, at(3)}, {3, at(4)}, {4, at(5)}}) == progress::done);
    CHECK(s.under_test->flush() == progress::done);
    CHECK(s.take(0) == "0@1 2@3 | 4@5");
    CHECK(s.take(1) == "1@2 3@4");
}

TEST_CASE("a watermark travels behind the next batch, and flush sends it") {
    drained_sender s(2, 8, 2);
    CHECK(s.send({{0, at(1)}}) == progress::done);
    CHECK(s.under_test->on_watermark(at(0)) == progress::done);
    CHECK(s.send({{2, at(3)}, {4, at(4)}}) == progress::done);
    CHECK(s.take(0) == "0@1 2@3 w0");
    CHECK(s.take(1) == "");
    CHECK(s.under_test->flush() == progress::done);
    CHECK(s.take(0) == "4@4");
    CHECK(s.take(1) == "w0");
    CHECK(s.under_test->flush() == progress::done);
    CHECK(s.take(1) == "");
}

TEST_CASE("before a record that breaks its promise the watermark goes to every channel") {
    drained_sender s(2, 8, 100);
    CHECK(s.send({{0, at(10)}}) == progress::done);
    CHECK(s.under_test->on_watermark(at(5)) == progress::done);
    CHECK(s.send({{2, at(5)}}) == progress::done);
    CHECK(s.under_test->flush() == progress::done);
    CHECK(s.take(0) == "0@10 w5 | 2@5");
    CHECK(s.take(1) == "w5");
}

TEST_CASE("a single channel takes over whole batches, late records behind the watermark too") {
    drained_sender s(1, 8, 3);
    CHECK(s.send({{1, at(10)}, {2, at(11)}, {3, at(12)}}) == progress::done);
    CHECK(s.under_test->on_watermark(at(9)) == progress::done);
    CHECK(s.send({{4, at(3)}}) == progress::done);
    CHECK(s.send({{5, at(13)}}) == progress::done);
    CHECK(s.under_test->flush() == progress::done);
    CHECK(s.take(0) == "1@10 2@11 3@12 | w9 | 4@3 | 5@13");
}

TEST_CASE("a batch that has outgrown its size crosses in parts, so that a channel holds no more than was reckoned with") {
    drained_sender s(1, 2, 2);
    batch<int> big;
    for (int i = 0; i != 9; ++i) big.append(i, at(i));
    CHECK(s.under_test->on_any_batch(big) == progress::blocked);
    CHECK(s.take(0) == "0@0 1@1 | 2@2 3@3");
    CHECK(big.capacity() == 16);
    CHECK(s.under_test->on_any_batch(big) == progress::done);
    CHECK(big.empty());
    // Columns as large hold a single record now.
    big.clear();
    big.append(9, at(9));
    CHECK(s.under_test->on_any_batch(big) == progress::done);
    CHECK(s.take(0) == "4@4 5@5 | 6@6 7@7");
    CHECK(s.under_test->flush() == progress::done);
    envelope e;
    while (s.channels[0]->pop(e)) {
        CHECK(static_cast<batch<int>&>(*e.records).size() == 2);
        CHECK(static_cast<batch<int>&>(*e.records).capacity() == 2);
        s.channels[0]->give_back(e.records);
    }
}

TEST_CASE("signals go into every channel behind the records that came before them") {
    drained_sender s(2, 8, 10);
    CHECK(s.send({{0, at(10)}}) == progress::done);
    CHECK(s.under_test->on_watermark(at(5)) == progress::done);
    CHECK(s.under_test->on_barrier(3) == progress::done);
    CHECK(s.under_test->on_activity(activity::idle) == progress::done);
    CHECK(s.under_test->on_activity(activity::active) == progress::done);
    CHECK(s.send({{1, at(10)}}) == progress::done);
    CHECK(s.under_test->on_watermark(timestamp::max()) == progress::done);
    CHECK(s.take(0) == "0@10 w5 | b3 | idle | active | max");
    CHECK(s.take(1) == "w5 | b3 | idle | active | 1@10 max");
}

TEST_CASE("a refused signal is not sent twice to those that have got it") {
    drained_sender s(3, 1, 10);
    CHECK(s.under_test->on_barrier(1) == progress::done);
    CHECK(s.take(0) == "b1");
    CHECK(s.take(2) == "b1");
    CHECK(s.under_test->on_barrier(2) == progress::blocked);  // Channel 1 is full.
    CHECK(s.under_test->on_barrier(2) == progress::blocked);
    CHECK(s.take(1) == "b1");
    CHECK(s.under_test->on_barrier(2) == progress::done);
    CHECK(s.take(0) == "b2");
    CHECK(s.take(1) == "b2");
    CHECK(s.take(2) == "b2");
}

TEST_CASE("a sender frees what it could not send") {
    drained_sender s(2, 1, 4);
    batch<int> b;
    for (int i = 0; i < 100; ++i) b.append(i, at(i));
    CHECK(s.under_test->on_any_batch(b) == progress::blocked);
    CHECK(b.remaining() > 80);
    CHECK(s.take(0) == "0@0 2@2 4@4 6@6");
}

// The property that all of the exchange stands for: random producers, tiny rings, random refusals, any interleaving.
namespace {

struct parcel {
    std::size_t from = 0;
    std::size_t to = 0;
    std::size_t number = 0;       ///< Counts the producer's parcels to this consumer.
    checkpoint_id epoch = 0;      ///< Last barrier that its producer had sent.
    timestamp stood_behind;       ///< The producer's watermark when it was sent.
    std::string load;             ///< So that a lost or doubled move shows.
};

struct to_consumer {
    std::size_t operator()(const parcel& p, std::size_t) { return p.to; }
};

struct plan_of_test {
    bool idle = false;
    bool barriers = false;
    std::size_t calls = 40;
};

/// Makes random calls to a sender and repeats those that are refused.
class producer {
public:
    noted_wake woken;
    std::vector<std::size_t> sent;  ///< Parcels to each consumer.
    bool finished = false;

    producer(std::size_t self, const std::vector<channel*>& to, std::size_t batch_size, const plan_of_test& plan,
             std::uint64_t seed)
        : sent(to.size()), self_(self), out_(to, to_consumer{}, batch_size), plan_(plan), random_(seed) {}

    /// True if there may be more to do at once.
    bool step() {
        if (!pending_) next_call();
        if (pending_() == progress::blocked) return false;
        pending_ = nullptr;
        if (ending_) finished = true;
        return !finished;
    }

private:
    static constexpr checkpoint_id last_barrier = 6;

    void next_call() {
        if (calls_++ >= plan_.calls || random_.chance(1)) return finish();
        const std::size_t what = random_.below(100);
        if (what < 60) return send_batch();
        if (what < 80) {
            if (idle_) return become_active();
            watermark_ = watermark_ == timestamp::min() ? at(random_.between(-50, 50))
                                                        : watermark_ + duration(random_.between(1, 20));
            pending_ = [this] { return out_.on_watermark(watermark_); };
        } else if (what < 86 && plan_.idle) {
            if (idle_) return become_active();
            idle_ = true;
            pending_ = [this] { return out_.on_activity(activity::idle); };
        } else if (what < 94 && plan_.barriers && barrier_ < last_barrier) {
            barrier_ += 1 + random_.below(2);  // One left out was given up.
            if (barrier_ > last_barrier) barrier_ = last_barrier;
            pending_ = [this] { return out_.on_barrier(barrier_); };
        } else {
            pending_ = [this] { return out_.flush(); };
        }
    }
    void become_active() {
        idle_ = false;
        pending_ = [this] { return out_.on_activity(activity::active); };
    }
    void send_batch() {
        if (idle_ && random_.chance(50)) return become_active();
        idle_ = false;
        batch_.clear();
        const std::size_t n = 1 + random_.below(8);
        const timestamp base = watermark_ == timestamp::min() ? at(-100) : watermark_;
        for (std::size_t i = 0; i < n; ++i) {
            const std::size_t to = random_.below(sent.size());
            const bool late = random_.chance(15);
            const timestamp t = late ? base - duration(random_.between(0, 30)) : base + duration(random_.between(1, 60));
            batch_.append({self_, to, sent[to]++, barrier_, watermark_, "a load that is too long to be kept in place"}, t);
        }
        if (random_.chance(30)) batch_.widen(at(-1000), at(1000));
        pending_ = [this] { return out_.on_any_batch(batch_); };
    }
    void finish() {
        if (plan_.barriers && barrier_ < last_barrier && random_.chance(70)) {
            barrier_ = last_barrier;
            pending_ = [this] { return out_.on_barrier(barrier_); };
            return;
        }
        ending_ = true;
        pending_ = [this] { return out_.on_watermark(timestamp::max()); };
    }

    std::size_t self_;
    sender<parcel, to_consumer> out_;
    plan_of_test plan_;
    tests::random_numbers random_;
    batch<parcel> batch_;
    std::function<progress()> pending_;
    timestamp watermark_ = timestamp::min();
    checkpoint_id barrier_ = 0;
    std::size_t calls_ = 0;
    bool idle_ = false;
    bool ending_ = false;
};

struct consumer {
    noted_wake woken;
    recorder<parcel> out;
    gate in;
    bool finished = false;

    /// True if there may be more to do at once.
    bool step() {
        const gate::state s = in.step();
        finished = s == gate::state::finished;
        // What the recorder refuses it does not announce: to be tried again at any time.
        return s == gate::state::progressed || s == gate::state::blocked;
    }
};

void check_consumer(const consumer& c, const std::vector<std::unique_ptr<producer>>& producers, std::size_t self,
                    const plan_of_test& plan) {
    using kind = testing::arrived_signal::kind;
    REQUIRE(c.out.is_finished());
    std::vector<std::size_t> next(producers.size());
    timestamp watermark = timestamp::min();
    checkpoint_id barrier = 0;
    bool idle = false;
    std::size_t signal = 0;
    const auto& records = c.out.records();
    const auto& signals = c.out.signals();
    for (std::size_t i = 0;; ++i) {
        for (; signal < signals.size() && signals[signal].records_before == i; ++signal) {
            switch (signals[signal].what) {
                case kind::watermark:
                    watermark = signals[signal].watermark;
                    REQUIRE((!idle || watermark == timestamp::max()));
                    break;
                case kind::barrier:
                    barrier = signals[signal].barrier;
                    for (std::size_t k = 0; k < i; ++k) REQUIRE(records[k].value.epoch < barrier);
                    break;
                case kind::idle:
                    REQUIRE_FALSE(idle);
                    idle = true;
                    break;
                case kind::active:
                    REQUIRE(idle);
                    idle = false;
            }
        }
        if (i == records.size()) break;
        const parcel& p = records[i].value;
        REQUIRE_FALSE(idle);
        REQUIRE(p.to == self);
        REQUIRE(p.load.size() == 43);
        REQUIRE(p.number == next[p.from]++);  // None lost, none twice, in order.
        REQUIRE(p.epoch >= barrier);          // None overtaken by a barrier.
        const bool late_here = records[i].time <= watermark;
        const bool late_there = p.stood_behind != timestamp::min() && records[i].time <= p.stood_behind;
        if (producers.size() == 1) REQUIRE(late_here == late_there);
        else if (!plan.idle) REQUIRE((!late_here || late_there));
    }
    REQUIRE(signal == signals.size());
    for (std::size_t from = 0; from < producers.size(); ++from) REQUIRE(next[from] == producers[from]->sent[self]);
    if (plan.barriers) REQUIRE(barrier <= 6);
}

void run_exchange(std::uint64_t seed, std::size_t producer_count, std::size_t consumer_count, const plan_of_test& plan) {
    CAPTURE(seed);
    tests::random_numbers random(seed);
    std::vector<std::unique_ptr<channel>> channels;
    std::vector<std::unique_ptr<consumer>> consumers;
    std::vector<std::unique_ptr<producer>> producers;
    for (std::size_t k = 0; k < consumer_count; ++k) {
        consumers.push_back(std::make_unique<consumer>());
        consumers.back()->out.refuse_at_random(random.seed(), static_cast<unsigned>(random.below(70)));
        consumers.back()->in.connect(consumers.back()->out);
    }
    for (std::size_t p = 0; p < producer_count; ++p) {
        std::vector<channel*> mine;
        for (auto& c : consumers) {
            channels.push_back(std::make_unique<channel>(1 + random.below(3)));
            mine.push_back(channels.back().get());
            c->in.add(*channels.back(), c->out);
        }
        producers.push_back(std::make_unique<producer>(p, mine, 1 + random.below(6), plan, random.seed()));
        for (std::size_t k = 0; k < consumer_count; ++k) mine[k]->connect(producers[p]->woken, consumers[k]->woken);
    }
    // Each runs only while it has work or was woken, so a wake that is missing ends in a standstill.
    std::vector<bool> ready(producer_count + consumer_count, true);
    const unsigned producers_share = static_cast<unsigned>(10 + random.below(81));
    for (int steps = 0;; ++steps) {
        REQUIRE(steps < 1'000'000);
        for (std::size_t p = 0; p < producer_count; ++p)
            if (producers[p]->woken.taken()) ready[p] = true;
        bool all_finished = true;
        bool any_ready = false;
        for (std::size_t k = 0; k < consumer_count; ++k) {
            if (consumers[k]->woken.taken()) ready[producer_count + k] = true;
            all_finished &= consumers[k]->finished;
        }
        for (const bool r : ready) any_ready |= r;
        if (all_finished) break;
        REQUIRE(any_ready);
        const bool produce = random.chance(producers_share);
        const std::size_t who = produce ? random.below(producer_count) : producer_count + random.below(consumer_count);
        if (!ready[who]) continue;
        if (produce) ready[who] = !producers[who]->finished && producers[who]->step();
        else ready[who] = consumers[who - producer_count]->step();
    }
    for (std::size_t k = 0; k < consumer_count; ++k) check_consumer(*consumers[k], producers, k, plan);
}

}  // namespace

TEST_CASE("one producer: every record arrives once, in order, late at the gate exactly if it was late at the sender") {
    for (std::uint64_t seed = 1; seed <= 400; ++seed) run_exchange(seed, 1, 1 + seed % 4, {.idle = seed % 3 == 0});
}

TEST_CASE("several producers: no record arrives behind a watermark that it did not stand behind at its sender") {
    for (std::uint64_t seed = 1; seed <= 400; ++seed) run_exchange(seed, 2 + seed % 3, 1 + seed % 4, {});
}

TEST_CASE("idle and active reach the other side, and nothing comes from a gate that said it is idle") {
    for (std::uint64_t seed = 1; seed <= 400; ++seed)
        run_exchange(seed, 2 + seed % 3, 1 + seed % 3, {.idle = true});
}

TEST_CASE("barriers align over two and three producers, and no record crosses one") {
    for (std::uint64_t seed = 1; seed <= 600; ++seed)
        run_exchange(seed, 2 + seed % 2, 1 + seed % 3, {.idle = seed % 2 == 0, .barriers = true});
}
