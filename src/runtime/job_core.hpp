#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runnel/core/options.hpp"
#include "runnel/core/real_clock.hpp"
#include "runnel/exchange/channel.hpp"
#include "runnel/plan/graph.hpp"
#include "runnel/runtime/status.hpp"
#include "checkpoint_coordinator.hpp"
#include "subtask.hpp"
#include "watched_job.hpp"

namespace runnel::detail {

/// The inside of a job: all its subtasks and channels, its state, its first failure.
class job_core {
public:
    job_core(plan::graph graph, const job_options& options);
    ~job_core();

    void start();
    void wait();
    void cancel();
    void drain();
    bool is_done() const;
    job_status status() const;
    std::shared_ptr<watched_job> watched() const { return watched_; }

    // For subtasks.
    // Pairs with nothing: a subtask may see it a run later; the wake that follows orders it in the end.
    bool is_stopping() const noexcept { return stopping_.load(std::memory_order_relaxed); }
    bool is_draining() const noexcept { return draining_.load(std::memory_order_relaxed); }
    void fail(std::exception_ptr cause, const std::string& operator_name, std::size_t subtask_index) noexcept;
    void subtask_done() noexcept;
    /// Null if the job makes no checkpoints.
    checkpoint_coordinator* coordinator() noexcept { return coordinator_.get(); }
    checkpoint_coordinator& needed_coordinator();

    // For the coordinator.
    void wake_sources() noexcept;
    bool has_failed() const;
    bool is_cancelled() const;
    /// All subtasks have ended, and nothing is left to be done.
    void over() noexcept;
    /// Starts all subtasks again, from what the coordinator has restored.
    void restart() noexcept;

private:
    struct task {
        std::vector<plan::node_id> nodes;  ///< First the head.
        std::vector<std::unique_ptr<subtask>> subtasks;
    };

    void size_channels();
    void run_all();
    void clear() noexcept;
    std::vector<operator_status> operators_after(duration lifetime) const;
    void build();
    void build_subtask(std::size_t task_index, std::size_t index);
    void wire_outputs(subtask& s, plan::node_id id, std::size_t index, std::vector<stage*>& stage_of_node);
    void load(subtask& s, plan::node_id id, std::size_t index, std::size_t parallelism, stage* of_node);
    void stop_all() noexcept;
    void report_bad(plan::node_id id, std::string_view where, std::string_view why, std::string_view raw,
                    operator_metrics& metrics);
    void show_bad(std::string_view where, std::string_view why, std::string_view raw);
    void keep(std::deque<bad_record>& in, std::string_view where, std::string_view why, std::string_view raw);

    plan::graph graph_;
    job_options options_;
    std::unique_ptr<real_clock> own_clock_;
    std::unique_ptr<runnel::executor> own_executor_;
    runnel::clock* clock_;
    runnel::executor* executor_ = nullptr;

    std::unique_ptr<checkpoint_coordinator> coordinator_;

    /// Held while the subtasks are made, which happens again when the job is restarted, or looked at from outside.
    mutable std::recursive_mutex structure_;
    std::vector<task> tasks_;
    std::vector<std::size_t> task_of_node_;
    /// Per edge that needs them, in [producer][consumer] order, only those that exist.
    struct link {
        const plan::edge* of;
        std::size_t from;
        std::size_t to;
        std::unique_ptr<channel> through;
    };
    std::vector<link> links_;
    /// metrics_[node][subtask].
    std::vector<std::vector<std::unique_ptr<operator_metrics>>> metrics_;
    /// What they had done before the job was restarted: shown while there are no subtasks.
    std::vector<operator_status> last_operators_;
    std::size_t memory_reserved_ = 0;

    // Pair with nothing beyond what the wake-ups order; see is_stopping.
    std::atomic<bool> stopping_{false};
    std::atomic<bool> draining_{false};

    mutable std::mutex mutex_;
    std::condition_variable done_;
    std::size_t live_ = 0;
    bool over_ = false;
    std::size_t handing_over_ = 0;  ///< Threads that are telling the coordinator that all have ended.
    bool cancelled_ = false;
    job_state state_ = job_state::running;
    std::exception_ptr failure_;
    std::exception_ptr last_failure_;  ///< Kept when the job goes on.
    std::deque<bad_record> bad_records_;
    std::deque<bad_record> late_records_;
    timestamp started_;
    timestamp ended_;
    bool was_started_ = false;
    std::shared_ptr<watched_job> watched_;
};

}  // namespace runnel::detail
