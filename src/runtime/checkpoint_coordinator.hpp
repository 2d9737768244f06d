#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/checkpoint/checkpoint_store.hpp"
#include "runnel/checkpoint/savepoint.hpp"
#include "runnel/core/clock.hpp"
#include "runnel/core/options.hpp"
#include "runnel/core/wakeable.hpp"
#include "runnel/plan/graph.hpp"
#include "runnel/runtime/executor.hpp"
#include "runnel/runtime/ready_state.hpp"
#include "runnel/runtime/status.hpp"

namespace runnel::detail {

class job_core;

/// State of one operator of a subtask.
struct saved_stage {
    plan::node_id node;
    operator_snapshot snapshot;
    deferred_saves deferred;  ///< Of the snapshot.
};
using subtask_state = std::vector<saved_stage>;

/// Has checkpoints made: asks the sources for barriers, gathers what the subtasks have saved, writes it, has the sinks
/// commit; and decides what becomes of a job whose subtasks have ended.
///
/// One checkpoint at a time. Its way: asked for; saved by all subtasks (one that has ended counts with what it saved
/// last); written; durable; committed by the sinks; older ones removed.
/// Thread safety: safe, unless said otherwise.
class checkpoint_coordinator final : public runnable, public wakeable {
public:
    /// Opens the folder, and reads what the job is to go on from. Throws if that cannot be used.
    checkpoint_coordinator(job_core& job, const plan::graph& graph, const job_options& options, runnel::clock& clock);
    ~checkpoint_coordinator();

    /// What the job goes on from; null: nothing. Not while the job runs.
    const checkpoint* restored() const noexcept { return restored_ ? &*restored_ : nullptr; }
    /// Has the sinks bring what was prepared to its place, and withdraw what came later. Before they are opened.
    void recover_sinks();
    /// All subtasks begin to run; `sources` are the numbers of those that read.
    void begin(std::size_t subtasks, std::vector<std::size_t> sources);

    void wake() noexcept override;
    void run() noexcept override;

    // For subtasks.

    /// A step of a checkpoint is about to be taken.
    void tell(checkpoint_step step, checkpoint_id id) const { detail::tell(options_.checkpoints.on_step, step, id); }

    /// The checkpoint whose barrier the sources are to send; 0: none yet.
    checkpoint_id asked() const noexcept {
        // Pairs with nothing: a source may see it a run later; the wake that follows orders it in the end.
        return asked_.load(std::memory_order_relaxed);
    }
    /// True if subtasks end when this barrier has passed them.
    bool stops_at(checkpoint_id id) const noexcept {
        // Pairs with nothing: it is set before `asked_`, or before the barrier reaches the subtask through a channel.
        return stop_at_.load(std::memory_order_relaxed) == id;
    }
    /// A subtask has let barrier `id` pass, with this state.
    void passed(std::size_t subtask, checkpoint_id id, subtask_state state);
    /// A subtask has come to the end of its input, with this state.
    void finished(std::size_t subtask, subtask_state state);
    /// No subtask runs any more.
    void all_ended();

    // For the user.

    checkpoint_status status();

    /// Makes a checkpoint now; returns when it is durable and committed. Throws if it fails or the job ends before.
    checkpoint_id make_checkpoint();
    /// Writes a savepoint to a folder, and with `stop` ends the job behind it.
    void make_savepoint(const std::string& folder, bool stop);
    /// The state as a savepoint would have it, in memory.
    checkpoint read_state();

private:
    struct request {
        enum class kind : unsigned char { checkpoint, savepoint, reading } what = kind::checkpoint;
        std::string folder;  ///< Of a savepoint.
        bool stop = false;
        bool done = false;
        checkpoint made;  ///< Its number; of a reading all of it.
        std::exception_ptr failure;
    };
    struct pending {
        checkpoint_id id = 0;
        timestamp begun;
        std::shared_ptr<request> on_request;
        std::map<std::size_t, subtask_state> states;  // by subtask
    };
    /// By node.
    using prepared_results = std::map<plan::node_id, std::vector<std::string>>;

    void restore();
    void go_back_if_asked(checkpoint_id newest, std::optional<checkpoint> savepoint);
    checkpoint stored(checkpoint_id id) const;
    std::vector<std::string> prepared_for(plan::node_id node) const;
    void check_restored() const;
    bool is_for_recovery(const request& r) const noexcept;
    bool step();
    bool end();
    void trigger();
    void complete();
    void make_last();
    void write(const checkpoint& c, const request* on_request);
    static const char* word_for(const request& r);
    checkpoint assemble(checkpoint_id id, bool is_savepoint, prepared_results& prepared);
    void commit(const checkpoint& c, const prepared_results& prepared);
    void prune(checkpoint_id newest);
    void count(const checkpoint& c, duration took) noexcept;
    void plan_next(timestamp t);
    void give_up(const std::string& why);
    void drop(const char* why) noexcept;
    void failed(const std::string& why);
    void carry(subtask_state& state);
    void carry(prepared_results prepared);
    void answer(const std::shared_ptr<request>& r, std::exception_ptr failure) noexcept;
    void refuse_all(const char* why) noexcept;
    bool restarts(timestamp now) noexcept;
    std::string owner(plan::node_id id) const;
    bool any_source_left() const;
    bool saved_by_all() const;
    void ask(std::shared_ptr<request> r);
    void call_at(timestamp t);

    job_core& job_;
    const plan::graph& graph_;
    const job_options& options_;
    runnel::clock& clock_;
    std::unique_ptr<runnel::executor> own_executor_;
    runnel::executor* executor_;
    std::optional<checkpoint_store> store_;
    std::optional<checkpoint> restored_;
    std::string began_from_;  ///< Names the savepoint that the job has come of.

    // See asked() and stops_at().
    std::atomic<checkpoint_id> asked_{0};
    std::atomic<checkpoint_id> stop_at_{0};

    ready_state<> state_;
    std::mutex mutex_;
    std::condition_variable answered_;
    std::size_t subtasks_ = 0;
    std::vector<std::size_t> sources_;
    bool all_ended_ = false;
    bool over_ = false;
    std::optional<pending> pending_;
    std::map<std::size_t, subtask_state> ended_;  // subtasks that have come to their end
    std::deque<std::shared_ptr<request>> requests_;
    bool read_last_ = false;  ///< The newest barrier was that of a reading.
    /// What was prepared for checkpoints that have failed: part of the next.
    prepared_results carried_;
    checkpoint_id last_ = 0;
    checkpoint_status status_;
    timestamp next_at_ = timestamp::max();
    std::size_t failures_ = 0;  ///< In a row.
    // Restarts of the job.
    timestamp begun_;
    timestamp restart_at_ = timestamp::max();
    std::size_t restarts_ = 0;
    std::deque<timestamp> failed_at_;

    clock::call_id call_ = 0;
};

}  // namespace runnel::detail
