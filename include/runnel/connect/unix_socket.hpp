#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/connect/byte_stream.hpp"
#include "runnel/connect/socket_options.hpp"
#include "runnel/connect/troubles.hpp"

namespace runnel {

namespace detail {
class unix_listener;
}

/// Bytes that a server of this machine sends through a Unix socket. As `tcp_client`, with a path for an address.
class unix_client final : public byte_origin {
public:
    unix_client(std::string path, socket_client_options options) : path_(std::move(path)), options_(options) {}

    std::string name() const override { return path_; }
    std::vector<std::string> problems() const override;
    std::string trouble() const override { return troubles_->text(); }
    bool replayable() const override { return false; }
    bool last_line_may_be_open() const override { return false; }
    std::unique_ptr<byte_stream> open(const byte_place& from, const reader_context& context) override;

private:
    std::string path_;
    socket_client_options options_;
    std::shared_ptr<detail::troubles> troubles_ = std::make_shared<detail::troubles>();
};

/// Bytes that clients of this machine send through a Unix socket. As `tcp_server`, with a path for an address.
///
/// The socket file is made when the job starts, with the permissions that the umask leaves, and removed with its
/// reader. One that a process has left behind, which nobody serves, is replaced; any other file is not. Its
/// clients have no names; messages number them: "PATH#1".
/// Thread safety: safe for `listen`.
/// Errors: `io_error` if the path is taken, too long for a socket (107 bytes), or its folder is missing.
class unix_server final : public byte_origin {
public:
    unix_server(std::string path, socket_server_options options);

    std::string name() const override;
    std::vector<std::string> problems() const override;
    std::vector<std::string> parts() override;
    bool replayable() const override { return false; }
    bool last_line_may_be_open() const override { return false; }
    std::unique_ptr<byte_stream> open(const byte_place& from, const reader_context& context) override;

    /// Makes the socket file if it is not there yet. Clients may connect from then on, to be served once the job runs.
    void listen();

private:
    std::shared_ptr<detail::unix_listener> listener_;
    socket_server_options options_;
};

/// Reads from the server that has made the socket file `path`. See `unix_client`.
inline unix_client unix_connect(std::string path, socket_client_options options = {}) {
    return {std::move(path), options};
}

/// Makes the socket file `path` and reads from clients that connect to it. See `unix_server`.
/// Example: `p.from(runnel::json_lines<event>(runnel::unix_listen("/run/app/events.sock")))`
inline unix_server unix_listen(std::string path, socket_server_options options = {}) {
    return {std::move(path), options};
}

}  // namespace runnel
