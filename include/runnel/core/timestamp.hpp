#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <ratio>
#include <string>
#include <type_traits>

namespace runnel {

/// Length of time in nanoseconds; the resolution of `timestamp` ("one tick").
using duration = std::chrono::nanoseconds;

namespace detail {

constexpr std::int64_t saturating_add(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t sum = 0;
    if (!__builtin_add_overflow(a, b, &sum)) return sum;
    return b < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
}

constexpr std::int64_t saturating_sub(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t difference = 0;
    if (!__builtin_sub_overflow(a, b, &difference)) return difference;
    return b < 0 ? std::numeric_limits<std::int64_t>::max() : std::numeric_limits<std::int64_t>::min();
}

}  // namespace detail

/// A point in time: signed nanoseconds since 1970-01-01T00:00:00Z. Negative times are ordinary.
///
/// `min()` and `max()` are sentinels: before everything (no watermark yet) and after everything (end of
/// input). Arithmetic saturates at them and never wraps.
/// Thread safety: distinct objects: safe, shared objects: safe for const members.
class timestamp {
public:
    constexpr timestamp() = default;
    /// `ns` nanoseconds since the epoch.
    explicit constexpr timestamp(std::int64_t ns) noexcept : ns_(ns) {}
    /// The time `since_epoch` after the epoch, in any chrono unit; saturates.
    template <class Rep, class Period>
    explicit constexpr timestamp(std::chrono::duration<Rep, Period> since_epoch) noexcept
        : ns_(to_ns(since_epoch)) {}
    template <class Duration>
    explicit constexpr timestamp(std::chrono::sys_time<Duration> t) noexcept : timestamp(t.time_since_epoch()) {}

    static constexpr timestamp min() noexcept { return timestamp(std::numeric_limits<std::int64_t>::min()); }
    static constexpr timestamp max() noexcept { return timestamp(std::numeric_limits<std::int64_t>::max()); }

    /// Nanoseconds since the epoch.
    constexpr std::int64_t ns() const noexcept { return ns_; }
    constexpr duration since_epoch() const noexcept { return duration(ns_); }

    /// One tick earlier: the last time inside a window that ends here.
    constexpr timestamp previous() const noexcept { return timestamp(detail::saturating_sub(ns_, 1)); }

    friend constexpr timestamp operator+(timestamp t, duration d) noexcept {
        return timestamp(detail::saturating_add(t.ns_, d.count()));
    }
    friend constexpr timestamp operator-(timestamp t, duration d) noexcept {
        return timestamp(detail::saturating_sub(t.ns_, d.count()));
    }
    friend constexpr duration operator-(timestamp a, timestamp b) noexcept {
        return duration(detail::saturating_sub(a.ns_, b.ns_));
    }
    friend constexpr auto operator<=>(timestamp, timestamp) = default;

private:
    template <class Rep, class Period>
    static constexpr std::int64_t to_ns(std::chrono::duration<Rep, Period> d) noexcept {
        using ticks = std::ratio_divide<Period, std::nano>;
        if constexpr (std::is_integral_v<Rep> && ticks::den == 1) {
            std::int64_t ns = 0;
            if (!__builtin_mul_overflow(d.count(), ticks::num, &ns)) return ns;
            return d.count() < 0 ? min().ns_ : max().ns_;
        }
        using wide = std::chrono::duration<long double, std::nano>;
        const auto ns = wide(d).count();
        if (ns >= static_cast<long double>(std::numeric_limits<std::int64_t>::max())) return max().ns_;
        if (ns <= static_cast<long double>(std::numeric_limits<std::int64_t>::min())) return min().ns_;
        return std::chrono::duration_cast<duration>(d).count();
    }

    std::int64_t ns_ = 0;
};

/// ISO 8601 in UTC, "2026-11-21T07:00:00.000000001Z"; trailing zeros of the fraction are left out; the
/// sentinels are "min" and "max". Any representable time is written, years before 0 with a sign.
std::string to_string(timestamp t);

}  // namespace runnel
