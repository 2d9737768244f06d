#include "runnel/connect/tcp.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <thread>

#include "runnel/connect/lines.hpp"
#include "runnel/core/error.hpp"
#include "tests/connect/drive.hpp"
#include "tests/connect/peer_socket.hpp"

using namespace runnel;
using test::io_failure;
using test::peer_socket;

namespace {

/// "peer:line" of a bad record's place, whatever the peer's port.
bool is_from(const test::bad_record& bad, const std::string& peer, const std::string& rest) {
    return bad.where == peer + rest;
}

}  // namespace

TEST_CASE("a server reads the lines of its clients and ends after the last one has closed") {
    tcp_server server = tcp_listen(0, {.end_after = 1});
    const std::uint16_t port = server.port();
    CHECK(port != 0);
    CHECK(server.name() == "127.0.0.1:" + std::to_string(port));
    auto lines = text_lines(server);
    test::driver<std::string> d(lines);
    std::thread client([&] {
        auto s = peer_socket::connect_to(port);
        s.send("one\ntw");
        s.send("o\r\nthree\n");
    });
    d.run();
    client.join();
    CHECK(d.values == std::vector<std::string>{"one", "two", "three"});
    CHECK(d.bad.empty());
    CHECK(d.position().empty());
}

TEST_CASE("clients may come before the job starts, once the port is known") {
    tcp_server server = tcp_listen(0, {.end_after = 1});
    auto client = peer_socket::connect_to(server.port());
    client.send("early\n");
    client.close();
    auto lines = text_lines(server);
    test::driver<std::string> d(lines);
    d.run();
    CHECK(d.values == std::vector<std::string>{"early"});
}

TEST_CASE("lines of several connections at once never mix, and each keeps its order") {
    constexpr std::size_t clients = 8;
    constexpr int each = 2000;
    tcp_server server = tcp_listen(0, {.end_after = clients, .max_connections = 3});
    const std::uint16_t port = server.port();
    std::vector<std::thread> threads;
    for (std::size_t c = 0; c < clients; ++c)
        threads.emplace_back([&, c] {
            auto s = peer_socket::connect_to(port);
            std::string bytes;
            for (int i = 0; i < each; ++i) bytes += std::to_string(c) + " " + std::to_string(i) + "\n";
            // In pieces of all sizes, so that lines are cut.
            std::size_t size = 1 + c;
            for (std::size_t at = 0; at < bytes.size(); at += size, size = size * 7 % 97 + 1)
                s.send(bytes.substr(at, size));
        });
    auto lines = text_lines(server);
    test::driver<std::string> d(lines, nullptr, 100);
    d.run();
    for (auto& t : threads) t.join();
    CHECK(d.bad.empty());
    std::vector<int> next(clients);
    for (const std::string& line : d.values) {
        const std::size_t c = std::stoul(line);
        REQUIRE(c < clients);
        REQUIRE(line == std::to_string(c) + " " + std::to_string(next[c]++));
    }
    for (int n : next) CHECK(n == each);
}

TEST_CASE("a line cut off by the end of the connection is a bad record that names the client") {
    tcp_server server = tcp_listen(0, {.end_after = 2});
    auto lines = text_lines(server);
    test::driver<std::string> d(lines);
    auto first = peer_socket::connect_to(server.port());
    const std::string name = first.name();
    first.send("a\nb\ncut");
    first.close();
    d.read(3);
    REQUIRE(d.bad.size() == 1);
    CHECK(is_from(d.bad[0], name, ":3 byte 4"));
    CHECK(d.bad[0].why == "cut off: the connection ended within the line");
    CHECK(d.bad[0].raw == "cut");
    auto second = peer_socket::connect_to(server.port());
    second.send("c\n");
    second.close();
    d.run();
    CHECK(d.values == std::vector<std::string>{"a", "b", "c"});
    CHECK(d.bad.size() == 1);
}

TEST_CASE("a client that is lost is a bad record with the system's reason, and the others go on") {
    tcp_server server = tcp_listen(0, {.end_after = 2});
    auto lines = text_lines(server);
    test::driver<std::string> d(lines);
    auto lost = peer_socket::connect_to(server.port());
    auto other = peer_socket::connect_to(server.port());
    const std::string name = lost.name();
    lost.send("a\nb");
    d.read(1);
    lost.reset();
    d.read(2);
    REQUIRE(d.bad.size() == 1);
    CHECK(is_from(d.bad[0], name, ":2 byte 2"));
    CHECK(d.bad[0].why == "connection lost: Connection reset by peer");
    CHECK(d.bad[0].raw == "b");
    other.send("c\n");
    other.close();
    d.run();
    CHECK(d.values == std::vector<std::string>{"a", "c"});
}

