#pragma once

#include <memory>

#include "runnel/core/clock.hpp"

namespace runnel {

/// The machine's clock: `now()` is the wall clock, calls come from one thread of its own, which starts with the first
/// `call_at`.
///
/// A call waits for the time that lies between `now()` and its own at the moment of `call_at`, on the steady clock: a
/// wall clock that is set meanwhile does not move it. It comes late by some tens of microseconds.
/// Thread safety: safe.
/// Lifetime: the destructor joins the thread; calls that are pending then do not happen.
class real_clock final : public clock {
public:
    real_clock();
    ~real_clock() override;
    timestamp now() const noexcept override;
    call_id call_at(timestamp t, std::function<void()> f) override;
    void cancel(call_id id) override;

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace runnel
