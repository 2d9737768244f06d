#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "runnel/core/checkpoint_step.hpp"
#include "runnel/core/file_system.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

class executor;

/// Where and how often a job saves what it needs to go on after a crash.
struct checkpoint_options {
    /// The folder that holds the job's checkpoints, and nothing else; made if it is missing. A job that finds a
    /// complete checkpoint there goes on from the newest. Empty: no checkpoints.
    std::string folder = {};
    /// From the start of one checkpoint to the start of the next; 0: only those that are asked for. Shorter: less to
    /// do again after a crash, and output of transactional sinks is seen sooner; each costs a pause and disk writes.
    duration interval = std::chrono::seconds(10);
    /// At least this long from the end of one to the start of the next.
    duration min_pause = duration::zero();
    /// One that takes longer is given up, and counts as failed.
    duration timeout = std::chrono::minutes(10);
    /// Complete ones that are kept, the newest included; at least 1.
    std::size_t keep = 2;
    /// So many may fail in a row before the job fails.
    std::size_t tolerated_failures = 0;
    /// What writes them; null: a thread of the job's own. Must outlive the job, and mind that writing waits for the
    /// disk.
    runnel::executor* executor = nullptr;
    /// Must outlive the job.
    file_system* files = &default_file_system();
    /// Is told of every step by the thread that takes it, so by several at once. What it throws fails that step. Made
    /// for tests, which have a step fail, or the process die there.
    checkpoint_observer on_step = {};
};

/// What a job with checkpoints does when it fails: it goes on from the newest checkpoint, in the same process.
struct restart_strategy {
    enum class kind : unsigned char { none, fixed_delay, exponential_delay, failure_rate };
    kind what = kind::none;
    std::size_t restarts = 0;  ///< So many at most; of `failure_rate`, within `window`.
    duration delay = duration::zero();
    duration max_delay = duration::zero();
    duration window = duration::zero();
};

/// The job ends with its first failure.
inline restart_strategy no_restart() { return {}; }
/// Up to `restarts` times in all, each after `delay`.
inline restart_strategy fixed_delay(std::size_t restarts, duration delay) {
    return {restart_strategy::kind::fixed_delay, restarts, delay, {}, {}};
}
/// After `first`, then twice that, ... up to `longest`, without end; a run that has lasted `reset_after` begins anew
/// with `first`.
inline restart_strategy exponential_delay(duration first, duration longest, duration reset_after) {
    return {restart_strategy::kind::exponential_delay, 0, first, longest, reset_after};
}
/// Each after `delay`, unless there have been more than `restarts` failures within `window`.
inline restart_strategy failure_rate(std::size_t restarts, duration window, duration delay) {
    return {restart_strategy::kind::failure_rate, restarts, delay, {}, window};
}

}  // namespace runnel
