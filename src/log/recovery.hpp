#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "partition.hpp"
#include "runnel/log/log_writer.hpp"

namespace runnel::detail {

/// What the writer knows of a transaction that is not decided, or whose decision may not be durable.
struct transaction_state {
    std::string writer;
    std::optional<std::uint64_t> checkpoint;  ///< Once it is prepared.
    std::optional<std::uint64_t> decided;     ///< Offset of the marker.
};

/// The last segment of a partition, ready to be added to.
struct recovered_segment {
    std::unique_ptr<runnel::file> file;
    segment_header header;
    std::uint64_t size = 0;
    std::uint64_t next = 0;   ///< Offset.
    std::uint64_t epoch = 0;  ///< The largest seen.
    timestamp newest = timestamp::min();
    log_recovery report;
};

/// Makes a segment that begins with `header`, durable under its name.
std::unique_ptr<file> make_segment(partition& p, const segment_header& header);

/// Removes what interrupted work has left. Precondition: the caller has the lock.
void remove_leftovers(partition& p);

/// Finds the last segment, verifies all of it, cuts off what a crash has left, and makes the rest durable; makes the
/// first segment if there is none. Precondition: the caller has the lock.
/// Errors: `log_corrupted` for what a crash cannot have done; nothing is changed then.
recovered_segment recover(partition& p);

/// The transactions that are undecided at the end. Precondition: `p.end()` is right.
std::map<std::uint64_t, transaction_state> find_undecided(const std::shared_ptr<partition>& p,
                                                          const segment_header& last);

}  // namespace runnel::detail
