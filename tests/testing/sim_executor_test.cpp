#include "runnel/testing/sim_executor.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using runnel::runnable;
using runnel::timestamp;
using runnel::testing::sim_executor;
using runnel::testing::sim_options;

namespace {

class call final : public runnable {
public:
    explicit call(std::function<void()> f) : f_(std::move(f)) {}
    void run() noexcept override { f_(); }

private:
    std::function<void()> f_;
};

/// Some work that submits itself a few times and sets timers; returns the order of events.
std::pair<std::string, std::uint64_t> scenario(std::uint64_t seed, sim_options options = {}) {
    sim_executor sim(seed, options);
    std::string events;
    std::vector<std::unique_ptr<call>> work;
    std::vector<int> left(6, 5);
    for (int i = 0; i < 6; ++i)
        work.push_back(std::make_unique<call>([&, i] {
            events += static_cast<char>('a' + i);
            if (left[i] == 3) sim.clock().call_at(sim.clock().now() + 3us, [&] { events += '!'; });
            if (--left[i] > 0) sim.submit(*work[i]);
        }));
    for (auto& w : work) sim.submit(*w);
    sim.run_until_idle();
    return {events, sim.trace()};
}

}  // namespace

TEST_CASE("the same seed gives the same run, and another seed another one") {
    std::set<std::string> orders;
    std::set<std::uint64_t> traces;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        CAPTURE(seed);
        const auto first = scenario(seed);
        CHECK(first == scenario(seed));
        CHECK(first.first.size() == 36);
        orders.insert(first.first);
        traces.insert(first.second);
    }
    CHECK(orders.size() == 50);
    CHECK(traces.size() == 50);
}

TEST_CASE("each submission is run once, never inside submit") {
    sim_executor sim(1);
    int runs = 0;
    call work([&] { ++runs; });
    sim.submit(work);
    CHECK(runs == 0);
    CHECK(sim.step());
    CHECK(runs == 1);
    CHECK_FALSE(sim.step());
    CHECK(sim.runs() == 1);
    CHECK(sim.concurrency() == 1);
}

TEST_CASE("help does one piece of work and says when there is none") {
    sim_executor sim(1);
    runnel::executor& executor = sim;
    call work([] {});
    sim.submit(work);
    CHECK(executor.help());
    CHECK_FALSE(executor.help());
}

TEST_CASE("time jumps to the next call when nothing is ready, and goes by while work runs") {
    sim_executor sim(1, {.start = timestamp(1s), .run_takes = 10us});
    timestamp called_at;
    sim.clock().call_at(timestamp(1h), [&] { called_at = sim.clock().now(); });
    call work([] {});
    sim.submit(work);
    CHECK(sim.step());
    CHECK(sim.clock().now() == timestamp(1s) + 10us);
    CHECK(sim.step());
    CHECK(called_at == timestamp(1h));
    CHECK_FALSE(sim.step());
}

TEST_CASE("a timer fires although there is always something ready") {
    sim_executor sim(3);
    bool fired = false;
    sim.clock().call_at(timestamp(50us), [&] { fired = true; });
    std::function<void()> again;
    call work([&] { again(); });
    again = [&] { sim.submit(work); };
    sim.submit(work);
    CHECK(sim.run_until([&] { return fired; }));
    CHECK(sim.clock().now() >= timestamp(50us));
    CHECK(sim.clock().now() < timestamp(100us));
}

TEST_CASE("run_until says whether it got there; run_until_idle stops at its limit") {
    sim_executor sim(1);
    int ticks = 0;
    std::function<void()> tick = [&] {
        ++ticks;
        sim.clock().call_at(sim.clock().now() + 1ms, tick);
    };
    CHECK_FALSE(sim.run_until([&] { return ticks > 0; }));
    sim.clock().call_at(timestamp(1ms), tick);
    CHECK(sim.run_until([&] { return ticks == 3; }));
    sim.run_until_idle(timestamp(10ms));
    CHECK(ticks == 10);
    CHECK(sim.clock().now() == timestamp(10ms));
}

TEST_CASE("run_ready makes no pending calls") {
    sim_executor sim(1);
    bool called = false;
    int runs = 0;
    sim.clock().call_at(timestamp(0), [&] { called = true; });
    call work([&] { ++runs; });
    sim.submit(work);
    CHECK(sim.run_ready() == 1);
    CHECK(runs == 1);
    CHECK_FALSE(called);
}

TEST_CASE("work set aside runs after the other work, but it runs") {
    // Each submission is set aside; the one that was first is then behind those that are not.
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        CAPTURE(seed);
        const auto never = scenario(seed, {.set_aside_one_in = 0});
        const auto always = scenario(seed, {.set_aside_one_in = 1});
        CHECK(never.first.size() == 36);
        CHECK(always.first.size() == 36);
    }
    // Long starvation comes about: some run in which one letter is absent for long while the others go on.
    std::size_t longest = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        const std::string order = scenario(seed, {.set_aside_one_in = 8, .set_aside_for = 30}).first;
        for (char c = 'a'; c < 'g'; ++c) longest = std::max(longest, order.find(c));
    }
    CHECK(longest >= 20);
}

TEST_CASE("other threads may submit") {
    sim_executor sim(1);
    int runs = 0;
    std::vector<std::unique_ptr<call>> work;
    for (int i = 0; i < 100; ++i) work.push_back(std::make_unique<call>([&] { ++runs; }));
    std::thread other([&] {
        for (int i = 0; i < 50; ++i) sim.submit(*work[i]);
    });
    for (int i = 50; i < 100; ++i) sim.submit(*work[i]);
    while (runs < 50) sim.step();
    other.join();
    sim.run_until_idle();
    CHECK(runs == 100);
}
