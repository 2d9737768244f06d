#pragma once

#include <memory>
#include <string>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/core/options.hpp"
#include "runnel/plan/graph.hpp"
#include "runnel/runtime/job_view.hpp"
#include "runnel/runtime/status.hpp"

namespace runnel {

namespace detail {
class job_core;
}

/// A running graph.
///
/// Destroying a running job cancels it and waits until it has stopped.
/// Thread safety: safe, except for moving and destruction.
class job {
public:
    /// Starts `graph`. Throws `graph_error` with all problems before any thread or file is touched.
    static job start(plan::graph graph, const job_options& options);
    static job start(plan::graph graph);

    job(job&&) noexcept;
    job& operator=(job&&) noexcept;
    ~job();

    /// Returns when all input is consumed, all windows are closed and all output is complete, or the job was
    /// cancelled. Throws the first failure: a `job_error` with operator, subtask and record time, the cause nested in
    /// it. May be called again. Not to be called from inside the job.
    void wait();
    /// Stops soon, within about the time of one batch, without closing windows. Returns at once.
    void cancel();
    /// Ends the sources where they are: what has been read is processed, all windows are closed. Returns at once. No
    /// job can go on from there; `stop_with_savepoint` is for that.
    void drain();
    /// Makes a checkpoint now, and returns its number when it is durable and its output visible. Throws `error` if it
    /// fails, the job makes none, or ends before. Not to be called from inside the job.
    checkpoint_id checkpoint();
    /// Writes a savepoint into `folder`, which must not exist or be empty: all that a job needs to begin from there, by
    /// `job_options::restore`. It is the user's: no job removes it. Its results become visible with the next
    /// checkpoint of this job; those of a sink that rolls back at once, since they are nowhere else (it is a checkpoint
    /// of the job's own, too, then). Throws as `checkpoint` does.
    void savepoint(const std::string& folder);
    /// The same, and the job ends there: nothing more is read, windows stay open, output is made visible.
    void stop_with_savepoint(const std::string& folder);
    /// The state of all operators at one instant, taken by a barrier while the job goes on: what a savepoint would
    /// hold, in memory; `saved_keyed_state` looks into it. Nothing is written and no output made visible; the job's
    /// own checkpoints come as often as without. Throws as `checkpoint` does. A job that is to make no others needs a
    /// folder nevertheless, and an interval of 0.
    /// Cost: what a checkpoint costs but for the disk, and memory for the encoded state of the whole job.
    runnel::checkpoint read_state();
    bool is_done() const;
    /// Cost: a few loads per subtask; takes no lock that the data path takes.
    job_status status() const;
    /// The same for those who cannot know how long the job lives.
    job_view view() const;

private:
    explicit job(std::shared_ptr<detail::job_core> core);
    std::shared_ptr<detail::job_core> core_;
};

}  // namespace runnel
