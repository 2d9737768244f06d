#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "partition.hpp"

namespace runnel::detail {

/// What the handles of a topic share.
struct topic_state {
    std::string name;
    std::string folder;
    std::vector<std::shared_ptr<partition>> partitions;

    /// Errors: `error` if there is none.
    const std::shared_ptr<partition>& at(std::size_t number) const;
};

/// What the handles of a folder share.
struct folder_state {
    std::string path;
    file_system* files;
    std::shared_ptr<runnel::clock> clock;
    std::mutex mutex;
    std::map<std::string, std::weak_ptr<const topic_state>> topics;
};

/// Makes a topic; it is there when `fill`, which may write to its partitions, has returned.
/// Errors: `log_in_use`.
void make_topic(folder_state& in, const std::string& name, std::size_t partitions,
                const std::function<void(const topic_state&)>& fill);
/// Errors: `error` if there is no such topic; `log_corrupted`.
std::shared_ptr<const topic_state> read_topic(folder_state& in, const std::string& name);

/// Errors: `error` if it may not be the name of a folder; `what` says of what it is the name.
void check_name(const char* what, const std::string& name);

}  // namespace runnel::detail
