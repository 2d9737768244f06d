#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runnel/core/batch.hpp"
#include "runnel/core/clock.hpp"
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
};

/// Takes the results of one subtask. Thread safety: unsafe; one subtask at a time uses it.
template <class T>
class sink_writer {
public:
    virtual ~sink_writer() = default;
    /// Takes records from the cursor on, in order; `blocked` when there is no room for now. When it throws, the records
    /// before the cursor have been taken, and that at the cursor is to blame: it may come again, or be left out.
    virtual progress write(batch<T>& records) = 0;
    /// The input has run empty for now: make visible what is buffered.
    virtual progress flush() { return progress::done; }
    /// Event time has advanced (not called at the end of the input).
    virtual void on_watermark(timestamp) {}
    /// End of the input: after `done` all output is complete and safe. Not called when the job fails.
    virtual progress finish() { return flush(); }
};

/// A place where results go. Derive, and hand the object to `stream::to`.
/// Thread safety: `open` is called by one thread at a time.
/// Errors: throw; the job ends with the exception nested in a `job_error`.
template <class T>
class sink {
public:
    using value_type = T;
    virtual ~sink() = default;
    virtual std::string name() const = 0;
    virtual std::unique_ptr<sink_writer<T>> open(const sink_context& context) = 0;
    /// Most subtasks that may write at once; 1 keeps all output in one order.
    virtual std::size_t max_parallelism() const { return 1; }
    virtual std::vector<std::string> problems() const { return {}; }
};

}  // namespace runnel
