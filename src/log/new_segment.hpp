#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "partition.hpp"

namespace runnel::detail {

/// A compacted segment that is being made: records, which keep their offsets, with gaps where there are none.
///
/// Thread safety: unsafe. Errors: `io_error`.
class new_segment {
public:
    /// `header`: what it shall have but for its end. Into the file at `path`, which is emptied if it exists.
    new_segment(const partition& p, const segment_header& header, const std::string& path, std::size_t batch_bytes);

    const segment_header& header() const noexcept { return header_; }
    /// Bytes so far.
    std::uint64_t size() const noexcept { return position_ + body_.size(); }
    /// Precondition: the offset is larger than the ones before.
    void append(const log_record& r);
    /// Nothing more comes before offset `end`. Returns when the file's bytes are durable; its name need not be.
    void finish(std::uint64_t end);

private:
    void write();

    const partition& partition_;
    const std::size_t batch_bytes_;
    segment_header header_;
    std::unique_ptr<file> file_;
    std::uint64_t position_ = segment_header_size;
    batch_header batch_;
    std::string body_;
};

}  // namespace runnel::detail
