#pragma once

#include <atomic>
#include <functional>
#include <utility>

#include "runnel/core/clock.hpp"
#include "runnel/core/pending_calls.hpp"

namespace runnel::testing {

/// A clock that stands still until it is advanced by hand; whoever advances it makes the calls that become due.
///
/// Thread safety: safe, but only one thread at a time may advance, and not from inside a call.
class manual_clock final : public clock {
public:
    explicit manual_clock(timestamp start = timestamp(0)) : now_(start.ns()) {}

    timestamp now() const noexcept override {
        // Pairs with the release in arrive().
        return timestamp(now_.load(std::memory_order_acquire));
    }
    /// A call for a time that has passed already is made by the next advance, be it by nothing.
    call_id call_at(timestamp t, std::function<void()> f) override { return calls_.add(t, std::move(f)); }
    void cancel(call_id id) override { calls_.cancel(id); }

    void advance(duration d) { advance_to(now() + d); }
    /// Makes the calls that are due until `t` in order of their times, each at its own time; those that are registered
    /// meanwhile too. Then it is `t`, or as late as it was before.
    void advance_to(timestamp t) {
        while (step(t)) {
        }
        arrive(t);
    }
    /// Lets `d` go by without making calls; those that are due are made by the next advance or step.
    void pass(duration d) noexcept { arrive(now() + d); }
    /// Goes to the time of the earliest pending call and makes it; false if there is none until `limit`.
    bool step(timestamp limit = timestamp::max()) {
        return calls_.make_next(limit, [&](timestamp t) { arrive(t); });
    }
    /// Time of the earliest pending call; `timestamp::max()` if there is none.
    timestamp next_call() const { return calls_.next(); }

private:
    void arrive(timestamp t) noexcept {
        // Pairs with the acquire in now(): who sees the time sees what was done before.
        if (t > timestamp(now_.load(std::memory_order_relaxed))) now_.store(t.ns(), std::memory_order_release);
    }

    std::atomic<std::int64_t> now_;
    detail::pending_calls calls_;
};

}  // namespace runnel::testing
