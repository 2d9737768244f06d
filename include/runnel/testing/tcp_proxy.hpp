#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace runnel::testing {

/// Stands between clients and a server on loopback, and makes the network between them a bad one.
///
/// It begins as a good one. What is asked for holds for connections that are there and for later ones, from when the
/// call returns, until something else is asked for. A side that ends its part of a connection does so behind it, too.
/// Thread safety: safe; a thread of its own moves the bytes. Memory: 128 KB per connection.
/// Errors: `io_error` from the constructor if the port is not free.
/// Example: a client that connects to `proxy.port()`, and a server 50 ms away.
///
///     runnel::testing::tcp_proxy proxy(server_port);
///     proxy.delay(50ms);
class tcp_proxy {
public:
    /// Listens on `port`, 0: a free one, and connects who comes to `server`, both on 127.0.0.1.
    explicit tcp_proxy(std::uint16_t server, std::uint16_t port = 0);
    ~tcp_proxy();
    tcp_proxy(const tcp_proxy&) = delete;
    tcp_proxy& operator=(const tcp_proxy&) = delete;

    std::uint16_t port() const noexcept;
    /// Each piece arrives so much later, and the next one is taken only then: at most `piece` bytes per delay,
    /// connection and direction. 0: none.
    void delay(std::chrono::milliseconds by, std::size_t piece = 64 * 1024);
    /// Nothing arrives until it is let go on: connections stay, and new ones are made.
    void hold(bool holds = true);
    /// After so many more bytes, of all connections and both directions together, all are reset: in the middle of a
    /// message, that is.
    void reset_after(std::uint64_t bytes);
    /// Ends all connections, in order; with what is under way lost.
    void cut();
    /// Ends all connections as a machine does that has been switched off and on: by a reset.
    void reset();
    /// Those who come are turned away by a reset, until they are not.
    void refuse(bool refuses = true);

    /// Connections that have been made so far, and bytes that have arrived on either side.
    std::size_t connections() const noexcept;
    std::uint64_t bytes() const noexcept;

private:
    class network;
    std::unique_ptr<network> network_;
};

}  // namespace runnel::testing
