#pragma once

#include <algorithm>
#include <vector>

#include "runnel/core/timestamp.hpp"
#include "runnel/window/window.hpp"

namespace runnel {

// A trigger of the user's own: a copyable class that says when a window of one key fires, and when it forgets its
// contents. Given to a window by `.trigger(my_trigger{...})`. All members are const; what is to be remembered is
// in its `state`, kept per key and window, default-initialisable and with a codec; left out: none.
//
//   struct state { ... };
//   trigger_result on_record(const T&, timestamp t, trigger_context<state>&) const;
//   trigger_result on_time(timestamp t, time_kind, trigger_context<state>&) const;   a time that was asked for has
//                                                come; and once, in event time, when the window is complete
//   void on_merge(state& into, const state& from) const;                             only needed for sessions
//   void clear(trigger_context<state>&) const;                                       optional: the window is gone
//
// Whatever the trigger says, a window is cleared when the watermark has passed its end plus lateness.

/// What a trigger answers.
enum class trigger_result : unsigned char {
    proceed,         ///< Nothing is to be done.
    fire,            ///< The window gives its result, and keeps its contents.
    purge,           ///< The contents are forgotten; the window itself, its state and times stay.
    fire_and_purge,  ///< Both, in this order.
};

enum class time_kind : unsigned char { event, processing };

/// The state of a trigger that has none.
struct no_trigger_state {
    friend bool operator==(no_trigger_state, no_trigger_state) = default;
};

namespace detail {

/// Times at which a trigger wants to be called, in order, each once.
class trigger_times {
public:
    void add(timestamp t) {
        const auto at = std::lower_bound(times_.begin(), times_.end(), t);
        if (at == times_.end() || *at != t) times_.insert(at, t);
    }
    void merge(const trigger_times& other) {
        for (const timestamp t : other.times_) add(t);
    }
    bool empty() const noexcept { return times_.empty(); }
    timestamp first() const noexcept { return times_.empty() ? timestamp::max() : times_.front(); }
    timestamp take_first() {
        const timestamp t = times_.front();
        times_.erase(times_.begin());
        return t;
    }
    const std::vector<timestamp>& all() const noexcept { return times_; }

private:
    std::vector<timestamp> times_;
};

template <class Trigger>
struct trigger_state_of {
    using type = no_trigger_state;
};
template <class Trigger>
    requires requires { typename Trigger::state; }
struct trigger_state_of<Trigger> {
    using type = typename Trigger::state;
};

}  // namespace detail

/// What a trigger learns of the window of one key that it is called for, and may ask for.
/// Lifetime: the call.
template <class State = no_trigger_state>
class trigger_context {
public:
    trigger_context(State& state, window span, timestamp watermark, timestamp now, detail::trigger_times& event_times,
                    detail::trigger_times& processing_times)
        : state_(state),
          span_(span),
          watermark_(watermark),
          now_(now),
          event_times_(event_times),
          processing_times_(processing_times) {}

    State& state() const noexcept { return state_; }
    window span() const noexcept { return span_; }
    timestamp watermark() const noexcept { return watermark_; }
    timestamp processing_time() const noexcept { return now_; }
    /// Has `on_time` called when the watermark reaches t, or at the next one if it has already.
    void at_event_time(timestamp t) { event_times_.add(t); }
    /// Has `on_time` called when the clock reaches t; at the latest at the end of the input.
    void at_processing_time(timestamp t) { processing_times_.add(t); }

private:
    State& state_;
    window span_;
    timestamp watermark_;
    timestamp now_;
    detail::trigger_times& event_times_;
    detail::trigger_times& processing_times_;
};

}  // namespace runnel
