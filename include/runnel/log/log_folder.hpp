#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runnel/log/log_topic.hpp"

namespace runnel {

namespace detail {
struct folder_state;
}

/// A folder with the topics of a log, which any number of processes may use at the same time.
///
///     runnel::log_folder log("data/log");
///     runnel::log_topic clicks = log.topic("clicks", {.partitions = 4});
///     runnel::log_writer out = clicks.writer(0);
///     out.append({.time = t, .key = "ann", .value = "/"});
///     out.flush();
///     runnel::log_reader in = clicks.reader(0);
///     while (const runnel::log_record* r = in.next()) use(*r->value);
///
/// Folders are made with mode 0700, files with 0600. Nothing is made or locked before a topic is asked for; readers
/// change nothing. Symbolic links in the place of any are refused. Copies are handles of the same folder.
/// Thread safety: safe.
class log_folder {
public:
    explicit log_folder(std::string path, const log_options& options = {});

    /// Opens a topic, and makes it if there is none. Names are of letters, digits, '.', '_' and '-'.
    /// Errors: `error` if it is there with another number of partitions; `log_corrupted` if its description is damaged,
    /// or missing though there are records.
    log_topic topic(const std::string& name, const log_topic_options& options);
    /// Opens a topic that is there. Errors: `error` if it is not.
    log_topic topic(const std::string& name);
    /// The names of all topics.
    std::vector<std::string> topics() const;

private:
    std::shared_ptr<detail::folder_state> state_;
};

}  // namespace runnel
