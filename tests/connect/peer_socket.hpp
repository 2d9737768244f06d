#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "runnel/core/error.hpp"

namespace test {

/// A plain blocking socket, by the system's own calls.
class peer_socket {
public:
    explicit peer_socket(int fd) : fd_(fd) { REQUIRE(fd >= 0); }
    peer_socket(peer_socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    ~peer_socket() { close(); }

    static sockaddr_in loopback(std::uint16_t port) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return at;
    }
    static sockaddr_un unix_address(const std::string& path) {
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        REQUIRE(path.size() < sizeof at.sun_path);
        path.copy(at.sun_path, path.size());
        return at;
    }
    static peer_socket connect_to(std::uint16_t port) {
        peer_socket s(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_in at = loopback(port);
        REQUIRE(::connect(s.fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
        return s;
    }
    static peer_socket connect_to(const std::string& path) {
        peer_socket s(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_un at = unix_address(path);
        REQUIRE(::connect(s.fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
        return s;
    }
    /// A listening socket on a free port, or a given one.
    static peer_socket listening(std::uint16_t port = 0) {
        peer_socket s(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int yes = 1;
        ::setsockopt(s.fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        const sockaddr_in at = loopback(port);
        REQUIRE(::bind(s.fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
        REQUIRE(::listen(s.fd_, 8) == 0);
        return s;
    }
    static peer_socket listening(const std::string& path) {
        peer_socket s(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_un at = unix_address(path);
        REQUIRE(::bind(s.fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
        REQUIRE(::listen(s.fd_, 8) == 0);
        return s;
    }
    peer_socket accept() const { return peer_socket(::accept(fd_, nullptr, nullptr)); }
    std::uint16_t port() const {
        sockaddr_in at{};
        socklen_t size = sizeof at;
        REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
        return ntohs(at.sin_port);
    }
    std::string name() const { return "127.0.0.1:" + std::to_string(port()); }

    void send(const std::string& bytes) const {
        for (std::size_t done = 0; done < bytes.size();) {
            const auto n = ::send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
            REQUIRE(n > 0);
            done += static_cast<std::size_t>(n);
        }
    }
    /// Sends as long as the system takes it; returns how much that was.
    std::size_t send_all_that_fits(const std::string& piece, int patience_ms) const {
        ::fcntl(fd_, F_SETFL, O_NONBLOCK);
        std::size_t sent = 0;
        for (;;) {
            const auto n = ::send(fd_, piece.data(), piece.size(), MSG_NOSIGNAL);
            if (n > 0) {
                sent += static_cast<std::size_t>(n);
                continue;
            }
            pollfd writable{fd_, POLLOUT, 0};
            if (::poll(&writable, 1, patience_ms) == 0) return sent;
        }
    }
    /// Waits for a byte; false at the end, however that came.
    bool receive(char& byte) const { return ::recv(fd_, &byte, 1, 0) == 1; }
    /// True once the other side has closed.
    bool at_end() const {
        char byte;
        return !receive(byte);
    }
    /// How the other side has ended: 0 in order, else an errno value such as ECONNRESET. What has come before is dropped.
    int last_error() const {
        char byte;
        ssize_t n;
        while ((n = ::recv(fd_, &byte, 1, 0)) > 0) continue;
        return n == 0 ? 0 : errno;
    }
    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }
    /// Closes with a reset instead of an orderly end.
    void reset() {
        const linger now{1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close();
    }

private:
    int fd_;
};

/// The text of the `io_error` that `f` throws.
template <class F>
std::string io_failure(F f, int code) {
    try {
        f();
    } catch (const runnel::io_error& e) {
        CHECK(e.code() == code);
        return e.what();
    }
    FAIL("no io_error");
    return {};
}

}  // namespace test
