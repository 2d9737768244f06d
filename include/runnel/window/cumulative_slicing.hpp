#pragma once

#include <algorithm>

#include "runnel/core/timestamp.hpp"
#include "runnel/window/slicing.hpp"

namespace runnel::detail {

/// How cumulative windows cut time into slices: one slice per step. A window is named by the exact start of its last
/// slice; it consists of that and of all slices before it in its period, which is `max_size` long.
/// Complexity: O(1), a few 128-bit divisions; not for every record.
class cumulative_slicing {
public:
    cumulative_slicing(duration max_size, duration step, duration offset, duration lateness) noexcept
        : steps_(step, step, offset, lateness), periods_(max_size, max_size, offset, lateness) {}

    double slices_per_tick() const noexcept { return steps_.slices_per_tick(); }

    slice_span span_of(timestamp t) const noexcept {
        slice_span span = steps_.span_of(t);
        span.cleared = periods_.cleared(periods_.last_window(t));
        return span;
    }

    /// The first and the last window that contain t.
    wide first_window(timestamp t) const noexcept { return steps_.last_window(t); }
    wide last_window(timestamp t) const noexcept {
        return periods_.last_window(t) + periods_.size() - steps_.size();
    }

    /// The first window w with `due(w) > watermark`, or `cleared(w) > watermark`; the last with `due(w) <= watermark`.
    wide first_incomplete(timestamp watermark) const noexcept { return steps_.first_incomplete(watermark); }
    wide first_kept(timestamp watermark) const noexcept { return steps_.first_kept(watermark); }
    wide last_complete(timestamp watermark) const noexcept { return steps_.last_complete(watermark); }

    /// Where the first slice of a window begins; the window after it.
    wide begin(wide window) const noexcept { return periods_.start_at(window); }
    wide next(wide window) const noexcept { return steps_.next(window); }

    timestamp start(wide window) const noexcept { return saturate(begin(window)); }
    timestamp end(wide window) const noexcept { return steps_.end(window); }
    timestamp due(wide window) const noexcept { return steps_.due(window); }

private:
    slicing steps_;
    slicing periods_;
};

}  // namespace runnel::detail
