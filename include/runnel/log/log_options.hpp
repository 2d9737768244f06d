#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "runnel/core/clock.hpp"
#include "runnel/core/file_system.hpp"

namespace runnel {

/// Where a log lives.
struct log_options {
    /// Outlives the log and all that was opened from it.
    file_system* files = &default_file_system();
    /// Null: the machine's clock. Outlives the log and all that was opened from it.
    runnel::clock* clock = nullptr;
};

/// What a topic is made with.
struct log_topic_options {
    /// Number of partitions, fixed when the topic is made. Each is a folder, and has one writer at a time.
    std::size_t partitions = 1;
};

/// When appended records go to stable storage.
enum class log_sync : unsigned char {
    never,     ///< When the system likes, and when a segment is complete: a power failure may take what came since.
    interval,  ///< Every `sync_interval`, by a thread of the writer's: a power failure may take what came since.
    group,     ///< When somebody waits in `flush`; all who wait at a time share a sync. Readers see what is durable.
};

/// How a partition is written. Use designated initialisers.
struct log_writer_options {
    log_sync sync = log_sync::group;
    duration sync_interval = std::chrono::milliseconds(100);
    /// Records are written in batches of so many bytes; more costs memory, and gives less overhead per record.
    std::size_t batch_bytes = 64 << 10;
    /// A segment is complete when it holds so many bytes. Retention and compaction work on complete segments.
    std::uint64_t segment_bytes = 128 << 20;
    /// The oldest segments are removed as long as the others hold so many bytes. 0: no limit.
    std::uint64_t retain_bytes = 0;
    /// Segments are removed so long after they were completed, by the log's clock. 0: no limit.
    duration retain_for = duration::zero();
};

}  // namespace runnel
