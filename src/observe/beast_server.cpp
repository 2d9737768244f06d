#include <pthread.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <set>
#include <thread>

#include "../core/blocked_signals.hpp"
#include "address.hpp"
#include "page_server.hpp"
#include "runnel/core/error.hpp"

namespace runnel::observe::detail {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using namespace std::chrono_literals;

constexpr std::size_t most_connections = 64;
/// Of them for open pages; the rest stays free for short requests.
constexpr std::size_t most_viewers = 32;
constexpr auto patience = 5s;
/// How long, and for how many bytes, a client that was refused may go on talking until it has read why.
constexpr auto farewell = 1s;
constexpr std::size_t farewell_bytes = 256 * 1024;

bool is_good_token(const std::string& token) {
    constexpr std::string_view known = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    return token.size() >= 16 && token.find_first_not_of(known) == token.npos;
}

tcp::endpoint endpoint_of(const page_options& options) {
    error_code ec;
    const auto address = asio::ip::make_address(options.address, ec);
    if (ec)
        throw error("live page: \"" + options.address +
                    "\" is no address. Give one of this machine, such as 127.0.0.1");
    if (!address.is_loopback() && (!options.allow_remote || options.token.empty()))
        throw error("live page: other machines can reach " + options.address +
                    ". Use 127.0.0.1, or set allow_remote and a token");
    if (!options.token.empty() && !is_good_token(options.token))
        throw error("live page: the token is too easy to guess, or has other characters than letters, digits, - and _. "
                    "Give 16 or more of them");
    if (options.interval < 100ms) throw error("live page: interval is below 100 ms. Give a longer one");
    return {address, options.port};
}

}  // namespace

bool is_address(const std::string& host) {
    error_code ec;
    if (host.starts_with('[') && host.ends_with(']'))
        (void)asio::ip::make_address_v6(host.substr(1, host.size() - 2), ec);
    else (void)asio::ip::make_address_v4(host, ec);
    return !ec;
}

struct http_reader::parser : http::request_parser<http::empty_body> {};

http_reader::http_reader() = default;
http_reader::~http_reader() = default;

http_reader::state http_reader::refuse(unsigned status) {
    refusal_ = status;
    bytes_.clear();
    return state::refused;
}

http_reader::state http_reader::put(std::string_view bytes) {
    if (refusal_ != 0) return state::refused;
    bytes_ += bytes;
    if (bytes_.empty()) return state::incomplete;
    if (!parser_) {
        parser_ = std::make_unique<parser>();
        parser_->header_limit(longest_head);
        used_ = 0;
    }
    // The line is taken when it is complete, what is behind it when all of it is.
    if (used_ == 0 && std::min(bytes_.find("\r\n"), bytes_.size()) > longest_line) return refuse(414);
    error_code ec;
    const std::size_t used = parser_->put(asio::buffer(bytes_), ec);
    bytes_.erase(0, used);
    used_ += used;
    const bool done = parser_->is_header_done();
    if (ec == http::error::header_limit || used_ + (done ? 0 : bytes_.size()) > longest_head) return refuse(431);
    if (ec && ec != http::error::need_more) return refuse(400);
    if (!done) return state::incomplete;
    const auto& head = parser_->get();
    if (head.count(http::field::host) != 1) return refuse(400);
    // Nothing here takes a body.
    if (parser_->chunked() || parser_->content_length().value_or(0) != 0) return refuse(413);
    request_.method = head.method_string();
    request_.target = head.target();
    request_.host = head[http::field::host];
    request_.authorization = head[http::field::authorization];
    request_.keep_alive = head.keep_alive();
    parser_.reset();
    return state::complete;
}

class page_server::listener {
public:
    explicit listener(page_site& site) : site_(site) {
        const tcp::endpoint at = endpoint_of(site.options());
        try {
            acceptor_.open(at.protocol());
            acceptor_.set_option(tcp::acceptor::reuse_address(true));
            acceptor_.bind(at);
            acceptor_.listen();
            port_ = acceptor_.local_endpoint().port();
        } catch (const boost::system::system_error& e) {
            throw io_error("live page: cannot listen on " + site.options().address + ":" + std::to_string(at.port()) +
                               ": " + e.code().message() + ". Give another port, or 0 for any that is free",
                           e.code().value());
        }
        accept();
        const runnel::detail::blocked_signals quiet;
        thread_ = std::thread([this] { run(); });
    }
    ~listener() {
        io_.stop();
        thread_.join();
    }
    std::uint16_t port() const noexcept { return port_; }

private:
    class session;

    /// What a request or a viewer has failed of costs its connection, no more.
    void run() noexcept {
        (void)pthread_setname_np(pthread_self(), "runnel page");
        for (;;) {
            try {
                io_.run();
                return;
            } catch (...) {
            }
        }
    }
    void accept();
    void add_viewer(const std::shared_ptr<session>& s);
    void tick();

    page_site& site_;
    std::uint16_t port_ = 0;
    std::size_t open_ = 0;  ///< Connections. This and what follows is used by the thread alone.
    std::set<session*> viewers_;
    bool ticking_ = false;
    asio::io_context io_{1};
    tcp::acceptor acceptor_{io_};
    asio::steady_timer retry_{io_};
    asio::steady_timer timer_{io_};
    std::thread thread_;
};

