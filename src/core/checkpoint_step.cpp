#include "runnel/core/checkpoint_step.hpp"

namespace runnel {

const char* name_of(checkpoint_step step) noexcept {
    switch (step) {
        case checkpoint_step::set_aside: return "set_aside";
        case checkpoint_step::recover: return "recover";
        case checkpoint_step::ask: return "ask";
        case checkpoint_step::send_barrier: return "send_barrier";
        case checkpoint_step::take_barrier: return "take_barrier";
        case checkpoint_step::align: return "align";
        case checkpoint_step::prepare: return "prepare";
        case checkpoint_step::save: return "save";
        case checkpoint_step::hand_over: return "hand_over";
        case checkpoint_step::assemble: return "assemble";
        case checkpoint_step::write_data: return "write_data";
        case checkpoint_step::sync_data: return "sync_data";
        case checkpoint_step::sync_data_folder: return "sync_data_folder";
        case checkpoint_step::write_manifest: return "write_manifest";
        case checkpoint_step::sync_manifest: return "sync_manifest";
        case checkpoint_step::rename_manifest: return "rename_manifest";
        case checkpoint_step::sync_manifest_folder: return "sync_manifest_folder";
        case checkpoint_step::commit: return "commit";
        case checkpoint_step::trim: return "trim";
        case checkpoint_step::acknowledge: return "acknowledge";
    }
    return "?";
}

}  // namespace runnel
