#include "runnel/exchange/channel.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "tests/support/noted_wake.hpp"
#include "tests/support/tracked.hpp"

using namespace runnel;
using tests::noted_wake;
using tests::tracked;

namespace {

envelope with_watermark(std::int64_t w) {
    envelope e;
    e.watermark = timestamp(w);
    return e;
}

}  // namespace

TEST_CASE("what goes in comes out in order, and each push wakes the consumer") {
    noted_wake producer;
    noted_wake consumer;
    channel c(4);
    c.connect(producer, consumer);
    for (int i = 1; i <= 4; ++i) {
        envelope e = with_watermark(i);
        REQUIRE(c.push(e));
        CHECK(consumer.taken());
    }
    CHECK(c.size() == 4);
    for (int i = 1; i <= 4; ++i) {
        envelope e;
        REQUIRE(c.pop(e));
        CHECK(e.watermark == timestamp(i));
    }
    envelope e;
    CHECK_FALSE(c.pop(e));
    CHECK(producer.count == 0);  // It was never refused.
}

TEST_CASE("a refused producer is woken once there is room, however small the channel") {
    for (std::size_t capacity : {1, 2, 3, 4, 7, 8}) {
        CAPTURE(capacity);
        noted_wake producer;
        noted_wake consumer;
        channel c(capacity);
        c.connect(producer, consumer);
        envelope e = with_watermark(1);
        while (c.push(e)) {
        }
        CHECK(c.size() == capacity);
        std::size_t pops = 0;
        while (!producer.taken()) {
            REQUIRE(c.pop(e));  // Empty, and still not woken: the producer would sleep for ever.
            ++pops;
        }
        CHECK(c.size() <= capacity / 2);
        CHECK(pops >= 1);
        e = with_watermark(2);
        CHECK(c.push(e));
    }
}

TEST_CASE("batches come back to the producer empty, and what does not fit is freed") {
    noted_wake nobody;
    {
        channel c(2);
        c.connect(nobody, nobody);
        CHECK(c.recycled() == nullptr);
        for (int i = 0; i < 20; ++i) {
            auto* b = new batch<tracked>;
            b->append(tracked(i), timestamp(i));
            b->reuse();
            c.give_back(b);
        }
        std::unique_ptr<batch_base> first(c.recycled());
        CHECK(first != nullptr);
        CHECK(first->size() == 0);
    }
    CHECK(tracked::living == 0);
}

TEST_CASE("a channel destroys the batches that it still holds") {
    noted_wake nobody;
    {
        channel c(3);
        c.connect(nobody, nobody);
        for (int i = 0; i < 3; ++i) {
            auto b = std::make_unique<batch<tracked>>();
            b->append(tracked(i), timestamp(i));
            envelope e;
            e.records = b.get();
            REQUIRE(c.push(e));
            (void)b.release();
        }
        CHECK(tracked::living == 3);
    }
    CHECK(tracked::living == 0);
}

namespace {

/// A thread that can be woken, and wakes that come before it sleeps are not lost.
class sleeper final : public wakeable {
public:
    void wake() noexcept override {
        {
            std::lock_guard lock(mutex_);
            woken_ = true;
        }
        changed_.notify_one();
    }
    void sleep() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return woken_; });
        woken_ = false;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool woken_ = false;
};

}  // namespace

TEST_CASE("two threads that sleep whenever they are refused pass everything on, in order") {
    for (std::size_t capacity : {1, 2, 5}) {
        constexpr std::int64_t count = 20'000;
        sleeper producer;
        sleeper consumer;
        channel c(capacity);
        c.connect(producer, consumer);
        std::int64_t wrong = 0;
        std::thread consuming([&] {
            std::int64_t expected = 0;
            while (expected < count) {
                envelope e;
                if (!c.pop(e)) {
                    consumer.sleep();
                    continue;
                }
                auto* b = static_cast<batch<std::int64_t>*>(e.records);
                wrong += std::as_const(*b).value(0) != expected++;
                b->reuse();
                c.give_back(b);
            }
        });
        for (std::int64_t i = 0; i < count; ++i) {
            batch_base* back = c.recycled();
            auto* b = back ? static_cast<batch<std::int64_t>*>(back) : new batch<std::int64_t>;
            b->append(i, timestamp(i));
            envelope e;
            e.records = b;
            while (!c.push(e)) producer.sleep();
        }
        consuming.join();
        CHECK(wrong == 0);
        CHECK(c.size() == 0);
    }
}