/// One connection. Lives as long as something is under way on it.
class page_server::listener::session : public std::enable_shared_from_this<session> {
public:
    session(listener& of, tcp::socket socket) : of_(of), socket_(std::move(socket)), deadline_(of.io_) { ++of_.open_; }
    ~session() {
        --of_.open_;
        of_.viewers_.erase(this);
    }

    void begin() {
        if (of_.open_ > most_connections) return refuse(503);
        arm(patience);
        read();
    }
    /// To a viewer; one that has not taken the last event yet is left out.
    void send(const std::shared_ptr<const std::string>& event) {
        if (writing_) return;
        writing_ = true;
        arm(patience);
        const auto self = this->shared_from_this();
        asio::async_write(socket_, asio::buffer(*event), [self, event](error_code ec, std::size_t) {
            self->writing_ = false;
            if (ec) return self->close();
            self->deadline_.expires_at(asio::steady_timer::time_point::max());
        });
    }

private:
    void read() {
        socket_.async_read_some(asio::buffer(block_), [self = this->shared_from_this()](error_code ec, std::size_t n) {
            if (ec) return self->close();
            self->take(std::string_view(self->block_.data(), n));
        });
    }
    void take(std::string_view bytes) {
        switch (reader_.put(bytes)) {
            case http_reader::state::incomplete: return read();
            case http_reader::state::refused: return refuse(reader_.refusal());
            case http_reader::state::complete: return respond(reader_.request());
        }
    }
    void refuse(unsigned status) {
        http_response r{status, "text/plain; charset=utf-8", "This request cannot be answered.\n", false};
        write(http_text(r, false, false), [](session& s) { s.end(); });
    }
    void respond(const http_request& request) {
        http_response r = of_.site_.answer(request);
        const bool head = request.method == "HEAD";
        if (r.is_stream && !head && of_.viewers_.size() >= most_viewers) return refuse(503);
        const bool streams = r.is_stream && !head;
        const bool keeps = request.keep_alive && !r.is_stream;
        write(http_text(r, keeps, head), [streams, keeps](session& s) {
            if (streams) return s.stream();
            if (!keeps) return s.end();
            s.arm(patience);
            s.take({});
        });
    }
    template <class F>
    void write(std::string text, F then) {
        arm(patience);
        out_ = std::move(text);
        const auto self = this->shared_from_this();
        asio::async_write(socket_, asio::buffer(out_), [self, then](error_code ec, std::size_t) {
            if (ec) return self->close();
            then(*self);
        });
    }
    void stream() {
        deadline_.expires_at(asio::steady_timer::time_point::max());
        of_.add_viewer(this->shared_from_this());
        ignore();
    }
    /// Nothing more is expected: only its end is of interest.
    void ignore() {
        socket_.async_read_some(asio::buffer(block_), [self = this->shared_from_this()](error_code ec, std::size_t n) {
            self->ignored_ += n;
            if (ec || self->ignored_ > farewell_bytes) return self->close();
            self->ignore();
        });
    }
    /// The client is to read the answer before the connection is gone, even if it is still writing.
    void end() {
        error_code ec;
        socket_.shutdown(tcp::socket::shutdown_send, ec);
        if (ec) return close();
        arm(farewell);
        ignore();
    }
    void arm(asio::steady_timer::duration limit) {
        deadline_.expires_after(limit);
        deadline_.async_wait([weak = this->weak_from_this()](error_code ec) {
            const auto self = weak.lock();
            if (!ec && self && self->deadline_.expiry() <= asio::steady_timer::clock_type::now()) self->close();
        });
    }
    void close() {
        error_code ec;
        socket_.close(ec);
        deadline_.cancel();
        of_.viewers_.erase(this);
    }

    listener& of_;
    tcp::socket socket_;
    asio::steady_timer deadline_;
    http_reader reader_;
    std::array<char, 4096> block_;
    std::string out_;
    bool writing_ = false;
    std::size_t ignored_ = 0;
};

void page_server::listener::accept() {
    acceptor_.async_accept([this](error_code ec, tcp::socket socket) {
        if (ec == asio::error::operation_aborted) return;
        if (ec) {
            // No descriptors, perhaps: not at once again.
            retry_.expires_after(100ms);
            return retry_.async_wait([this](error_code) { accept(); });
        }
        accept();
        // One more is told that there is no room; others are not even told.
        if (open_ <= most_connections) std::make_shared<session>(*this, std::move(socket))->begin();
    });
}

void page_server::listener::add_viewer(const std::shared_ptr<session>& s) {
    viewers_.insert(s.get());
    s->send(std::make_shared<const std::string>(site_.event()));
    if (!std::exchange(ticking_, true)) tick();
}

void page_server::listener::tick() {
    timer_.expires_after(site_.options().interval);
    timer_.async_wait([this](error_code) {
        ticking_ = !viewers_.empty();
        if (!ticking_) return;
        tick();
        const auto event = std::make_shared<const std::string>(site_.event());
        for (session* s : std::set(viewers_)) s->send(event);
    });
}

page_server::page_server(page_site& site) : listener_(std::make_unique<listener>(site)) {}
page_server::~page_server() = default;
std::uint16_t page_server::port() const { return listener_->port(); }

}  // namespace runnel::observe::detail
