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
/// State that is touched at time s is not seen at s + ttl or later; touching it at an earlier time than before leaves
/// it as it was. By processing time these are times of the clock. By event time they are: for a record, its own time,
/// or the operator's watermark if that is later; for an event-time timer, the same with its time, the watermark being
/// the one before the timer is called; for a processing-time timer, that watermark. So which record finds what depends
/// on the records of its key, not on when watermarks come. What has expired is also removed when the watermark, or the
/// clock, has passed it, without being touched.
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
