#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runnel/source/source.hpp"
#include "runnel/testing/manual_clock.hpp"

namespace test {

struct bad_record {
    std::string where, why, raw;
};

/// Reads a source as a job would, on the calling thread: polls, and sleeps until it is woken. The time that a reader
/// asks to be polled at comes at once.
template <class T>
class driver {
public:
    explicit driver(runnel::source<T>& from, const std::string* position = nullptr, std::size_t limit = 7)
        : limit_(limit) {
        CHECK(from.problems().empty());
        const auto splits = from.splits();
        REQUIRE(splits.size() == 1);
        reader_ = from.open(splits[0], position, context());
    }
    /// Reads one of several splits.
    driver(runnel::source<T>& from, const std::string& split, const std::string* position = nullptr) : limit_(7) {
        reader_ = from.open(split, position, context());
    }

    /// One poll, after waiting if the last one said so; false once the split has finished.
    bool poll() {
        if (std::exchange(waits_, false)) wait();
        batch_.clear();
        const runnel::poll_result r = reader_->poll(batch_, limit_);
        CHECK(batch_.size() <= limit_);
        for (std::size_t i = 0; i < batch_.size(); ++i) values.push_back(batch_.value(i));
        waits_ = r.what == runnel::poll_result::kind::wait || r.what == runnel::poll_result::kind::until;
        until_ = r.what == runnel::poll_result::kind::until ? r.at : runnel::timestamp::min();
        return r.what != runnel::poll_result::kind::finished;
    }
    void run() {
        while (poll()) {}
    }
    /// Reads until `n` records or bad records have come.
    void read(std::size_t n) {
        while (values.size() + bad.size() < n) REQUIRE(poll());
    }
    std::string position() const { return reader_->position(); }
    void close() { reader_.reset(); }

    /// Waits until the reader is woken, whatever time it has asked for, and reads what there is.
    void wait_for_data() {
        const std::size_t before = values.size() + bad.size();
        while (values.size() + bad.size() == before) {
            if (std::exchange(waits_, false)) wait_for_wake();
            REQUIRE(poll());
        }
    }
    /// Reads until there is nothing left to read just now.
    void read_all() {
        while (!waits_) REQUIRE(poll());
    }
    /// Lets the time come that the reader has asked to be polled at, and reads all that there is then.
    void pass_time() {
        read_all();
        REQUIRE(until_ != runnel::timestamp::min());
        clock.advance_to(until_);
        waits_ = false;
        read_all();
    }

    std::vector<T> values;
    std::vector<bad_record> bad;
    runnel::testing::manual_clock clock;

private:
    runnel::reader_context context() {
        return {.wake =
                    [this] {
                        const std::lock_guard lock(mutex_);
                        woken_ = true;
                        changed_.notify_all();
                    },
                .bad_record = [this](std::string_view where, std::string_view why, std::string_view raw) {
                    bad.push_back({std::string(where), std::string(why), std::string(raw)});
                },
                .clock = &clock};
    }
    void wait() {
        // Whatever time is waited for comes at once.
        if (until_ != runnel::timestamp::min()) clock.advance_to(until_);
        else wait_for_wake();
    }
    void wait_for_wake() {
        std::unique_lock lock(mutex_);
        // The time limit only keeps a lost wake-up from hanging the test.
        const bool woken = changed_.wait_for(lock, std::chrono::seconds(30), [&] { return woken_; });
        REQUIRE_MESSAGE(woken, "the reader said wait and never woke");
        woken_ = false;
    }

    std::size_t limit_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool woken_ = false;
    bool waits_ = false;
    runnel::timestamp until_ = runnel::timestamp::min();
    runnel::batch<T> batch_;
    std::unique_ptr<runnel::split_reader<T>> reader_;
};

}  // namespace test
