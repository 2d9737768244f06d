#pragma once

#include <functional>
#include <memory>

#include "runnel/core/timestamp.hpp"

namespace runnel {

namespace detail {

struct alignment_state;

/// A split in an alignment group, from its creation to its destruction, which lets the others go on without it.
/// Thread safety: safe, but for destruction.
class alignment_member {
public:
    alignment_member(std::shared_ptr<alignment_state> group, timestamp watermark, duration max_drift,
                     std::function<void()> wake);
    alignment_member(const alignment_member&) = delete;
    alignment_member& operator=(const alignment_member&) = delete;
    ~alignment_member();

    /// Says how far the split is, and whether the others shall do without it meanwhile.
    void report(timestamp watermark, bool idle);
    /// Says the same and asks. If the answer is no, `wake` is called when it may have changed.
    bool may_read(timestamp watermark, bool idle);

private:
    friend alignment_state;
    std::shared_ptr<alignment_state> group_;
    // Under the group's mutex.
    timestamp watermark_;
    bool idle_ = false;
    bool held_ = false;
    const duration max_drift_;
    const std::function<void()> wake_;
};

}  // namespace detail

/// Sources whose splits are to stay close to each other in event time, so that a join or a window behind them needs not
/// keep what the fast ones bring while the slow ones are behind. See `watermark_strategy::align`.
///
///     runnel::alignment_group together;
///     p.from(orders).event_time(&order::at, runnel::monotonous().align(together, 10s));
///     p.from(payments).event_time(&payment::at, runnel::monotonous().align(together, 10s));
///
/// Copies are handles of the same group. Sources of several jobs may be in one.
/// Thread safety: safe.
/// Complexity: O(1) for each batch that is read, O(splits) when the slowest advances.
class alignment_group {
public:
    alignment_group();
    /// A split joins, active; `wake` is called from any thread, must be quick, and is good until it leaves.
    std::unique_ptr<detail::alignment_member> join(timestamp watermark, duration max_drift,
                                                   std::function<void()> wake) const {
        return std::make_unique<detail::alignment_member>(state_, watermark, max_drift, std::move(wake));
    }

private:
    std::shared_ptr<detail::alignment_state> state_;
};

}  // namespace runnel
