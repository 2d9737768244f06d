#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/connect/byte_stream.hpp"
#include "runnel/connect/socket_options.hpp"
#include "runnel/connect/troubles.hpp"

namespace runnel {

namespace detail {
class tcp_listener;
}

/// Bytes that a server sends on one connection; the input ends when the server closes it, unless the options say that
/// the connection is then made again. Not replayable.
///
/// The connection is made when the job opens the source, and closed with its reader. A thread of the reader waits for
/// the socket; it is read only when the job has room, so a slow job slows the sender down.
/// Thread safety: unsafe.
/// Errors: `io_error` if the connection is refused, not made in time, or lost, and is not to be made again.
class tcp_client final : public byte_origin {
public:
    tcp_client(std::string host, std::uint16_t port, socket_client_options options)
        : host_(std::move(host)), port_(port), options_(options) {}

    std::string name() const override;
    std::vector<std::string> problems() const override;
    std::string trouble() const override { return troubles_->text(); }
    bool replayable() const override { return false; }
    bool last_line_may_be_open() const override { return false; }
    std::unique_ptr<byte_stream> open(const byte_place& from, const reader_context& context) override;

private:
    std::string host_;
    std::uint16_t port_;
    socket_client_options options_;
    std::shared_ptr<detail::troubles> troubles_ = std::make_shared<detail::troubles>();
};

/// Bytes that clients send, several at a time; lines of different connections never mix. Not replayable.
///
/// Copies are the same server. Sockets are read only when the job has room. A connection that is lost is a bad record
/// with the system's reason, so the error policy decides whether one failing client ends the job.
/// Thread safety: safe for `port`.
/// Errors: `io_error` if the port is in use or the address is not one of this machine.
class tcp_server final : public byte_origin {
public:
    tcp_server(std::string host, std::uint16_t port, socket_server_options options);

    std::string name() const override;
    std::vector<std::string> problems() const override;
    std::vector<std::string> parts() override;
    bool replayable() const override { return false; }
    bool last_line_may_be_open() const override { return false; }
    std::unique_ptr<byte_stream> open(const byte_place& from, const reader_context& context) override;

    /// The port that is listened on; if it is not yet, this starts it, so that 0 becomes a free port. Clients may
    /// connect from then on, and are served once the job runs.
    std::uint16_t port();

private:
    std::shared_ptr<detail::tcp_listener> listener_;
    socket_server_options options_;
};

/// Reads from a server, by host name or address. See `tcp_client`.
inline tcp_client tcp_connect(std::string host, std::uint16_t port, socket_client_options options = {}) {
    return {std::move(host), port, options};
}

/// Reads from clients that connect to `port` of this machine, through its loopback interface only. See `tcp_server`.
inline tcp_server tcp_listen(std::uint16_t port, socket_server_options options = {}) {
    return {"127.0.0.1", port, options};
}
/// The same on the interface with address `host`; "0.0.0.0" opens the port to the network, without any protection.
inline tcp_server tcp_listen(std::string host, std::uint16_t port, socket_server_options options = {}) {
    return {std::move(host), port, options};
}

}  // namespace runnel
