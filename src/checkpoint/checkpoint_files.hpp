#pragma once

#include <string>

#include "manifest.hpp"
#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/core/checkpoint_step.hpp"
#include "runnel/core/file_system.hpp"

namespace runnel::detail {

/// Writes the files of a checkpoint into a folder; returns its manifest when they are durable. What is the same in
/// `before`, if there is one, is left where it is. After a failure, removes what it has written.
/// `on_step` is told of each step.
/// Errors: `checkpoint_error`, `io_error`.
manifest write_files(file_system& files, const std::string& folder, const checkpoint& c, bool is_savepoint,
                     const manifest* before, const checkpoint_observer& on_step);

/// Removes what no manifest refers to, and manifests that were not completed.
void remove_leftovers(file_system& files, const std::string& folder);

}  // namespace runnel::detail
