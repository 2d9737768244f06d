#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runnel/core/duration_histogram.hpp"
#include "runnel/core/receiver.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// A record that could not be used: where it came from, why not, and its first bytes.
struct bad_record {
    std::string where;
    std::string why;
    std::string raw;
};

/// What one subtask of an operator has done so far.
struct subtask_status {
    std::uint64_t records_in = 0;
    std::uint64_t records_out = 0;
    std::uint64_t late_dropped = 0;
    std::uint64_t skipped = 0;
    std::int64_t bytes = -1;  ///< See `operator_status`.
    std::int64_t keys = -1;
    timestamp watermark = timestamp::min();
    /// The input or split that event time waits for, and since when; see `operator_status`.
    std::string held_by;
    timestamp held_since = timestamp::min();
    double queue_fill = 0;
    /// Since the start. Operators in one chain share them.
    duration busy{0};
    duration blocked{0};
    duration idle{0};
};

/// What one operator has done so far, over all its subtasks.
struct operator_status {
    std::string name;
    std::string kind;
    std::string detail;  ///< Its parameters in words.
    std::size_t parallelism = 1;
    /// The operators that feed it, as indexes into `job_status::operators`.
    std::vector<std::size_t> inputs;
    bool is_chained = false;  ///< It runs in the subtasks of its input.
    std::uint64_t records_in = 0;   ///< 0 for sources.
    std::uint64_t records_out = 0;  ///< Main output; 0 for sinks.
    std::uint64_t late_dropped = 0;
    std::uint64_t skipped = 0;
    std::int64_t bytes = -1;  ///< Read by a source or written by a sink; -1 where that is not known.
    std::int64_t keys = -1;  ///< That have state now; -1 where that is not known.
    /// Lowest watermark of its subtasks; `min` before the first, `max` when all have ended.
    timestamp watermark = timestamp::min();
    bool has_event_time = false;  ///< All sources that feed it give it, or it is one that does.
    /// The input (operator and subtask) or split that event time waits for, and since when (processing time);
    /// empty when finished, idle, or without event time.
    std::string held_by;
    timestamp held_since = timestamp::min();
    /// Share of its input channels in use, 0 to 1; 0 if it has none.
    double queue_fill = 0;
    /// Shares of the time since the start. Operators in one chain share a subtask, and so these figures.
    double busy = 0;
    double blocked = 0;  ///< Waiting for room downstream.
    double idle = 0;     ///< Waiting for input.
    /// Of sources and sinks. What keeps it from reading or writing now, or has been lost; empty: nothing.
    std::string trouble;
    /// Of sources. How many records there are that it has not read yet, if it knows.
    std::optional<std::uint64_t> lag;
    /// The same for each split where it is known.
    std::map<std::string, std::uint64_t> lag_by_split;
    /// Of sinks: time between leaving the source and having been written, of the last record in each run of a subtask.
    /// What has waited in a part-filled batch on the way may have taken longer, by up to the flush interval. A window's
    /// result left the source with the record that completed the window.
    duration_counts latency;
    std::vector<subtask_status> subtasks;
};

/// What has become of a job's checkpoints since its start.
struct checkpoint_status {
    std::uint64_t completed = 0;
    std::uint64_t failed = 0;
    /// The newest that was completed, and how long it took from its beginning until its output was visible; 0: none.
    checkpoint_id newest = 0;
    duration took{0};
    /// When that was (processing time), and its state in bytes: in all, and by operator.
    timestamp completed_at = timestamp::min();
    std::uint64_t bytes = 0;
    std::map<std::string, std::uint64_t> bytes_by_operator;
    /// How long all of them have taken.
    duration_counts durations;
    /// Why the last one failed.
    std::string last_failure;
    /// How often the job has gone on in this process after a failure.
    std::uint64_t restarts = 0;
};

enum class job_state : unsigned char {
    running,
    finished,
    failed,
    cancelled,
    restarting,  ///< Has failed, and waits to go on, or is about to. Its operators are shown as they were.
};

/// A picture of a job at one moment. Figures of different operators may be a batch apart.
struct job_status {
    std::string name;
    job_state state = job_state::running;
    duration running_for{0};
    timestamp at;         ///< When this picture was taken (processing time), or when the job ended.
    std::string failure;  ///< What the job has failed with, or has gone on after; empty: nothing.
    std::vector<operator_status> operators;
    std::size_t memory_budget = 0;    ///< Bytes, as asked.
    std::size_t memory_reserved = 0;  ///< Bytes that all channels can hold at most; never above the budget.
    /// The latest records that were skipped, newest last; at most 16.
    std::vector<bad_record> bad_records;
    /// Some of the records that were dropped as late, newest last; at most 16. Each subtask of an operator gives its
    /// first, second, fourth, eighth ...
    std::vector<bad_record> late_records;
    checkpoint_status checkpoints;
};

}  // namespace runnel
