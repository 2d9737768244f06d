#include "runnel/testing/manual_clock.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using runnel::timestamp;
using runnel::testing::manual_clock;

TEST_CASE("a manual clock stands still until it is advanced") {
    manual_clock clock(timestamp(-5));
    CHECK(clock.now() == timestamp(-5));
    clock.advance(7ns);
    CHECK(clock.now() == timestamp(2));
    clock.advance_to(timestamp(1s));
    CHECK(clock.now() == timestamp(1s));
}

TEST_CASE("a manual clock does not go back") {
    manual_clock clock(timestamp(10));
    clock.advance_to(timestamp(3));
    CHECK(clock.now() == timestamp(10));
}

TEST_CASE("due calls are made in order of time, then of registration, each at its own time") {
    manual_clock clock;
    std::vector<std::string> seen;
    const auto note = [&](const char* name) {
        return [&, name] { seen.push_back(name + std::to_string(clock.now().ns())); };
    };
    clock.call_at(timestamp(30), note("c"));
    clock.call_at(timestamp(10), note("a"));
    clock.call_at(timestamp(20), note("b1-"));
    clock.call_at(timestamp(20), note("b2-"));
    clock.call_at(timestamp(31), note("d"));
    CHECK(clock.next_call() == timestamp(10));
    clock.advance_to(timestamp(30));
    CHECK(seen == std::vector<std::string>{"a10", "b1-20", "b2-20", "c30"});
    CHECK(clock.now() == timestamp(30));
    CHECK(clock.next_call() == timestamp(31));
}

TEST_CASE("what a call registers for a time within the same advance is made in that advance") {
    manual_clock clock;
    std::vector<long> seen;
    clock.call_at(timestamp(10), [&] {
        seen.push_back(clock.now().ns());
        clock.call_at(timestamp(5), [&] { seen.push_back(-clock.now().ns()); });  // has passed already
        clock.call_at(timestamp(15), [&] { seen.push_back(clock.now().ns()); });
        clock.call_at(timestamp(25), [&] { seen.push_back(clock.now().ns()); });
    });
    clock.advance_to(timestamp(20));
    CHECK(seen == std::vector<long>{10, -10, 15});
    CHECK(clock.next_call() == timestamp(25));
}

TEST_CASE("a call for a time that has passed is made by the next advance, not inside call_at") {
    manual_clock clock(timestamp(100));
    bool called = false;
    clock.call_at(timestamp(1), [&] { called = true; });
    CHECK_FALSE(called);
    clock.advance(0ns);
    CHECK(called);
    CHECK(clock.now() == timestamp(100));
}

TEST_CASE("a cancelled call is not made and lets go of what it holds; unknown ids are ignored") {
    manual_clock clock;
    const auto held = std::make_shared<int>(0);
    const auto id = clock.call_at(timestamp(1), [held] { ++*held; });
    CHECK(held.use_count() == 2);
    clock.cancel(id);
    clock.cancel(id);
    clock.cancel(4711);
    CHECK(held.use_count() == 1);
    clock.advance(10ns);
    CHECK(*held == 0);
    CHECK(clock.next_call() == timestamp::max());
}

TEST_CASE("a call at the end of time is never made") {
    manual_clock clock;
    bool called = false;
    clock.call_at(timestamp::max(), [&] { called = true; });
    clock.advance_to(timestamp::max());
    CHECK_FALSE(clock.step());
    CHECK_FALSE(called);
}

TEST_CASE("cancelling from another thread waits until the call is over") {
    for (int round = 0; round < 200; ++round) {
        manual_clock clock;
        auto data = std::make_unique<int>(0);
        const auto id = clock.call_at(timestamp(1), [&] { ++*data; });
        std::thread advancing([&] { clock.advance(5ns); });
        clock.cancel(id);
        data.reset();  // a call still under way would write to freed memory
        advancing.join();
    }
}
