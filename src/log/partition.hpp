#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "format.hpp"
#include "runnel/core/clock.hpp"
#include "runnel/core/file_system.hpp"
#include "segment_index.hpp"

namespace runnel::detail {

/// Up to where readers may read.
struct log_end {
    std::uint64_t segment = 0;   ///< Base of the last segment.
    std::uint64_t position = 0;  ///< Bytes in it.
    std::uint64_t next = 0;      ///< The offset that comes next.
    friend bool operator==(const log_end&, const log_end&) = default;
};

/// An open segment.
struct segment {
    std::unique_ptr<runnel::file> file;
    segment_header header;
};

/// What the writer and the readers of a partition in one process share.
/// Thread safety: safe.
class partition {
public:
    partition(file_system& files, std::shared_ptr<runnel::clock> clock, std::string folder, std::uint32_t salt)
        : files_(files), clock_(std::move(clock)), folder_(std::move(folder)), salt_(salt) {}
    partition(const partition&) = delete;
    partition& operator=(const partition&) = delete;

    file_system& files() const noexcept { return files_; }
    runnel::clock& clock() const noexcept { return *clock_; }
    const std::string& folder() const noexcept { return folder_; }
    std::uint32_t salt() const noexcept { return salt_; }

    /// The bases of all segments, in order.
    std::vector<std::uint64_t> segments() const;
    std::string path_of(std::uint64_t base) const;
    /// Opens a segment for reading and verifies its header; none if there is no such file.
    std::optional<segment> open(std::uint64_t base) const;
    /// Where to begin to look in an open segment.
    segment_index::place place_of_offset(segment& in, std::uint64_t limit, std::uint64_t offset);
    segment_index::place place_of_time(segment& in, std::uint64_t limit, timestamp t);

    /// As the writer in this process says, or the file that a writer elsewhere keeps.
    log_end end();
    bool has_writer() const;
    /// The writer's: from now on `end` is what it publishes, until it goes.
    void attach_writer(const log_end& end);
    void publish(const log_end& end);
    void detach_writer();

    /// Calls `f` whenever there may be more to read, until it is removed.
    std::uint64_t add_wake(std::function<void()> f);
    /// After the return the call is over or will never be made.
    void remove_wake(std::uint64_t id);

    std::string end_path() const { return folder_ + "/end"; }
    std::string encode_end(const log_end& end) const;

private:
    template <class Find>
    segment_index::place find(segment& in, std::uint64_t limit, Find find);
    log_end read_end();
    void wake_all();

    file_system& files_;
    const std::shared_ptr<runnel::clock> clock_;
    const std::string folder_;
    const std::uint32_t salt_;
    mutable std::mutex mutex_;
    std::optional<log_end> written_;  // by the writer in this process
    std::mutex file_mutex_;
    std::unique_ptr<file> end_file_;
    std::mutex index_mutex_;
    std::map<std::uint64_t, segment_index> indexes_;
    std::mutex wake_mutex_;
    std::map<std::uint64_t, std::function<void()>> wakes_;
    std::uint64_t last_wake_ = 0;
};

}  // namespace runnel::detail
