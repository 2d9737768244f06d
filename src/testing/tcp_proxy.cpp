#include "runnel/testing/tcp_proxy.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <list>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "../core/blocked_signals.hpp"
#include "runnel/core/error.hpp"

namespace runnel::testing {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t largest_piece = 64 * 1024;

enum class ending : unsigned char { orderly, reset };

void close(tcp::socket& s, ending how) {
    error_code ignored;
    if (how == ending::reset) s.set_option(asio::socket_base::linger(true, 0), ignored);
    s.close(ignored);
}

}  // namespace

/// All of it is used by its thread only, but for the counts.
class tcp_proxy::network {
public:
    network(std::uint16_t server, std::uint16_t port)
        : server_(asio::ip::address_v4::loopback(), server), acceptor_(io_), arrival_(io_) {
        const tcp::endpoint at(asio::ip::address_v4::loopback(), port);
        error_code failure;
        acceptor_.open(at.protocol(), failure);
        acceptor_.set_option(asio::socket_base::reuse_address(true), failure);
        if (acceptor_.bind(at, failure) || acceptor_.listen(asio::socket_base::max_listen_connections, failure))
            throw io_error("tcp_proxy: cannot listen on 127.0.0.1:" + std::to_string(port) + ": " + failure.message() +
                               ". Give another port, or 0 for one that is free.",
                           failure.value());
        port_ = acceptor_.local_endpoint().port();
        accept();
        const runnel::detail::blocked_signals for_its_thread;
        thread_ = std::thread([this] {
            const auto guard = asio::make_work_guard(io_);
            io_.run();
        });
    }
    ~network() {
        io_.stop();
        thread_.join();
    }

    std::uint16_t port() const noexcept { return port_; }
    std::size_t connections() const noexcept { return made_.load(std::memory_order_relaxed); }
    std::uint64_t bytes() const noexcept { return moved_.load(std::memory_order_relaxed); }

    /// Does so on the thread, and returns when it is done.
    template <class F>
    void do_now(F f) {
        std::promise<void> done;
        asio::post(io_, [&] {
            f(*this);
            done.set_value();
        });
        done.get_future().wait();
    }
    void delay(std::chrono::milliseconds by, std::size_t piece) {
        delay_ = by;
        piece_ = std::clamp<std::size_t>(piece, 1, largest_piece);
    }
    void hold(bool holds) {
        holds_ = holds;
        if (holds) return;
        for (link& l : links_)
            for (pipe& p : l.pipes)
                if (std::exchange(p.held, false)) pass(l, p);
    }
    void reset_after(std::uint64_t bytes) { left_ = bytes; }
    void refuse(bool refuses) { refuses_ = refuses; }
    void end_all(ending how) {
        left_.reset();
        while (!links_.empty()) end(links_.front(), how);
    }

private:
    /// One direction.
    struct pipe {
        pipe(tcp::socket& from, tcp::socket& to, asio::io_context& io) : from(from), to(to), timer(io) {}
        tcp::socket& from;
        tcp::socket& to;
        asio::steady_timer timer;
        std::array<char, largest_piece> piece;
        std::size_t size = 0;  ///< 0: the end.
        bool held = false;
        bool ended = false;
    };
    struct link {
        link(tcp::socket c, asio::io_context& io)
            : client(std::move(c)), server(io), pipes{pipe(client, server, io), pipe(server, client, io)} {}
        tcp::socket client;
        tcp::socket server;
        std::array<pipe, 2> pipes;
        std::list<link>::iterator place;
        int under_way = 0;  ///< Handlers that refer to it.
        bool over = false;
    };

