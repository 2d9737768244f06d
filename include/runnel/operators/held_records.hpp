#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "runnel/core/timed.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel::detail {

template <class T>
class held_records;

/// The records that a `held_records` had at one moment, whatever comes and goes since. They are shared, not copied.
///
/// Thread safety: unsafe; but it may be another thread's than the `held_records`. So T and what it refers to may be
/// read by two threads at a time.
/// Lifetime: owns what it shows.
template <class T>
class frozen_records {
public:
    /// Calls `f(const T&, timestamp)` for each, in an order in which they can be pushed again, and lets go of what has
    /// been read.
    template <class F>
    void consume(F f) {
        for (part& p : parts_) {
            for (const timed<T>* r = p.first; r != p.last; ++r) f(r->value, r->time);
            p.owner.reset();
        }
        parts_.clear();
    }

private:
    friend class held_records<T>;

    struct part {
        std::shared_ptr<const void> owner;
        const timed<T>* first;
        const timed<T>* last;
    };
    std::vector<part> parts_;
};

/// Records that wait to be taken in order of time, those of equal time as they came.
///
/// They lie in runs, each in order: a record goes to the first run that ends at or before its time, so there are as
/// many runs as the input is out of order, and for one that is nearly in order few. When event time goes forward, what
/// it has reached is cut off the front of each run and merged.
/// A run consists of chunks, in which records stay where they are, as they are, until all of the chunk are gone: so a
/// snapshot need not copy them.
/// Source: B. Chandramouli, J. Goldstein, Y. Li: Impatience is a virtue: revisiting disorder in high-performance log
/// analytics, 2018.
/// Thread safety: unsafe.
/// Complexity: push O(log runs), take amortised O(log runs), freeze O(chunks).
template <class T>
class held_records {
public:
    void push(T value, timestamp t) {
        // The ends of the runs fall from the first to the last, so equal times never come into an earlier run.
        const auto to = std::partition_point(runs_.begin(), runs_.end(),
                                             [t](const sequence& run) { return run.last > t; });
        if (to != runs_.end()) {
            to->push_back({std::move(value), t});
        } else {
            sequence run;
            run.push_back({std::move(value), t});
            runs_.push_back(std::move(run));
        }
        first_left_ = std::min(first_left_, t);
    }

    /// The time of the first record, if that is not after `until`; null if there is none. Nothing is pushed, and
    /// `until` stays the same, from the first call to the one that gives null.
    const timestamp* next(timestamp until) {
        if (next_ == reached_.size()) {
            let_go();
            if (first_left_ <= until) cut_off(until);
        }
        return next_ == reached_.size() ? nullptr : &reached_[next_].time;
    }
    /// The record that `next` spoke of.
    const timed<T>& first() const noexcept { return *reached_[next_].record; }
    /// Takes it. Valid until `next` is called again.
    const timed<T>& take() noexcept { return *reached_[next_++].record; }

    /// What is held now. Precondition: `next` has given null last.
    frozen_records<T> freeze() const {
        frozen_records<T> all;
        for (const sequence& run : runs_)
            for (std::size_t i = 0; i != run.chunks.size(); ++i) {
                const std::shared_ptr<chunk>& c = run.chunks[i];
                const timed<T>* const records = c->data();
                all.parts_.push_back({c, records + (i == 0 ? run.head : 0), records + c->size()});
            }
        return all;
    }

private:
    /// Filled up to the capacity that it has from the beginning.
    using chunk = std::vector<timed<T>>;

    /// There is always a record left. Those of the first chunk before `head` are gone.
    struct sequence {
        std::vector<std::shared_ptr<chunk>> chunks{};
        std::size_t head = 0;
        timestamp last{};           ///< Time of the last record.
        chunk* filling = nullptr;   ///< The last chunk,
        std::size_t room = 0;       ///< and how many more it takes.

        timestamp first_time() const noexcept { return (*chunks.front())[head].time; }
        void push_back(timed<T>&& record) {
            if (room == 0) [[unlikely]] begin_chunk();
            last = record.time;
            filling->push_back(std::move(record));
            --room;
        }
        [[gnu::noinline]] void begin_chunk() {
            // What is gone is kept as long as any of its chunk is not.
            constexpr std::size_t first = 4, most = std::clamp<std::size_t>(16 * 1024 / sizeof(timed<T>), first, 256);
            auto made = std::make_shared<chunk>();
            made->reserve(chunks.empty() ? first : std::min(most, 2 * filling->capacity()));
            chunks.push_back(std::move(made));
            filling = chunks.back().get();
            room = filling->capacity();
        }
    };
    struct reference {
        timestamp time;
        const timed<T>* record;
    };

    void cut_off(timestamp until) {
        std::vector<std::size_t> ends{0};
        first_left_ = timestamp::max();
        for (sequence& run : runs_) {
            cut_off(until, run);
            if (!run.chunks.empty()) first_left_ = std::min(first_left_, run.first_time());
            if (reached_.size() != ends.back()) ends.push_back(reached_.size());
        }
        std::erase_if(runs_, [](const sequence& run) { return run.chunks.empty(); });
        // Neighbours are merged, the earlier run's records first where times are equal.
        const auto at = [&](std::size_t i) { return reached_.begin() + static_cast<std::ptrdiff_t>(ends[i]); };
        const auto earlier = [](const reference& a, const reference& b) { return a.time < b.time; };
        for (std::size_t step = 1; step < ends.size() - 1; step *= 2)
            for (std::size_t i = 0; i + step < ends.size() - 1; i += 2 * step)
                std::inplace_merge(at(i), at(i + step), at(std::min(i + 2 * step, ends.size() - 1)), earlier);
    }
    void cut_off(timestamp until, sequence& run) {
        const auto begin = run.chunks.begin();
        auto c = begin;
        for (; c != run.chunks.end(); ++c, run.head = 0) {
            const chunk& records = **c;
            for (; run.head != records.size() && records[run.head].time <= until; ++run.head)
                reached_.push_back({records[run.head].time, &records[run.head]});
            if (run.head != records.size()) break;
        }
        if (c == begin) return;
        gone_.insert(gone_.end(), std::move_iterator(begin), std::move_iterator(c));
        run.chunks.erase(begin, c);
    }
    void let_go() noexcept {
        reached_.clear();
        next_ = 0;
        gone_.clear();
    }

    std::vector<sequence> runs_;
    timestamp first_left_ = timestamp::max();  ///< The first time in the runs.
    std::vector<reference> reached_;           ///< What has been cut off and merged.
    std::size_t next_ = 0;                     ///< Those before it have been taken.
    std::vector<std::shared_ptr<chunk>> gone_; ///< Chunks that only `reached_` needs.
};

}  // namespace runnel::detail
