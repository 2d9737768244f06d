#include "runnel/exchange/tee.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "runnel/testing/recording.hpp"
#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using testing::recorder;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

template <class F>
int until_done(F call) {
    int calls = 1;
    for (; call() == progress::blocked; ++calls) REQUIRE(calls < 10'000);
    return calls;
}

}  // namespace

TEST_CASE("every branch gets every record and signal once, in order, whichever of them refuse and how often") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        const std::size_t branches = 1 + random.below(4);
        std::vector<std::unique_ptr<recorder<std::string>>> to;
        std::vector<receiver_base*> receivers;
        for (std::size_t i = 0; i < branches; ++i) {
            to.push_back(std::make_unique<recorder<std::string>>());
            to.back()->refuse_at_random(random.seed(), static_cast<unsigned>(random.below(80)));
            receivers.push_back(to.back().get());
        }
        tee t(receivers);

        std::vector<timed<std::string>> records;
        std::vector<testing::arrived_signal> signals;
        using kind = testing::arrived_signal::kind;
        std::int64_t w = 0;
        checkpoint_id barrier = 0;
        for (int step = 0; step < 30; ++step) {
            switch (random.below(6)) {
                case 0:
                    w += random.between(1, 5);
                    signals.push_back({kind::watermark, at(w), 0, records.size()});
                    until_done([&] { return t.on_watermark(at(w)); });
                    break;
                case 1:
                    signals.push_back({kind::barrier, timestamp::min(), ++barrier, records.size()});
                    until_done([&] { return t.on_barrier(barrier); });
                    break;
                case 2:
                    signals.push_back({kind::idle, timestamp::min(), 0, records.size()});
                    until_done([&] { return t.on_activity(activity::idle); });
                    signals.push_back({kind::active, timestamp::min(), 0, records.size()});
                    until_done([&] { return t.on_activity(activity::active); });
                    break;
                case 3: until_done([&] { return t.flush(); }); break;
                default: {
                    batch<std::string> b;
                    const std::size_t n = 1 + random.below(5);
                    for (std::size_t i = 0; i < n; ++i) {
                        records.push_back({"record " + std::to_string(records.size()), at(random.between(-9, 9))});
                        b.append(records.back().value, records.back().time);
                    }
                    until_done([&] { return t.on_any_batch(b); });
                }
            }
        }
        for (const auto& r : to) {
            REQUIRE(r->records() == records);
            REQUIRE(r->signals() == signals);
        }
    }
}

TEST_CASE("a batch that has been consumed in part goes on from its cursor in every branch") {
    recorder<std::string> a;
    recorder<std::string> b;
    tee t({&a, &b});
    batch<std::string> records;
    for (int i = 0; i < 4; ++i) records.append(std::to_string(i), at(i));
    records.consume_until(2);
    CHECK(t.on_any_batch(records) == progress::done);
    CHECK(a.records() == std::vector<timed<std::string>>{{"2", at(2)}, {"3", at(3)}});
    CHECK(b.records() == a.records());
}

TEST_CASE("with one branch records are handed over, not copied") {
    struct no_copy final : receiver<int> {
        const void* seen = nullptr;
        progress on_batch(batch<int>& records) override {
            seen = std::as_const(records).values();
            return progress::done;
        }
        progress on_watermark(timestamp) override { return progress::done; }
        progress on_activity(activity) override { return progress::done; }
        progress on_barrier(checkpoint_id) override { return progress::done; }
        progress flush() override { return progress::done; }
    } to;
    tee t({&to});
    batch<int> records;
    records.append(1, at(1));
    CHECK(t.on_any_batch(records) == progress::done);
    CHECK(to.seen == std::as_const(records).values());
}
