#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/core/timestamp.hpp"
#include "runnel/window/slicing.hpp"

namespace runnel {

/// Windows of one size, one after the other. Made by `tumbling`.
struct tumbling_windows {
    duration size;
    duration offset;
    void check(std::vector<std::string>& problems) const;
    std::string text() const;
    detail::slicing slices(duration lateness) const noexcept { return {size, size, offset, lateness}; }
};

/// Windows of one size that start every `slide`. Made by `sliding`.
struct sliding_windows {
    duration size;
    duration slide;
    duration offset;
    void check(std::vector<std::string>& problems) const;
    std::string text() const;
    detail::slicing slices(duration lateness) const noexcept { return {size, slide, offset, lateness}; }
};

/// Windows per key that last as long as its records come less than, or exactly, `gap` apart. Made by `session`.
struct session_windows {
    duration gap;
    void check(std::vector<std::string>& problems) const;
    std::string text() const;
};

/// Stands for "no late output": late records are counted.
struct no_side {};

/// Windows with all that must be said about them. The member functions give changed copies.
template <class Windows, class Side = no_side>
class window_spec {
public:
    using windows_type = Windows;
    using side_type = Side;
    static constexpr bool has_side = !std::is_same_v<Side, no_side>;

    window_spec(Windows windows, duration lateness, Side side = {})
        : windows_(windows), lateness_(lateness), side_(std::move(side)) {}

    /// Sends the records that are too late for all their windows to `side`, as `late_record<T>`.
    template <class S>
    window_spec<Windows, std::decay_t<S>> late_to(S&& side) const {
        static_assert(!has_side, "late_to: this window already has a late output");
        return {windows_, lateness_, std::forward<S>(side)};
    }

    const Windows& windows() const noexcept { return windows_; }
    duration lateness() const noexcept { return lateness_; }
    const Side& side() const noexcept { return side_; }
    /// All that is wrong with the numbers given; empty if nothing is.
    std::vector<std::string> problems() const;
    /// "tumbling(10s), lateness 2s"
    std::string text() const;

private:
    Windows windows_;
    duration lateness_;
    Side side_;
};

/// Windows of which one thing is still to be said: what happens to late records.
template <class Windows>
class undecided_window_spec {
public:
    explicit undecided_window_spec(Windows windows) : windows_(windows) {}

    /// A window is cleared when it fires; what comes later is dropped, and counted.
    window_spec<Windows> drop_late() const { return {windows_, duration::zero()}; }
    /// A window is kept until the watermark is `d` past its end; each record that comes until then makes it fire
    /// again with the full contents. What comes later is dropped, and counted, unless `late_to` gives it a place.
    /// Memory: windows live longer by `d`.
    window_spec<Windows> lateness(duration d) const { return {windows_, d}; }

    const Windows& windows() const noexcept { return windows_; }

private:
    Windows windows_;
};

/// Windows [offset + k * size, offset + (k + 1) * size) for all whole k: each record lies in one.
inline undecided_window_spec<tumbling_windows> tumbling(duration size, duration offset = duration::zero()) {
    return undecided_window_spec(tumbling_windows{size, offset});
}

/// Windows [offset + k * slide, offset + k * slide + size) for all whole k: each record lies in about size / slide
/// of them; with a slide larger than the size, records between windows lie in none.
inline undecided_window_spec<sliding_windows> sliding(duration size, duration slide,
                                                      duration offset = duration::zero()) {
    return undecided_window_spec(sliding_windows{size, slide, offset});
}

/// Windows per key: each record opens [t, t + gap), and windows that overlap or touch become one.
inline undecided_window_spec<session_windows> session(duration gap) {
    return undecided_window_spec(session_windows{gap});
}

/// True for a window spec that says what happens to late records.
template <class Spec>
inline constexpr bool lateness_chosen = false;
template <class Windows, class Side>
inline constexpr bool lateness_chosen<window_spec<Windows, Side>> = true;

/// True for a window spec, whether or not it says what happens to late records.
template <class Spec>
inline constexpr bool is_window_spec = lateness_chosen<Spec>;
template <class Windows>
inline constexpr bool is_window_spec<undecided_window_spec<Windows>> = true;

namespace detail {

void check_lateness(duration lateness, std::vector<std::string>& problems);
/// "1h", "90s", "1500us": the largest unit that needs no fraction.
std::string duration_text(duration d);

}  // namespace detail

template <class Windows, class Side>
std::vector<std::string> window_spec<Windows, Side>::problems() const {
    std::vector<std::string> found;
    windows_.check(found);
    detail::check_lateness(lateness_, found);
    return found;
}

template <class Windows, class Side>
std::string window_spec<Windows, Side>::text() const {
    return windows_.text() + (lateness_ == duration::zero() ? "" : ", lateness " + detail::duration_text(lateness_));
}

}  // namespace runnel
