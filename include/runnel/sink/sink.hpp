#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runnel/core/batch.hpp"
#include "runnel/core/clock.hpp"
#include "runnel/core/metrics.hpp"
#include "runnel/core/receiver.hpp"

namespace runnel {

/// What the runtime offers a writer. Valid as long as the writer lives.
struct sink_context {
    std::size_t subtask = 0;
    std::size_t parallelism = 1;
    /// Has the call that answered `blocked` repeated, or, if none did, `flush` called soon; callable from any thread
    /// until the writer is destroyed.
    std::function<void()> wake = {};
    runnel::clock* clock = nullptr;
    /// Names this sink of this job, the same in every run, apart from others. Empty: the job makes no checkpoints, and
    /// results are made visible as they come; else a transactional sink leaves that to `sink::commit`.
    std::string owner = {};
    /// Where a writer counts the bytes that it has written, by `count_bytes`; null: nobody looks.
    gauge<std::int64_t>* bytes = nullptr;
};

/// A `sink_writer<T>` whatever its records are. Thread safety: unsafe; one subtask at a time uses it.
class sink_writer_base {
public:
    virtual ~sink_writer_base() = default;
    virtual progress write_any(batch_base& records) = 0;
    /// The input has run empty for now: make visible what is buffered.
    virtual progress flush() { return progress::done; }
    /// Event time has advanced (not called at the end of the input).
    virtual void on_watermark(timestamp) {}
    /// A checkpoint is due, and what has been written will not come again after a crash: `done` when all of it has
    /// arrived where it goes.
    virtual progress settle() { return flush(); }
    /// End of the input: after `done` all output is complete and safe. Not called when the job fails.
    virtual progress finish() { return settle(); }
    /// Comes with each checkpoint, after a `settle` that is done, and after `finish`. Puts what has been written since
    /// the last call where no crash can lose it; a transactional sink keeps it out of sight and returns, as bytes of
    /// its own format, all that `sink::commit` needs to make it visible (empty: there is nothing).
    virtual std::string prepare() { return {}; }
};

/// Takes the results of one subtask. Thread safety: unsafe; one subtask at a time uses it.
template <class T>
class sink_writer : public sink_writer_base {
public:
    /// Takes records from the cursor on, in order; `blocked` when there is no room for now. When it throws, the records
    /// before the cursor have been taken, and that at the cursor is to blame: it may come again, or be left out.
    virtual progress write(batch<T>& records) = 0;
    progress write_any(batch_base& records) final { return write(static_cast<batch<T>&>(records)); }
};

/// A `sink<T>` whatever its records are.
class sink_base {
public:
    virtual ~sink_base() = default;
    virtual std::string name() const = 0;
    virtual std::unique_ptr<sink_writer_base> open_any(const sink_context& context) = 0;
    /// Most subtasks that may write at once; 1 keeps all output in one order.
    virtual std::size_t max_parallelism() const { return 1; }
    virtual std::vector<std::string> problems() const { return {}; }
    /// For `job.status()`: what keeps it from writing now: "cannot reach broker ...". Empty: nothing.
    /// Thread safety: safe.
    virtual std::string trouble() const { return {}; }

    // Transactional sinks: in a job with checkpoints, each result is seen exactly once. What the writers prepare is
    // part of the checkpoint, and becomes visible when that is complete. There are three shapes. *Two-phase*: the
    // results lie in the target, out of sight, and what is prepared says where (a file's temporary name and its name).
    // *Write-ahead*: what is prepared are the results themselves, and `commit` stores them together with the
    // checkpoint's number in one transaction of the target, or nothing if the number is there already. *Rolling back*:
    // results go into a transaction of the target as they come, which `commit` ends together with the checkpoint's
    // number, and which a crash ends without them: then the job goes on from the checkpoint before, and they come
    // again.

    /// True if results become visible by `commit` alone when the job makes checkpoints.
    virtual bool is_transactional() const { return false; }
    /// True if it can't keep what it promises in a job without checkpoints: such a job is refused.
    virtual bool needs_checkpoints() const { return false; }
    /// Checkpoint `id` is complete: makes visible what its writers had prepared; all of it, or it throws. Comes again
    /// after a crash, so it must do no harm to what is visible already. `id` rises from call to call.
    /// Thread safety: one call at a time; writers may be writing.
    virtual void commit(checkpoint_id /*id*/, const std::string& /*owner*/,
                        const std::vector<std::string>& /*prepared*/) {}
    /// Before the writers are opened, whenever a job with checkpoints begins or goes on. `prepared` is what the
    /// checkpoint holds that it goes on from (`id` 0: there is none): it is made visible, as by `commit`. What was
    /// written after that checkpoint comes again, and is to be withdrawn.
    virtual void recover(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) {
        if (id != 0) commit(id, owner, prepared);
    }

    /// True if it rolls back. It is the only transactional sink of its job then: others would have shown the results
    /// that come again. Its writers prepare something for each checkpoint, and from then on take nothing (`blocked`)
    /// until they learn by `commit` or `postpone` what has become of that.
    virtual bool rolls_back() const { return false; }
    /// Of one that rolls back: how long the target keeps a transaction open. Checkpoints must come more often.
    virtual duration longest_transaction() const { return duration::max(); }
    /// Of one that rolls back, before `recover`: true if the target holds the results up to checkpoint `id` and no
    /// others; 0: none at all. It is asked about the newest checkpoint and, if it is not at that, about the one before:
    /// if it is at this one, the newer one is removed. If it is at neither, `recover` says what is wrong.
    virtual bool is_at(checkpoint_id /*id*/, const std::string& /*owner*/,
                       const std::vector<std::string>& /*prepared*/) {
        return true;
    }
    /// Of one that rolls back: what was prepared is part of a later checkpoint, since that which it was for has failed
    /// or was not to be gone on from. Thread safety: as `commit`, but any thread may call it.
    virtual void postpone(const std::vector<std::string>& /*prepared*/) {}
};

/// A place where results go. Derive, and hand the object to `stream::to`.
/// Thread safety: `open` is called by one thread at a time.
/// Errors: throw; the job ends with the exception nested in a `job_error`.
template <class T>
class sink : public sink_base {
public:
    using value_type = T;
    virtual std::unique_ptr<sink_writer<T>> open(const sink_context& context) = 0;
    std::unique_ptr<sink_writer_base> open_any(const sink_context& context) final { return open(context); }
};

}  // namespace runnel
