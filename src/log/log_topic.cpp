#include "runnel/log/log_topic.hpp"

#include <cerrno>

#include "durable_files.hpp"
#include "runnel/log/log_error.hpp"
#include "runnel/core/xxh64.hpp"
#include "topic_state.hpp"

namespace runnel {

namespace {

constexpr std::uint32_t position_mark = 0x31706c72;  // "rlp1"

}  // namespace

const std::shared_ptr<detail::partition>& detail::topic_state::at(std::size_t number) const {
    if (number >= partitions.size())
        throw error("topic \"" + name + "\" has " + std::to_string(partitions.size()) +
                    " partitions, and no partition " + std::to_string(number));
    return partitions[number];
}

std::optional<std::uint64_t> log_group::position(std::size_t partition) const {
    const detail::partition& p = *topic_->at(partition);
    const std::string path = folder_ + "/" + std::to_string(partition);
    std::unique_ptr<file> f;
    try {
        f = p.files().open(path, open_mode::read, file_access::owner_only);
    } catch (const io_error& e) {
        if (e.code() != ENOENT) throw;
        return std::nullopt;
    }
    std::uint64_t offset = 0;
    std::uint64_t time = 0;
    if (!detail::decode_numbers(detail::read_small_file(*f, 24), position_mark, p.salt(), {&offset, &time}))
        throw log_corrupted(path, 0, "this is no position of a consumer group in this partition. Restore the file "
                                     "from a copy, or remove it to begin anew");
    return offset;
}

void log_group::commit(std::size_t partition, std::uint64_t offset) {
    const detail::partition& p = *topic_->at(partition);
    make_durable_directories(p.files(), folder_);
    detail::replace_file(p.files(), folder_ + "/" + std::to_string(partition),
                         detail::encode_numbers(position_mark, p.salt(),
                                                {offset, static_cast<std::uint64_t>(p.clock().now().ns())}));
}

const std::string& log_topic::name() const noexcept { return state_->name; }
std::size_t log_topic::partitions() const noexcept { return state_->partitions.size(); }
std::size_t log_topic::partition_of(std::string_view key) const noexcept {
    return static_cast<std::size_t>(detail::xxh64::of(key) % state_->partitions.size());
}

log_writer log_topic::writer(std::size_t partition, const log_writer_options& options) const {
    return log_writer(state_->at(partition), options);
}
log_reader log_topic::reader(std::size_t partition, log_place from) const {
    return log_reader(state_->at(partition), from);
}

std::uint64_t log_topic::first_offset(std::size_t partition) const {
    const std::vector<std::uint64_t> bases = state_->at(partition)->segments();
    return bases.empty() ? 0 : bases.front();
}
std::uint64_t log_topic::end_offset(std::size_t partition) const { return state_->at(partition)->end().next; }

log_group log_topic::group(const std::string& name) const {
    detail::check_name("consumer group", name);
    const std::string groups = state_->folder + "/groups", folder = groups + "/" + name;
    for (const std::string& path : {groups, folder}) refuse_symbolic_link(state_->at(0)->files(), path);
    return log_group(state_, folder);
}

}  // namespace runnel
