#pragma once

#include <memory>

#include "runnel/core/clock.hpp"

namespace runnel {

/// The machine's clock: wall clock time that never goes back; calls come from one thread of its own, which starts with
/// the first `call_at`.
///
/// Between jumps, time runs with the steady clock. A wall clock that is set forward (or a machine that was
/// suspended) is followed at once by `now()` and within a second by pending calls. One that is set back is not
/// followed: time runs on ahead of it until the process ends, rather than stand still or repeat itself, which
/// would stall everything that waits for a time.
/// Calls come late by some tens of microseconds; one that is slow delays the ones behind it.
/// Thread safety: safe.
/// Lifetime: the destructor joins the thread; calls that are pending then do not happen. Not to be destroyed from
/// inside a call.
class real_clock final : public clock {
public:
    real_clock();
    ~real_clock() override;
    timestamp now() const noexcept override;
    /// Throws std::system_error if the first call finds that the system refuses a thread.
    call_id call_at(timestamp t, std::function<void()> f) override;
    void cancel(call_id id) override;

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace runnel
