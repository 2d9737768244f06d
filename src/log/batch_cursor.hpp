#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "format.hpp"
#include "runnel/core/file_system.hpp"

namespace runnel::detail {

/// Walks over the batches of a segment, header by header. No length is believed before it is compared with what
/// remains.
///
/// Thread safety: unsafe. Complexity: reads `window` bytes at a time, or a batch if that is larger and asked for.
class batch_cursor {
public:
    enum class found : unsigned char {
        batch,  ///< `header` is good.
        end,    ///< The limit is reached.
        bad,    ///< At `position` there is no good batch.
    };

    batch_cursor(file& from, std::uint32_t salt, std::size_t window) : file_(from), salt_(salt), window_(window) {}

    /// Before the batch that begins at `position`; nothing at `limit` or behind it is looked at.
    void seek(std::uint64_t position, std::uint64_t limit) noexcept {
        position_ = next_ = position;
        limit_ = limit;
    }
    void set_limit(std::uint64_t limit) noexcept { limit_ = limit; }
    std::uint64_t limit() const noexcept { return limit_; }

    found next();
    const batch_header& header() const noexcept { return header_; }
    /// Where the batch begins that `next` has found, or should have.
    std::uint64_t position() const noexcept { return position_; }
    /// Where the one behind it begins.
    std::uint64_t next_position() const noexcept { return next_; }
    /// Reads and verifies the body of the batch; false if it is bad.
    bool read_body();
    /// What `read_body` has read; valid until the next call.
    std::string_view body() const noexcept { return body_; }

private:
    /// `n` bytes from `position` on; fewer where the file ends early.
    std::string_view fetch(std::uint64_t position, std::size_t n);

    file& file_;
    std::uint32_t salt_;
    std::size_t window_;
    std::uint64_t position_ = 0;
    std::uint64_t next_ = 0;
    std::uint64_t limit_ = 0;
    batch_header header_;
    std::string_view body_;
    std::string buffer_;
    std::uint64_t buffer_at_ = 0;
    std::size_t buffer_size_ = 0;
};

/// Calls `f(position, header)` for everything from `position` on that is a batch's header by its checksum, wherever
/// it begins, until `f` answers true.
void look_for_batches(file& from, std::uint32_t salt, std::uint64_t position, std::uint64_t limit,
                      const std::function<bool(std::uint64_t, const batch_header&)>& f);
/// Whether a batch begins at the position whose body fits its checksum, too.
bool is_whole_batch(file& from, std::uint32_t salt, std::uint64_t position, std::uint64_t limit);

}  // namespace runnel::detail
