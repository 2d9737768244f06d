#include "partition_walk.hpp"

#include <algorithm>

#include "runnel/log/log_error.hpp"

namespace runnel::detail {

void partition_walk::seek(std::uint64_t offset) { seek(offset, timestamp::min()); }

void partition_walk::seek(std::uint64_t offset, timestamp t) {
    cursor_.reset();
    segment_.reset();
    offset_ = offset;
    compacted_until_ = 0;
    from_ = t;
}

bool partition_walk::next() {
    if (!segment_ && !open()) return false;
    for (;;) {
        switch (cursor_->next()) {
            case batch_cursor::found::end:
                if (!more()) return false;
                continue;
            case batch_cursor::found::bad: fail("there should be a batch of records, and there is none");
            case batch_cursor::found::batch: break;
        }
        const batch_header& h = cursor_->header();
        const bool compacted = segment_->header.end != 0;
        if (compacted ? h.base < expected_ : h.base != expected_)
            fail("here is a batch of offset " + std::to_string(h.base) + " where " + std::to_string(expected_) +
                 " should be");
        // So that who finds one knows that it is not of a compacted segment.
        if (compacted && h.kind != batch_kind::records)
            fail("a compacted segment has no transactions, and here is one");
        expected_ = h.end();
        if (h.end() <= offset_) continue;
        offset_ = h.end();
        return true;
    }
}

std::string_view partition_walk::body() {
    if (!cursor_->read_body()) fail("the checksum of this batch of records is wrong");
    return cursor_->body();
}

void partition_walk::fail(const std::string& what) const {
    throw log_corrupted(file_name(), position(),
                        what + ". What is before offset " + std::to_string(expected_) +
                            " can be read. Restore the file from a copy, or go on reading at a later offset");
}

/// Opens the segment that has, or will have, `offset_`.
bool partition_walk::open() {
    // A file may be removed between the look at the folder and the opening.
    for (int tries = 0; tries != 100; ++tries) {
        const std::vector<std::uint64_t> bases = partition_->segments();
        const log_end end = partition_->end();
        auto at = std::upper_bound(bases.begin(), bases.end(), std::min(offset_, end.next));
        if (at == bases.begin()) {
            if (bases.empty() || end == log_end()) return false;
            throw log_out_of_range("\"" + partition_->folder() + "\": offset " + std::to_string(offset_) +
                                   " has been removed, the first one is " + std::to_string(bases.front()) +
                                   ". Read from there, or keep more (retain_bytes, retain_for)");
        }
        if (offset_ > end.next)
            throw log_out_of_range("\"" + partition_->folder() + "\": there is no offset " + std::to_string(offset_) +
                                   " yet, the next one is " + std::to_string(end.next) +
                                   ". If it was there, it was lost in a crash before it was on stable storage; read "
                                   "from the end");
        --at;
        // Made, but nothing of it is to be seen.
        while (*at > end.segment && at != bases.begin()) --at;
        segment_ = partition_->open(*at);
        if (!segment_) continue;
        compacted_until_ = std::max(compacted_until_, segment_->header.end);
        cursor_.emplace(*segment_->file, partition_->salt(), window_);
        complete_ = end.segment > *at;
        const std::uint64_t limit = complete_ ? segment_->file->size() : end.position;
        segment_index::place from{*at, segment_header_size};
        if (offset_ > *at) from = partition_->place_of_offset(*segment_, limit, offset_);
        if (from_ != timestamp::min()) {
            const segment_index::place by_time = partition_->place_of_time(*segment_, limit, from_);
            if (by_time.position > from.position) from = by_time;
            from_ = timestamp::min();
        }
        cursor_->seek(from.position, limit);
        expected_ = from.offset;
        return true;
    }
    throw error("\"" + partition_->folder() + "\": its segments are removed faster than they can be opened. Try again");
}

/// At the end of what could be read: whether there is more.
bool partition_walk::more() {
    if (complete_) return open_next();
    const log_end end = partition_->end();
    if (end.segment == segment_->header.base) {
        if (end.position <= cursor_->limit()) return false;
        cursor_->set_limit(end.position);
        return true;
    }
    complete_ = true;
    cursor_->set_limit(segment_->file->size());
    return true;
}

bool partition_walk::open_next() {
    const segment_header last = segment_->header;
    const std::string name = file_name();
    if (last.end > expected_) expected_ = last.end;
    offset_ = std::max(offset_, expected_);
    const std::uint64_t behind = expected_;
    segment_.reset();
    if (!open()) return false;
    // A segment that was compacted meanwhile begins earlier.
    const std::uint64_t base = segment_->header.base;
    if ((base == behind && base != last.base) || segment_->header.end > behind) return true;
    throw log_corrupted(name, 0, "behind it there should be a segment that begins at offset " + std::to_string(behind) +
                                     ", and there is none. Restore it from a copy, or go on reading at a later offset");
}

}  // namespace runnel::detail
