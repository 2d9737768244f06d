#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "runnel/core/timed.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel::detail {

/// Records that wait to be taken in order of time, those of equal time as they came.
///
/// They lie in runs, each in order: a record goes to the first run that ends at or before its time, so there are as
/// many runs as the input is out of order, and for one that is nearly in order few. When event time goes forward, what
/// it has reached is cut off the front of each run and merged.
/// Source: B. Chandramouli, J. Goldstein, Y. Li: Impatience is a virtue: revisiting disorder in high-performance log
/// analytics, 2018.
/// Thread safety: unsafe.
/// Complexity: push O(log runs), take amortised O(log runs).
template <class T>
class held_records {
public:
    void push(T value, timestamp t) {
        // The ends of the runs fall from the first to the last, so equal times never come into an earlier run.
        const auto run = std::partition_point(runs_.begin(), runs_.end(),
                                              [t](const sequence& r) { return r.records.back().time > t; });
        sequence& to = run == runs_.end() ? runs_.emplace_back() : *run;
        to.records.push_back({std::move(value), t});
        first_left_ = std::min(first_left_, t);
    }

    /// The time of the first record, if that is not after `until`; null if there is none. Nothing is pushed, and
    /// `until` stays the same, from the first call to the one that gives null.
    const timestamp* next(timestamp until) {
        if (reached_.empty() && first_left_ <= until) cut_off(until);
        return reached_.empty() ? nullptr : &reached_.front().time;
    }
    /// Takes the record that `next` spoke of.
    timed<T> take() {
        timed<T> record = std::move(reached_.records[reached_.head++]);
        return record;
    }

    /// Calls `f(value, time)` for each, in an order in which they can be pushed again.
    template <class F>
    void for_each(F f) const {
        for (const sequence& run : runs_)
            for (std::size_t i = run.head; i < run.records.size(); ++i) f(run.records[i].value, run.records[i].time);
    }

private:
    /// Records before `head` are gone.
    struct sequence {
        std::vector<timed<T>> records{};
        std::size_t head = 0;
        bool empty() const noexcept { return head == records.size(); }
        const timed<T>& front() const noexcept { return records[head]; }
        /// Gives memory back, each time that half of it lies idle.
        void forget_gone() {
            if (head < records.size() / 2) return;
            records.erase(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(head));
            head = 0;
        }
    };

    void cut_off(timestamp until) {
        std::vector<timed<T>>& to = reached_.records;
        to.clear();
        reached_.head = 0;
        std::vector<std::size_t> ends{0};
        first_left_ = timestamp::max();
        for (sequence& run : runs_) {
            const std::size_t before = to.size();
            for (; !run.empty() && run.front().time <= until; ++run.head)
                to.push_back(std::move(run.records[run.head]));
            if (!run.empty()) first_left_ = std::min(first_left_, run.front().time);
            if (to.size() == before) continue;
            ends.push_back(to.size());
            run.forget_gone();
        }
        std::erase_if(runs_, [](const sequence& run) { return run.empty(); });
        // Neighbours are merged, the earlier run's records first where times are equal.
        const auto at = [&](std::size_t i) { return to.begin() + static_cast<std::ptrdiff_t>(ends[i]); };
        const auto earlier = [](const timed<T>& a, const timed<T>& b) { return a.time < b.time; };
        for (std::size_t step = 1; step < ends.size() - 1; step *= 2)
            for (std::size_t i = 0; i + step < ends.size() - 1; i += 2 * step)
                std::inplace_merge(at(i), at(i + step), at(std::min(i + 2 * step, ends.size() - 1)), earlier);
    }

    std::vector<sequence> runs_;
    sequence reached_;  ///< What has been cut off and merged.
    timestamp first_left_ = timestamp::max();  ///< The first time in the runs.
};

}  // namespace runnel::detail
