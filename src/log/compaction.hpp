#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "partition.hpp"

namespace runnel::detail {

/// What to compact, and how.
struct compaction {
    std::uint64_t until = 0;  ///< Segments that end at this offset or before it are complete and decided.
    duration keep_deletes = duration::zero();
    std::uint64_t segment_bytes = 0;
    std::size_t batch_bytes = 0;
    std::uint64_t epoch = 0;
    std::function<void()> check;  ///< Called before anything is replaced; throws if that must not be.
};

/// See `log_writer::compact`. Each new segment takes the place of one or more old ones, by a rename, from the oldest
/// on; a crash in between loses nothing. Precondition: nobody else removes or replaces segments.
void compact(const std::shared_ptr<partition>& p, const compaction& how);

}  // namespace runnel::detail
