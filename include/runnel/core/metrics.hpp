#pragma once

#include <atomic>
#include <cstdint>

#include "runnel/core/timestamp.hpp"

namespace runnel {

/// A number with one writer and any number of readers that don't need it in step with anything else.
template <class T>
class gauge {
public:
    T get() const noexcept { return value_.load(std::memory_order_relaxed); }
    void set(T v) noexcept { value_.store(v, std::memory_order_relaxed); }
    void add(T n) noexcept { set(get() + n); }

private:
    // Pairs with nothing: readers want a recent value, not an order.
    std::atomic<T> value_{};
};

/// What one operator instance counts. Written by its subtask, once a batch; read by anyone.
struct operator_metrics {
    gauge<std::uint64_t> records_in;
    gauge<std::uint64_t> records_out;
    gauge<std::uint64_t> late_dropped;   ///< Late for every window, and no late output to go to.
    gauge<std::uint64_t> skipped;        ///< Unusable records left out by the error policy.
    gauge<std::int64_t> watermark{};     ///< In nanoseconds; `timestamp::min()` before the first.
    operator_metrics() { watermark.set(timestamp::min().ns()); }
};

}  // namespace runnel
