// Sources in whole jobs: one of the user's own, hybrid, ticker, rate limit, alignment.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/alignment.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/source/hybrid.hpp"
#include "runnel/source/inlet.hpp"
#include "runnel/source/rate_limited.hpp"
#include "runnel/source/ticker.hpp"
#include "runnel/testing/graph_harness.hpp"
#include "runnel/window/count.hpp"

namespace {

using namespace runnel;
using namespace std::chrono_literals;
using testing::graph_harness;
using testing::manual_source;

/// A source of the user's own: two sensors, each a split that is read from the place where it was left.
class sensors final : public source<double> {
public:
    std::string name() const override { return "sensors"; }
    std::vector<std::string> splits() override { return {"indoor", "outdoor"}; }
    std::unique_ptr<split_reader<double>> open(const std::string& id, const std::string* position,
                                               const reader_context&) override {
        return std::make_unique<reader>(id == "indoor" ? 20.0 : -5.0, position ? std::stoul(*position) : 0);
    }

private:
    class reader final : public split_reader<double> {
    public:
        reader(double base, std::size_t next) : base_(base), next_(next) {}
        poll_result poll(batch<double>& into, std::size_t limit) override {
            for (; limit != 0 && next_ != 1'000; --limit, ++next_)
                into.append_raw(base_ + static_cast<double>(next_) / 1'000, timestamp(1s * static_cast<int>(next_)));
            return next_ == 1'000 ? poll_result::finished() : poll_result::more();
        }
        std::string position() const override { return std::to_string(next_); }

    private:
        double base_;
        std::size_t next_;
    };
};

timestamp at_ns(const int& i) { return timestamp(i); }

std::vector<int> range(int from, int to) {
    std::vector<int> all;
    for (int i = from; i < to; ++i) all.push_back(i);
    return all;
}

}  // namespace

TEST_CASE("a source of the user's own with two splits is a class of under 40 lines, and runs in parallel") {
    for (std::size_t parallelism : {1, 2}) {
        std::map<std::pair<bool, timestamp>, std::uint64_t> counts;
        pipeline p;
        p.from(sensors())
            .event_time(monotonous())
            .key_by([](const double& d) { return d > 0; })
            .window(tumbling(100s).drop_late())
            .aggregate(count())
            .to(for_each([&](const windowed<bool, std::uint64_t>& w) { counts[{w.key, w.start}] = w.value; }));
        std::move(p).start({.parallelism = parallelism}).wait();
        CHECK(counts.size() == 20);
        for (const auto& [window, n] : counts) CHECK(n == 100);
    }
}

TEST_CASE("a hybrid of collection and inlet gives the windows of both, at any parallelism, with none late") {
    for (std::size_t parallelism : {1, 2, 4}) {
        CAPTURE(parallelism);
        inlet<int> live({.capacity = 10});
        std::map<timestamp, std::uint64_t> counts;
        pipeline p;
        p.from(hybrid(collection(range(0, 1'000), 3), live))
            .event_time(at_ns, bounded_out_of_orderness(400ns))
            .key_by([](const int&) { return 0; })
            .window(tumbling(100ns).drop_late())
            .aggregate(count())
            .to(for_each([&](const windowed<int, std::uint64_t>& w) { counts[w.start] += w.value; }));
        auto j = std::move(p).start({.parallelism = parallelism, .batch_size = 16});
        for (int i : range(1'000, 2'000)) live.push(i);
        live.close();
        j.wait();
        CHECK(counts.size() == 20);
        for (const auto& [start, n] : counts) CHECK(n == 100);
        for (const operator_status& o : j.status().operators) CHECK(o.late_dropped == 0);
    }
}

TEST_CASE("windows of the history fire while its hybrid's live splits wait in other subtasks") {
    manual_source<int> history, live(3);
    std::vector<windowed<int, std::uint64_t>> results;
    pipeline p;
    p.from(hybrid(history, live))
        .event_time(at_ns, monotonous())
        .key_by([](const int&) { return 0; })
        .window(tumbling(10ns).drop_late())
        .aggregate(count())
        .to(collect(results));
    graph_harness h(std::move(p), {.job = {.parallelism = 4}});
    history.push(1);
    history.push(25);
    h.run_until_idle();
    CHECK(results.size() == 1);
    history.finish();
    live.push(2, 47);
    live.push(0, 48);
    live.push(1, 49);
    h.run_until_idle();
    CHECK(results.size() == 2);
    live.finish();
    h.finish();
    CHECK(results.size() == 3);
}

TEST_CASE("a ticker ticks by the job's clock, and drives event time") {
    std::vector<tick> ticks;
    std::vector<windowed<int, std::uint64_t>> minutes;
    pipeline p;
    auto s = p.from(ticker(10s)).event_time(monotonous());
    s.to(collect(ticks));
    s.key_by([](const tick&) { return 0; }).window(tumbling(60s).drop_late()).aggregate(count()).to(collect(minutes));
    graph_harness h(std::move(p));
    h.advance(9s);
    CHECK(ticks.empty());
    h.advance(1s);
    CHECK(ticks == std::vector{tick{0, timestamp(10s)}});
    h.advance(111s);
    CHECK(ticks.size() == 12);
    REQUIRE(minutes.size() == 2);
    CHECK(minutes[0].value == 5);
    CHECK(minutes[1].value == 6);
    h.job().drain();
    h.finish();
    CHECK(minutes.size() == 3);
}

TEST_CASE("a limited rate holds over all subtasks together") {
    std::vector<int> out;
    pipeline p;
    p.from(rate_limited(collection(range(0, 1'000), 4), 100)).to(collect(out));
    graph_harness h(std::move(p), {.job = {.parallelism = 4}});
    h.run_until_idle();
    CHECK(out.size() == 1);
    for (int second = 1; second < 8; ++second) {
        h.advance(1s);
        CHECK(out.size() <= static_cast<std::size_t>(second) * 100 + 10);
        CHECK(out.size() + 2 >= static_cast<std::size_t>(second) * 100);
    }
    h.finish();
    std::sort(out.begin(), out.end());
    CHECK(out == range(0, 1'000));
}

TEST_CASE("aligned sources stay within the drift and a batch, and all of each is read") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        alignment_group together;
        std::int64_t last[2] = {-1, -1};
        std::int64_t worst = 0;
        int read[2] = {0, 0};
        pipeline p;
        for (int which : {0, 1})
            p.from(collection(range(0, 3'000), 1 + seed % 3))
                .event_time([which](const int& i) { return timestamp(which == 0 ? i : 3 * i); },
                            monotonous().align(together, 100ns))
                .to(for_each([&, which](const int&, timestamp t) {
                    ++read[which];
                    last[which] = t.ns();
                    if (seed % 3 == 0 && read[1 - which] < 3'000 && last[1 - which] >= 0)
                        worst = std::max(worst, last[which] - last[1 - which]);
                }));
        graph_harness h(std::move(p), {.job = {.batch_size = 8}, .seed = seed});
        h.finish();
        CHECK(read[0] == 3'000);
        CHECK(read[1] == 3'000);
        // The drift, a batch of the faster one, and one on its way in the other.
        if (seed % 3 == 0) CHECK(worst <= 100 + 2 * 8 * 3);
    }
}

TEST_CASE("aligned sources on several threads end, also when one is slow, idle or shorter than the others") {
    alignment_group together;
    std::atomic<int> read{0};
    inlet<int> slow({.capacity = 4});
    inlet<int> silent;
    pipeline p;
    auto counting = for_each([&](const int&) { read.fetch_add(1); });
    p.from(collection(range(0, 20'000), 3)).event_time(at_ns, monotonous().align(together, 50ns)).to(counting);
    p.from(collection(range(0, 5'000))).event_time(at_ns, monotonous().align(together, 10ns)).to(counting);
    p.from(slow).event_time(at_ns, monotonous().align(together, 1ns)).to(counting);
    p.from(silent).event_time(at_ns, monotonous().align(together, 1ns).idle_after(1ms)).to(counting);
    auto j = std::move(p).start({.parallelism = 3, .threads = 3, .batch_size = 32});
    for (int i = 0; i < 20'000; i += 10) slow.push(i);
    slow.close();
    silent.close();
    j.wait();
    CHECK(read == 20'000 + 5'000 + 2'000);
}

TEST_CASE("a job with a negative drift, an interval of 0 or no rate does not start, and says all of it") {
    pipeline p;
    inlet<int> none({.capacity = 0});
    p.from(none).event_time(at_ns, monotonous().align(alignment_group(), -1s)).to(for_each([](const int&) {}));
    p.from(ticker(0s)).to(for_each([](const tick&) {}));
    p.from(rate_limited(collection({1}), 0)).to(for_each([](const int&) {}));
    try {
        (void)std::move(p).start();
        FAIL("no exception");
    } catch (const graph_error& e) {
        CHECK(e.problems().size() == 4);
    }
}
