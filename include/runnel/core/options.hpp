#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "runnel/core/checkpoint_options.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

class clock;
class executor;
class state_backend;

/// How a job runs. None of it changes results. Use designated initialisers: `{.parallelism = 4}`.
struct job_options {
    /// Subtasks per operator. 1 keeps the whole graph in one chain of calls, the cheapest form per core; more cost
    /// an exchange (some 10 ns a record) at every key_by.
    std::size_t parallelism = 1;
    /// Threads of the job's own executor; 0: as many as there are subtasks to run, at most the machine's.
    std::size_t threads = 0;
    /// Records per batch. More: less overhead per record; fewer: less memory per channel, less time until a cancel.
    std::size_t batch_size = 512;
    /// Batches per channel. More smooths bursts, and costs memory.
    std::size_t channel_capacity = 8;
    /// A part-filled batch waits no longer than this while its subtask is busy (an idle one sends at once).
    duration flush_interval = std::chrono::milliseconds(5);
    /// Bytes that all channels together may hold, what records point to not counted. If the settings above need
    /// more, channels and then batches are made smaller; if even the smallest do not fit, `start` throws.
    std::size_t memory_budget = 64 << 20;
    /// Number of key groups, fixed for the life of the job's state; the largest useful parallelism.
    std::size_t key_groups = 128;
    /// The executor to run on; null: one of the job's own. Must outlive the job.
    runnel::executor* executor = nullptr;
    /// Where processing time comes from; null: the machine's clock. Must outlive the job.
    runnel::clock* clock = nullptr;
    /// Off unless a folder is given. All operators with state must have names then, since it is found by them.
    checkpoint_options checkpoints = {};
    /// The folder of a savepoint to begin from. A checkpoint in the job's own folder that has come of the same
    /// savepoint is newer, and wins; any other is an error.
    std::string restore = {};
    /// Leaves out saved state whose operator is not in the graph any more, instead of refusing it.
    bool allow_dropped_state = false;
    /// Where process functions keep state and timers of keys that are not in use, such as `rocksdb_state("folder")`;
    /// null: in memory, as all other operators always do. Costs a search of the store for each key that is not in
    /// memory, and some microseconds to bring one back; checkpoints are written and read piece by piece.
    std::shared_ptr<state_backend> state = {};
    /// What a job with checkpoints does when it fails.
    restart_strategy restart = no_restart();
};

}  // namespace runnel
