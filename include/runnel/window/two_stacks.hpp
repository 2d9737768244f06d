#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runnel/window/aggregate.hpp"
#include "runnel/window/slicing.hpp"

namespace runnel::detail {

/// The contents of a sliding window of one key: slices come in at the back and leave at the front, at an amortised
/// cost of three merges per slice, however long the window. Nothing is ever subtracted.
///
/// The slices before a boundary are held as suffix aggregates (slice i: the sum of slices i up to the boundary), the
/// ones behind it as they are, beside their running sum; so a window's value is one merge. Boundaries lie at fixed
/// distances of one window size, hence each window holds exactly one, and the order of merges is a property of the
/// window and not of what the object has been through: bitwise equal results after a rebuild or a restore.
/// Source: the two-stacks queue, flattened into one array as in Tangwongsan, Hirzel, Schneider, In-order
/// sliding-window aggregation in worst-case constant time, 2021.
/// Thread safety: unsafe.
template <class Agg>
class two_stacks {
    using accumulator = accumulator_of<Agg>;

public:
    two_stacks() = default;
    /// Boundaries are the times congruent to `phase` modulo the window size.
    explicit two_stacks(std::int64_t phase) : phase_(phase) {}

    std::int64_t phase() const noexcept { return phase_; }

    /// Adds the slice that begins at `first`, behind all slices so far; it counts from the next `advance` on.
    void push(timestamp first, const accumulator& value) { items_.push_back({first.ns(), value}); }

    /// Makes [start, start + size) the window. It never moves back, and all its slices have been pushed.
    void advance(wide start, std::int64_t size, const Agg& agg) {
        const wide end = start + size;
        if (!placed_ || end - boundary_ >= size) flip(start, end, size, agg);
        while (head_ < middle_ && items_[head_].first < start) ++head_;
        for (; folded_ < items_.size(); ++folded_) {
            if (folded_ == middle_)
                back_ = items_[folded_].value;
            else
                agg.merge(back_, items_[folded_].value);
        }
    }

    /// True if no slice is left in the window.
    bool empty() const noexcept { return head_ == items_.size(); }

    /// The value of the window, which is not empty.
    auto result(const Agg& agg) const {
        if (head_ == middle_) return agg.result(back_);
        const accumulator& front = items_[head_].value;
        if (middle_ == items_.size()) return agg.result(front);
        accumulator both = front;
        agg.merge(both, back_);
        return agg.result(both);
    }

    /// Removes all slices.
    void clear() noexcept {
        items_.clear();
        head_ = middle_ = folded_ = 0;
        placed_ = false;
    }

    /// Fetches what the next `push` and `advance` will touch. Inlined always: gcc takes a function that does nothing
    /// but prefetch for one without effect, and drops the call.
    [[gnu::always_inline]] void prefetch() const noexcept {
        __builtin_prefetch(items_.data() + head_);
        __builtin_prefetch(items_.data() + items_.size(), 1);
    }

private:
    struct item {
        std::int64_t first;
        accumulator value;
    };

    /// Moves the boundary: what was behind it becomes the front. The old front has left the window by then, since
    /// the boundary moves by a whole window size at least.
    void flip(wide start, wide end, std::int64_t size, const Agg& agg) {
        std::size_t kept = middle_;
        while (kept < items_.size() && items_[kept].first < start) ++kept;
        items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(kept));
        boundary_ = saturate(end - floor_mod(end - phase_, size)).ns();
        placed_ = true;
        head_ = middle_ = 0;
        while (middle_ < items_.size() && items_[middle_].first < boundary_) ++middle_;
        for (std::size_t i = middle_; i > 1; --i) agg.merge(items_[i - 2].value, items_[i - 1].value);
        folded_ = middle_;
    }

    std::vector<item> items_;
    std::size_t head_ = 0;    // first slice in the window
    std::size_t middle_ = 0;  // first slice behind the boundary
    std::size_t folded_ = 0;  // first slice not yet in back_
    std::int64_t boundary_ = 0;
    std::int64_t phase_ = 0;
    accumulator back_{};
    bool placed_ = false;
};

}  // namespace runnel::detail
