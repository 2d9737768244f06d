#pragma once

#include <cstddef>
#include <functional>

#include "runnel/core/receiver.hpp"

namespace runnel {

/// The steps by which a job makes a checkpoint and shows the results that it holds, in order.
enum class checkpoint_step : unsigned char {
    set_aside,             ///< The newest checkpoint is removed: a sink that rolls back goes on from the one before.
    recover,               ///< A sink brings what the restored checkpoint holds to its place, and withdraws the rest.
    ask,                   ///< The sources are asked for barriers.
    send_barrier,          ///< A source sends its barrier.
    take_barrier,          ///< A barrier has come in at one input of a subtask.
    align,                 ///< At all of them: it goes through the subtask's operators.
    prepare,               ///< A sink puts what has been written where no crash can lose it.
    save,                  ///< A subtask saves its state.
    hand_over,             ///< All of that is copied, and goes to the coordinator.
    assemble,              ///< All subtasks have saved: their states become one checkpoint.
    write_data,            ///< State is written to a file,
    sync_data,             ///< which is synced,
    sync_data_folder,      ///< and so is the folder that holds its name.
    write_manifest,        ///< The manifest is written under another name,
    sync_manifest,         ///< synced,
    rename_manifest,       ///< given its name,
    sync_manifest_folder,  ///< and that is synced: the checkpoint is complete.
    commit,                ///< A sink makes the results visible.
    trim,                  ///< Older checkpoints are removed.
    acknowledge,           ///< Whoever has asked for the checkpoint is told; it counts as completed.
};

/// How many steps there are.
inline constexpr std::size_t checkpoint_steps = static_cast<std::size_t>(checkpoint_step::acknowledge) + 1;

/// Its name as above.
const char* name_of(checkpoint_step step) noexcept;

/// Is told of each step before it is taken, and of which checkpoint it is a step; 0: of the last one of a job whose
/// input has ended. Of steps that wait for room it is told each time they are tried.
using checkpoint_observer = std::function<void(checkpoint_step, checkpoint_id)>;

namespace detail {

inline void tell(const checkpoint_observer& to, checkpoint_step step, checkpoint_id id) {
    if (to) to(step, id);
}

}  // namespace detail

}  // namespace runnel
