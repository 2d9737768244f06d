#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "runnel/core/clock.hpp"
#include "runnel/core/metrics.hpp"
#include "runnel/core/wakeable.hpp"
#include "checkpoint_coordinator.hpp"
#include "runnel/exchange/gate.hpp"
#include "runnel/operators/stage.hpp"
#include "runnel/runtime/executor.hpp"
#include "runnel/runtime/ready_state.hpp"
#include "runnel/source/source_stage.hpp"

namespace runnel::detail {

class job_core;

/// How much of a subtask's time has gone one way, in nanoseconds of processing time. Written by the subtask, read by
/// anyone; it never seems to fall.
class spent_time {
public:
    spent_time() { since_.set(nothing); }
    void add(duration d) noexcept {
        spent_.add(d.count());
        since_.set(nothing);
    }
    /// From `t` on time goes this way, until it is added.
    void goes_on_from(timestamp t) noexcept { since_.set(spent_.get() - (t + short_time).ns()); }
    duration at(timestamp now) const noexcept {
        const std::int64_t since = since_.get();
        const std::int64_t spent = spent_.get();
        return duration(since == nothing ? spent : std::max(spent, since + now.ns()));
    }

private:
    /// Who looks while the time is being added may have asked for `now` a moment after the subtask has: with this much
    /// left out it is shown no more than will be added.
    static constexpr duration short_time = std::chrono::milliseconds(100);
    static constexpr std::int64_t nothing = std::numeric_limits<std::int64_t>::min();

    gauge<std::int64_t> spent_;
    gauge<std::int64_t> since_;  ///< What `now` is added to.
};

/// Where a subtask's time goes, and what holds its event time back.
struct subtask_metrics {
    spent_time busy, blocked, idle;
    gauge<double> queue_fill;
    /// Index of the channel or split that event time waits for, -1 for none; since when.
    gauge<std::int64_t> held_by;
    gauge<std::int64_t> held_since;
};

/// One parallel instance of a chain of operators: pulls from a source or a gate, drives the chain, and gives the
/// executor's thread back when there is nothing to do or no room.
///
/// Thread safety: `wake` safe; `run` is called by the executor; the rest before the start.
class subtask final : public runnable, public wakeable, public barrier_listener {
public:
    subtask(job_core& job, executor& on, runnel::clock& clock, std::string name, std::size_t index, std::size_t number,
            duration flush_interval);
    ~subtask();

    /// All that it is made of is there, and opened.
    void built();
    /// Begins to run; before this, a wake has no effect other than that there will be a run.
    void start() noexcept;
    void wake() noexcept override;
    void run() noexcept override;
    void barrier_arrived(checkpoint_id id) override;
    void barrier_aligned(checkpoint_id id) override;
    void barrier_passed(checkpoint_id id) override;

    // What it is made of, filled in while the job is built.
    std::unique_ptr<source_stage_base> source;
    std::unique_ptr<runnel::gate> gate;
    bool reads = false;    ///< It has a source.
    bool is_open = false;  ///< And that could be opened.
    plan::node_id source_node = 0;
    std::vector<std::unique_ptr<stage>> stages;
    std::vector<plan::node_id> stage_nodes;
    std::vector<std::unique_ptr<receiver_base>> links;  ///< Senders, tees.
    receiver_base* head = nullptr;

    subtask_metrics metrics;
    /// When what is in hand left its source; `min`: unknown.
    timestamp origin = timestamp::min();
    /// How long records that have come to a sink have been under way is sampled once a run.
    struct sampled_sink {
        const operator_metrics* metrics;
        std::uint64_t seen = 0;
    };
    std::vector<sampled_sink> sinks;
    /// What the indexes in `metrics.held_by` stand for.
    std::vector<std::string> inputs;
    const std::string name;
    const std::size_t index;
    const std::size_t number;  ///< Among all subtasks of the job.

private:
    enum class result { more, waiting, blocked, finished };

    result work();
    progress send_barrier();
    subtask_state saved() const;
    bool copy_some();
    void copy_all();
    progress tick(timestamp now);
    timestamp next_tick() const;
    timestamp resumes_at() const;
    result from_source();
    result from_gate();
    spent_time& waits_as(result r) noexcept;
    void account(timestamp now, spent_time& share);
    void note_watermark(timestamp now);
    void sample_latency(timestamp now);
    void call_at(timestamp t);
    void release() noexcept;

    job_core& job_;
    executor& executor_;
    runnel::clock& clock_;
    const duration flush_interval_;
    ready_state<> state_;
    timestamp last_flush_;
    timestamp accounted_until_;
    timestamp last_watermark_ = timestamp::min();
    result last_ = result::waiting;
    bool flushing_ = false;
    std::vector<stage*> ticking_;    ///< The stages that want to be told of processing time, upstream first.
    bool in_tick_ = false;           ///< A round of telling them is under way, to be ended before anything else.
    std::size_t tick_step_ = 0;      ///< How many of them have been told in it.
    bool draining_ = false;
    checkpoint_id asked_ = 0;    ///< The newest barrier that this source knows of.
    checkpoint_id sending_ = 0;  ///< The one that is on its way through the operators; 0: none.
    bool stopped_ = false;       ///< A barrier has passed that ends the job.
    /// The state of the last barrier while it is still being copied, and that barrier; 0: none.
    subtask_state copying_;
    checkpoint_id copied_for_ = 0;
    clock::call_id pending_call_ = 0;
    timestamp pending_at_ = timestamp::max();
};

}  // namespace runnel::detail
