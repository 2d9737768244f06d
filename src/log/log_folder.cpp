#include "runnel/log/log_folder.hpp"

#include <algorithm>
#include <cerrno>

#include "durable_files.hpp"
#include "runnel/core/real_clock.hpp"
#include "runnel/log/log_error.hpp"
#include "topic_state.hpp"

namespace runnel {

namespace {

using detail::folder_state;
using detail::topic_state;

constexpr std::uint32_t topic_mark = 0x31746c72;  // "rlt1"
constexpr std::size_t most_partitions = 100'000;

std::string trimmed(std::string folder) {
    while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
    return folder.empty() ? "." : folder;
}

std::string topic_file(const folder_state& s, const std::string& name) { return s.path + "/" + name + "/topic"; }

/// A link counts, so that it is refused when it is opened.
bool has_topic(const folder_state& s, const std::string& name) {
    const std::string path = topic_file(s, name);
    return s.files->exists(path) || s.files->is_symbolic_link(path);
}

/// A new topic would not know the records of one whose description is lost, and its writers would cut them off.
void refuse_lost_topic(folder_state& s, const std::string& name) {
    const std::string folder = s.path + "/" + name;
    for (const std::string& entry : s.files->list(folder)) {
        const std::string inside = folder + "/" + entry;
        if (!s.files->is_directory(inside)) continue;
        for (const std::string& file : s.files->list(inside))
            if (file.ends_with(".log"))
                throw log_corrupted(topic_file(s, name), 0,
                                    "the file is missing, and there are records in \"" + inside +
                                        "\" that cannot be read without it. Restore it from a copy, or move the "
                                        "topic's folder away to begin anew");
    }
}

std::shared_ptr<topic_state> describe(folder_state& s, const std::string& name, std::uint64_t number,
                                      std::size_t partitions) {
    auto topic = std::make_shared<topic_state>();
    topic->name = name;
    topic->folder = s.path + "/" + name;
    for (std::size_t i = 0; i < partitions; ++i) {
        std::string folder = topic->folder + "/" + std::to_string(i);
        refuse_symbolic_link(*s.files, folder);
        topic->partitions.push_back(
            std::make_shared<detail::partition>(*s.files, s.clock, std::move(folder), detail::salt_of(number, i)));
    }
    return topic;
}

}  // namespace

void detail::make_topic(folder_state& s, const std::string& name, std::size_t partitions,
                        const std::function<void(const topic_state&)>& fill) {
    refuse_symbolic_link(*s.files, s.path);
    const std::string folder = s.path + "/" + name;
    make_durable_directories(*s.files, folder);
    const auto guard = s.files->open(folder + "/lock", open_mode::update, file_access::owner_only);
    if (!guard->try_lock())
        throw log_in_use("\"" + folder + "\": another process is making this topic. Try again");
    if (has_topic(s, name)) return;
    refuse_lost_topic(s, name);
    for (std::size_t i = 0; i < partitions; ++i)
        make_durable_directories(*s.files, folder + "/" + std::to_string(i));
    // Different from that of a topic that was here before.
    const auto number = static_cast<std::uint64_t>(s.clock->now().ns());
    fill(*describe(s, name, number, partitions));
    replace_file(*s.files, topic_file(s, name), encode_numbers(topic_mark, 0, {number, partitions}));
}

std::shared_ptr<const topic_state> detail::read_topic(folder_state& s, const std::string& name) {
    const std::string path = topic_file(s, name);
    if (!has_topic(s, name))
        throw error("there is no topic \"" + name + "\" in \"" + s.path +
                    "\". Make it by topic(name, {.partitions = n})");
    refuse_symbolic_link(*s.files, s.path);
    refuse_symbolic_link(*s.files, s.path + "/" + name);
    const auto f = s.files->open(path, open_mode::read, file_access::owner_only);
    std::uint64_t number = 0;
    std::uint64_t partitions = 0;
    if (!decode_numbers(read_small_file(*f, 24), topic_mark, 0, {&number, &partitions}) || partitions == 0 ||
        partitions > most_partitions)
        throw log_corrupted(path, 0, "this does not describe a topic of this version of runnel. Restore the file from "
                                     "a copy");
    return describe(s, name, number, static_cast<std::size_t>(partitions));
}

void detail::check_name(const char* what, const std::string& name) {
    const bool good = !name.empty() && name.size() <= 200 && name.front() != '.' &&
                      std::all_of(name.begin(), name.end(), [](char c) {
                          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                                 c == '.' || c == '_' || c == '-';
                      });
    if (!good)
        throw error(std::string(what) + " \"" + name +
                    "\": a name has 1 to 200 letters, digits, '.', '_' and '-', and begins with no '.'");
}

log_folder::log_folder(std::string path, const log_options& options) : state_(std::make_shared<folder_state>()) {
    state_->path = trimmed(std::move(path));
    state_->files = options.files;
    if (options.clock) state_->clock = {std::shared_ptr<void>(), options.clock};
    else state_->clock = std::make_shared<real_clock>();
}

log_topic log_folder::topic(const std::string& name, const log_topic_options& options) {
    detail::check_name("topic", name);
    if (options.partitions == 0 || options.partitions > most_partitions)
        throw error("topic \"" + name + "\": it is to have " + std::to_string(options.partitions) +
                    " partitions. Give 1 to " + std::to_string(most_partitions));
    {
        const std::lock_guard lock(state_->mutex);
        if (!has_topic(*state_, name))
            detail::make_topic(*state_, name, options.partitions, [](const topic_state&) {});
    }
    log_topic t = topic(name);
    if (t.partitions() != options.partitions)
        throw error("topic \"" + name + "\" in \"" + state_->path + "\" has " + std::to_string(t.partitions()) +
                    " partitions, not " + std::to_string(options.partitions) +
                    ". The number cannot be changed: use that one, or another topic");
    return t;
}

log_topic log_folder::topic(const std::string& name) {
    detail::check_name("topic", name);
    const std::lock_guard lock(state_->mutex);
    std::weak_ptr<const topic_state>& known = state_->topics[name];
    std::shared_ptr<const topic_state> topic = known.lock();
    if (!topic) known = topic = detail::read_topic(*state_, name);
    return log_topic(std::move(topic));
}

std::vector<std::string> log_folder::topics() const {
    std::vector<std::string> names;
    if (!state_->files->exists(state_->path)) return names;
    for (std::string& name : state_->files->list(state_->path))
        if (has_topic(*state_, name)) names.push_back(std::move(name));
    return names;
}

}  // namespace runnel
