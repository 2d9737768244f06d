#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cerrno>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runnel/connect/byte_stream.hpp"
#include "runnel/connect/socket_options.hpp"
#include "runnel/connect/troubles.hpp"
#include "runnel/core/error.hpp"

namespace runnel::detail {

namespace asio = boost::asio;
using boost::system::error_code;

io_error socket_failure(const std::string& operation, const std::string& name, const error_code& ec);
std::vector<std::string> problems_of(const std::string& function, const socket_client_options& options);
std::vector<std::string> problems_of(const std::string& function, const socket_server_options& options);

/// The sockets of one reader. A thread waits for them to become readable; they are read by the caller of `read`, with
/// nothing in between, so what is not wanted yet stays in the system's buffers and the senders wait.
class socket_stream : public byte_stream {
public:
    using socket = asio::generic::stream_protocol::socket;

    byte_chunk read(char* into, std::size_t n) override;
    std::string peer_name(std::size_t peer) const override;

protected:
    struct connection {
        connection(socket s, std::string n, timestamp now)
            : stream(std::move(s)), name(std::move(n)), last_data(now) {}
        socket stream;
        std::string name;
        bool open = true;      // under mutex_
        bool expired = false;  // under mutex_: to be closed unless something has come
        timestamp last_data;   // belongs to who reads
    };

    socket_stream(std::unique_ptr<asio::io_context> io, const reader_context& context, std::string name)
        : io_(std::move(io)), name_(std::move(name)), clock_(*context.clock), wake_(context.wake) {}

    /// To be called at the end of the derived constructor.
    void start();
    /// To be called at the beginning of the derived destructor.
    void stop();
    void fail(io_error e);
    void add(socket s, std::string name);
    /// Closes connections on which nothing has come for `limit`. Returns when to ask again.
    timestamp close_idle(duration limit);

    /// A connection has ended: room for another. Called by the reading thread.
    virtual void on_end() {}
    /// No connection will come any more.
    virtual bool all_served() const = 0;
    /// What becomes of a connection that was lost: a reason for `ended`, or an exception.
    virtual std::string lost(const connection& c, const error_code& ec) = 0;

    std::unique_ptr<asio::io_context> io_;
    std::string name_;
    const clock& clock_;
    std::function<void()> wake_;
    mutable std::mutex mutex_;
    std::size_t open_ = 0;    // under mutex_
    std::size_t served_ = 0;  // under mutex_

private:
    void wait_for(std::size_t i, connection& c);
    byte_chunk end(std::size_t i, connection& c, const error_code& ec);
    void release_ended();

    std::vector<std::unique_ptr<connection>> connections_;  // under mutex_; the elements belong to who reads
    std::deque<std::size_t> ready_;                         // under mutex_
    std::optional<io_error> failure_;                       // under mutex_
    connection* ended_ = nullptr;
    std::thread thread_;
};

/// One connection to a server, made again if so asked.
class client_stream : public socket_stream {
public:
    byte_chunk read(char* into, std::size_t n) override;

protected:
    client_stream(const reader_context& context, std::string name, socket_client_options options,
                  std::shared_ptr<troubles> troubles)
        : socket_stream(std::make_unique<asio::io_context>(1), context, std::move(name)),
          options_(options),
          troubles_(std::move(troubles)),
          timeout_(*io_) {}

    ~client_stream() override { troubles_->over(this); }

    /// To be called at the end of the derived constructor.
    void begin();
    /// Starts try number `number`, which ends by `done`. This and what follows is called by the waiting thread.
    virtual void connect(std::uint64_t number) = 0;
    /// Ends what the try has under way.
    virtual void abandon() = 0;
    /// Whether try `number` has ended in the meantime.
    bool is_over(std::uint64_t number) const noexcept { return number != try_; }
    void done(std::uint64_t number, const error_code& ec, socket* s);

private:
    void start_try();
    bool all_served() const override { return !options_.reconnect && served_ != 0; }
    std::string lost(const connection& c, const error_code& ec) override;
    duration wait_before_next() const;
    void failed(io_error cause);

