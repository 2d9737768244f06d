#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "runnel/core/clock.hpp"

namespace runnel::testing {

/// A clock that stands still until it is advanced by hand; pending calls are made by whoever advances it.
///
/// Thread safety: safe; but calls are made on the advancing thread, one at a time, if only one thread advances.
class manual_clock final : public clock {
public:
    explicit manual_clock(timestamp start = timestamp(0)) : now_(start) {}

    timestamp now() const noexcept override {
        std::lock_guard lock(mutex_);
        return now_;
    }
    call_id call_at(timestamp t, std::function<void()> f) override {
        std::lock_guard lock(mutex_);
        const call_id id = ++last_id_;
        calls_.emplace(std::pair(t, id), std::move(f));
        return id;
    }
    void cancel(call_id id) override {
        std::lock_guard lock(mutex_);
        for (auto it = calls_.begin(); it != calls_.end(); ++it)
            if (it->first.second == id) {
                calls_.erase(it);
                return;
            }
    }

    void advance(duration d) { advance_to(now() + d); }
    /// Makes the calls that are due until `t` in order of their times, each at its time; those registered meanwhile
    /// too. Then it is `t`, unless it was later already.
    void advance_to(timestamp t) {
        while (step(t)) {
        }
        std::lock_guard lock(mutex_);
        now_ = std::max(now_, t);
    }
    /// Goes to the time of the earliest pending call and makes it; false if there is none until `limit`.
    bool step(timestamp limit = timestamp::max()) {
        std::function<void()> f;
        {
            std::lock_guard lock(mutex_);
            if (calls_.empty() || calls_.begin()->first.first > limit) return false;
            now_ = std::max(now_, calls_.begin()->first.first);
            f = std::move(calls_.begin()->second);
            calls_.erase(calls_.begin());
        }
        f();
        return true;
    }
    /// Time of the earliest pending call; `timestamp::max()` if there is none.
    timestamp next_call() const {
        std::lock_guard lock(mutex_);
        return calls_.empty() ? timestamp::max() : calls_.begin()->first.first;
    }

private:
    mutable std::mutex mutex_;
    timestamp now_;
    call_id last_id_ = 0;
    std::map<std::pair<timestamp, call_id>, std::function<void()>> calls_;
};

}  // namespace runnel::testing
