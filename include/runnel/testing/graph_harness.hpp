#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

#include "runnel/core/options.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/runtime/job.hpp"
#include "runnel/testing/manual_source.hpp"
#include "runnel/testing/sim_executor.hpp"

namespace runnel::testing {

/// How a `graph_harness` runs its pipeline. Use designated initialisers.
struct graph_harness_options {
    /// The job's own options; executor and clock are the harness's.
    job_options job{};
    /// Decides the order in which ready subtasks run: the same seed, the same run.
    std::uint64_t seed = 1;
    /// Processing time at first.
    timestamp start{0};
};

/// Drives a whole pipeline by hand: on the calling thread, in virtual time, the same way each time.
///
///     manual_source<click> clicks;
///     collected<result> results;
///     pipeline p;
///     p.from(clicks)...to(results);
///     graph_harness h(std::move(p), {.job = {.parallelism = 3}, .seed = 7});
///     clicks.push(...);
///     h.run_until_idle();
///     CHECK(results.values() == ...);
///     clicks.finish();
///     h.finish();
///
/// Thread safety: unsafe.
/// Errors: the constructor throws `graph_error` as `pipeline::start` does; the others throw the job's first failure.
class graph_harness {
public:
    explicit graph_harness(pipeline p, graph_harness_options options = {});
    graph_harness(const graph_harness&) = delete;
    graph_harness& operator=(const graph_harness&) = delete;
    /// Cancels the job if it is still running.
    ~graph_harness() = default;

    /// Runs until nothing is left to do without new input or time going by.
    void run_until_idle();
    /// Lets time go by: calls that are due are made in their order, each with all that it brings about.
    void advance(duration d);
    /// Runs to the end of the job, which needs all its manual sources finished; lets time go by where the job waits for
    /// it. Throws `error`, naming the operators that have not ended, if it has not ended after `limit`.
    void finish(duration limit = std::chrono::hours(1));

    manual_clock& clock() noexcept { return executor_.clock(); }
    runnel::job& job() noexcept { return job_; }
    job_status status() const { return job_.status(); }

private:
    static job_options on(sim_executor& executor, job_options options);

    sim_executor executor_;
    runnel::job job_;
};

}  // namespace runnel::testing
