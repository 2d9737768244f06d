#include "runnel/exchange/broadcast.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runnel/core/timed.hpp"
#include "tests/support/noted_wake.hpp"
#include "tests/support/random.hpp"

using namespace runnel;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

/// Some channels behind a broadcast, emptied by hand.
struct receivers {
    tests::noted_wake nobody;
    std::vector<std::unique_ptr<channel>> channels;
    std::unique_ptr<broadcast_sender> all;

    receivers(std::size_t count, std::size_t capacity, std::size_t batch_size) {
        std::vector<channel*> to;
        for (std::size_t i = 0; i < count; ++i) {
            channels.push_back(std::make_unique<channel>(capacity));
            channels.back()->connect(nobody, nobody);
            to.push_back(channels.back().get());
        }
        all = std::make_unique<broadcast_sender>(to, batch_size);
    }
    /// The next envelope of channel `i` in words; empty if there is none.
    std::string take(std::size_t i) {
        envelope e;
        if (!channels[i]->pop(e)) return "";
        std::string text;
        if (e.records) {
            auto& b = static_cast<batch<std::string>&>(*e.records);
            for (std::size_t k = 0; k < b.size(); ++k) text += b.value(k) + "@" + std::to_string(b.time(k).ns()) + " ";
            b.reuse();
            channels[i]->give_back(&b);
        }
        if (e.watermark == timestamp::max()) text += "max ";
        else if (e.watermark != timestamp::min()) text += "w" + std::to_string(e.watermark.ns()) + " ";
        if (e.what == envelope::kind::barrier) text += "b" + std::to_string(e.barrier) + " ";
        if (e.what == envelope::kind::idle) text += "idle ";
        return text;
    }
    std::string take_all(std::size_t i) {
        std::string text;
        for (std::string next = take(i); !next.empty(); next = take(i)) text += next;
        return text;
    }
};

}  // namespace

TEST_CASE("every channel gets every record, watermark and signal, in order") {
    receivers r(3, 8, 4);
    batch<std::string> b;
    b.append("a", at(1));
    b.append("b", at(2));
    CHECK(r.all->on_any_batch(b) == progress::done);
    CHECK(r.all->on_watermark(at(0)) == progress::done);
    CHECK(r.all->on_barrier(7) == progress::done);
    CHECK(r.all->on_activity(activity::idle) == progress::done);
    CHECK(r.all->on_watermark(timestamp::max()) == progress::done);
    for (std::size_t i = 0; i < 3; ++i) CHECK(r.take_all(i) == "a@1 b@2 w0 b7 idle max ");
}

TEST_CASE("whatever order the channels are emptied in, each gets all once") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        receivers r(random.below(3) + 1, random.below(3) + 1, random.below(3) + 1);
        std::vector<std::string> got(r.channels.size());
        auto until_done = [&](auto call) {
            while (call() == progress::blocked) {
                const std::size_t i = random.below(got.size());
                got[i] += r.take(i);
            }
        };
        std::string expected;
        std::int64_t time = 0;
        for (int step = 0; step < 30; ++step) {
            if (random.chance(60)) {
                batch<std::string> b;
                for (std::size_t n = random.below(4); n != 0; --n) {
                    const std::string value = "r" + std::to_string(time);
                    b.append(value, at(++time));
                    expected += value + "@" + std::to_string(time) + " ";
                }
                until_done([&] { return r.all->on_any_batch(b); });
            } else {
                const checkpoint_id id = static_cast<checkpoint_id>(step + 1);
                until_done([&] { return r.all->on_barrier(id); });
                expected += "b" + std::to_string(id) + " ";
            }
        }
        until_done([&] { return r.all->on_watermark(timestamp::max()); });
        expected += "max ";
        for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] + r.take_all(i) == expected);
    }
}
