#include "runnel/exchange/ring.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>

using runnel::spsc_ring;

TEST_CASE("a ring refuses beyond the asked capacity, also when that is no power of two") {
    for (std::size_t capacity : {1u, 2u, 3u, 5u, 7u, 8u, 9u, 100u}) {
        CAPTURE(capacity);
        spsc_ring<int> ring(capacity);
        CHECK(ring.capacity() == capacity);
        for (int round = 0; round < 3; ++round) {
            int value = 0;
            CHECK(ring.empty());
            CHECK_FALSE(ring.try_pop(value));
            for (std::size_t i = 0; i < capacity; ++i) {
                CHECK_FALSE(ring.full());
                value = static_cast<int>(i);
                REQUIRE(ring.try_push(value));
                CHECK(ring.size() == i + 1);
            }
            CHECK(ring.full());
            value = 4711;
            CHECK_FALSE(ring.try_push(value));
            CHECK(value == 4711);
            for (std::size_t i = 0; i < capacity; ++i) {
                REQUIRE(ring.try_pop(value));
                CHECK(value == static_cast<int>(i));
            }
        }
    }
}

TEST_CASE("a ring of capacity 0 is refused") { CHECK_THROWS_AS(spsc_ring<int>(0), std::invalid_argument); }

TEST_CASE("a push moves from its argument only when it succeeds, a pop hands ownership on") {
    spsc_ring<std::unique_ptr<int>> ring(1);
    auto first = std::make_unique<int>(1);
    auto second = std::make_unique<int>(2);
    CHECK(ring.try_push(first));
    CHECK_FALSE(first);
    CHECK_FALSE(ring.try_push(second));
    REQUIRE(second);
    CHECK(ring.try_pop(first));
    CHECK(*first == 1);
    CHECK(ring.try_push(second));  // left inside: the ring's destructor frees it
}

TEST_CASE("a ring behaves like a bounded deque under any sequence of calls") {
    const std::uint64_t seed = 20261;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    for (int run = 0; run < 200; ++run) {
        const std::size_t capacity = 1 + random() % 9;
        spsc_ring<std::uint64_t> ring(capacity);
        std::deque<std::uint64_t> model;
        for (int step = 0; step < 300; ++step) {
            std::uint64_t value = random();
            if (random() % 2 == 0) {
                const bool room = model.size() < capacity;
                if (room) model.push_back(value);
                REQUIRE(ring.try_push(value) == room);
            } else if (model.empty()) {
                REQUIRE_FALSE(ring.try_pop(value));
            } else {
                REQUIRE(ring.try_pop(value));
                REQUIRE(value == model.front());
                model.pop_front();
            }
            REQUIRE(ring.size() == model.size());
            REQUIRE(ring.full() == (model.size() == capacity));
            REQUIRE(ring.empty() == model.empty());
        }
    }
}

TEST_CASE("values cross between two threads in order, none lost, none twice") {
    constexpr std::uint64_t total = 300'000;
    for (std::size_t capacity : {1u, 3u, 64u}) {
        CAPTURE(capacity);
        spsc_ring<std::unique_ptr<std::uint64_t>> ring(capacity);
        std::thread producer([&] {
            for (std::uint64_t i = 0; i < total; ++i) {
                auto value = std::make_unique<std::uint64_t>(i);
                while (!ring.try_push(value)) std::this_thread::yield();
            }
        });
        std::uint64_t wrong = 0;
        for (std::uint64_t i = 0; i < total; ++i) {
            std::unique_ptr<std::uint64_t> value;
            while (!ring.try_pop(value)) std::this_thread::yield();
            wrong += *value != i;
        }
        producer.join();
        CHECK(wrong == 0);
        CHECK(ring.empty());
    }
}
