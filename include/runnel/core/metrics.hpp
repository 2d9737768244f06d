#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "runnel/core/duration_histogram.hpp"
#include "runnel/core/gauge.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// What one operator instance counts. Written by its subtask, once a batch; read by anyone.
struct operator_metrics {
    gauge<std::uint64_t> records_in;
    gauge<std::uint64_t> records_out;
    gauge<std::uint64_t> late_dropped;   ///< Late for every window, and no late output to go to.
    gauge<std::uint64_t> skipped;        ///< Records, timers and results of windows left out by the error policy.
    gauge<std::int64_t> bytes;           ///< Read or written in an outside system; -1: unknown.
    gauge<std::int64_t> keys;            ///< That have state now; -1: unknown.
    gauge<std::int64_t> watermark{};     ///< In nanoseconds; `timestamp::min()` before the first.
    /// Of sinks: how long records have been under way since they left their source. Null for others.
    std::unique_ptr<duration_histogram> latency;
    operator_metrics() {
        bytes.set(-1);
        keys.set(-1);
        watermark.set(timestamp::min().ns());
    }
};

/// Adds to a count that may have been unknown until now.
inline void count_bytes(gauge<std::int64_t>* in, std::size_t n) noexcept {
    if (in != nullptr) in->set((in->get() < 0 ? 0 : in->get()) + static_cast<std::int64_t>(n));
}

}  // namespace runnel
