#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "runnel/runtime/executor.hpp"
#include "runnel/testing/manual_clock.hpp"

namespace runnel::testing {

/// What a simulated run is like, besides its seed.
struct sim_options {
    timestamp start{0};
    /// Virtual time that one run takes. So time goes by under load, too, and timers fire between runs.
    duration run_takes = std::chrono::microseconds(1);
    /// One submission in so many is left aside while there is other work; 0: none. That is how slow subtasks and full
    /// channels come about.
    unsigned set_aside_one_in = 64;
    /// For at most so many runs.
    unsigned set_aside_for = 100;
};

/// Runs a job on the calling thread in an order drawn from a seed, in virtual time: the same seed, the same run.
///
/// Hand it to a job as its executor, and `clock()` as its clock. `job.wait()` then does all the work. When nothing is
/// ready, time jumps to the next pending call.
/// Thread safety: `submit` safe; the rest is for one thread, and the same seed gives the same run only if that thread
/// is the only one to submit.
/// Complexity: O(ready work that is set aside) per step, at worst.
class sim_executor final : public executor {
public:
    explicit sim_executor(std::uint64_t seed, sim_options options = {});

    void submit(runnable& work) override;
    std::size_t concurrency() const noexcept override { return 1; }
    bool help() override { return step(); }

    /// One piece of ready work or one pending call that is due; if there is neither, time jumps to the next call, and
    /// that is made. False if there is nothing at all to do.
    bool step();
    /// Steps until `done()`; false if there was nothing left to do before that.
    template <class Predicate>
    bool run_until(Predicate done) {
        while (!done())
            if (!step()) return false;
        return true;
    }
    /// Steps until there is nothing left to do, or the next call lies after `limit`. Never ends for work that goes on
    /// for ever, unless `limit` ends it.
    void run_until_idle(timestamp limit = timestamp::max());
    /// Runs until nothing is ready, making no pending calls. Returns the number of pieces run.
    std::size_t run_ready();

    manual_clock& clock() noexcept { return clock_; }
    /// Pieces of work run so far.
    std::uint64_t runs() const noexcept { return runs_; }
    /// Identifies the schedule so far: what was chosen out of how much, and when.
    std::uint64_t trace() const noexcept { return trace_; }

private:
    struct entry {
        runnable* work;
        std::uint64_t aside_until;  // a number of runs
    };

    std::uint64_t draw(std::uint64_t below) noexcept;
    bool run_one();
    bool call_one(timestamp limit);
    bool any_ready();
    void record(std::uint64_t choice, std::uint64_t choices) noexcept;

    const sim_options options_;
    std::mutex mutex_;
    std::vector<entry> ready_;
    std::uint64_t random_;
    manual_clock clock_;
    std::uint64_t runs_ = 0;
    std::uint64_t trace_ = 0;
};

}  // namespace runnel::testing
