#include "runnel/connect/udp.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <mutex>
#include <system_error>

#include "descriptor_watch.hpp"
#include "runnel/core/error.hpp"

namespace runnel {

namespace {

/// No datagram is larger.
constexpr std::size_t datagram_size = 64 * 1024;

std::string address(const std::string& host, const std::string& port) {
    return (host.find(':') != std::string::npos ? "[" + host + "]" : host) + ":" + port;
}

std::string address(const sockaddr* at, socklen_t size) {
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (::getnameinfo(at, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return "unknown sender";
    return address(host, port);
}

io_error failure(const std::string& name, const std::string& reason, int code) {
    return io_error("cannot listen on UDP " + name + ": " + reason, code);
}

class udp_socket {
public:
    udp_socket(const std::string& host, std::uint16_t port, const std::string& name, udp_options options) {
        addrinfo wanted{}, *found = nullptr;
        wanted.ai_socktype = SOCK_DGRAM;
        wanted.ai_flags = AI_PASSIVE;
        if (const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found))
            throw failure(name, code == EAI_SYSTEM ? std::generic_category().message(errno) : ::gai_strerror(code),
                          code == EAI_SYSTEM ? errno : 0);
        const std::unique_ptr<addrinfo, void (*)(addrinfo*)> freed(found, &::freeaddrinfo);
        fd_ = ::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd_ < 0) give_up(name);
        const int yes = 1;
        ::setsockopt(fd_, SOL_SOCKET, SO_RXQ_OVFL, &yes, sizeof yes);
        const int room = static_cast<int>(std::min<std::size_t>(options.receive_buffer, INT_MAX));
        if (room != 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
        if (::bind(fd_, found->ai_addr, found->ai_addrlen) != 0) give_up(name);
    }
    udp_socket(const udp_socket&) = delete;
    udp_socket& operator=(const udp_socket&) = delete;
    ~udp_socket() { ::close(fd_); }

    int get() const noexcept { return fd_; }
    std::uint16_t port() const {
        sockaddr_storage at{};
        socklen_t size = sizeof at;
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
        return ntohs(at.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(at).sin6_port
                                              : reinterpret_cast<const sockaddr_in&>(at).sin_port);
    }

private:
    [[noreturn]] void give_up(const std::string& name) {
        const int code = errno;
        if (fd_ >= 0) ::close(fd_);
        throw failure(name, std::generic_category().message(code), code);
    }

    int fd_ = -1;
};

}  // namespace

/// The port, from when it is first asked for until the last reader and origin have gone.
class detail::udp_port {
public:
    udp_port(std::string host, std::uint16_t port, udp_options options)
        : host_(std::move(host)), port_(port), options_(options) {}

    std::string name() const {
        const std::lock_guard lock(mutex_);
        return address(host_, std::to_string(port_));
    }
    std::uint16_t listen() {
        const std::lock_guard lock(mutex_);
        open();
        return port_;
    }
    /// The socket, for one reader at a time.
    int take() {
        const std::lock_guard lock(mutex_);
        if (taken_) throw failure(address(host_, std::to_string(port_)), "it is being read already", EADDRINUSE);
        open();
        taken_ = true;
        return socket_->get();
    }
    void give_back() {
        const std::lock_guard lock(mutex_);
        taken_ = false;
        socket_.reset();
    }

private:
    void open() {
        if (socket_) return;
        socket_ = std::make_unique<udp_socket>(host_, port_, address(host_, std::to_string(port_)), options_);
        port_ = socket_->port();
    }

    mutable std::mutex mutex_;
    std::string host_;
    std::uint16_t port_;
    udp_options options_;
    std::unique_ptr<udp_socket> socket_;
    bool taken_ = false;
};

namespace {

/// Has the port for as long as it lives.
class taken_port {
public:
    explicit taken_port(std::shared_ptr<detail::udp_port> port) : port_(std::move(port)), fd_(port_->take()) {}
    taken_port(const taken_port&) = delete;
    taken_port& operator=(const taken_port&) = delete;
    ~taken_port() { port_->give_back(); }
    int get() const noexcept { return fd_; }
    std::string name() const { return port_->name(); }

private:
    std::shared_ptr<detail::udp_port> port_;
    int fd_;
};

class udp_stream final : public byte_stream {
public:
    udp_stream(std::shared_ptr<detail::udp_port> port, std::size_t end_after, std::function<void()> wake)
        : port_(std::move(port)),
          end_after_(end_after),
          // One more for the line end.
          buffer_(new char[datagram_size + 1]),
          watch_(port_.get(), port_.name(), std::move(wake)) {}

