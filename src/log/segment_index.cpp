#include "segment_index.hpp"

#include <algorithm>

namespace runnel::detail {

void segment_index::extend(file& from, std::uint32_t salt, std::uint64_t limit) {
    batch_cursor cursor(from, salt, 8 << 10);
    cursor.seek(scanned_.position, limit);
    while (cursor.next() == batch_cursor::found::batch) {
        if (cursor.position() - places_.back().at.position >= distance)
            places_.push_back({{cursor.header().base, cursor.position()}, newest_});
        newest_ = std::max(newest_, cursor.header().newest);
        scanned_ = {cursor.header().end(), cursor.next_position()};
    }
}

bool segment_index::is_there(const place& where, file& in, std::uint32_t salt) {
    if (where.position == segment_header_size) return true;
    char bytes[batch_header_size];
    batch_header h;
    return in.read(where.position, bytes, sizeof bytes) == sizeof bytes && h.decode(bytes, salt) &&
           h.base == where.offset;
}

segment_index::place segment_index::before_offset(std::uint64_t offset) const noexcept {
    const auto behind = std::upper_bound(places_.begin() + 1, places_.end(), offset,
                                         [](std::uint64_t o, const entry& e) { return o < e.at.offset; });
    return (behind - 1)->at;
}

segment_index::place segment_index::before_time(timestamp t) const noexcept {
    const auto behind = std::partition_point(places_.begin() + 1, places_.end(),
                                             [&](const entry& e) { return e.newest < t; });
    return (behind - 1)->at;
}

}  // namespace runnel::detail
