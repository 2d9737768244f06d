#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "batch_cursor.hpp"
#include "partition.hpp"

namespace runnel::detail {

/// Walks over the batches of a partition, from segment to segment, up to where readers may read.
///
/// Thread safety: unsafe.
/// Errors: `log_corrupted`, `log_out_of_range`, `io_error`.
class partition_walk {
public:
    partition_walk(std::shared_ptr<partition> of, std::size_t window) : partition_(std::move(of)), window_(window) {}

    /// Before the first batch that ends behind `offset`.
    void seek(std::uint64_t offset);
    /// The same, but may leave out what is before `offset` and older than `t`.
    void seek(std::uint64_t offset, timestamp t);
    /// Goes to the next batch, and verifies its header; false if there is none for now.
    bool next();
    const batch_header& header() const noexcept { return cursor_->header(); }
    /// Reads and verifies the batch's body; valid until the next call.
    std::string_view body();
    /// The first offset of what `next` has not come to yet.
    std::uint64_t offset() const noexcept { return offset_; }

    /// Segments before this offset have been compacted, as far as the walk has seen since `seek`.
    std::uint64_t compacted_until() const noexcept { return compacted_until_; }

    /// For messages: in which file, and where in it, is the batch.
    const std::string& file_name() const noexcept { return segment_->file->name(); }
    std::uint64_t position() const noexcept { return cursor_->position(); }

private:
    bool open();
    bool open_next();
    bool more();
    [[noreturn]] void fail(const std::string& what) const;

    std::shared_ptr<partition> partition_;
    std::size_t window_;
    std::optional<segment> segment_;
    std::optional<batch_cursor> cursor_;
    bool complete_ = false;        // the segment: nothing will be added to it
    std::uint64_t offset_ = 0;     // all before it has been walked over, or is not wanted
    std::uint64_t expected_ = 0;   // the offset of the next batch in the segment
    std::uint64_t compacted_until_ = 0;
    timestamp from_ = timestamp::min();
};

}  // namespace runnel::detail
