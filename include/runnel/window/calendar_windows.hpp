#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/core/timestamp.hpp"
#include "runnel/window/slicing.hpp"
#include "runnel/window/time_zone.hpp"
#include "runnel/window/window_spec.hpp"

namespace runnel {

enum class calendar_unit : unsigned char { hour, day, week, month };

namespace detail {

/// How calendar windows cut time: a slice per window. A window is named by its exact start in ns.
/// Thread safety: unsafe, it remembers the last answer.
/// Complexity: O(log changes of the zone) per window that is asked for in turn.
class calendar_slicing {
public:
    calendar_slicing(std::shared_ptr<const time_zone> zone, calendar_unit unit, std::chrono::weekday first_of_week,
                     duration lateness);

    double slices_per_tick() const noexcept;

    slice_span span_of(timestamp t) const noexcept {
        const wide window = first_window(t);
        return {start(window), saturate(next(window) - 1), due(window), cleared(window), true};
    }

    wide first_window(timestamp t) const noexcept { return containing(t.ns()); }
    wide last_window(timestamp t) const noexcept { return first_window(t); }

    /// The first window w with `due(w) > watermark`, or `cleared(w) > watermark`.
    wide first_incomplete(timestamp watermark) const noexcept {
        if (watermark == timestamp::min()) return -wide_max;
        return watermark >= timestamp::max().previous() ? wide_max : containing(wide(watermark.ns()) + 1);
    }
    wide first_kept(timestamp watermark) const noexcept {
        if (watermark == timestamp::min()) return -wide_max;
        if (watermark == timestamp::max()) return wide_max;
        return containing(wide(std::min(watermark, timestamp::max().previous().previous()).ns()) + 1 -
                          lateness_.count());
    }
    /// Not before the last window w with `due(w) <= watermark`, and before the next.
    wide last_complete(timestamp watermark) const noexcept { return first_incomplete(watermark) - 1; }

    wide begin(wide window) const noexcept { return window; }
    wide next(wide window) const noexcept {
        containing(window);
        return wide(end_) * second;
    }

    timestamp start(wide window) const noexcept { return saturate(window); }
    timestamp end(wide window) const noexcept { return saturate(next(window)); }
    timestamp due(wide window) const noexcept { return due_at(end(window)); }
    timestamp cleared(wide window) const noexcept { return cleared_at(end(window), lateness_); }

private:
    static constexpr std::int64_t second = 1'000'000'000;

    /// Start of the window that contains t, which becomes [start_, end_).
    wide containing(wide t) const noexcept {
        const auto seconds = static_cast<std::int64_t>((t - floor_mod(t, second)) / second);
        if (seconds < start_ || seconds >= end_) find(seconds);
        return wide(start_) * second;
    }
    void find(std::int64_t utc_seconds) const noexcept;
    /// First second of local time of a period, and the number of the period of a local time.
    std::int64_t local_start(std::int64_t period) const noexcept;
    std::int64_t period_of(std::int64_t local_seconds) const noexcept;

    std::shared_ptr<const time_zone> zone_;
    calendar_unit unit_;
    std::int64_t first_of_week_;
    duration lateness_;
    mutable std::int64_t start_ = 0;  // the window asked for last, in seconds
    mutable std::int64_t end_ = 0;
};

}  // namespace detail

/// Windows as a calendar has them in one place. Made by `hourly`, `daily`, `weekly`, `monthly`.
struct calendar_windows {
    calendar_unit unit;
    std::string zone_name;
    std::chrono::weekday first_of_week;
    std::shared_ptr<const time_zone> zone;
    std::string problem;  ///< Why there is no such zone; empty if there is.

    calendar_windows(calendar_unit unit, std::string_view zone_name, std::chrono::weekday first_of_week);
    void check(std::vector<std::string>& problems) const;
    std::string text() const;
    detail::calendar_slicing slices(duration lateness) const { return {zone, unit, first_of_week, lateness}; }
};

/// Hours of local time in a zone such as "Europe/Berlin"; left out, UTC. An hour that comes twice, when the clocks are
/// put back, gives two windows; whatever changes the offset to UTC ends a window.
inline undecided_window_spec<calendar_windows> hourly(std::string_view zone = "UTC") {
    return undecided_window_spec(calendar_windows(calendar_unit::hour, zone, std::chrono::Monday));
}
/// Days of local time: from midnight, or the first second after it if the clocks leave midnight out, to the next. So a
/// day may have 23 or 25 hours.
inline undecided_window_spec<calendar_windows> daily(std::string_view zone = "UTC") {
    return undecided_window_spec(calendar_windows(calendar_unit::day, zone, std::chrono::Monday));
}
/// Weeks of seven such days.
inline undecided_window_spec<calendar_windows> weekly(std::string_view zone = "UTC",
                                                      std::chrono::weekday first = std::chrono::Monday) {
    return undecided_window_spec(calendar_windows(calendar_unit::week, zone, first));
}
/// Calendar months of such days.
inline undecided_window_spec<calendar_windows> monthly(std::string_view zone = "UTC") {
    return undecided_window_spec(calendar_windows(calendar_unit::month, zone, std::chrono::Monday));
}

}  // namespace runnel