TEST_CASE("a port in use, a foreign address and an unknown host are named with the system's reason") {
    auto taken = peer_socket::listening();
    auto server = tcp_listen(taken.port());
    CHECK(io_failure([&] { text_lines(server).splits(); }, EADDRINUSE) ==
          "cannot listen on " + taken.name() + ": Address already in use");
    CHECK(io_failure([&] { tcp_listen("192.0.2.1", 0).port(); }, EADDRNOTAVAIL) ==
          "cannot listen on 192.0.2.1:0: Cannot assign requested address");
    CHECK_THROWS_AS(tcp_listen("no such host", 0).port(), io_error);
    CHECK(tcp_listen(0, {.max_connections = 0}).problems().size() == 1);
}

TEST_CASE("a client reads what the server sends until that closes") {
    auto server = peer_socket::listening();
    auto lines = text_lines(tcp_connect("127.0.0.1", server.port()));
    CHECK(lines.name() == "text_lines " + server.name());
    test::driver<std::string> d(lines);
    auto s = server.accept();
    s.send("one\n");
    d.read(1);
    s.send("two\nthr");
    s.close();
    d.run();
    CHECK(d.values == std::vector<std::string>{"one", "two"});
    REQUIRE(d.bad.size() == 1);
    CHECK(is_from(d.bad[0], server.name(), ":3 byte 8"));
}

TEST_CASE("host names are looked up") {
    auto server = peer_socket::listening();
    auto lines = text_lines(tcp_connect("localhost", server.port()));
    test::driver<std::string> d(lines);
    auto s = server.accept();
    s.send("one\n");
    s.close();
    d.run();
    CHECK(d.values == std::vector<std::string>{"one"});
}

TEST_CASE("a refused and a lost connection are errors with the name and the system's reason") {
    std::uint16_t port = 0;
    {
        auto server = peer_socket::listening();
        port = server.port();
    }
    auto refused = text_lines(tcp_connect("127.0.0.1", port));
    test::driver<std::string> d(refused);
    CHECK(io_failure([&] { d.run(); }, ECONNREFUSED) ==
          "cannot connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused");

    auto server = peer_socket::listening();
    auto lines = text_lines(tcp_connect("127.0.0.1", server.port()));
    test::driver<std::string> lost(lines);
    auto s = server.accept();
    s.send("one\ntw");
    lost.read(1);
    s.reset();
    CHECK(io_failure([&] { lost.run(); }, ECONNRESET) ==
          "cannot read from " + server.name() + ": Connection reset by peer");
    CHECK(lost.values == std::vector<std::string>{"one"});
}

TEST_CASE("when nobody polls, the sender is held up by bounded buffers, and nothing is lost") {
    tcp_server server = tcp_listen(0, {.end_after = 1});
    auto lines = text_lines(server);
    test::driver<std::string> d(lines, nullptr, 4096);
    auto client = peer_socket::connect_to(server.port());
    const std::string line(999, 'x');
    const std::size_t sent = client.send_all_that_fits(line + "\n", 200);
    // The system's own buffers: some megabytes at most.
    CHECK(sent < 32 * 1024 * 1024);
    client.send(std::string(1000 - sent % 1000 - 1, 'x') + "\n");
    client.close();
    d.run();
    CHECK(d.values.size() == sent / 1000 + 1);
    CHECK(std::all_of(d.values.begin(), d.values.end(), [&](const std::string& v) { return v.size() <= 999; }));
}

TEST_CASE("destroying a reader closes its sockets, whatever it waits for, and the port can be served again") {
    tcp_server server = tcp_listen(0);
    const std::uint16_t port = server.port();
    auto lines = text_lines(server);
    for (int round = 0; round < 20; ++round) {
        test::driver<std::string> d(lines);
        auto client = peer_socket::connect_to(port);
        client.send("line\npart");
        if (round % 2 == 0) d.read(1);
        d.close();
        CHECK(client.at_end());
    }
    CHECK(server.port() == port);

    auto silent = peer_socket::listening();
    auto client_lines = text_lines(tcp_connect("127.0.0.1", silent.port()));
    for (int round = 0; round < 20; ++round) {
        test::driver<std::string> d(client_lines);
        d.close();
    }
}

