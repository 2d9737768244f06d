#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runnel/log/log_options.hpp"

namespace runnel {

/// Offsets of a partition of which nothing could be read, or not for certain.
struct log_loss {
    std::size_t partition = 0;
    /// Offsets [first, end). Equal if no offset is known to be lost. Of a segment that was compacted, most of them may
    /// have had no record.
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    /// Where it is, and how many bytes of the file are left out.
    std::string file = {};
    std::uint64_t position = 0;
    std::uint64_t bytes = 0;
    std::string what = {};
};

/// What `repair_topic` has done.
struct log_repair {
    std::size_t partitions = 0;
    std::uint64_t records = 0;  ///< Copied under their old offsets.
    std::uint64_t bytes = 0;    ///< Of their keys and values.
    /// Transactions that are prepared and wait to be decided; their records were appended at the end.
    std::uint64_t undecided = 0;
    std::vector<log_loss> lost;
};

/// Copies all that can be read of a damaged topic into a new one of that name, in the log in folder `into`.
///
/// Records keep their offsets, so that the positions of consumer groups, which are copied too, stay right. What was
/// aborted is left out, as are transactions whose end lies in what is damaged: nobody can tell what became of them;
/// they count as lost. Those that are prepared and undecided come last, under new offsets, and can be committed as
/// before. The new topic is there when all of it is durable; readers then find no damage in it.
/// The old topic is only read. Who writes to it meanwhile adds records that may be missing in the new one.
/// Thread safety: safe. Complexity: reads the topic twice; memory for the transactions in it.
/// Errors: `error` if there is no such topic, or anything under its name in `into`; `log_corrupted` if the file that
/// describes the topic is damaged, or a segment is of a newer version; `io_error`.
log_repair repair_topic(const log_options& options, const std::string& folder, const std::string& topic,
                        const std::string& into);

}  // namespace runnel
