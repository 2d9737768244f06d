#pragma once

#include <string>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/core/checkpoint_step.hpp"
#include "runnel/core/file_system.hpp"

namespace runnel {

/// Writes a checkpoint as a savepoint: a folder that stands alone and may be moved, copied and renamed.
///
/// Returns when it is durable. After a failure the files are removed again as far as possible. `on_step` is told of the
/// steps of writing, and what it throws is a failure.
/// Thread safety: safe for different folders.
/// Errors: `checkpoint_error` if there is anything in the folder; `io_error`.
void write_savepoint(file_system& files, const std::string& folder, const checkpoint& c,
                     const checkpoint_observer& on_step = {});
/// Reads and verifies the savepoint in a folder; or the newest checkpoint, if it is a folder of checkpoints.
///
/// Thread safety: safe. Errors: `checkpoint_error` if there is none, or it cannot be restored; `io_error`.
checkpoint read_savepoint(file_system& files, const std::string& folder);
/// The same for one that may be larger than memory: see `open_checkpoint`.
checkpoint open_savepoint(file_system& files, const std::string& folder);

}  // namespace runnel