TEST_CASE("a server can have one reader at a time") {
    tcp_server server = tcp_listen(0);
    auto lines = text_lines(server);
    test::driver<std::string> first(lines);
    CHECK(io_failure([&] { lines.open("0", nullptr, {}); }, EADDRINUSE).find("twice") != std::string::npos);
    CHECK_NOTHROW(lines.splits());
    first.close();
    test::driver<std::string> second(lines);
}

TEST_CASE("what a connection sends cannot be read again, so a position is refused") {
    tcp_server server = tcp_listen(0);
    auto lines = text_lines(server);
    const std::string position;
    CHECK_THROWS_AS(lines.open("0", &position, {}), error);
}

TEST_CASE("two hundred clients at a time are served, whatever silent and endless ones among them do") {
    constexpr std::size_t clients = 200;
    constexpr int each = 50;
    tcp_server server = tcp_listen(0, {.end_after = clients});
    auto lines = text_lines(server, {.max_line = 100});
    test::driver<std::string> d(lines, nullptr, 1000);
    std::vector<peer_socket> sockets;
    for (std::size_t c = 0; c < clients; ++c) sockets.push_back(peer_socket::connect_to(server.port()));
    // One says nothing, one never ends its line.
    const std::string endless(200'000, 'x');
    sockets[1].send(endless);
    for (int i = 0; i < each; ++i)
        for (std::size_t c = 2; c < clients; ++c) sockets[c].send(std::to_string(c) + " " + std::to_string(i) + "\n");
    d.read((clients - 2) * each);
    CHECK(d.bad.empty());
    std::vector<int> next(clients);
    for (const std::string& line : d.values) {
        const std::size_t c = std::stoul(line);
        REQUIRE(line == std::to_string(c) + " " + std::to_string(next[c]++));
    }
    for (std::size_t c = 2; c < clients; ++c) CHECK(next[c] == each);
    sockets.clear();
    d.run();
    REQUIRE(d.bad.size() == 1);
    CHECK(d.bad[0].raw.size() == 100);
}

TEST_CASE("more clients than may connect at a time wait, and an idle one makes room by the job's clock") {
    tcp_server server = tcp_listen(0, {.max_connections = 1, .idle_timeout = std::chrono::seconds(10)});
    auto lines = text_lines(server);
    test::driver<std::string> d(lines);
    auto idle = peer_socket::connect_to(server.port());
    auto waiting = peer_socket::connect_to(server.port());
    idle.send("one\ncut");
    d.read(1);
    waiting.send("two\n");
    // The time that the reader asks for comes at once.
    d.read(3);
    CHECK(d.clock.now() >= timestamp(0) + std::chrono::seconds(10));
    CHECK(d.values == std::vector<std::string>{"one", "two"});
    REQUIRE(d.bad.size() == 1);
    CHECK(d.bad[0].raw == "cut");
    CHECK(idle.at_end());
}

TEST_CASE("a connection that has sent in time is not idle") {
    tcp_server server = tcp_listen(0, {.idle_timeout = std::chrono::seconds(10)});
    auto lines = text_lines(server);
    test::driver<std::string> d(lines);
    auto client = peer_socket::connect_to(server.port());
    // What has come is read before the time is looked at.
    for (int i = 0; i < 5; ++i) {
        client.send("line\n");
        d.clock.pass(std::chrono::seconds(9));
        d.wait_for_data();
    }
    CHECK(d.values.size() == 5);
    CHECK(tcp_listen(0, {.idle_timeout = std::chrono::seconds(-1)}).problems().size() == 1);
}

TEST_CASE("a client connects again after the server has closed, and a line that was cut is a bad record") {
    auto server = peer_socket::listening();
    auto lines = text_lines(tcp_connect("127.0.0.1", server.port(), {.reconnect = reconnect_options{}}));
    test::driver<std::string> d(lines);
    for (int i = 0; i < 3; ++i) {
        std::thread serving([&] {
            auto s = server.accept();
            s.send("line " + std::to_string(i) + "\ncut");
        });
        d.read(2 * static_cast<std::size_t>(i + 1));
        serving.join();
    }
    CHECK(d.values == std::vector<std::string>{"line 0", "line 1", "line 2"});
    REQUIRE(d.bad.size() == 3);
    CHECK(is_from(d.bad[2], server.name(), ":2 byte 7"));
    CHECK(d.bad[2].why == "cut off: the connection ended within the line");
    CHECK(d.bad[2].raw == "cut");
}

TEST_CASE("a lost connection that is made again is a bad record with the system's reason") {
    auto server = peer_socket::listening();
    auto lines = text_lines(tcp_connect("127.0.0.1", server.port(), {.reconnect = reconnect_options{}}));
    test::driver<std::string> d(lines);
    {
        auto s = server.accept();
        s.send("one\n");
        d.read(1);
        s.reset();
    }
    d.read(2);
    REQUIRE(d.bad.size() == 1);
    CHECK(d.bad[0].why == "connection lost: Connection reset by peer");
    std::thread serving([&] { server.accept().send("two\n"); });
    d.read(3);
    serving.join();
    CHECK(d.values == std::vector<std::string>{"one", "two"});
}

TEST_CASE("the waits between tries double up to a limit, and the last failure is the job's after so many") {
    std::uint16_t port = 0;
    {
        auto server = peer_socket::listening();
        port = server.port();
    }
    using std::chrono::milliseconds;
    auto lines = text_lines(tcp_connect(
        "127.0.0.1", port,
        {.reconnect = reconnect_options{.first = milliseconds(100), .most = milliseconds(300), .tries = 5}}));
    CHECK(lines.condition().trouble.empty());
    test::driver<std::string> d(lines);
    std::vector<std::string> told;
    const std::string what = "cannot connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused";
    CHECK(io_failure(
              [&] {
                  while (d.poll())
                      if (std::string now = lines.condition().trouble; !now.empty() && (told.empty() || told.back() != now))
                          told.push_back(now);
              },
              ECONNREFUSED) == what + "; given up after 5 tries in a row");
    CHECK(d.clock.now() == timestamp(0) + milliseconds(100 + 200 + 300 + 300));
    REQUIRE(told.size() >= 4);
    CHECK(told[0] == what + ", tried once");
    CHECK(told[3] == what + ", tried 4 times");
    d.close();
    CHECK(lines.condition().trouble.empty());
}

TEST_CASE("a server that closes without sending anything counts as a failed try") {
    auto server = peer_socket::listening();
    auto lines =
        text_lines(tcp_connect("127.0.0.1", server.port(), {.reconnect = reconnect_options{.tries = 3}}));
    test::driver<std::string> d(lines);
    std::thread serving([&] {
        for (int i = 0; i < 3; ++i) server.accept();
    });
    CHECK(io_failure([&] { d.run(); }, 0).find("without sending anything; given up after 3 tries in a row") !=
          std::string::npos);
    serving.join();
    CHECK(d.bad.empty());
    CHECK(tcp_connect("x", 1, {.reconnect = reconnect_options{.first = std::chrono::milliseconds(0)}})
              .problems()
              .size() == 1);
    CHECK(tcp_connect("x", 1, {.reconnect = reconnect_options{.most = std::chrono::milliseconds(1)}})
              .problems()
              .size() == 1);
}

TEST_CASE("a client that has connected again is in no trouble any more") {
    std::optional<peer_socket> server(peer_socket::listening());
    const std::uint16_t port = server->port();
    auto lines = text_lines(tcp_connect("127.0.0.1", port, {.reconnect = reconnect_options{}}));
    test::driver<std::string> d(lines);
    server->accept().send("one\n");
    server.reset();
    d.read(1);
    while (lines.condition().trouble.empty()) REQUIRE(d.poll());
    CHECK(lines.condition().trouble.find("Connection refused, tried once") != std::string::npos);
    server.emplace(peer_socket::listening(port));
    std::thread serving([&] { server->accept().send("two\n"); });
    d.read(2);
    serving.join();
    CHECK(lines.condition().trouble.empty());
}

TEST_CASE("a client that waits to connect again can be destroyed") {
    for (int round = 0; round < 20; ++round) {
        auto server = peer_socket::listening();
        auto lines = text_lines(tcp_connect("127.0.0.1", server.port(), {.reconnect = reconnect_options{}}));
        test::driver<std::string> d(lines);
        server.accept().send("line\n");
        d.read(1);
        if (round % 2 == 0) d.poll();
        d.close();
    }
}
