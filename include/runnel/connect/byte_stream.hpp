#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/source/source.hpp"

namespace runnel {

/// What a byte stream says when it is read.
struct byte_chunk {
    enum class kind : unsigned char {
        data,      ///< `size` bytes of peer `peer` have been read.
        wait,      ///< Nothing now; the stream wakes the reader when there is, or it is to be read again at `until`.
        ended,     ///< Peer `peer` has ended; its number may come again for another peer.
        finished,  ///< All has been read.
    };
    kind what = kind::wait;
    std::size_t peer = 0;
    std::size_t size = 0;
    /// With `ended`: why, if the peer did not end in an orderly way.
    std::string reason{};
    /// With `wait`: the processing time at which to read again, if not woken before.
    timestamp until = timestamp::max();
};

/// Bytes on their way in, from one or several peers (a file, a connection), each in its own order.
///
/// Thread safety: unsafe; one thread at a time uses it.
/// Errors: `io_error` with the name and the system's reason.
/// Lifetime: the destructor ends all reading; `wake` is not called after it.
class byte_stream {
public:
    virtual ~byte_stream() = default;
    /// Reads up to `n` > 0 bytes without blocking. Peers are numbered from 0, as low as possible.
    virtual byte_chunk read(char* into, std::size_t n) = 0;
    /// What messages call a peer; until the read after the one that said it has ended.
    virtual std::string peer_name(std::size_t peer) const = 0;
    /// What `open` needs beside the offset to find this place again, for streams that can be read again: something by
    /// which the bytes before `offset` are recognised. Asked until the read after the one that said `ended`.
    virtual std::string mark(std::uint64_t offset) const { return (void)offset, std::string(); }
};

/// Where a stream starts.
struct byte_place {
    /// One of `byte_origin::parts`.
    std::string part = "0";
    std::uint64_t offset = 0;
    /// What `byte_stream::mark` said when the part was left, empty if it has not been read before.
    std::string mark{};
};

/// Where bytes come from; opens no file, socket or thread before it is asked to.
///
/// Derive for an origin of your own, and hand the object to `json_lines` and the like.
/// Thread safety: unsafe but for `trouble`; one thread at a time uses it.
class byte_origin {
public:
    virtual ~byte_origin() = default;
    /// "clicks.jsonl", "127.0.0.1:5555"
    virtual std::string name() const = 0;
    virtual std::vector<std::string> problems() const { return {}; }
    /// What keeps its streams from reading now: "cannot connect to ...". Empty: nothing. Thread safety: safe.
    virtual std::string trouble() const { return {}; }
    /// Ids, stable from run to run, of the parts that are read each on its own: one split with its own position and
    /// event time each. Also the place to find early what would make `open` fail. Throws: `io_error`.
    virtual std::vector<std::string> parts() { return {"0"}; }
    /// Whether it can be read again from any offset.
    virtual bool replayable() const = 0;
    /// Whether a last line without line break is whole (as in a file) or cut off (as on a lost connection).
    virtual bool last_line_may_be_open() const = 0;
    /// Starts reading at `from`, the beginning unless `replayable`; `context` has the clock and what wakes the reader.
    virtual std::unique_ptr<byte_stream> open(const byte_place& from, const reader_context& context) = 0;
};

/// A file by its path, or any byte origin: what line sources read from.
class byte_input {
public:
    byte_input(const char* path) : byte_input(std::string(path)) {}
    byte_input(const std::string& path);
    template <std::derived_from<byte_origin> Origin>
    byte_input(Origin origin) : origin_(std::make_shared<Origin>(std::move(origin))) {}
    byte_input(std::shared_ptr<byte_origin> origin) : origin_(std::move(origin)) {}

    const std::shared_ptr<byte_origin>& origin() const noexcept { return origin_; }

private:
    std::shared_ptr<byte_origin> origin_;
};

}  // namespace runnel
