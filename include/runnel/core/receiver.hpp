#pragma once

#include <cstdint>

#include "runnel/core/batch.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// Answer of a step that may find no room downstream.
enum class progress : std::uint8_t {
    done,     ///< All was taken; the next step may come.
    blocked,  ///< No room: the caller keeps what it holds and makes the *same* call again later.
};

/// Whether a stream takes part in the advance of event time.
enum class activity : std::uint8_t { active, idle };

/// Identifies one checkpoint of a job; numbers rise.
using checkpoint_id = std::uint64_t;

/// Where batches and the signals between them go: the input side of an operator, an exchange or a sink.
///
/// Calls come from one thread at a time, in stream order. Each call that answers `blocked` is repeated
/// with the same argument until it answers `done`; nothing else comes in between. So an implementation
/// does its own work first, sends its records on, then forwards the signal; each of these steps must be
/// harmless when repeated after it is complete.
/// Thread safety: unsafe; one subtask owns it.
class receiver_base {
public:
    virtual ~receiver_base() = default;

    /// Consumes records from the cursor on. On `blocked` the cursor tells how far it came. The receiver may
    /// move values out or swap the columns away; after `done` the caller clears the batch.
    virtual progress on_any_batch(batch_base& records) = 0;
    /// No later record has a time <= w. Rises strictly; `timestamp::max()` is the end of the input, once.
    virtual progress on_watermark(timestamp w) = 0;
    /// `idle`: nothing comes for now, don't wait for this input's watermark. `active` or a record ends that;
    /// a watermark in between is ignored.
    virtual progress on_activity(activity a) = 0;
    /// The line between before and after checkpoint `id`.
    virtual progress on_barrier(checkpoint_id id) = 0;
    /// The input is empty for now: part-filled batches are to be sent on.
    virtual progress flush() = 0;
};

/// A `receiver_base` for records of type T.
template <class T>
class receiver : public receiver_base {
public:
    virtual progress on_batch(batch<T>& records) = 0;
    progress on_any_batch(batch_base& records) final { return on_batch(static_cast<batch<T>&>(records)); }
};

}  // namespace runnel
