#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "runnel/state/state_backend.hpp"

namespace runnel {

/// What `rocksdb_state` keeps in memory. Use designated initialisers.
struct rocksdb_options {
    /// Keys whose values and timers each subtask of each process function holds as they are. More: fewer are read from
    /// the database and written to it.
    std::size_t keys_in_memory = 16384;
    /// Bytes of the database's own cache and write buffers, for the whole job; at least 8 MiB.
    std::size_t memory = 64 << 20;
};

/// State that is larger than memory: `job_options{.state = rocksdb_state("folder")}`.
///
/// Process functions then hold the state and timers of the keys used last in memory, and all others in a RocksDB
/// database in the folder: see `state_backend`. Everything else that a job holds stays in memory: windows, joins,
/// `reduce`, what `in_event_time_order` and `async_map` hold back, broadcast state. What one key holds is read and
/// written as a whole, so one with a very large list or map costs as much each time.
/// The folder is made if it is missing (mode 0700) and belongs to this alone. The database in it is scratch: begun anew
/// by each start of a job, filled from the checkpoint that it goes on from, and removed when the job is destroyed. So
/// the folder need not be on a disk that lasts, nothing waits for it to be durable, and checkpoints and savepoints are
/// the same as those of state in memory; a job may go on with the one from the other.
/// Thread safety: safe. Jobs that are given the same object share its memory and folder.
/// Complexity: some microseconds for a key that is not in memory.
/// Errors: `state_error`, at the start or later, if the folder can't be used, is in use by another, or is full.
std::shared_ptr<state_backend> rocksdb_state(std::string folder, const rocksdb_options& options = {});

}  // namespace runnel
