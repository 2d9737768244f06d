#pragma once

#include <cstdint>
#include <vector>

#include "batch_cursor.hpp"

namespace runnel::detail {

/// Where in a segment to begin to look for an offset or a time: a place every so many bytes, in memory alone, made from
/// the batches' headers when it is needed, added to as the segment grows. A place that is still there is right, even
/// if the segment was compacted since: that takes records away and leaves the others their offsets.
class segment_index {
public:
    struct place {
        std::uint64_t offset = 0;    ///< All before the place is before this offset.
        std::uint64_t position = 0;  ///< A batch begins there.
    };

    explicit segment_index(std::uint64_t base) : scanned_{base, segment_header_size} {
        places_.push_back({scanned_, timestamp::min()});
    }
    /// Whether a batch of the offset begins at the place.
    static bool is_there(const place& where, file& in, std::uint32_t salt);
    /// Looks at the batches up to `limit`. At a bad one it stops: who reads comes across it too.
    void extend(file& from, std::uint32_t salt, std::uint64_t limit);
    /// The last place before which there is nothing at `offset` or behind it.
    place before_offset(std::uint64_t offset) const noexcept;
    /// The last place before which there is nothing of time `t` or later.
    place before_time(timestamp t) const noexcept;

private:
    struct entry {
        place at;
        timestamp newest;  ///< The largest time before the place.
    };
    static constexpr std::uint64_t distance = 32 << 10;

    place scanned_;
    timestamp newest_ = timestamp::min();
    std::vector<entry> places_;
};

}  // namespace runnel::detail
