#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace runnel {

/// A zone of local time, with all changes of its offset to UTC between the years 1600 and 2300.
///
/// Thread safety: safe for const members. Complexity: O(log changes) per question.
/// Source: RFC 8536 (TZif files) and the POSIX rule at their end for what lies behind the last change.
class time_zone {
public:
    /// UTC.
    time_zone() = default;
    /// The zone of that name, such as "Europe/Berlin", from the system's zone files; "" and "UTC" need none.
    /// Errors: `error` if there is no such zone, or its file is damaged.
    static time_zone load(std::string_view name);
    /// From the bytes of a TZif file. Errors: `error` if they are damaged.
    static time_zone parse(std::string name, std::string_view tzif);

    const std::string& name() const noexcept { return name_; }

    /// A stretch of time [start, end), in seconds since 1970, with one offset; stretches that follow each other differ.
    struct stretch {
        std::int64_t start;
        std::int64_t end;
        std::int64_t offset;  ///< Local time minus UTC, in seconds.
    };
    stretch at(std::int64_t utc_seconds) const noexcept;
    /// Local time in seconds, as if it were UTC.
    std::int64_t local(std::int64_t utc_seconds) const noexcept { return utc_seconds + at(utc_seconds).offset; }
    /// The first second of UTC at which local time has reached `local_seconds`: of a local time that comes twice, the
    /// first; for one that is left out, the second at which the clocks are put forward.
    std::int64_t first_at_or_after(std::int64_t local_seconds) const noexcept;

private:
    struct change {
        std::int64_t at;
        std::int64_t offset;
    };
    void add(std::int64_t at, std::int64_t offset);

    std::string name_ = "UTC";
    std::int64_t first_offset_ = 0;
    std::vector<change> changes_;  // each with another offset than the one before
};

}  // namespace runnel