    byte_chunk read(char* into, std::size_t n) override {
        if (begin_ == end_) {
            if (end_after_ != 0 && received_ == end_after_) return {.what = byte_chunk::kind::finished};
            if (!receive()) {
                watch_.arm();
                return {.what = byte_chunk::kind::wait};
            }
        }
        if (lost_ != 0) {
            byte_chunk chunk{.what = byte_chunk::kind::ended};
            chunk.reason = "the system has dropped " + std::to_string(std::exchange(lost_, 0)) +
                           " datagrams that came faster than they were read. Raise receive_buffer if they come in "
                           "bursts";
            return chunk;
        }
        const std::size_t size = std::min(n, end_ - begin_);
        std::copy_n(buffer_.get() + begin_, size, into);
        begin_ += size;
        return {.what = byte_chunk::kind::data, .peer = 0, .size = size};
    }
    /// That of the last datagram.
    std::string peer_name(std::size_t) const override {
        if (sender_size_ == 0) return port_.name();
        return address(reinterpret_cast<const sockaddr*>(&sender_), sender_size_);
    }

private:
    /// Puts a datagram into the buffer; false if there is none.
    bool receive() {
        iovec part{buffer_.get(), datagram_size};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(std::uint32_t))];
        msghdr message{};
        ssize_t got;
        do {
            message = {};
            message.msg_name = &sender_;
            message.msg_namelen = sizeof sender_;
            message.msg_iov = &part;
            message.msg_iovlen = 1;
            message.msg_control = control;
            message.msg_controllen = sizeof control;
            got = ::recvmsg(port_.get(), &message, 0);
        } while (got < 0 && errno == EINTR);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
        if (got < 0) {
            const int code = errno;
            throw io_error("cannot receive on UDP " + port_.name() + ": " + std::generic_category().message(code),
                           code);
        }
        for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
            if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL) continue;
            std::uint32_t all_lost;
            std::copy_n(reinterpret_cast<const char*>(CMSG_DATA(c)), sizeof all_lost,
                        reinterpret_cast<char*>(&all_lost));
            lost_ += all_lost - all_lost_;
            all_lost_ = all_lost;
        }
        sender_size_ = message.msg_namelen;
        ++received_;
        begin_ = 0;
        end_ = static_cast<std::size_t>(got);
        if (end_ == 0 || buffer_[end_ - 1] != '\n') buffer_[end_++] = '\n';
        return true;
    }

    taken_port port_;
    std::size_t end_after_;
    std::size_t received_ = 0;
    std::unique_ptr<char[]> buffer_;
    std::size_t begin_ = 0, end_ = 0;  // what has not been given yet of the datagram
    sockaddr_storage sender_{};
    socklen_t sender_size_ = 0;
    std::uint32_t all_lost_ = 0;  // as the system counts, from the opening of the socket on
    std::uint32_t lost_ = 0;      // of them, not yet told
    detail::descriptor_watch watch_;
};

}  // namespace

udp_server::udp_server(std::string host, std::uint16_t port, udp_options options)
    : port_(std::make_shared<detail::udp_port>(std::move(host), port, options)), options_(options) {}

std::string udp_server::name() const { return "UDP " + port_->name(); }

std::vector<std::string> udp_server::parts() {
    port_->listen();
    return byte_origin::parts();
}

std::uint16_t udp_server::port() { return port_->listen(); }

std::unique_ptr<byte_stream> udp_server::open(const byte_place&, const reader_context& context) {
    return std::make_unique<udp_stream>(port_, options_.end_after, context.wake);
}

}  // namespace runnel
