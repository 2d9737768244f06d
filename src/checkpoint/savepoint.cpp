#include "runnel/checkpoint/savepoint.hpp"

#include "checkpoint_files.hpp"
#include "runnel/checkpoint/checkpoint_store.hpp"

namespace runnel {

void write_savepoint(file_system& files, const std::string& folder, const checkpoint& c,
                     const checkpoint_observer& on_step) {
    make_durable_directories(files, folder);
    if (!files.list(folder).empty())
        throw checkpoint_error("cannot write a savepoint to \"" + folder +
                               "\": the folder is not empty. Name one that is, or that does not exist");
    detail::write_files(files, folder, c, true, nullptr, on_step);
}

namespace {

checkpoint_id newest_in(file_system& files, const std::string& folder) {
    const auto newest = newest_checkpoint(files, folder);
    if (!newest)
        throw checkpoint_error("there is no savepoint or checkpoint in \"" + folder + "\": " +
                               (files.exists(folder) ? "it holds no complete manifest" : "there is no such folder") +
                               ". Give the folder that one was written to");
    return *newest;
}

}  // namespace

checkpoint read_savepoint(file_system& files, const std::string& folder) {
    return read_checkpoint(files, folder, newest_in(files, folder));
}

checkpoint open_savepoint(file_system& files, const std::string& folder) {
    return open_checkpoint(files, folder, newest_in(files, folder));
}

}  // namespace runnel
