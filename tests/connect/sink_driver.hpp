#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runnel/sink/sink.hpp"
#include "runnel/testing/manual_clock.hpp"

namespace test {

/// Notes that a call is asked for, so that nobody has to look again and again.
class noticed_clock final : public runnel::clock {
public:
    explicit noticed_clock(std::function<void(runnel::duration)> asked) : asked_(std::move(asked)) {}
    runnel::timestamp now() const noexcept override { return clock_.now(); }
    call_id call_at(runnel::timestamp t, std::function<void()> f) override {
        const call_id id = clock_.call_at(t, std::move(f));
        asked_(t - now());
        return id;
    }
    void cancel(call_id id) override { clock_.cancel(id); }
    bool step() { return clock_.step(); }

private:
    runnel::testing::manual_clock clock_{runnel::timestamp(std::chrono::seconds(1'000'000'000))};
    std::function<void(runnel::duration)> asked_;
};

/// Writes to a sink as a job would, on the calling thread: sleeps when it is refused until it is woken. When the sink
/// has asked the clock for a call, its time comes at once.
template <class T>
class sink_driver {
public:
    explicit sink_driver(runnel::sink<T>& to) {
        CHECK(to.problems().empty());
        writer_ = to.open({.wake =
                               [this] {
                                   const std::lock_guard lock(mutex_);
                                   woken_ = true;
                                   changed_.notify_all();
                               },
                           .clock = &clock_});
    }

    void write(runnel::batch<T> records) {
        until([&] { return writer_->write(records); });
        CHECK(records.empty());
    }
    void write(std::vector<T> values) {
        runnel::batch<T> records;
        for (T& value : values) records.append(std::move(value), runnel::timestamp(++n_));
        write(std::move(records));
    }
    void flush() {
        until([&] { return writer_->flush(); });
    }
    void settle() {
        until([&] { return writer_->settle(); });
    }
    void finish() {
        until([&] { return writer_->finish(); });
    }
    /// Waits for the next wake, as a job whose input has run empty does, and flushes.
    void idle() {
        wait();
        flush();
    }
    void close() { writer_.reset(); }
    /// How long the sink asked the clock to wait each time.
    std::vector<runnel::duration> waits() {
        const std::lock_guard lock(mutex_);
        return waits_;
    }
    noticed_clock& clock() { return clock_; }
    /// Called when the sink has refused.
    std::function<void()> refused = [] {};
    /// Called when the sink has asked for a call, before its time comes.
    std::function<void()> waiting = [] {};

private:
    template <class F>
    void until(F f) {
        while (f() == runnel::progress::blocked) {
            refused();
            wait();
        }
    }
    void wait() {
        for (;;) {
            {
                std::unique_lock lock(mutex_);
                // The time limit only keeps a lost wake-up from hanging the test.
                REQUIRE_MESSAGE(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return woken_ || asked_; }),
                                "the sink refused and never woke");
                if (!asked_ && std::exchange(woken_, false)) return;
                asked_ = false;
            }
            waiting();
            clock_.step();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool woken_ = false;
    bool asked_ = false;
    std::vector<runnel::duration> waits_;
    std::int64_t n_ = 0;
    noticed_clock clock_{[this](runnel::duration d) {
        const std::lock_guard lock(mutex_);
        asked_ = true;
        waits_.push_back(d);
        changed_.notify_all();
    }};
    std::unique_ptr<runnel::sink_writer<T>> writer_;
};

}  // namespace test
