#include "runnel/checkpoint/checkpoint_store.hpp"

#include <algorithm>
#include <utility>

#include "checkpoint_files.hpp"
#include "manifest.hpp"

namespace runnel {

using namespace detail;

std::vector<checkpoint_info> list_checkpoints(file_system& files, const std::string& folder) {
    std::vector<checkpoint_info> list;
    for (const checkpoint_id id : look_into(files, folder).manifests) {
        try {
            list.push_back(read_manifest(files, folder, id).info());
        } catch (const error& e) {
            // Pruned meanwhile.
            if (!files.exists(folder + "/" + manifest_name(id))) continue;
            checkpoint_info& damaged = list.emplace_back();
            damaged.id = id;
            damaged.damage = e.what();
        }
    }
    return list;
}

std::optional<checkpoint_id> newest_checkpoint(file_system& files, const std::string& folder) {
    if (!files.exists(folder)) return {};
    const auto manifests = look_into(files, folder).manifests;
    if (manifests.empty()) return {};
    return manifests.back();
}

checkpoint_store::checkpoint_store(file_system& files, std::string folder, checkpoint_observer on_step)
    : files_(files), folder_(std::move(folder)), on_step_(std::move(on_step)) {
    make_durable_directories(files_, folder_);
    lock_ = files_.open(folder_ + "/lock", open_mode::update, file_access::owner_only);
    if (!lock_->try_lock())
        throw checkpoint_error("the folder \"" + folder_ + "\" is in use by another job, which has locked \"" +
                               lock_->name() + "\". Give each job a folder of its own, or stop the other one first");
    remove_leftovers(files_, folder_);
}

checkpoint_store::~checkpoint_store() = default;

void checkpoint_store::write(const checkpoint& c) {
    if (const auto last = newest(); last && c.id <= *last)
        throw checkpoint_error("cannot write checkpoint " + std::to_string(c.id) + " to \"" + folder_ +
                               "\": there is a checkpoint " + std::to_string(*last) +
                               " already. Number the next one higher");
    // Nothing may fail once it is there.
    auto written = std::make_unique<manifest>();
    *written = write_files(files_, folder_, c, c.is_savepoint, last_.get(), on_step_);
    last_ = std::move(written);
}

checkpoint_info checkpoint_store::written() const { return last_ ? last_->info() : checkpoint_info(); }

void checkpoint_store::prune(std::size_t keep) {
    std::vector<checkpoint_info> there = list();
    std::erase_if(there, [](const checkpoint_info& i) { return !i.damage.empty(); });
    keep = std::max<std::size_t>(keep, 1);
    if (there.size() > keep)
        for (auto old = there.begin(); old != there.end() - static_cast<std::ptrdiff_t>(keep); ++old)
            files_.remove(folder_ + "/" + manifest_name(old->id));
    remove_leftovers(files_, folder_);
}

void checkpoint_store::remove(checkpoint_id id) {
    // The next one refers to nothing of it.
    last_.reset();
    files_.remove(folder_ + "/" + manifest_name(id));
    files_.sync_directory(folder_);
    remove_leftovers(files_, folder_);
}

}  // namespace runnel
