#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/core/timestamp.hpp"
#include "runnel/window/triggers.hpp"

namespace runnel {

/// Stands for "no late output": late records are counted.
struct no_side {};

namespace detail {

void check_lateness(duration lateness, std::vector<std::string>& problems);
void check_firing(const firing_rule& early, const firing_rule& late, std::vector<std::string>& problems);
std::string firing_text(const firing_rule& early, const firing_rule& late, bool discards);
/// "1h", "90s", "1500us": the largest unit that needs no fraction.
std::string duration_text(duration d);

/// Windows for which no record is ever late: the global window, windows of counts, windows by processing time.
template <class Windows>
concept never_late = requires { requires Windows::never_late; };

}  // namespace detail

/// Windows with all that must be said about them. The member functions give changed copies.
template <class Windows, class Side = no_side, class Firing = on_close>
class window_spec {
    static constexpr bool is_own = has_own_trigger<Firing>;

public:
    using windows_type = Windows;
    using side_type = Side;
    using firing_type = Firing;
    static constexpr bool has_side = !std::is_same_v<Side, no_side>;

    window_spec(Windows windows, duration lateness, Side side = {}, Firing firing = {})
        : windows_(std::move(windows)), lateness_(lateness), side_(std::move(side)), firing_(std::move(firing)) {}

    /// Sends the records that are too late for all their windows to `side`, as `late_record<T>`.
    template <class S>
    window_spec<Windows, std::decay_t<S>, Firing> late_to(S&& side) const {
        static_assert(!has_side, "late_to: this window already has a late output");
        static_assert(!detail::never_late<Windows>,
                      "late_to: no record is late for the global window, for counts, or by processing time");
        return {windows_, lateness_, std::forward<S>(side), firing_};
    }

    /// Fires before the end too; say `accumulating()` or `discarding()` behind it. Results are `paned`.
    auto early(firing_rule rule) const
        requires(!is_own)
    {
        auto changed = firing_again();
        changed.early = rule;
        return with(changed);
    }
    /// Says how often a complete window fires for late records that it still takes, instead of for each; say
    /// `accumulating()` or `discarding()` behind it. Results are `paned`.
    auto late(firing_rule rule) const
        requires(!is_own)
    {
        auto changed = firing_again();
        changed.late = rule;
        return with(changed);
    }
    /// Each time it fires, a window gives all its records.
    auto accumulating() const
        requires(!is_own)
    {
        return with(on_close_and_between<firing_contents::accumulating>{firing_.early, firing_.late});
    }
    /// Each time it fires, a window gives what is new since it last fired, and forgets it. Results are `paned`. The
    /// on-time one comes even if nothing is new: a mean, min, ... of no records is NaN or a value-initialised value.
    auto discarding() const
        requires(!is_own)
    {
        return with(on_close_and_between<firing_contents::discarding>{firing_.early, firing_.late});
    }
    /// Fires when `trigger`, an object of the user's, says so; see own_trigger.hpp. Results are `paned`.
    template <class Trigger>
    auto trigger(Trigger trigger) const
        requires(std::is_same_v<Firing, on_close>)
    {
        return with(on_own_trigger<Trigger>{std::move(trigger)});
    }

    const Windows& windows() const noexcept { return windows_; }
    duration lateness() const noexcept { return lateness_; }
    const Side& side() const noexcept { return side_; }
    const Firing& firing() const noexcept { return firing_; }
    /// All that is wrong with the numbers given; empty if nothing is.
    std::vector<std::string> problems() const {
        std::vector<std::string> found;
        windows_.check(found);
        detail::check_lateness(lateness_, found);
        if constexpr (!is_own) detail::check_firing(firing_.early, firing_.late, found);
        return found;
    }
    /// "tumbling(10s), lateness 2s"
    std::string text() const {
        std::string text = windows_.text();
        if (lateness_ != duration::zero()) text += ", lateness " + detail::duration_text(lateness_);
        if constexpr (is_own) text += ", own trigger";
        else if constexpr (Firing::has_panes)
            text += detail::firing_text(firing_.early, firing_.late, Firing::discards);
        return text;
    }

private:
    auto firing_again() const {
        if constexpr (Firing::has_panes) return firing_;
        else return on_close_and_between<firing_contents::undecided>{};
    }
    template <class F>
    window_spec<Windows, Side, F> with(F firing) const {
        return {windows_, lateness_, side_, std::move(firing)};
    }

    Windows windows_;
    duration lateness_;
    Side side_;
    Firing firing_;
};

/// Windows that lie in processing time: the job's clock when a record comes. Made by `by_processing_time()`.
template <class Windows>
struct processing_time_windows {
    static constexpr bool never_late = true;
    Windows windows;
    void check(std::vector<std::string>& problems) const { windows.check(problems); }
    std::string text() const { return windows.text() + " by processing time"; }
};

template <class Windows>
inline constexpr bool is_processing_time = false;
template <class Windows>
inline constexpr bool is_processing_time<processing_time_windows<Windows>> = true;

/// Windows of which one thing is still to be said: what happens to late records.
template <class Windows>
class undecided_window_spec {
public:
    explicit undecided_window_spec(Windows windows) : windows_(std::move(windows)) {}

    /// A window is cleared when it fires; what comes later is dropped, and counted.
    window_spec<Windows> drop_late() const { return {windows_, duration::zero()}; }
    /// A window is kept until the watermark is `d` past its end; each record that comes until then makes it fire
    /// again with the full contents. What comes later is dropped, and counted, unless `late_to` gives it a place.
    /// Memory: windows live longer by `d`.
    window_spec<Windows> lateness(duration d) const { return {windows_, d}; }
    /// Records count for the time at which they come, by the job's clock, whatever their event time: so none is late.
    /// A window fires when the clock reaches its end, and at the end of the input.
    window_spec<processing_time_windows<Windows>> by_processing_time() const {
        return {processing_time_windows<Windows>{windows_}, duration::zero()};
    }

    const Windows& windows() const noexcept { return windows_; }

private:
    Windows windows_;
};

/// True for a window spec that says what happens to late records.
template <class Spec>
inline constexpr bool lateness_chosen = false;
template <class Windows, class Side, class Firing>
inline constexpr bool lateness_chosen<window_spec<Windows, Side, Firing>> = true;

/// True for a window spec that, if it fires more than once, says what it gives then.
template <class Spec>
inline constexpr bool contents_chosen = false;
template <class Windows, class Side, class Firing>
inline constexpr bool contents_chosen<window_spec<Windows, Side, Firing>> = Firing::is_decided;

/// True for a window spec, whether or not it says what happens to late records.
template <class Spec>
inline constexpr bool is_window_spec = lateness_chosen<Spec>;
template <class Windows>
inline constexpr bool is_window_spec<undecided_window_spec<Windows>> = true;

}  // namespace runnel
