#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/core/timestamp.hpp"

namespace runnel {

/// When a window fires besides its end. Made by `every`, `every_processing_time`, `every_records`, `on_each_record`.
struct firing_rule {
    enum class kind : unsigned char { none, event_time, processing_time, records };
    kind what = kind::none;
    duration period = duration::zero();
    std::int64_t records = 0;
    void check(const char* where, std::vector<std::string>& problems) const;
    std::string text() const;
};

/// Whenever event time passes a whole multiple of `d`, if there is something new: a result then holds the records with
/// a time before that multiple, so that it does not depend on when a watermark comes. (How long a session is by then
/// does depend on what else has come.)
inline firing_rule every(duration d) { return {firing_rule::kind::event_time, d, 0}; }
/// Whenever the job's clock passes a whole multiple of `d`, if there is something new. Results depend on the clock.
inline firing_rule every_processing_time(duration d) { return {firing_rule::kind::processing_time, d, 0}; }
/// Whenever `n` records have come to the window of a key since it last fired.
inline firing_rule every_records(std::int64_t n) { return {firing_rule::kind::records, duration::zero(), n}; }
inline firing_rule on_each_record() { return every_records(1); }

/// The window fires when it is complete, and again for each late record that it still takes; results carry no pane.
struct on_close {
    static constexpr bool has_panes = false;
    static constexpr bool is_decided = true;
    static constexpr bool discards = false;
    firing_rule early{};
    firing_rule late = on_each_record();
};

/// What a window that fires more than once gives.
enum class firing_contents : unsigned char {
    undecided,
    accumulating,  ///< All its records, each time.
    discarding,    ///< The records since it last fired.
};

/// The window also fires early, or more seldom for late records; results carry their pane.
template <firing_contents Contents>
struct on_close_and_between {
    static constexpr bool has_panes = true;
    static constexpr bool is_decided = Contents != firing_contents::undecided;
    static constexpr bool discards = Contents == firing_contents::discarding;
    firing_rule early{};
    firing_rule late = on_each_record();
};

/// The window fires when an object of the user's says so; see own_trigger.hpp. Results carry their pane.
template <class Trigger>
struct on_own_trigger {
    static constexpr bool has_panes = true;
    static constexpr bool is_decided = true;
    static constexpr bool discards = false;
    Trigger trigger;
};

template <class Firing>
inline constexpr bool has_own_trigger = false;
template <class Trigger>
inline constexpr bool has_own_trigger<on_own_trigger<Trigger>> = true;

}  // namespace runnel
