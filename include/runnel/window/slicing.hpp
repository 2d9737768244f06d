#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "runnel/core/timestamp.hpp"

namespace runnel::detail {

/// Holds every sum of a time and a few durations, so that nothing wraps near `timestamp::min()` and `max()`.
__extension__ typedef __int128 wide;

/// Behind all times and all sums of a few.
inline constexpr wide wide_max = static_cast<wide>(1) << 100;

constexpr timestamp saturate(wide t) noexcept {
    if (t >= timestamp::max().ns()) return timestamp::max();
    if (t <= timestamp::min().ns()) return timestamp::min();
    return timestamp(static_cast<std::int64_t>(t));
}

constexpr wide floor_mod(wide a, wide b) noexcept {
    const wide r = a % b;
    return r < 0 ? r + b : r;
}

/// The first whole multiple of `period` that is larger than t.
constexpr wide wide_multiple_after(wide t, duration period) noexcept {
    const wide p = std::max<std::int64_t>(1, period.count());
    return t - floor_mod(t, p) + p;
}
constexpr timestamp multiple_after(wide t, duration period) noexcept {
    return saturate(wide_multiple_after(t, period));
}

/// The watermark that completes a window with this end: the last time inside it. Never the initial watermark.
constexpr timestamp due_at(timestamp end) noexcept {
    return std::max(end.previous(), timestamp(timestamp::min().ns() + 1));
}

/// The watermark that clears a window; the end of the input if end + lateness lies behind all times.
constexpr timestamp cleared_at(timestamp end, duration lateness) noexcept {
    const timestamp kept_until = end + lateness;
    return kept_until == timestamp::max() ? timestamp::max() : due_at(kept_until);
}

/// A stretch of time that no window edge divides, with what its records need to know of its windows.
struct slice_span {
    timestamp first;      ///< First tick of the slice; identifies it.
    timestamp last;       ///< Last tick.
    timestamp first_due;  ///< When the first of its windows completes.
    timestamp cleared;    ///< When the last of its windows is cleared.
    bool has_window;      ///< False between windows, if the slide is larger than the size.
    bool holds(timestamp t) const noexcept { return first <= t && t <= last; }
};

/// How windows of one size, starting every `slide`, cut time into slices.
///
/// Edges lie where windows start and where they end, so there are two slices per slide, or one if the slide
/// divides the size ("paired windows": Krishnamurthy, Wu, Franklin, On-the-fly sharing for streamed
/// aggregation, 2006). A window is named by its exact start, which may lie before `timestamp::min()`.
/// Complexity: O(1), a few 128-bit divisions; not for every record.
class slicing {
public:
    /// A size or slide that is not above zero is a problem that is reported before anything runs; until then it must
    /// not divide by zero.
    slicing(duration size, duration slide, duration offset, duration lateness) noexcept
        : size_(std::max<std::int64_t>(1, size.count())),
          slide_(std::max<std::int64_t>(1, slide.count())),
          offset_(offset.count()),
          lateness_(lateness) {}

    std::int64_t size() const noexcept { return size_; }
    std::int64_t slide() const noexcept { return slide_; }

    double slices_per_tick() const noexcept {
        return (size_ % slide_ == 0 ? 1.0 : 2.0) / static_cast<double>(slide_);
    }

    slice_span span_of(timestamp t) const noexcept {
        const wide start = last_window(t);
        const wide phase = size_ % slide_;
        const wide end_edge = start + phase;
        const bool divided = phase != 0;
        const wide from = divided && t.ns() >= end_edge ? end_edge : start;
        const wide to = divided && t.ns() < end_edge ? end_edge : start + slide_;
        const wide first_start = first_window(t);
        return {saturate(from), saturate(to - 1), due(first_start), cleared(start), first_start <= start};
    }

    /// Start of the first and the last window that contain t (first > last if none does).
    wide first_window(timestamp t) const noexcept { return start_at(wide(t.ns()) - size_) + slide_; }
    wide last_window(timestamp t) const noexcept { return start_at(t.ns()); }

    /// Start of the first window w with `due(w) > watermark`, or `cleared(w) > watermark`.
    wide first_incomplete(timestamp watermark) const noexcept {
        return watermark >= timestamp::max().previous() ? wide_max : first_after(watermark, size_);
    }
    wide first_kept(timestamp watermark) const noexcept {
        if (watermark == timestamp::max()) return wide_max;
        return first_after(std::min(watermark, timestamp::max().previous().previous()),
                           wide(size_) + lateness_.count());
    }

    /// Start of the last window w with `due(w) <= watermark`.
    wide last_complete(timestamp watermark) const noexcept { return first_incomplete(watermark) - slide_; }

    /// Where the first slice of a window begins; the window after it.
    wide begin(wide window) const noexcept { return window; }
    wide next(wide window) const noexcept { return window + slide_; }

    timestamp start(wide window) const noexcept { return saturate(window); }
    timestamp end(wide window) const noexcept { return saturate(window + size_); }
    timestamp due(wide window) const noexcept { return due_at(end(window)); }
    timestamp cleared(wide window) const noexcept { return cleared_at(end(window), lateness_); }

    /// Start of the last window that begins at t or before.
    wide start_at(wide t) const noexcept { return t - floor_mod(t - offset_, slide_); }

private:
    /// The first window whose start plus `length` lies behind the tick after the watermark.
    wide first_after(timestamp watermark, wide length) const noexcept {
        if (watermark == timestamp::min()) return -wide_max;
        return start_at(wide(watermark.ns()) + 1 - length) + slide_;
    }

    std::int64_t size_;
    std::int64_t slide_;
    std::int64_t offset_;
    duration lateness_;
};

}  // namespace runnel::detail