    /// A handler that comes to nothing when its connection has ended, which then goes with the last of them.
    template <class F>
    auto of(link& l, F f) {
        ++l.under_way;
        return [this, &l, f = std::move(f)](const error_code& failure, auto... more) {
            if (!l.over) f(failure, more...);
            if (--l.under_way == 0 && l.over) ended_.erase(l.place);
        };
    }
    void accept() {
        acceptor_.async_accept(arrival_, [this](const error_code& failure) {
            tcp::socket arrived = std::exchange(arrival_, tcp::socket(io_));
            if (!failure && refuses_) close(arrived, ending::reset);
            else if (!failure) connect(std::move(arrived));
            accept();
        });
    }
    void connect(tcp::socket client) {
        links_.emplace_back(std::move(client), io_);
        link& l = links_.back();
        l.place = std::prev(links_.end());
        made_.fetch_add(1, std::memory_order_relaxed);
        l.server.async_connect(server_, of(l, [this, &l](const error_code& failure) {
                                   if (failure) return end(l, ending::reset);
                                   error_code ignored;
                                   l.client.set_option(tcp::no_delay(true), ignored);
                                   l.server.set_option(tcp::no_delay(true), ignored);
                                   for (pipe& p : l.pipes) read(l, p);
                               }));
    }
    void read(link& l, pipe& p) {
        // How much is taken is decided when there is something.
        p.from.async_wait(tcp::socket::wait_read, of(l, [this, &l, &p](error_code failure) {
                              if (!failure) p.size = p.from.read_some(asio::buffer(p.piece.data(), piece_), failure);
                              if (failure == asio::error::eof) p.size = 0;
                              else if (failure) return end(l, ending::reset);
                              if (delay_.count() <= 0) return pass(l, p);
                              p.timer.expires_after(delay_);
                              p.timer.async_wait(of(l, [this, &l, &p](const error_code&) { pass(l, p); }));
                          }));
    }
    void pass(link& l, pipe& p) {
        if (holds_) {
            p.held = true;
            return;
        }
        if (p.size == 0) return finish(l, p);
        const std::uint64_t allowed = left_.value_or(p.size);
        asio::async_write(p.to, asio::buffer(p.piece.data(), std::min<std::uint64_t>(allowed, p.size)),
                          of(l, [this, &l, &p](const error_code& failure, std::size_t n) {
                              moved_.fetch_add(n, std::memory_order_relaxed);
                              if (left_ && (*left_ -= std::min<std::uint64_t>(*left_, n)) == 0)
                                  return end_all(ending::reset);
                              if (failure) return end(l, ending::reset);
                              read(l, p);
                          }));
    }
    /// The end of what one side has to say.
    void finish(link& l, pipe& p) {
        p.ended = true;
        error_code ignored;
        p.to.shutdown(tcp::socket::shutdown_send, ignored);
        if (l.pipes[0].ended && l.pipes[1].ended) end(l, ending::orderly);
    }
    void end(link& l, ending how) {
        l.over = true;
        for (pipe& p : l.pipes) p.timer.cancel();
        close(l.client, how);
        close(l.server, how);
        ended_.splice(ended_.end(), links_, l.place);
        if (l.under_way == 0) ended_.erase(l.place);
    }

    asio::io_context io_;
    const tcp::endpoint server_;
    tcp::acceptor acceptor_;
    tcp::socket arrival_;
    std::uint16_t port_ = 0;
    std::list<link> links_;
    std::list<link> ended_;  ///< With handlers that are still to come.
    std::chrono::milliseconds delay_{0};
    std::size_t piece_ = largest_piece;
    bool holds_ = false;
    bool refuses_ = false;
    std::optional<std::uint64_t> left_;
    // Pair with nothing: recent values will do.
    std::atomic<std::size_t> made_{0};
    std::atomic<std::uint64_t> moved_{0};
    std::thread thread_;
};

tcp_proxy::tcp_proxy(std::uint16_t server, std::uint16_t port) : network_(std::make_unique<network>(server, port)) {}
tcp_proxy::~tcp_proxy() = default;

std::uint16_t tcp_proxy::port() const noexcept { return network_->port(); }
std::size_t tcp_proxy::connections() const noexcept { return network_->connections(); }
std::uint64_t tcp_proxy::bytes() const noexcept { return network_->bytes(); }

void tcp_proxy::delay(std::chrono::milliseconds by, std::size_t piece) {
    network_->do_now([&](network& n) { n.delay(by, piece); });
}
void tcp_proxy::hold(bool holds) {
    network_->do_now([&](network& n) { n.hold(holds); });
}
void tcp_proxy::reset_after(std::uint64_t bytes) {
    network_->do_now([&](network& n) { n.reset_after(bytes); });
}
void tcp_proxy::cut() {
    network_->do_now([](network& n) { n.end_all(ending::orderly); });
}
void tcp_proxy::reset() {
    network_->do_now([](network& n) { n.end_all(ending::reset); });
}
void tcp_proxy::refuse(bool refuses) {
    network_->do_now([&](network& n) { n.refuse(refuses); });
}

}  // namespace runnel::testing
