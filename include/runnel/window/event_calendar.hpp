#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "runnel/core/timestamp.hpp"

namespace runnel::detail {

/// Reminders to look at a key at a time, handed out in order of time.
///
/// Far ones lie unsorted in buckets of equal width; a bucket is put in order when its time has come, and only what is
/// still wanted then. So a reminder that is put off again and again costs far less than in one big heap.
/// Source: R. Brown, Calendar queues, 1988, with a heap for the bucket at hand.
/// Thread safety: unsafe.
/// Complexity: push O(log buckets), O(1) for the same bucket again; pop O(log events in a bucket).
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
        while (near_.empty() || until < near_.front().at) {
            if (far_.empty() || bucket_of(until) < far_.begin()->first) return nullptr;
            std::vector<event> opened = std::move(far_.begin()->second);
            opened_until_ = far_.begin()->first;
            far_.erase(far_.begin());
            last_ = nullptr;
            refresh(opened);
            for (event& e : opened) place(std::move(e));
        }
        return &near_.front();
    }
    /// No event comes before; timestamp::max() if there is none.
    timestamp earliest() const noexcept {
        if (!near_.empty()) return near_.front().at;
        if (far_.empty()) return timestamp::max();
        std::int64_t start = 0;
        return __builtin_mul_overflow(far_.begin()->first, width_, &start) ? timestamp::min() : timestamp(start);
    }

    /// Removes the event that `first` gave.
    void pop() {
        std::pop_heap(near_.begin(), near_.end(), later);
        near_.pop_back();
    }
    /// Puts the event that `first` gave off to a later time.
    void put_off(timestamp at) {
        std::pop_heap(near_.begin(), near_.end(), later);
        event e = std::move(near_.back());
        near_.pop_back();
        e.at = at;
        place(std::move(e));
    }

private:
    static bool later(const event& a, const event& b) noexcept { return b.at < a.at; }

    std::int64_t bucket_of(timestamp t) const noexcept {
        return t.ns() / width_ - (t.ns() % width_ < 0);
    }

    void place(event e) {
        const std::int64_t bucket = bucket_of(e.at);
        if (bucket <= opened_until_) {
            near_.push_back(std::move(e));
            std::push_heap(near_.begin(), near_.end(), later);
            return;
        }
        if (!last_ || last_bucket_ != bucket) {
            last_ = &far_[bucket];
            last_bucket_ = bucket;
        }
        last_->push_back(std::move(e));
    }

    std::int64_t width_;
    std::vector<event> near_;  // heap, the first in front: the events of buckets up to opened_until_
    std::map<std::int64_t, std::vector<event>> far_;
    std::int64_t opened_until_ = INT64_MIN;
    std::vector<event>* last_ = nullptr;  // the bucket used last
    std::int64_t last_bucket_ = 0;
};

}  // namespace runnel::detail
