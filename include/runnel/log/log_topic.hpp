#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runnel/log/log_options.hpp"
#include "runnel/log/log_reader.hpp"
#include "runnel/log/log_writer.hpp"

namespace runnel {

namespace detail {
struct topic_state;
}

/// How far a consumer group has come in each partition of a topic; kept with the topic.
///
/// Thread safety: safe; of those who commit to one partition at a time, one wins.
/// Errors: `log_corrupted`, `io_error`; `error` if there is no such partition.
class log_group {
public:
    /// Precondition: comes from `log_topic::group`.
    log_group(std::shared_ptr<const detail::topic_state> topic, std::string folder)
        : topic_(std::move(topic)), folder_(std::move(folder)) {}
    /// The offset to go on from; none if nothing was committed.
    std::optional<std::uint64_t> position(std::size_t partition) const;
    /// Returns when it is on stable storage.
    void commit(std::size_t partition, std::uint64_t offset);

private:
    std::shared_ptr<const detail::topic_state> topic_;
    std::string folder_;
};

/// A set of partitions, each of which is a sequence of records. Copies are handles of the same topic.
///
/// Thread safety: safe.
/// Errors: `error` if there is no such partition.
/// Lifetime: may outlive its `log_folder`, not the file system and clock.
class log_topic {
public:
    explicit log_topic(std::shared_ptr<const detail::topic_state> state) : state_(std::move(state)) {}

    const std::string& name() const noexcept;
    std::size_t partitions() const noexcept;
    /// The partition for records with this key; the same on every machine and in every release.
    std::size_t partition_of(std::string_view key) const noexcept;

    /// Opens a partition for writing. What a crash has left at its end is cut off; see `log_writer::recovery`.
    /// Errors: `log_in_use`; `log_corrupted`: nothing was changed then.
    log_writer writer(std::size_t partition, const log_writer_options& options = {}) const;
    log_reader reader(std::size_t partition, log_place from = log_place::beginning()) const;
    /// The smallest offset that is still there.
    std::uint64_t first_offset(std::size_t partition) const;
    /// The offset behind all that readers may see now, undecided transactions included.
    std::uint64_t end_offset(std::size_t partition) const;
    /// The positions of a consumer group, by a name of letters, digits, '.', '_' and '-'.
    log_group group(const std::string& name) const;

private:
    std::shared_ptr<const detail::topic_state> state_;
};

}  // namespace runnel
