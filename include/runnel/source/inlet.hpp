#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
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

/// How much an inlet takes ahead of its job. Use designated initialisers.
struct inlet_options {
    /// Records that may wait for the job, each at the cost of a batch's slot; what comes then blocks or is refused.
    std::size_t capacity = 4096;
};

namespace detail {

/// Called once for a push: with null when its record has been taken, else with the reason why it never will be.
using push_done = std::function<void(std::exception_ptr)>;

/// Where the thread of a push waits until there is room. Thread safety: `complete` on one thread, `wait` on another.
class push_in_wait {
public:
    void complete(std::exception_ptr refused) noexcept;
    /// Throws what it was completed with.
    void wait();

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool complete_ = false;
    std::exception_ptr refused_;
};

/// Null if a push may come; else what to throw at it.
std::exception_ptr inlet_refusal(bool closed, bool ended);
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
        check_open();
        if (used_ == capacity_) return false;
        append(std::forward<U>(value), t);
        return true;
    }
    void push(T&& value, timestamp t) {
        push_in_wait here;
        {
            const std::lock_guard lock(mutex_);
            check_open();
            if (used_ != capacity_) [[likely]] return append(std::move(value), t);
            waiters_.push_back({std::move(value), t, [&here](std::exception_ptr e) { here.complete(e); }});
        }
        here.wait();
    }
    void push_async(T&& value, timestamp t, push_done done) {
        std::exception_ptr refused;
        {
            const std::lock_guard lock(mutex_);
            refused = inlet_refusal(closed_, ended_);
            if (!refused && used_ == capacity_) {
                waiters_.push_back({std::move(value), t, std::move(done)});
                return;
            }
            if (!refused) append(std::move(value), t);
        }
        done(refused);
    }
    void close() {
        std::deque<waiter> refused;
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
            refused.swap(waiters_);
            wake_reader();
        }
        for (waiter& w : refused) w.done(inlet_refusal(true, false));
    }
    bool is_open() const {
        const std::lock_guard lock(mutex_);
        return !closed_ && !ended_;
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
            closed = closed_;
        }
        call(accepted);
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
        bool closed = false;
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
            closed = closed_;
            wake_ = nullptr;
            reader_waits_ = false;
            used_ -= std::exchange(moved_, 0);
            refused.swap(waiters_);
            dropped.swap(waiting_);
        }
        for (waiter& w : refused) w.done(inlet_refusal(closed, true));
    }

    /// Stands for the time of a record that was pushed without one.
    static constexpr timestamp no_time = timestamp::min();

private:
    struct waiter {
        T value;
        timestamp time;
        push_done done;
    };

    void check_open() const {
        if (closed_ || ended_) [[unlikely]] std::rethrow_exception(inlet_refusal(closed_, ended_));
    }
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
    static void call(std::vector<push_done>& accepted) noexcept {
        for (push_done& done : accepted) done(nullptr);
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
    bool closed_ = false;
    bool ended_ = false;
    // The reader's own: what it has taken over, and how many of them the last poll moved on.
    batch<T> taken_;
    std::size_t moved_ = 0;
};

}  // namespace detail

/// A source that the host program pushes into, from any thread. Copies are handles of the same inlet: one goes into
/// the pipeline.
///
///     runnel::inlet<click> clicks({.capacity = 10'000});
///     p.from(clicks)...
///     clicks.push({"ann", "/"});
///     clicks.close();
///
/// Records wait in the inlet until the job reads them, at most `capacity`: what comes then waits its turn (`push`,
/// `push_async`) or is refused (`try_push`). That is so before the start, too. One job reads an inlet, once; when it
/// has ended, however, every push throws or reports `inlet_closed`, those that wait included.
///
/// A record has the event time that was pushed with it if the pipeline takes times from the source,
/// `event_time(strategy)`; one that was pushed without is then a bad record. `timestamp::min()` counts as no time.
/// Thread safety: safe.
/// Order: records of one thread keep their order; pushes that wait are served in the order in which they came.
/// Complexity: O(1); some 30 ns when nobody else pushes, more when the job sleeps and has to be woken.
/// Delivery: at most once. What was pushed cannot be read again, so restoring is refused.
template <class T>
class inlet final : public source<T> {
public:
    explicit inlet(inlet_options options = {})
        : options_(options), queue_(std::make_shared<queue>(options.capacity)) {}

    /// Hands a record over; waits for room. Not to be called from inside the job that reads.
    /// Errors: `inlet_closed`.
    void push(T value) { queue_->push(std::move(value), queue::no_time); }
    void push(T value, timestamp t) { queue_->push(std::move(value), t); }

    /// Hands a record over unless there is no room: then false, and `value` is as it was.
    /// Errors: `inlet_closed`.
    bool try_push(T&& value) { return queue_->try_push(std::move(value), queue::no_time); }
    bool try_push(T&& value, timestamp t) { return queue_->try_push(std::move(value), t); }
    bool try_push(const T& value) { return queue_->try_push(value, queue::no_time); }
    bool try_push(const T& value, timestamp t) { return queue_->try_push(value, t); }

    /// Hands a record over as soon as there is room, without waiting, and then calls `done(std::exception_ptr)` once:
    /// with null, or with an `inlet_closed`. The call comes from inside this function or from another thread, a thread
    /// of the job for one; it must be quick, must not throw, and may push, but not wait for it.
    /// What waits is kept without bound: who pushes much waits for one call before the next.
    template <class Done>
    void push_async(T value, Done done) {
        queue_->push_async(std::move(value), queue::no_time, std::move(done));
    }
    template <class Done>
    void push_async(T value, timestamp t, Done done) {
        queue_->push_async(std::move(value), t, std::move(done));
    }

    /// Ends the input: what has been taken is still read, pushes that wait are refused. Once is enough.
    void close() { queue_->close(); }
    /// False once pushes throw. True may be out of date at once.
    bool is_open() const { return queue_->is_open(); }
    /// Records that were taken and are not in the pipeline yet; after the end of the job: that never came into it.
    std::size_t unread() const { return queue_->unread(); }

    std::string name() const override { return "inlet"; }
    std::vector<std::string> problems() const override {
        if (options_.capacity == 0) return {"inlet: the capacity is 0; at least 1 is needed"};
        return {};
    }
    std::vector<std::string> splits() override { return {"0"}; }
    std::unique_ptr<split_reader<T>> open(const std::string&, const std::string* position,
                                          const reader_context& context) override {
        auto made = std::make_unique<reader>(queue_, context);
        if (position) detail::refuse_inlet_restore();  // That ends it, so that nobody waits for the job.
        return made;
    }

private:
    using queue = detail::inlet_queue<T>;

    class reader final : public split_reader<T> {
    public:
        reader(std::shared_ptr<queue> from, const reader_context& context)
            : from_(std::move(from)), context_(context) {
            from_->start(context.wake);
        }
        ~reader() override { from_->end(); }
        poll_result poll(batch<T>& into, std::size_t limit) override { return from_->poll(into, limit, context_); }
        std::string position() const override { return {}; }

    private:
        std::shared_ptr<queue> from_;
        reader_context context_;
    };

    inlet_options options_;
    std::shared_ptr<queue> queue_;
};

}  // namespace runnel
