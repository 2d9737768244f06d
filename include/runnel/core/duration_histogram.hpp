#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "runnel/core/gauge.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// How many durations lay between bounds that double: up to 1 us, 2 us, 4 us, ..., 33.6 s, and above that.
struct duration_counts {
    static constexpr std::size_t bound_count = 26;
    static constexpr duration bound(std::size_t i) noexcept { return std::chrono::microseconds(std::int64_t{1} << i); }
    /// Index of the first bound that is not below `d`; `bound_count` if there is none.
    static constexpr std::size_t place(duration d) noexcept {
        const std::int64_t ns = std::max<std::int64_t>(d.count(), 1);
        return std::min<std::size_t>(bound_count, std::bit_width(static_cast<std::uint64_t>(ns - 1) / 1000));
    }

    std::array<std::uint64_t, bound_count + 1> counts{};  ///< The last: above all bounds.
    duration sum{0};

    std::uint64_t count() const noexcept {
        std::uint64_t all = 0;
        for (std::uint64_t n : counts) all += n;
        return all;
    }
    void record(duration d) noexcept {
        ++counts[place(d)];
        sum += d;
    }
    /// The bound that a share `q` of them, 0 to 1, did not exceed; `duration::max()` if that is above all, 0 if there
    /// are none.
    duration quantile(double q) const noexcept {
        const double wanted = q * static_cast<double>(count());
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i <= bound_count; ++i) {
            seen += counts[i];
            if (seen != 0 && static_cast<double>(seen) >= wanted) return i == bound_count ? duration::max() : bound(i);
        }
        return duration::zero();
    }
    duration_counts& operator+=(const duration_counts& other) noexcept {
        for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
        sum += other.sum;
        return *this;
    }
    friend bool operator==(const duration_counts&, const duration_counts&) = default;
};

/// The same, counted by one thread while others read. Thread safety: `record` by one thread; `read` safe.
class duration_histogram {
public:
    void record(duration d) noexcept {
        counts_[duration_counts::place(d)].add(1);
        sum_.add(d.count());
    }
    /// Durations that are being recorded may be counted in part.
    duration_counts read() const noexcept {
        duration_counts now;
        for (std::size_t i = 0; i < counts_.size(); ++i) now.counts[i] = counts_[i].get();
        now.sum = duration(sum_.get());
        return now;
    }

private:
    std::array<gauge<std::uint64_t>, duration_counts::bound_count + 1> counts_;
    gauge<std::int64_t> sum_;
};

}  // namespace runnel
