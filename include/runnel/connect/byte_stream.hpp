#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace runnel {

/// What a byte stream says when it is read.
struct byte_chunk {
    enum class kind : unsigned char {
        data,      ///< `size` bytes of peer `peer` have been read.
        wait,      ///< Nothing now; the stream wakes the reader when there is.
        ended,     ///< Peer `peer` has ended; its number may come again for another peer.
        finished,  ///< All has been read.
    };
    kind what = kind::wait;
    std::size_t peer = 0;
    std::size_t size = 0;
    /// With `ended`: why, if the peer did not end in an orderly way.
    std::string reason{};
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
};

/// Where bytes come from; opens no file, socket or thread before it is asked to.
///
/// Derive for an origin of your own, and hand the object to `json_lines` and the like.
/// Thread safety: unsafe; one thread at a time uses it.
class byte_origin {
public:
    virtual ~byte_origin() = default;
    /// "clicks.jsonl", "127.0.0.1:5555"
    virtual std::string name() const = 0;
    virtual std::vector<std::string> problems() const { return {}; }
    /// Finds early what would make `open` fail. Throws: `io_error`.
    virtual void check() {}
    /// Whether it can be read again from any offset.
    virtual bool replayable() const = 0;
    /// Whether a last line without line break is whole (as in a file) or cut off (as on a lost connection).
    virtual bool last_line_may_be_open() const = 0;
    /// Starts reading at byte `offset`, which is 0 unless `replayable`. `wake` may be called from any thread.
    virtual std::unique_ptr<byte_stream> open(std::uint64_t offset, std::function<void()> wake) = 0;
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
