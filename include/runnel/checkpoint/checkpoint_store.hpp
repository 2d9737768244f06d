#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/checkpoint/checkpoint_info.hpp"
#include "runnel/core/checkpoint_step.hpp"
#include "runnel/core/file_system.hpp"

namespace runnel {

namespace detail {

struct manifest;

}  // namespace detail

/// What the manifests in a folder say, oldest first. Those that cannot be read are listed with the reason.
///
/// The state itself is not looked at: `read_checkpoint` verifies it. Needs no lock, so that a folder can be looked into
/// while a job writes to it. The same for savepoints.
/// Thread safety: safe. Errors: `io_error`.
std::vector<checkpoint_info> list_checkpoints(file_system& files, const std::string& folder);
/// The highest number of a checkpoint that was completed, whether it can be read or not; none if the folder is missing.
std::optional<checkpoint_id> newest_checkpoint(file_system& files, const std::string& folder);
/// Reads a checkpoint whole, and verifies all its lengths and checksums. Changes nothing.
///
/// Thread safety: safe, except that a checkpoint that is pruned meanwhile is an error.
/// Complexity: O(bytes of its state); memory is asked for only as far as the files are that long.
/// Errors: `checkpoint_error` if it is missing, damaged, foreign or of a newer format; `io_error`.
checkpoint read_checkpoint(file_system& files, const std::string& folder, checkpoint_id id);
/// The same for a checkpoint that may be larger than memory: its keyed state stays where it is, in `pieces`, which read
/// and verify it again. The files must stay as long as they do.
/// Complexity: O(bytes of its state); memory for a key group.
checkpoint open_checkpoint(file_system& files, const std::string& folder, checkpoint_id id);
/// Verifies a checkpoint as `read_checkpoint` does, in the memory of its largest key group; returns what it holds.
checkpoint_info verify_checkpoint(file_system& files, const std::string& folder, checkpoint_id id);

/// The checkpoints of one job, in a folder of their own.
///
/// A checkpoint is a manifest and a file of data. What has not changed since the checkpoint before is not written
/// again, but referred to in its file; so a job's folder must be copied as a whole, or as a savepoint. Symbolic links
/// in the place of the folder or its files are refused.
/// Thread safety: unsafe; but other threads and processes may list and read.
/// Lifetime: holds the folder's lock until it is destroyed or its process is gone, however that ends.
class checkpoint_store {
public:
    /// Makes the folder (mode 0700, files 0600) and takes its lock. Removes what a write that was cut off has left.
    ///
    /// `on_step` is told of the steps of writing, and what it throws is a failure as if the file system had thrown it.
    /// Errors: `checkpoint_error` if another store has the folder; `io_error`.
    checkpoint_store(file_system& files, std::string folder, checkpoint_observer on_step = {});
    ~checkpoint_store();

    const std::string& folder() const noexcept { return folder_; }

    /// Returns when the checkpoint is durable.
    ///
    /// After a failure readers find the folder as before, and another may be written. Only if it was the last step
    /// that failed, syncing the folder, may the checkpoint be found after a power loss, complete.
    /// Complexity: O(bytes of state); what is written is what has changed since the last one that this store wrote,
    /// and now and then what has not, so that all files together stay below about twice the state per checkpoint kept.
    /// Errors: `checkpoint_error` if `c.id` is not above all that are there, or `c` contradicts itself; `io_error`.
    void write(const checkpoint& c);
    /// What the manifest of the checkpoint that was written last says; `id` 0: none was, since this store was made.
    checkpoint_info written() const;
    std::vector<checkpoint_info> list() const { return list_checkpoints(files_, folder_); }
    std::optional<checkpoint_id> newest() const { return newest_checkpoint(files_, folder_); }
    checkpoint read(checkpoint_id id) const { return read_checkpoint(files_, folder_, id); }
    checkpoint open(checkpoint_id id) const { return open_checkpoint(files_, folder_, id); }
    /// Removes all but the `keep` newest checkpoints, data that none refers to, and what was left unfinished.
    ///
    /// Checkpoints that cannot be read are neither counted nor removed, nor is data that they may refer to. The newest
    /// is always kept. Errors: `io_error`; the next call goes on.
    void prune(std::size_t keep);
    /// Removes a checkpoint for good: a power loss does not bring it back. Errors: `io_error`; it may be there or not.
    void remove(checkpoint_id id);

private:
    file_system& files_;
    std::string folder_;
    checkpoint_observer on_step_;
    std::unique_ptr<file> lock_;
    /// Of the checkpoint that was written last: where each piece of its state is.
    std::unique_ptr<detail::manifest> last_;
};

}  // namespace runnel
