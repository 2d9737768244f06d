#include "runnel/connect/tcp.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "asio_streams.hpp"

namespace runnel {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

std::string address(const std::string& host, std::uint16_t port) {
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

class tcp_client_stream final : public detail::client_stream {
public:
    tcp_client_stream(std::string host, std::uint16_t port, socket_client_options options,
                      std::shared_ptr<detail::troubles> troubles, const reader_context& context)
        : client_stream(context, address(host, port), options, std::move(troubles)),
          host_(std::move(host)),
          port_(std::to_string(port)),
          resolver_(*io_),
          socket_(*io_) {
        begin();
    }
    ~tcp_client_stream() override { stop(); }

private:
    void connect(std::uint64_t number) override {
        resolver_.async_resolve(host_, port_, [this, number](const error_code& ec, const auto& found) {
            if (is_over(number)) return;
            if (ec) return done(number, ec, nullptr);
            asio::async_connect(socket_, found, [this, number](const error_code& failed, const tcp::endpoint&) {
                if (is_over(number)) return;
                if (failed) return done(number, failed, nullptr);
                socket connected(std::move(socket_));
                done(number, failed, &connected);
            });
        });
    }
    void abandon() override {
        resolver_.cancel();
        error_code ignored;
        socket_.close(ignored);
    }

    std::string host_, port_;
    tcp::resolver resolver_;
    tcp::socket socket_;
};

}  // namespace

class detail::tcp_listener final : public listener<tcp> {
public:
    tcp_listener(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {}

    std::uint16_t port() {
        listen();
        const std::lock_guard lock(mutex_);
        return port_;
    }

private:
    std::string do_name() const override { return address(host_, port_); }
    std::unique_ptr<open_port<tcp>> open() override {
        auto opened = std::make_unique<detail::open_port<tcp>>();
        error_code ec;
        const std::string name = do_name();
        const auto found = tcp::resolver(*opened->io).resolve(host_, std::to_string(port_), tcp::resolver::passive, ec);
        if (ec) throw detail::socket_failure("listen on", name, ec);
        const tcp::endpoint at = *found.begin();
        auto& acceptor = opened->acceptor;
        acceptor.open(at.protocol(), ec);
        // So that a port can be served again at once after a restart.
        if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
        if (!ec) acceptor.bind(at, ec);
        if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
        if (!ec) port_ = acceptor.local_endpoint(ec).port();
        if (ec) throw detail::socket_failure("listen on", name, ec);
        return opened;
    }

    std::string host_;
    std::uint16_t port_;
};

std::string tcp_client::name() const { return address(host_, port_); }

std::vector<std::string> tcp_client::problems() const { return detail::problems_of("tcp_connect", options_); }

std::unique_ptr<byte_stream> tcp_client::open(const byte_place&, const reader_context& context) {
    return std::make_unique<tcp_client_stream>(host_, port_, options_, troubles_, context);
}

tcp_server::tcp_server(std::string host, std::uint16_t port, socket_server_options options)
    : listener_(std::make_shared<detail::tcp_listener>(std::move(host), port)), options_(options) {}

std::string tcp_server::name() const { return listener_->name(); }

std::vector<std::string> tcp_server::problems() const { return detail::problems_of("tcp_listen", options_); }

std::vector<std::string> tcp_server::parts() {
    listener_->listen();
    return byte_origin::parts();
}

std::uint16_t tcp_server::port() { return listener_->port(); }

std::unique_ptr<byte_stream> tcp_server::open(const byte_place&, const reader_context& context) {
    const auto name_of = [listener = listener_](const tcp::socket& client) {
        error_code gone;
        const tcp::endpoint peer = client.remote_endpoint(gone);
        return gone ? listener->name() : address(peer.address().to_string(), peer.port());
    };
    return detail::serve<tcp>(listener_, options_, name_of, context);
}

}  // namespace runnel
