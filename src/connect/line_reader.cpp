#include "runnel/connect/line_reader.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "compression.hpp"
#include "runnel/core/error.hpp"

namespace runnel::detail {

namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
/// What a line may have beyond `max_line` bytes of contents: a mark, a carriage return; and one byte that shows
/// that it is too long.
constexpr std::size_t slack = byte_order_mark.size() + 2;

}  // namespace

line_reader::line_reader(std::unique_ptr<byte_stream> from, std::size_t max_line, bool last_line_may_be_open,
                         place start, std::size_t block)
    : from_(std::move(from)),
      max_line_(std::min(max_line, std::string().max_size() - slack)),
      last_line_may_be_open_(last_line_may_be_open),
      start_(start),
      block_(block),
      buffer_(new char[block]),
      begin_(buffer_.get()),
      end_(begin_),
      here_(start) {}

line_reader::event line_reader::next_slowly(std::string_view& line) {
    if (ending_) {
        ending_ = false;
        peers_[current_] = {};
        return event::ended;
    }
    for (;;) {
        if (begin_ == end_) {
            const event e = refill(line);
            if (begin_ == end_) return e;
        }
        peer_state& p = peers_[current_];
        const std::size_t rest = static_cast<std::size_t>(end_ - begin_);
        const char* const stop = static_cast<const char*>(std::memchr(begin_, '\n', rest));
        const std::size_t size = stop ? static_cast<std::size_t>(stop - begin_) : rest;
        const std::string_view piece(begin_, size);
        begin_ += stop ? size + 1 : size;
        if (stop && p.pending == 0) {
            line = piece;
            return finish_line(line, size + 1);
        }
        p.partial.append(piece.substr(0, max_line_ + slack - p.partial.size()));
        p.pending += size;
        plain_ = false;
        if (!stop) continue;
        const std::uint64_t bytes = p.pending + 1;
        line = take_partial(p);
        return finish_line(line, bytes);
    }
}

/// Reads a block. The answer counts only if nothing came.
line_reader::event line_reader::refill(std::string_view& line) {
    if (reads_left_ <= 0) return event::pause;
    --reads_left_;
    begin_ = end_ = buffer_.get();
    ++blocks_;
    const byte_chunk chunk = from_->read(buffer_.get(), block_);
    switch (chunk.what) {
        case byte_chunk::kind::data:
            select(chunk.peer);
            end_ = begin_ + chunk.size;
            if (here_.offset == 0 && peers_[current_].pending == 0) refuse_compressed();
            plain_ = peers_[current_].pending == 0 && here_.line != 0;
            return chunk.size == 0 ? event::pause : event::line;
        case byte_chunk::kind::ended:
            select(chunk.peer);
            return end_of_peer(line, chunk.reason);
        case byte_chunk::kind::finished: return event::finished;
        case byte_chunk::kind::wait: until_ = chunk.until; break;
    }
    return event::wait;
}

/// What a connection sends is never more than a bad record.
void line_reader::refuse_compressed() const {
    if (!last_line_may_be_open_) return;
    const compression how = compression_of({begin_, static_cast<std::size_t>(end_ - begin_)});
    if (how == compression::none) return;
    throw io_error("cannot read \"" + from_->peer_name(current_) + "\" as text: it is compressed with " +
                       std::string(name_of(how)) + ". Read it as decompressed(...)",
                   0);
}

line_reader::event line_reader::end_of_peer(std::string_view& line, const std::string& reason) {
    peer_state& p = peers_[current_];
    plain_ = false;
    if (reason.empty() && p.pending == 0) {
        p = {};
        return event::ended;
    }
    ending_ = true;
    const std::uint64_t bytes = p.pending;
    line = take_partial(p);
    const event e = finish_line(line, bytes);
    plain_ = false;
    if (reason.empty() && last_line_may_be_open_) return e;
    why_ = reason.empty() ? "cut off: the connection ended within the line" : reason;
    return event::bad;
}

/// The part that was kept aside, which lives on until the next call.
std::string_view line_reader::take_partial(peer_state& p) {
    line_.swap(p.partial);
    p.partial.clear();
    return line_;
}

/// The line that starts here and is `bytes` long, its end included, is complete.
line_reader::event line_reader::finish_line(std::string_view& line, std::uint64_t bytes) {
    line_start_ = here_.offset;
    here_.offset += bytes;
    ++here_.line;
    peers_[current_].pending = 0;
    plain_ = true;
    if (here_.line == 1 && line.substr(0, byte_order_mark.size()) == byte_order_mark)
        line.remove_prefix(byte_order_mark.size());
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return line.size() <= max_line_ ? event::line : too_long(line);
}

line_reader::event line_reader::too_long(std::string_view& line) {
    line = line.substr(0, max_line_);
    why_ = "the line is longer than the limit of " + std::to_string(max_line_) +
           " bytes. Raise max_line if it is wanted";
    return event::bad;
}

void line_reader::select(std::size_t peer) {
    if (peer >= peers_.size()) peers_.resize(peer + 1);
    if (peer != current_ && current_ < peers_.size()) peers_[current_].here = here_;
    peer_state& p = peers_[peer];
    if (!p.open) {
        p.open = true;
        here_ = std::exchange(start_, {});
    } else if (peer != current_) {
        here_ = p.here;
    }
    current_ = peer;
}

std::string_view line_reader::whole_lines_from(std::string_view line, std::size_t most) const noexcept {
    const char* const first = line.data();
    if (std::less<>()(first, buffer_.get()) || !std::less<>()(first, end_)) return {};
    const std::string_view rest(first, std::min(most, static_cast<std::size_t>(end_ - first)));
    return rest.substr(0, rest.rfind('\n') + 1);
}

std::string line_reader::where() const {
    return from_->peer_name(current_) + ":" + std::to_string(here_.line) + " byte " + std::to_string(line_start_);
}

}  // namespace runnel::detail
