#include "runnel/testing/tcp_proxy.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>

#include "runnel/core/error.hpp"
#include "tests/connect/peer_socket.hpp"

using namespace std::chrono_literals;
using runnel::testing::tcp_proxy;
using test::peer_socket;

namespace {

/// A client and a server with a proxy between them.
struct both_sides {
    peer_socket listening = peer_socket::listening();
    tcp_proxy proxy{listening.port()};
    peer_socket client = peer_socket::connect_to(proxy.port());
    peer_socket server = listening.accept();
};

/// What arrives: so many bytes, or all up to the end.
std::string received(const peer_socket& at, std::size_t most = std::string::npos) {
    std::string all;
    char byte;
    while (all.size() < most && at.receive(byte)) all += byte;
    return all;
}

}  // namespace

TEST_CASE("what is sent arrives, in both directions and in order, and so does the end") {
    both_sides s;
    std::string large;
    for (int i = 0; i < 100'000; ++i) large += std::to_string(i);
    std::thread sends([&] { s.client.send(large); });
    CHECK(received(s.server, large.size()) == large);
    sends.join();
    s.server.send("answer");
    CHECK(received(s.client, 6) == "answer");
    s.client.close();
    CHECK(s.server.at_end());
    CHECK(s.proxy.connections() == 1);
    CHECK(s.proxy.bytes() == large.size() + 6);
}

TEST_CASE("what is delayed arrives later, and piece by piece") {
    both_sides s;
    s.proxy.delay(50ms, 2);
    const auto begun = std::chrono::steady_clock::now();
    s.client.send("abcdef");
    CHECK(received(s.server, 6) == "abcdef");
    CHECK(std::chrono::steady_clock::now() - begun >= 150ms);
    s.proxy.delay(0ms);
    s.client.send("g");
    CHECK(received(s.server, 1) == "g");
}

TEST_CASE("what is held arrives when it is let go on, and connections that come meanwhile stay") {
    both_sides s;
    s.proxy.hold();
    s.client.send("ab");
    peer_socket later = peer_socket::connect_to(s.proxy.port());
    peer_socket of_later = s.listening.accept();
    later.send("c");
    later.close();
    CHECK(s.proxy.bytes() == 0);
    s.proxy.hold(false);
    CHECK(received(s.server, 2) == "ab");
    CHECK(received(of_later) == "c");
}

TEST_CASE("connections end by a cut or by a reset, and new ones can be made") {
    both_sides s;
    s.client.send("a");
    CHECK(received(s.server, 1) == "a");
    SUBCASE("a cut") {
        s.proxy.cut();
        CHECK(s.server.last_error() == 0);
        CHECK(s.client.last_error() == 0);
    }
    SUBCASE("a reset") {
        s.proxy.reset();
        CHECK(s.server.last_error() == ECONNRESET);
        CHECK(s.client.last_error() == ECONNRESET);
    }
    SUBCASE("while something is held") {
        s.proxy.hold();
        s.client.send("lost");
        s.proxy.cut();
        s.proxy.hold(false);
        CHECK(received(s.server).empty());
    }
    peer_socket again = peer_socket::connect_to(s.proxy.port());
    peer_socket of_again = s.listening.accept();
    again.send("b");
    CHECK(received(of_again, 1) == "b");
}

TEST_CASE("a reset may come in the middle of a message, once") {
    both_sides s;
    s.proxy.reset_after(3);
    s.client.send("abcdef");
    CHECK(s.client.last_error() == ECONNRESET);
    CHECK(s.proxy.bytes() == 3);
    peer_socket again = peer_socket::connect_to(s.proxy.port());
    peer_socket of_again = s.listening.accept();
    again.send("abcdef");
    CHECK(received(of_again, 6) == "abcdef");
}

TEST_CASE("those who come are turned away while that is asked for, or while there is no server; others stay") {
    both_sides s;
    s.proxy.refuse();
    CHECK(peer_socket::connect_to(s.proxy.port()).last_error() == ECONNRESET);
    s.client.send("a");
    CHECK(received(s.server, 1) == "a");
    s.proxy.refuse(false);
    s.listening.close();
    CHECK(peer_socket::connect_to(s.proxy.port()).last_error() == ECONNRESET);
}

TEST_CASE("a port that is taken is named") {
    both_sides s;
    CHECK(test::io_failure([&] { tcp_proxy second(s.listening.port(), s.proxy.port()); }, EADDRINUSE)
              .find(std::to_string(s.proxy.port())) != std::string::npos);
}
