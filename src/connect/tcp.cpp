#include "runnel/connect/tcp.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <mutex>
#include <optional>

#include "quiet_thread.hpp"
#include "runnel/core/error.hpp"

namespace runnel {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

std::string address(const std::string& host, std::uint16_t port) {
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

io_error failure(const std::string& operation, const std::string& name, const error_code& ec) {
    // Looking up a host has error codes of its own.
    const bool is_errno = ec.category() == boost::system::system_category();
    return io_error("cannot " + operation + " " + name + ": " + ec.message(), is_errno ? ec.value() : 0);
}

/// The sockets of one reader. A thread waits for them to become readable; they are read by the caller of `read`, with
/// nothing in between, so what is not wanted yet stays in the system's buffers and the senders wait.
class socket_stream : public byte_stream {
public:
    ~socket_stream() override = default;

    byte_chunk read(char* into, std::size_t n) override {
        release_ended();
        for (;;) {
            std::size_t i;
            connection* c;
            {
                const std::lock_guard lock(mutex_);
                if (ready_.empty()) {
                    if (failure_) throw *failure_;
                    return {.what = all_served() ? byte_chunk::kind::finished : byte_chunk::kind::wait};
                }
                i = ready_.front();
                ready_.pop_front();
                c = connections_[i].get();
            }
            error_code ec;
            const std::size_t size = c->socket.read_some(asio::buffer(into, n), ec);
            if (ec == asio::error::would_block || ec == asio::error::interrupted) {
                wait_for(i, *c);
                continue;
            }
            if (ec) return end(i, *c, ec);
            if (size < n) {
                wait_for(i, *c);
            } else {
                // Probably there is more; the others come first.
                const std::lock_guard lock(mutex_);
                ready_.push_back(i);
            }
            return {.what = byte_chunk::kind::data, .peer = i, .size = size};
        }
    }

    std::string peer_name(std::size_t peer) const override {
        const std::lock_guard lock(mutex_);
        return connections_[peer]->name;
    }

protected:
    struct connection {
        connection(tcp::socket s, std::string n) : socket(std::move(s)), name(std::move(n)) {}
        tcp::socket socket;
        std::string name;
        bool open = true;  // under mutex_
    };

    socket_stream(std::unique_ptr<asio::io_context> io, std::function<void()> wake, std::string name,
                  std::size_t end_after)
        : io_(std::move(io)), name_(std::move(name)), wake_(std::move(wake)), end_after_(end_after) {}

    /// To be called at the end of the derived constructor.
    void start() {
        thread_ = detail::start_quiet_thread([this] {
            // Sockets are handed over to be waited for at any time, also when none is just now.
            const auto guard = asio::make_work_guard(*io_);
            try {
                io_->run();
            } catch (const std::exception& e) {
                fail(io_error("cannot serve " + name_ + ": " + e.what(), 0));
            }
        });
    }
    /// To be called at the beginning of the derived destructor.
    void stop() {
        io_->stop();
        if (thread_.joinable()) thread_.join();
    }

    void fail(io_error e) {
        {
            const std::lock_guard lock(mutex_);
            if (!failure_) failure_ = std::move(e);
        }
        wake_();
    }

    void add(tcp::socket socket, std::string name) {
        error_code ignored;
        socket.non_blocking(true, ignored);
        // Finds peers that have gone without a word, after hours.
        socket.set_option(asio::socket_base::keep_alive(true), ignored);
        auto added = std::make_unique<connection>(std::move(socket), std::move(name));
        connection& c = *added;
        std::size_t i = 0;
        {
            const std::lock_guard lock(mutex_);
            while (i < connections_.size() && connections_[i]->open) ++i;
            if (i == connections_.size()) connections_.push_back(std::move(added));
            else connections_[i] = std::move(added);
            ++open_;
        }
        wait_for(i, c);
    }

    /// A connection has ended: room for another. Called by the reading thread.
    virtual void on_end() {}
    /// What becomes of a connection that was lost: a reason for `ended`, or an exception.
    virtual std::string lost(const connection& c, const error_code& ec) = 0;

    std::unique_ptr<asio::io_context> io_;
    std::string name_;
    mutable std::mutex mutex_;
    std::size_t open_ = 0;    // under mutex_
    std::size_t served_ = 0;  // under mutex_

private:
    bool all_served() const noexcept { return end_after_ != 0 && served_ >= end_after_; }

    /// Has the connection come up again when it is readable, has ended or failed. No other operation on it is under
    /// way, so this may be called from either thread.
    void wait_for(std::size_t i, connection& c) {
        c.socket.async_wait(tcp::socket::wait_read, [this, i](const error_code& ec) {
            if (ec == asio::error::operation_aborted) return;
            {
                const std::lock_guard lock(mutex_);
                ready_.push_back(i);
            }
            wake_();
        });
    }

    byte_chunk end(std::size_t i, connection& c, const error_code& ec) {
        byte_chunk chunk{.what = byte_chunk::kind::ended, .peer = i};
        if (ec != asio::error::eof) chunk.reason = lost(c, ec);
        error_code ignored;
        c.socket.close(ignored);
        ended_ = &c;
        return chunk;
    }
    /// Gives the number of the connection that ended last to another one, now that its name is not asked for any more.
    void release_ended() {
        if (!ended_) return;
        {
            const std::lock_guard lock(mutex_);
            ended_->open = false;
            --open_;
            ++served_;
        }
        ended_ = nullptr;
        on_end();
    }

    std::function<void()> wake_;
    std::size_t end_after_;
    std::vector<std::unique_ptr<connection>> connections_;  // under mutex_; the elements belong to who reads
    std::deque<std::size_t> ready_;                         // under mutex_
    std::optional<io_error> failure_;                       // under mutex_
    connection* ended_ = nullptr;
    std::thread thread_;
};

class client_stream final : public socket_stream {
public:
    client_stream(const std::string& host, std::uint16_t port, tcp_client_options options, std::function<void()> wake)
        : socket_stream(std::make_unique<asio::io_context>(1), std::move(wake), address(host, port), 1),
          resolver_(*io_), socket_(*io_), timeout_(*io_, options.timeout) {
        timeout_.async_wait([this](const error_code& ec) {
            if (!ec) give_up(asio::error::timed_out);
        });
        // On the thread, so that the thread which the resolver starts takes no signals either.
        asio::post(*io_, [this, host, port] { resolve(host, port); });
        start();
    }
    ~client_stream() override { stop(); }

private:
    void resolve(const std::string& host, std::uint16_t port) {
        resolver_.async_resolve(host, std::to_string(port), [this](const error_code& ec, const auto& found) {
            if (ec) return give_up(ec);
            if (given_up_) return;
            asio::async_connect(socket_, found, [this](const error_code& failed, const tcp::endpoint&) {
                if (failed) return give_up(failed);
                if (std::exchange(given_up_, true)) return;
                timeout_.cancel();
                add(std::move(socket_), name_);
            });
        });
    }
    void give_up(const error_code& ec) {
        if (std::exchange(given_up_, true)) return;
        timeout_.cancel();
        resolver_.cancel();
        error_code ignored;
        socket_.close(ignored);
        fail(failure("connect to", name_, ec));
    }
    std::string lost(const connection& c, const error_code& ec) override {
        throw failure("read from", c.name, ec);
    }

    tcp::resolver resolver_;
    tcp::socket socket_;
    asio::steady_timer timeout_;
    bool given_up_ = false;  // or connected: only the waiting thread uses it
};

/// An open port, before and while it is served.
struct open_port {
    std::unique_ptr<asio::io_context> io = std::make_unique<asio::io_context>(1);
    tcp::acceptor acceptor{*io};
};

}  // namespace

class detail::tcp_listener {
public:
    tcp_listener(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {}

    std::string name() {
        const std::lock_guard lock(mutex_);
        return address(host_, port_);
    }
    /// Opens the port unless it is open or being served.
    std::uint16_t listen() {
        const std::lock_guard lock(mutex_);
        if (!opened_ && !served_) open();
        return port_;
    }
    std::unique_ptr<open_port> take() {
        const std::lock_guard lock(mutex_);
        if (served_) throw io_error("cannot listen on " + address(host_, port_) + " twice at a time", EADDRINUSE);
        if (!opened_) open();
        served_ = true;
        return std::move(opened_);
    }
    void give_back() {
        const std::lock_guard lock(mutex_);
        served_ = false;
    }

private:
    void open() {
        auto opened = std::make_unique<open_port>();
        error_code ec;
        const std::string name = address(host_, port_);
        const auto found = tcp::resolver(*opened->io).resolve(host_, std::to_string(port_), tcp::resolver::passive, ec);
        if (ec) throw failure("listen on", name, ec);
        const tcp::endpoint at = *found.begin();
        tcp::acceptor& acceptor = opened->acceptor;
        acceptor.open(at.protocol(), ec);
        // So that a port can be served again at once after a restart.
        if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
        if (!ec) acceptor.bind(at, ec);
        if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
        if (!ec) port_ = acceptor.local_endpoint(ec).port();
        if (ec) throw failure("listen on", name, ec);
        opened_ = std::move(opened);
    }

    std::mutex mutex_;
    std::string host_;
    std::uint16_t port_;
    std::unique_ptr<open_port> opened_;
    bool served_ = false;
};

namespace {

class server_stream final : public socket_stream {
public:
    server_stream(std::shared_ptr<detail::tcp_listener> listener, std::unique_ptr<open_port> port,
                  tcp_server_options options, std::function<void()> wake)
        : socket_stream(std::move(port->io), std::move(wake), listener->name(), options.end_after),
          listener_(std::move(listener)), acceptor_(std::move(port->acceptor)), options_(options) {
        accept();
        start();
    }
    ~server_stream() override {
        stop();
        error_code ignored;
        acceptor_.close(ignored);
        listener_->give_back();
    }

private:
    void accept() {
        {
            const std::lock_guard lock(mutex_);
            if (accepting_ || open_ >= options_.max_connections) return;
            if (options_.end_after != 0 && open_ + served_ >= options_.end_after) return;
            accepting_ = true;
        }
        acceptor_.async_accept([this](const error_code& ec, tcp::socket socket) {
            {
                const std::lock_guard lock(mutex_);
                accepting_ = false;
            }
            if (ec == asio::error::operation_aborted) return;
            // A client that has gone again before it was accepted is none.
            if (ec && ec != asio::error::connection_aborted) return fail(failure("accept connections on", name_, ec));
            if (!ec) {
                error_code gone;
                const tcp::endpoint peer = socket.remote_endpoint(gone);
                add(std::move(socket), gone ? name_ : address(peer.address().to_string(), peer.port()));
            }
            accept();
        });
    }
    void on_end() override {
        asio::post(*io_, [this] { accept(); });
    }
    std::string lost(const connection&, const error_code& ec) override { return "connection lost: " + ec.message(); }

