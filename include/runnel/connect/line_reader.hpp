#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/connect/byte_stream.hpp"

namespace runnel::detail {

/// Where reading goes on: at byte `offset`, the start of line number `line` + 1.
struct line_place {
    std::uint64_t offset = 0;
    std::uint64_t line = 0;
};

/// Cuts a byte stream into lines, without a copy unless a line spans two reads.
///
/// Lines end with "\n" or "\r\n"; a byte order mark before the first is left out. Each peer has its own lines: what
/// has come of a line when another peer's bytes follow is kept aside. So memory is one block, and at most `max_line`
/// bytes for each peer.
/// Thread safety: unsafe.
/// Errors: `io_error` for a file that begins like a compressed one.
class line_reader {
public:
    enum class event : unsigned char {
        line,      ///< A line, valid until the next call.
        bad,       ///< A line that is too long or cut off; `why()` says it. What is kept of it is given.
        ended,     ///< Peer `peer()` has ended; its number may come again for another.
        wait,      ///< Nothing now, until woken or `until()`.
        pause,     ///< Much has been read without a line that counts: return to the caller, there is more.
        finished,  ///< No more lines.
    };
    using place = line_place;

    static constexpr std::size_t block_size = 128 * 1024;

    line_reader(std::unique_ptr<byte_stream> from, std::size_t max_line, bool last_line_may_be_open, place start = {},
                std::size_t block = block_size);

    /// Gives the next line, without its end.
    event next(std::string_view& line) {
        // Whole lines of a peer with nothing kept aside: all but the first and last ones of a block.
        if (plain_) [[likely]] {
            const std::size_t rest = static_cast<std::size_t>(end_ - begin_);
            if (const void* found = std::memchr(begin_, '\n', rest)) [[likely]] {
                const char* const stop = static_cast<const char*>(found);
                std::size_t size = static_cast<std::size_t>(stop - begin_);
                line_start_ = here_.offset;
                here_.offset += size + 1;
                ++here_.line;
                line = std::string_view(begin_, size);
                begin_ = stop + 1;
                if (size != 0 && line.back() == '\r') line.remove_suffix(1);
                if (line.size() <= max_line_) [[likely]] return event::line;
                return too_long(line);
            }
        }
        return next_slowly(line);
    }

    /// To be called before each run of `next`: allows another so many reads before `pause`.
    void start_run() noexcept { reads_left_ = reads_per_run; }

    /// The peer of the last event.
    std::size_t peer() const noexcept { return current_; }
    /// "NAME:LINE byte OFFSET" of the last line; lines count from 1, bytes of the start of the line from 0.
    std::string where() const;
    /// Why the last line is bad.
    const std::string& why() const noexcept { return why_; }
    /// A number for what `whole_lines_from` looks at; another after each read.
    std::uint64_t block() const noexcept { return blocks_; }
    /// The last line and the whole ones behind it that are there already, at most `most` bytes of them; empty if it is
    /// longer, or has been put together from two reads.
    std::string_view whole_lines_from(std::string_view line, std::size_t most) const noexcept;
    /// Where the first line starts that has not been given yet; with one peer only.
    place position() const noexcept { return here_; }
    /// What the stream recognises that place by.
    std::string mark() const { return from_->mark(here_.offset); }
    /// After `wait`: when to try again at the latest.
    timestamp until() const noexcept { return until_; }

private:
    /// A peer that is not being read from just now, and the part of a line that has come from it or the current one.
    struct peer_state {
        place here;
        std::uint64_t pending = 0;  // bytes that have come of the next line
        std::string partial;        // the front of them, up to what `max_line` needs
        bool open = false;
    };

    static constexpr int reads_per_run = 16;

    event next_slowly(std::string_view& line);
    event refill(std::string_view& line);
    void refuse_compressed() const;
    event end_of_peer(std::string_view& line, const std::string& reason);
    event finish_line(std::string_view& line, std::uint64_t bytes);
    event too_long(std::string_view& line);
    std::string_view take_partial(peer_state& p);
    void select(std::size_t peer);

    std::unique_ptr<byte_stream> from_;
    std::size_t max_line_;
    bool last_line_may_be_open_;
    place start_;  // of the peer that comes first
    std::size_t block_;
    std::unique_ptr<char[]> buffer_;
    const char* begin_;
    const char* end_;
    /// The current peer has nothing kept aside and is past its first line.
    bool plain_ = false;
    /// The last line of the current peer has been given, its end not yet.
    bool ending_ = false;
    std::size_t current_ = 0;
    /// Of the current peer; those of others are in `peers_`.
    place here_;
    std::uint64_t line_start_ = 0;
    std::vector<peer_state> peers_;
    std::uint64_t blocks_ = 0;
    std::string line_;
    std::string why_;
    int reads_left_ = reads_per_run;
    timestamp until_ = timestamp::max();
};

}  // namespace runnel::detail
