#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <random>
#include <vector>

#include "runnel/runtime/executor.hpp"
#include "runnel/testing/manual_clock.hpp"

namespace runnel::testing {

/// Runs a job on the calling thread in an order drawn from a seed, in virtual time: the same seed, the same run.
///
/// Hand it to a job as its executor, and `clock()` as its clock. `job.wait()` then does all the work. When nothing is
/// ready, time jumps to the next pending call. Now and then one piece of work is left aside for a while, so that slow
/// subtasks and full channels come about.
/// Thread safety: `submit` safe; the rest is for one thread.
class sim_executor final : public executor {
public:
    explicit sim_executor(std::uint64_t seed, timestamp start = timestamp(0)) : random_(seed), clock_(start) {}

    void submit(runnable& work) override;
    std::size_t concurrency() const noexcept override { return 1; }
    /// One piece of ready work, or, if there is none, one step of time; false if there is neither.
    bool help() override;

    /// Runs until nothing is ready, without letting time go by. Returns the number of pieces run.
    std::size_t run_ready();
    manual_clock& clock() noexcept { return clock_; }
    /// Identifies the schedule so far.
    std::uint64_t trace() const noexcept { return trace_; }

private:
    bool run_one();

    std::mutex mutex_;
    std::vector<runnable*> ready_;
    std::mt19937_64 random_;
    manual_clock clock_;
    runnable* set_aside_ = nullptr;
    std::uint64_t trace_ = 0;
};

}  // namespace runnel::testing
