#include "runnel/connect/unix_socket.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "asio_streams.hpp"

namespace runnel {

namespace {

namespace asio = boost::asio;
using unix_protocol = asio::local::stream_protocol;
using boost::system::error_code;

error_code to_endpoint(const std::string& path, unix_protocol::endpoint& at) {
    try {
        at = unix_protocol::endpoint(path);
        return {};
    } catch (const boost::system::system_error& e) {
        return e.code();
    }
}

class unix_client_stream final : public detail::client_stream {
public:
    unix_client_stream(const std::string& path, socket_client_options options,
                       std::shared_ptr<detail::troubles> troubles, const reader_context& context)
        : client_stream(context, path, options, std::move(troubles)), socket_(*io_) {
        begin();
    }
    ~unix_client_stream() override { stop(); }

private:
    void connect(std::uint64_t number) override {
        unix_protocol::endpoint at;
        if (const error_code ec = to_endpoint(name_, at)) return done(number, ec, nullptr);
        socket_.async_connect(at, [this, number](const error_code& ec) {
            if (is_over(number)) return;
            if (ec) return done(number, ec, nullptr);
            socket connected(std::move(socket_));
            done(number, ec, &connected);
        });
    }
    void abandon() override {
        error_code ignored;
        socket_.close(ignored);
    }

    unix_protocol::socket socket_;
};

/// Nobody serves the socket file at `path`.
bool is_left_behind(const std::string& path, const unix_protocol::endpoint& at, asio::io_context& io) {
    struct stat about {};
    if (::lstat(path.c_str(), &about) != 0 || !S_ISSOCK(about.st_mode)) return false;
    error_code ec;
    unix_protocol::socket(io).connect(at, ec);
    return ec == asio::error::connection_refused;
}

}  // namespace

class detail::unix_listener final : public listener<unix_protocol> {
public:
    explicit unix_listener(std::string path) : path_(std::move(path)) {}
    ~unix_listener() override { closed(); }

private:
    std::string do_name() const override { return path_; }
    std::unique_ptr<open_port<unix_protocol>> open() override {
        auto opened = std::make_unique<open_port<unix_protocol>>();
        unix_protocol::endpoint at;
        error_code ec = to_endpoint(path_, at);
        auto& acceptor = opened->acceptor;
        if (!ec) acceptor.open(at.protocol(), ec);
        if (!ec) acceptor.bind(at, ec);
        if (ec == asio::error::address_in_use && is_left_behind(path_, at, *opened->io)) {
            ::unlink(path_.c_str());
            ec = {};
            acceptor.bind(at, ec);
        }
        if (!ec) made_ = true;
        if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
        if (ec) {
            closed();
            throw socket_failure("listen on", path_, ec);
        }
        return opened;
    }
    void closed() override {
        if (std::exchange(made_, false)) ::unlink(path_.c_str());
    }

    std::string path_;
    bool made_ = false;
};

std::vector<std::string> unix_client::problems() const { return detail::problems_of("unix_connect", options_); }

std::unique_ptr<byte_stream> unix_client::open(const byte_place&, const reader_context& context) {
    return std::make_unique<unix_client_stream>(path_, options_, troubles_, context);
}

unix_server::unix_server(std::string path, socket_server_options options)
    : listener_(std::make_shared<detail::unix_listener>(std::move(path))), options_(options) {}

std::string unix_server::name() const { return listener_->name(); }

std::vector<std::string> unix_server::problems() const { return detail::problems_of("unix_listen", options_); }

std::vector<std::string> unix_server::parts() {
    listen();
    return byte_origin::parts();
}

void unix_server::listen() { listener_->listen(); }

std::unique_ptr<byte_stream> unix_server::open(const byte_place&, const reader_context& context) {
    const auto name_of = [path = listener_->name(), number = std::uint64_t{0}](const unix_protocol::socket&) mutable {
        return path + "#" + std::to_string(++number);
    };
    return detail::serve<unix_protocol>(listener_, options_, name_of, context);
}

}  // namespace runnel