    socket_client_options options_;
    std::shared_ptr<troubles> troubles_;
    asio::steady_timer timeout_;
    std::uint64_t try_ = 0;          // only the waiting thread uses it
    bool trying_ = true;             // under mutex_
    std::size_t failures_ = 0;       // under mutex_: tries in a row without data
    std::optional<io_error> cause_;  // under mutex_: of the last one
    bool fresh_ = false;             // under mutex_: connected, but nothing has come yet
    /// When to try again, if that has been set.
    std::optional<timestamp> next_try_;
};

/// An open port or socket file, before and while it is served.
template <class Protocol>
struct open_port {
    std::unique_ptr<asio::io_context> io = std::make_unique<asio::io_context>(1);
    asio::basic_socket_acceptor<Protocol> acceptor{*io};
};

/// What a server and its copies listen on: opened when it is first asked for, served by one reader at a time.
template <class Protocol>
class listener {
public:
    virtual ~listener() = default;

    std::string name() const {
        const std::lock_guard lock(mutex_);
        return do_name();
    }
    /// Opens it unless it is open or being served.
    void listen() {
        const std::lock_guard lock(mutex_);
        if (!opened_ && !served_) opened_ = open();
    }
    std::unique_ptr<open_port<Protocol>> take() {
        const std::lock_guard lock(mutex_);
        if (served_) throw io_error("cannot listen on " + do_name() + " twice at a time", EADDRINUSE);
        if (!opened_) opened_ = open();
        served_ = true;
        return std::move(opened_);
    }
    /// After the acceptor has been closed.
    void give_back() {
        const std::lock_guard lock(mutex_);
        served_ = false;
        closed();
    }

protected:
    virtual std::string do_name() const = 0;
    virtual std::unique_ptr<open_port<Protocol>> open() = 0;
    virtual void closed() {}

    mutable std::mutex mutex_;
    std::unique_ptr<open_port<Protocol>> opened_;

private:
    bool served_ = false;
};

/// The connections of clients. `name_of(socket)` is what messages call a client.
template <class Protocol, class NameOf>
class server_stream final : public socket_stream {
public:
    server_stream(std::shared_ptr<listener<Protocol>> from, std::unique_ptr<open_port<Protocol>> port,
                  socket_server_options options, NameOf name_of, const reader_context& context)
        : socket_stream(std::move(port->io), context, from->name()),
          listener_(std::move(from)),
          acceptor_(std::move(port->acceptor)),
          options_(options),
          name_of_(std::move(name_of)) {
        accept();
        start();
    }
    ~server_stream() override {
        stop();
        error_code ignored;
        acceptor_.close(ignored);
        listener_->give_back();
    }

    byte_chunk read(char* into, std::size_t n) override {
        byte_chunk chunk = socket_stream::read(into, n);
        if (chunk.what == byte_chunk::kind::wait && options_.idle_timeout.count() > 0)
            chunk.until = close_idle(options_.idle_timeout);
        return chunk;
    }

private:
    void accept() {
        {
            const std::lock_guard lock(mutex_);
            if (accepting_ || open_ >= options_.max_connections) return;
            if (options_.end_after != 0 && open_ + served_ >= options_.end_after) return;
            accepting_ = true;
        }
        acceptor_.async_accept([this](const error_code& ec, typename Protocol::socket client) {
            {
                const std::lock_guard lock(mutex_);
                accepting_ = false;
            }
            if (ec == asio::error::operation_aborted) return;
            // A client that has gone again before it was accepted is none.
            if (ec && ec != asio::error::connection_aborted)
                return fail(socket_failure("accept connections on", name_, ec));
            if (!ec) {
                std::string name = name_of_(client);
                add(std::move(client), std::move(name));
            }
            accept();
        });
    }
    void on_end() override {
        asio::post(*io_, [this] { accept(); });
    }
    bool all_served() const override { return options_.end_after != 0 && served_ >= options_.end_after; }
    std::string lost(const connection&, const error_code& ec) override { return "connection lost: " + ec.message(); }

    std::shared_ptr<listener<Protocol>> listener_;
    asio::basic_socket_acceptor<Protocol> acceptor_;
    socket_server_options options_;
    NameOf name_of_;
    bool accepting_ = false;  // under mutex_
};

/// Serves what `from` listens on.
template <class Protocol, class NameOf>
std::unique_ptr<byte_stream> serve(std::shared_ptr<listener<Protocol>> from, socket_server_options options,
                                   NameOf name_of, const reader_context& context) {
    auto port = from->take();
    try {
        return std::make_unique<server_stream<Protocol, NameOf>>(from, std::move(port), options, std::move(name_of),
                                                                 context);
    } catch (...) {
        from->give_back();
        throw;
    }
}

}  // namespace runnel::detail
