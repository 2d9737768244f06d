#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/core/error.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// What to do with an attempt that failed.
struct async_retry {
    /// How often a record is asked again, at most.
    std::size_t times = 0;
    /// Wait before that; twice as long before each further time.
    duration backoff = std::chrono::milliseconds(100);
};

/// How `async_map` asks. Use designated initialisers.
struct async_options {
    /// Records under way in one subtask: asked, waiting for their turn, or answered and not sent on yet. With so many,
    /// the stream waits. More hide more latency; each costs its record, its result and some 200 bytes.
    std::size_t capacity = 128;
    /// An attempt that has taken so long, by the job's clock, has failed. 0: waits for ever.
    duration timeout{0};
    /// Results in the order of their records. If not, as they come, but never across a watermark, and per key in order
    /// on a keyed stream: a slow answer then holds up fewer others.
    bool ordered = true;
    /// When all attempts for a record have failed, the job ends, unless `on_error` behind async_map says otherwise.
    async_retry retry{};

    /// In words, for `describe()`.
    std::string text() const;
    std::vector<std::string> problems() const;
};

namespace detail {

template <class R>
class async_inbox;

/// A record that has been asked, as its completion sees it.
template <class R>
struct async_request {
    explicit async_request(std::shared_ptr<async_inbox<R>> to) : inbox(std::move(to)) {}

    /// True for the one who may end this attempt, and then has to: its completion, or who gives it up.
    bool claim(std::uint32_t attempt) noexcept {
        // Pairs with itself, and with the store when the next attempt begins: who wins owns value and failure.
        return open.compare_exchange_strong(attempt, 0, std::memory_order_acq_rel);
    }

    /// The attempt that can still be ended; 0 for none. Attempts are numbered from 1.
    std::atomic<std::uint32_t> open{0};
    std::optional<R> value;
    /// If there is neither value nor failure, the completion was dropped.
    std::exception_ptr failure;
    std::shared_ptr<async_request> next;  // in the inbox
    const std::shared_ptr<async_inbox<R>> inbox;
};

/// Where completions leave what they have got, until the operator takes it; lives on when the operator has gone.
///
/// Thread safety: safe.
template <class R>
class async_inbox {
    using request = std::shared_ptr<async_request<R>>;

public:
    explicit async_inbox(std::function<void()> wake) : wake_(std::move(wake)) {}
    async_inbox(const async_inbox&) = delete;
    async_inbox& operator=(const async_inbox&) = delete;

    /// Leaves an answered request, and wakes the operator; without effect after `close`. Allocates nothing.
    void put(request answered) noexcept {
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        const bool first = !first_;
        async_request<R>* const added = answered.get();
        (first ? first_ : last_->next) = std::move(answered);
        last_ = added;
        // Under the lock, so that it is never called once the operator has gone.
        if (first && wake_) wake_();
    }
    /// All that has been left since the last call, linked by `next`, in order.
    request take() noexcept {
        const std::lock_guard lock(mutex_);
        return std::exchange(first_, nullptr);
    }
    /// The operator goes: nothing is kept or woken any more.
    void close() noexcept {
        request left;
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
            left = std::exchange(first_, nullptr);
        }
        while (left) left = std::exchange(left->next, nullptr);
    }

private:
    std::mutex mutex_;
    request first_;                      // under mutex_
    async_request<R>* last_ = nullptr;   // under mutex_; valid if there is a first one
    std::function<void()> wake_;         // under mutex_
    bool closed_ = false;                // under mutex_
};

}  // namespace detail

/// Takes the answer for one record: `done(value)`, or `done(exception)` if there is none. Moves, does not copy; may be
/// used as the completion handler of a coroutine: `co_spawn(context, ask(record), std::move(done))`.
///
/// Only the first call counts. One that goes without a call is a failure: nobody could answer any more.
/// The record that came with it stays where it is as long as this lives.
/// Thread safety: calls are safe, from any thread, inside the function too, and when the job is over; moving is not.
template <class R>
class completion {
    static_assert(std::is_object_v<R> && !std::is_const_v<R>, "the result of async_map is a plain object type");

public:
    completion(std::shared_ptr<detail::async_request<R>> request, std::uint32_t attempt) noexcept
        : request_(std::move(request)), attempt_(attempt) {}
    completion(completion&&) noexcept = default;
    completion& operator=(completion&& other) noexcept {
        if (this == &other) return *this;
        const completion dropped(std::move(*this));
        request_ = std::move(other.request_);
        attempt_ = other.attempt_;
        return *this;
    }
    ~completion() {
        if (request_) end([](detail::async_request<R>&) {});
    }

    void operator()(R value) {
        end([&](detail::async_request<R>& r) { r.value.emplace(std::move(value)); });
    }
    void operator()(std::exception_ptr failure) {
        end([&](detail::async_request<R>& r) { r.failure = std::move(failure); });
    }
    /// As coroutines end: the value counts if the exception is null.
    void operator()(std::exception_ptr failure, R value) {
        if (failure) (*this)(std::move(failure));
        else (*this)(std::move(value));
    }

private:
    template <class Fill>
    void end(Fill fill) noexcept {
        if (!request_ || !request_->claim(attempt_)) return;
        try {
            fill(*request_);
        } catch (...) {  // The value could not be moved.
            request_->value.reset();
            request_->failure = std::current_exception();
        }
        request_->inbox->put(request_);
    }

    std::shared_ptr<detail::async_request<R>> request_;
    std::uint32_t attempt_;
};

namespace detail {

/// The R of the completion<R> that a function takes as its second argument; void if that cannot be told.
template <class F>
struct completion_of {
    using type = void;
};
template <class F>
    requires requires { &F::operator(); }
struct completion_of<F> : completion_of<decltype(&F::operator())> {};
template <class Ret, class T, class R>
struct completion_of<Ret (*)(T, completion<R>)> {
    using type = R;
};
template <class Ret, class T, class R>
struct completion_of<Ret (*)(T, completion<R>) noexcept> {
    using type = R;
};
template <class F, class Ret, class T, class R>
struct completion_of<Ret (F::*)(T, completion<R>)> {
    using type = R;
};
template <class F, class Ret, class T, class R>
struct completion_of<Ret (F::*)(T, completion<R>) noexcept> {
    using type = R;
};
template <class F, class Ret, class T, class R>
struct completion_of<Ret (F::*)(T, completion<R>) const> {
    using type = R;
};
template <class F, class Ret, class T, class R>
struct completion_of<Ret (F::*)(T, completion<R>) const noexcept> {
    using type = R;
};

/// R if it is given, else what the function says itself.
template <class R, class F>
using async_result = std::conditional_t<std::is_void_v<R>, typename completion_of<F>::type, R>;

template <class F, class T, class R>
inline constexpr bool async_function = std::is_invocable_v<F&, const T&, completion<R>>;
template <class F, class T>
inline constexpr bool async_function<F, T, void> = false;

}  // namespace detail

}  // namespace runnel
