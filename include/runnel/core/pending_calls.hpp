#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "runnel/core/clock.hpp"

namespace runnel::detail {

/// The calls that a clock still has to make: what clocks have in common, but for time itself.
///
/// Thread safety: safe.
/// Complexity: O(log n) in the number of pending calls.
class pending_calls {
public:
    using call_id = clock::call_id;

    call_id add(timestamp t, std::function<void()> f) {
        std::lock_guard lock(mutex_);
        const call_id id = last_id_ + 1;
        const auto added = calls_.emplace(std::pair(t, id), std::move(f)).first;
        try {
            times_.emplace(id, t);
        } catch (...) {
            calls_.erase(added);
            throw;
        }
        return last_id_ = id;
    }

    /// After the return the call is over or will never be made; waits for it if another thread is making it.
    void cancel(call_id id) {
        std::function<void()> dropped;  // destroyed last, outside the lock: it may hold anything
        std::unique_lock lock(mutex_);
        if (const auto it = times_.find(id); it != times_.end()) {
            const auto call = calls_.find({it->second, id});
            dropped = std::move(call->second);
            calls_.erase(call);
            times_.erase(it);
            return;
        }
        over_.wait(lock, [&] { return making_ != id; });
    }

    /// Time of the earliest call; `timestamp::max()` if there is none: what is due then never is.
    timestamp next() const {
        std::lock_guard lock(mutex_);
        return calls_.empty() ? timestamp::max() : calls_.begin()->first.first;
    }

    /// Makes the earliest call on this thread, if it is due at `limit`; calls at equal times in order of their ids.
    /// `arrive(t)` is called with its time first. False if none is due. One thread at a time.
    template <class Arrive>
    bool make_next(timestamp limit, Arrive arrive) {
        std::function<void()> f;
        {
            std::lock_guard lock(mutex_);
            if (calls_.empty()) return false;
            const auto first = calls_.begin();
            const auto [t, id] = first->first;
            if (t > limit || t == timestamp::max()) return false;
            arrive(t);
            f = std::move(first->second);
            times_.erase(id);
            calls_.erase(first);
            making_ = id;
        }
        f();
        f = nullptr;  // before cancel() returns, too: it may refer to what the canceller is about to destroy
        std::lock_guard lock(mutex_);
        making_ = 0;
        over_.notify_all();
        return true;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable over_;  // the call that was being made has returned
    std::map<std::pair<timestamp, call_id>, std::function<void()>> calls_;
    std::unordered_map<call_id, timestamp> times_;
    call_id last_id_ = 0;
    call_id making_ = 0;
};

}  // namespace runnel::detail