    std::shared_ptr<detail::tcp_listener> listener_;
    tcp::acceptor acceptor_;
    tcp_server_options options_;
    bool accepting_ = false;  // under mutex_
};

}  // namespace

std::string tcp_client::name() const { return address(host_, port_); }

std::unique_ptr<byte_stream> tcp_client::open(const byte_place&, const reader_context& context) {
    return std::make_unique<client_stream>(host_, port_, options_, context.wake);
}

tcp_server::tcp_server(std::string host, std::uint16_t port, tcp_server_options options)
    : listener_(std::make_shared<detail::tcp_listener>(std::move(host), port)), options_(options) {}

std::string tcp_server::name() const { return listener_->name(); }

std::vector<std::string> tcp_server::problems() const {
    if (options_.max_connections != 0) return {};
    return {"tcp_listen: max_connections is 0; at least 1 is needed"};
}

std::vector<std::string> tcp_server::parts() {
    listener_->listen();
    return byte_origin::parts();
}

std::uint16_t tcp_server::port() { return listener_->listen(); }

std::unique_ptr<byte_stream> tcp_server::open(const byte_place&, const reader_context& context) {
    std::unique_ptr<open_port> port = listener_->take();
    try {
        return std::make_unique<server_stream>(listener_, std::move(port), options_, context.wake);
    } catch (...) {
        listener_->give_back();
        throw;
    }
}

}  // namespace runnel
