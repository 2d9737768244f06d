#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/core/error.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel {

/// How `async_for_each` calls.
struct async_for_each_options {
    /// Records under way at most; with so many, the stream waits. What a call costs in memory is the caller's to know.
    std::size_t capacity = 64;
};

namespace detail {

/// The calls that one writer has under way. Outlives the writer as long as one of them is not over.
/// Thread safety: `over` safe; the rest is for the writer's thread.
class async_calls {
public:
    async_calls(std::size_t capacity, std::function<void()> wake) : capacity_(capacity), wake_(std::move(wake)) {}

    /// Takes a place; false if all are taken. Throws `record_error`, like the following, once for each call that has
    /// failed.
    bool begin();
    void check();
    /// False as long as a call is under way.
    bool all_over();
    /// A call is over, with an error or null.
    void over(std::exception_ptr error, timestamp record_time) noexcept;
    /// The writer goes: nothing is called any more.
    void close() noexcept;

private:
    void throw_failure();

    const std::size_t capacity_;
    std::mutex mutex_;
    std::function<void()> wake_;         // under mutex_
    std::size_t under_way_ = 0;          // under mutex_
    bool waiting_ = false;               // under mutex_; for a place
    bool settling_ = false;              // under mutex_; waits for all to be over
    struct failure {
        std::exception_ptr cause;
        timestamp record_time;
    };
    std::deque<failure> failures_;  // under mutex_; at most `capacity_`, since none begins while there are any
};

class async_call {
public:
    async_call(std::shared_ptr<async_calls> of, timestamp record_time)
        : of_(std::move(of)), record_time_(record_time) {}
    ~async_call();
    void over(std::exception_ptr error) noexcept {
        if (!over_.exchange(true, std::memory_order_relaxed)) of_->over(std::move(error), record_time_);
    }

private:
    std::shared_ptr<async_calls> of_;
    timestamp record_time_;
    std::atomic<bool> over_ = false;
};

}  // namespace detail

/// Says that what `async_for_each` has begun for one record is over. Copies stand for the same record.
///
/// Only the first call counts. If all copies go without one, that is a failure: nobody could ever say more.
/// Thread safety: safe; callable from any thread, inside the function too, and also when the job is over.
class record_done {
public:
    explicit record_done(std::shared_ptr<detail::async_call> call) : call_(std::move(call)) {}
    /// It has been done.
    void operator()() const noexcept { call_->over(nullptr); }
    /// It has failed: the job ends with this error, and the record's time. Null: it has been done.
    void operator()(std::exception_ptr error) const noexcept { call_->over(std::move(error)); }

private:
    std::shared_ptr<detail::async_call> call_;
};

namespace detail {

template <class F, class T>
inline constexpr bool async_for_each_function =
    std::is_invocable_v<F&, const T&, record_done> || std::is_invocable_v<F&, const T&, timestamp, record_done>;

template <class T, class F>
class async_for_each_sink final : public sink<T> {
public:
    async_for_each_sink(std::shared_ptr<F> f, async_for_each_options options) : f_(std::move(f)), options_(options) {}
    std::string name() const override { return "async_for_each"; }
    std::vector<std::string> problems() const override {
        if (options_.capacity != 0) return {};
        return {"capacity is 0: no record could be under way. Give at least 1"};
    }
    std::unique_ptr<sink_writer<T>> open(const sink_context& context) override {
        return std::make_unique<writer>(f_, std::make_shared<async_calls>(options_.capacity, context.wake));
    }

private:
    class writer final : public sink_writer<T> {
    public:
        writer(std::shared_ptr<F> f, std::shared_ptr<async_calls> calls) : f_(std::move(f)), calls_(std::move(calls)) {}
        ~writer() override { calls_->close(); }

        progress write(batch<T>& records) override {
            const batch<T>& all = records;
            for (std::size_t i = all.cursor(); i < all.size(); ++i) {
                // Said first, so that an exception is known to be of this record.
                records.consume_until(i);
                if (!calls_->begin()) return progress::blocked;
                const record_done done(std::make_shared<async_call>(calls_, all.time(i)));
                try {
                    F& f = *f_;
                    if constexpr (std::is_invocable_v<F&, const T&, timestamp, record_done>)
                        f(all.value(i), all.time(i), done);
                    else f(all.value(i), done);
                } catch (...) {
                    done();  // The exception itself tells of the failure.
                    throw;
                }
            }
            records.consume_until(all.size());
            return progress::done;
        }
        progress flush() override {
            calls_->check();
            return progress::done;
        }
        progress settle() override { return calls_->all_over() ? progress::done : progress::blocked; }

    private:
        std::shared_ptr<F> f_;
        std::shared_ptr<async_calls> calls_;
    };

    std::shared_ptr<F> f_;
    async_for_each_options options_;
};

}  // namespace detail

/// See `async_for_each`.
template <class F>
class async_for_each_recipe {
public:
    async_for_each_recipe(F f, async_for_each_options options)
        : f_(std::make_shared<F>(std::move(f))), options_(options) {}

    template <class T>
    std::shared_ptr<sink<T>> bind() const {
        static_assert(detail::async_for_each_function<F, T>,
                      "runnel::async_for_each: the function cannot be called with a record of this stream; it takes "
                      "(const T&, runnel::record_done) or (const T&, runnel::timestamp, runnel::record_done)");
        if constexpr (detail::async_for_each_function<F, T>)
            return std::make_shared<detail::async_for_each_sink<T, F>>(f_, options_);
        else return nullptr;
    }

private:
    std::shared_ptr<F> f_;
    async_for_each_options options_;
};

/// Calls `f(const T&, record_done)` or `f(const T&, timestamp, record_done)` for each record, one at a time, in order,
/// on the job's threads. What `f` begins may go on after it returns, until it calls the `record_done`; so at most
/// `capacity` records are under way, and the job ends when all are over.
///
/// Errors: an exception, or one handed to the `record_done`, ends the job; the error names the record's time.
/// Lifetime: the record is valid during the call only; `f` copies what it needs for longer. A job that fails or is
/// cancelled does not wait for what is under way.
/// Output is at least once.
/// Example: `stream.to(runnel::async_for_each([&](const order& o, runnel::record_done done) {
///               client.send(o.id, [done](bool sent) { sent ? done() : done(failure()); });
///           }, {.capacity = 100}))`
template <class F>
async_for_each_recipe<F> async_for_each(F f, async_for_each_options options = {}) {
    return {std::move(f), options};
}

}  // namespace runnel
