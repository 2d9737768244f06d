#pragma once

#include <optional>

#include "runnel/core/timestamp.hpp"

namespace runnel {

/// Which time makes state grow old.
enum class ttl_clock : unsigned char {
    event,       ///< Event time: depends on the data alone.
    processing,  ///< The job's clock.
};

/// What makes state young again.
enum class ttl_refresh : unsigned char { on_write, on_read_and_write };

/// How long state is kept. Use designated initialisers: `{.ttl = 1h}`.
///
/// By event time, what is touched by a record is as old as that record, or as the operator's watermark if that is
/// later; touched by a timer, as old as the timer. It has expired for a record whose time, or the watermark before it,
/// is at least `ttl` later, and for a timer likewise. An earlier record never makes it older than it was. So which
/// record finds what depends on the records of its key alone. What has expired is never seen again; it is removed when
/// the watermark, or the clock, has passed it, whether touched or not.
/// Lists and maps expire element by element. An element appended to a list never expires before the ones in front.
struct state_options {
    /// Time to live, more than 0; none: kept until it is cleared. Costs 16 bytes a value, or an element of a list.
    std::optional<duration> ttl{};
    ttl_clock clock = ttl_clock::event;
    /// Reading a list or a map as a whole makes all its elements young: O(elements).
    ttl_refresh refresh = ttl_refresh::on_write;
    friend bool operator==(const state_options&, const state_options&) = default;
};

}  // namespace runnel
