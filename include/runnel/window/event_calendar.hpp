#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "runnel/core/timestamp.hpp"

namespace runnel::detail {

/// Reminders to look at a key at a time, handed out in order of time.
///
/// Far ones lie unsorted in buckets of equal width; a bucket is put in order when its time has come, and only what is
/// still wanted then. So a reminder that is put off again and again costs far less than in one big heap. The next
/// buckets lie in a ring, those behind in a map.
/// Source: R. Brown, Calendar queues, 1988, with a sorted list and a heap for the bucket at hand.
/// Thread safety: unsafe.
/// Complexity: push O(1), O(log buckets) if it is further away than the ring reaches; pop O(1), amortised O(log events
/// in a bucket) to put them in order.
template <class K>
class event_calendar {
public:
    struct event {
        timestamp at;
        K key;
    };

    explicit event_calendar(duration width) : width_(std::max<std::int64_t>(1, width.count())) {}

    void push(timestamp at, K key) { place({at, std::move(key)}); }

    /// The first event of those at or before `until`; nullptr if there is none. `refresh(std::vector<event>&)` is given
    /// the events of a bucket whose time has come: it puts off those that are due later, and removes the unwanted.
    /// Lifetime: the event stays until the next `push` or `pop`.
    template <class Refresh>
    const event* first(timestamp until, Refresh refresh) {
        for (;;) {
            if (const event* next = nearest()) return next->at <= until ? next : nullptr;
            if (!any_far() || bucket_of(until) < first_far()) {
                // What lies before has been opened, or is empty: the ring begins there.
                opened_until_ = std::max(opened_until_, bucket_of(until) - 1);
                return nullptr;
            }
            open(first_far(), refresh);
        }
    }
    /// No event comes before; timestamp::max() if there is none.
    timestamp earliest() const noexcept {
        if (const event* next = nearest()) return next->at;
        if (!any_far()) return timestamp::max();
        std::int64_t start = 0;
        return __builtin_mul_overflow(first_far(), width_, &start) ? timestamp::min() : timestamp(start);
    }

    /// Removes the event that `first` gave.
    void pop() { take_nearest(); }
    /// Puts the event that `first` gave off to a later time.
    void put_off(timestamp at) {
        event e = take_nearest();
        e.at = at;
        place(std::move(e));
    }

private:
    static constexpr std::size_t ring_size = 64;

    static bool later(const event& a, const event& b) noexcept { return b.at < a.at; }

    std::int64_t bucket_of(timestamp t) const noexcept {
        return t.ns() / width_ - (t.ns() % width_ < 0);
    }
    static std::size_t slot_of(std::int64_t bucket) noexcept {
        return static_cast<std::uint64_t>(bucket) % ring_size;
    }

    bool heap_is_first() const noexcept {
        return !heap_.empty() && (sorted_.empty() || heap_.front().at < sorted_.back().at);
    }
    const event* nearest() const noexcept {
        if (heap_is_first()) return &heap_.front();
        return sorted_.empty() ? nullptr : &sorted_.back();
    }
    event take_nearest() {
        std::vector<event>& from = heap_is_first() ? heap_ : sorted_;
        if (&from == &heap_) std::pop_heap(heap_.begin(), heap_.end(), later);
        event e = std::move(from.back());
        from.pop_back();
        return e;
    }

    bool any_far() const noexcept { return used_ != 0 || !far_.empty(); }
    /// The first of the buckets not opened yet that is not empty; there is one.
    std::int64_t first_far() const noexcept {
        if (used_ == 0) return far_.begin()->first;
        const std::int64_t next = opened_until_ + 1;
        const std::int64_t in_ring = next + std::countr_zero(std::rotr(used_, static_cast<int>(slot_of(next))));
        return far_.empty() ? in_ring : std::min(in_ring, far_.begin()->first);
    }

    /// Puts the events of a bucket in order: there are none before.
    template <class Refresh>
    void open(std::int64_t bucket, Refresh& refresh) {
        std::vector<event> opened;
        if (const std::size_t slot = slot_of(bucket); is_in_ring(bucket)) {
            opened.swap(ring_[slot]);
            used_ &= ~(std::uint64_t{1} << slot);
        }
        if (const auto at = far_.find(bucket); at != far_.end()) {
            opened.insert(opened.end(), std::move_iterator(at->second.begin()), std::move_iterator(at->second.end()));
            far_.erase(at);
            last_ = nullptr;
        }
        opened_until_ = bucket;
        refresh(opened);
        for (event& e : opened) {
            if (bucket_of(e.at) <= bucket)
                sorted_.push_back(std::move(e));
            else
                place(std::move(e));
        }
        if (!std::is_sorted(sorted_.begin(), sorted_.end(), later)) std::sort(sorted_.begin(), sorted_.end(), later);
    }

    bool is_in_ring(std::int64_t bucket) const noexcept {
        return static_cast<std::uint64_t>(bucket) - static_cast<std::uint64_t>(opened_until_) <= ring_size;
    }

    void place(event&& e) {
        const std::int64_t bucket = bucket_of(e.at);
        if (bucket <= opened_until_) {
            heap_.push_back(std::move(e));
            std::push_heap(heap_.begin(), heap_.end(), later);
        } else if (is_in_ring(bucket)) {
            used_ |= std::uint64_t{1} << slot_of(bucket);
            ring_[slot_of(bucket)].push_back(std::move(e));
        } else {
            if (!last_ || last_bucket_ != bucket) {
                last_ = &far_[bucket];
                last_bucket_ = bucket;
            }
            last_->push_back(std::move(e));
        }
    }

    std::int64_t width_;
    // Of the buckets up to opened_until_:
    std::vector<event> sorted_;  // the last comes first
    std::vector<event> heap_;    // what has come since; the first in front
    std::int64_t opened_until_ = INT64_MIN;
    // Of the `ring_size` buckets behind it, in part, and all others:
    std::array<std::vector<event>, ring_size> ring_;
    std::uint64_t used_ = 0;  // a bit for each slot of the ring that holds something
    std::map<std::int64_t, std::vector<event>> far_;
    std::vector<event>* last_ = nullptr;  // the bucket of `far_` used last
    std::int64_t last_bucket_ = 0;
};

}  // namespace runnel::detail
