#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "runnel/core/error.hpp"
#include "runnel/source/source.hpp"

namespace runnel {

/// A record was pushed that no job is going to read: the inlet has been closed, or its job has ended.
class inlet_closed : public error {
public:
    using error::error;
};

namespace detail {

/// How a push ends: its record has been taken, or never will be.
enum class push_end : unsigned char { taken, closed, ended };

/// Called once for a push. It is a number that crosses from thread to thread: who needs an exception makes it there.
using push_done = std::function<void(push_end)>;

/// Where the thread of a push waits until there is room. Thread safety: `complete` on one thread, `wait` on another.
class push_in_wait {
public:
    void complete(push_end how) noexcept;
    push_end wait();

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool complete_ = false;
    push_end how_ = push_end::taken;
};

/// Throws `inlet_closed` unless the record has been taken.
void throw_if_refused(push_end how);
/// The same as a value; null if the record has been taken.
std::exception_ptr refusal(push_end how) noexcept;
[[noreturn]] void refuse_inlet_restore();
[[noreturn]] void refuse_second_reader();

/// The records between those who push and the reader, in order.
///
/// Thread safety: safe; `start`, `poll` and `end` are for one reader.
template <class T>
class inlet_queue {
public:
    explicit inlet_queue(std::size_t capacity) : capacity_(std::max<std::size_t>(1, capacity)) {}

    /// False if there is no room; `value` is as it was then.
    template <class U>
    bool try_push(U&& value, timestamp t) {
        const std::lock_guard lock(mutex_);
        throw_if_refused(state_);
        if (used_ == capacity_) return false;
        append(std::forward<U>(value), t);
        return true;
    }
    void push(T&& value, timestamp t) {
        push_in_wait here;
        {
            const std::lock_guard lock(mutex_);
            throw_if_refused(state_);
            if (used_ != capacity_) [[likely]] return append(std::move(value), t);
            waiters_.push_back({std::move(value), t, [&here](push_end how) { here.complete(how); }});
        }
        throw_if_refused(here.wait());
    }
    void push_async(T&& value, timestamp t, push_done done) {
        push_end how;
        {
            const std::lock_guard lock(mutex_);
            how = state_;
            if (how == push_end::taken && used_ == capacity_) {
                waiters_.push_back({std::move(value), t, std::move(done)});
                return;
            }
            if (how == push_end::taken) append(std::move(value), t);
        }
        done(how);
    }
    void close() {
        std::deque<waiter> refused;
        {
            const std::lock_guard lock(mutex_);
            if (state_ == push_end::taken) state_ = push_end::closed;
            refused.swap(waiters_);
            wake_reader();
        }
        for (waiter& w : refused) w.done(push_end::closed);
    }
    bool is_open() const {
        const std::lock_guard lock(mutex_);
        return state_ == push_end::taken;
    }
    std::size_t unread() const {
        const std::lock_guard lock(mutex_);
        return used_;
    }

    void start(std::function<void()> wake) {
        const std::lock_guard lock(mutex_);
        if (started_) refuse_second_reader();
        started_ = true;
        wake_ = std::move(wake);
    }
    poll_result poll(batch<T>& into, std::size_t limit, const reader_context& context) {
        if (taken_.empty()) taken_.clear();
        std::vector<push_done> accepted;
        bool closed = false;
        {
            const std::lock_guard lock(mutex_);
            used_ -= std::exchange(moved_, 0);
            accepted = admit_waiters();
            if (taken_.empty()) taken_.swap(waiting_);
            reader_waits_ = taken_.empty();
            closed = state_ == push_end::closed;
        }
        for (push_done& done : accepted) done(push_end::taken);
        if (taken_.empty()) return closed ? poll_result::finished() : poll_result::wait();
        for (std::size_t n = std::min(limit, taken_.remaining()); n != 0; --n) {
            const std::size_t i = taken_.cursor();
            const timestamp t = taken_.time(i);
            taken_.consume_until(i + 1);
            ++moved_;
            if (t != no_time) into.append_raw(taken_.take(i), t);
            else if (!context.takes_times) into.append_raw(taken_.take(i), timestamp());
            else context.bad_record("inlet", "pushed without an event time. Use push(value, time)", {});
        }
        return poll_result::more();
    }
    /// The reader is gone: nobody takes anything any more.
    void end() noexcept {
        std::deque<waiter> refused;
        batch<T> dropped;
        {
            const std::lock_guard lock(mutex_);
            if (state_ == push_end::taken) state_ = push_end::ended;
            wake_ = nullptr;
            reader_waits_ = false;
            used_ -= std::exchange(moved_, 0);
            refused.swap(waiters_);
            dropped.swap(waiting_);
        }
        for (waiter& w : refused) w.done(push_end::ended);
    }

    /// Stands for the time of a record that was pushed without one.
    static constexpr timestamp no_time = timestamp::min();

private:
    struct waiter {
        T value;
        timestamp time;
        push_done done;
    };

    template <class U>
    void append(U&& value, timestamp t) {
        waiting_.append_raw(std::forward<U>(value), t);
        ++used_;
        wake_reader();
    }
    /// Under the lock, since the call is good only as long as the reader lives.
    void wake_reader() {
        if (std::exchange(reader_waits_, false)) wake_();
    }
    std::vector<push_done> admit_waiters() {
        std::vector<push_done> accepted;
        const std::size_t n = std::min(waiters_.size(), capacity_ - used_);
        if (n == 0) return accepted;
        // All memory first: once a record is taken, its push has to be told.
        waiting_.reserve(waiting_.size() + n);
        accepted.reserve(n);
        for (std::size_t i = 0; i < n; ++i) {
            waiter& w = waiters_.front();
            waiting_.append_raw(std::move(w.value), w.time);
            ++used_;
            accepted.push_back(std::move(w.done));
            waiters_.pop_front();
        }
        return accepted;
    }

    const std::size_t capacity_;
    mutable std::mutex mutex_;
    // Under the mutex.
    batch<T> waiting_;
    /// Records that were pushed and are not in the pipeline: waiting, taken, or moved by the poll before.
    std::size_t used_ = 0;
    /// Pushes for which there was no room, in order. There is none while there is room.
    std::deque<waiter> waiters_;
    std::function<void()> wake_;
    bool reader_waits_ = false;
    bool started_ = false;
    /// What a push comes to now.
    push_end state_ = push_end::taken;
    // The reader's own: what it has taken over, and how many of them the last poll moved on.
    batch<T> taken_;
    std::size_t moved_ = 0;
};

}  // namespace detail

}  // namespace runnel
