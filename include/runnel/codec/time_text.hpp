#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runnel/core/timestamp.hpp"

namespace runnel {

/// What an integer that stands for a time counts since 1970-01-01T00:00:00Z.
enum class time_unit : unsigned char { seconds, milliseconds, microseconds, nanoseconds };

/// "seconds", "milliseconds", ...
std::string_view to_string(time_unit unit) noexcept;

/// The time `count` units after the epoch; nothing if `timestamp` cannot hold it (its sentinels included).
/// Thread safety: safe.
std::optional<timestamp> to_timestamp(std::int64_t count, time_unit unit) noexcept;

/// How many whole units `t` is after the epoch, rounded down.
/// Thread safety: safe.
std::int64_t count_units(timestamp t, time_unit unit) noexcept;

/// Reads a time: an integer of the given unit ("1700000000000"), or ISO 8601.
///
/// ISO 8601 here is "2026-11-21", or date and time joined by 'T' or a space: "2026-11-21T07:00", seconds, a fraction
/// of 1 to 9 digits, and 'Z' or an offset ("+01:00", "+0100", "+01") being optional; without an offset the time is UTC.
/// Answers nothing for any other text, a date that does not exist, and what lies outside of `timestamp`'s range.
/// Thread safety: safe.
std::optional<timestamp> parse_timestamp(std::string_view text, time_unit unit = time_unit::milliseconds) noexcept;

}  // namespace runnel
