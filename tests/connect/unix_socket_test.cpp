#include "runnel/connect/unix_socket.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include "runnel/connect/lines.hpp"
#include "tests/connect/drive.hpp"
#include "tests/connect/peer_socket.hpp"
#include "tests/core/temporary_folder.hpp"

using namespace runnel;
using test::io_failure;
using test::peer_socket;
using texts = std::vector<std::string>;

TEST_CASE("a server reads the lines of its clients, numbers them, and removes its file at the end") {
    const test::temporary_folder folder;
    const std::string path = folder / "s";
    auto lines = text_lines(unix_listen(path, {.end_after = 2}));
    CHECK(lines.name() == "text_lines " + path);
    {
        test::driver<std::string> d(lines);
        CHECK(std::filesystem::is_socket(path));
        auto first = peer_socket::connect_to(path);
        first.send("one\ncut");
        d.read(1);
        first.close();
        d.read(2);
        REQUIRE(d.bad.size() == 1);
        CHECK(d.bad[0].where == path + "#1:2 byte 4");
        auto second = peer_socket::connect_to(path);
        second.send("two\n");
        second.close();
        d.run();
        CHECK(d.values == texts{"one", "two"});
        CHECK(d.position().empty());
    }
    CHECK(!std::filesystem::exists(path));
}

TEST_CASE("clients may come before the job starts, once the file is there") {
    const test::temporary_folder folder;
    unix_server server = unix_listen(folder / "s", {.end_after = 1});
    server.listen();
    auto client = peer_socket::connect_to(folder / "s");
    client.send("early\n");
    client.close();
    auto lines = text_lines(server);
    test::driver<std::string> d(lines);
    d.run();
    CHECK(d.values == texts{"early"});
}

TEST_CASE("a socket file that was left behind is replaced; one in use and other files are not") {
    const test::temporary_folder folder;
    const std::string path = folder / "s";
    peer_socket::listening(path).close();
    REQUIRE(std::filesystem::exists(path));
    {
        unix_server server = unix_listen(path);
        server.listen();
        peer_socket::connect_to(path);
        CHECK(io_failure([&] { unix_listen(path).listen(); }, EADDRINUSE) ==
              "cannot listen on " + path + ": Address already in use");
        CHECK(std::filesystem::exists(path));
    }
    CHECK(!std::filesystem::exists(path));
    folder.write("file", "precious");
    CHECK(io_failure([&] { unix_listen(folder / "file").listen(); }, EADDRINUSE).find("in use") != std::string::npos);
    CHECK(folder.read("file") == "precious");
    CHECK(io_failure([&] { unix_listen(folder / "none/s").listen(); }, ENOENT).find("No such file") !=
          std::string::npos);
    CHECK(io_failure([&] { unix_listen(folder / std::string(200, 'x')).listen(); }, ENAMETOOLONG).find("too long") !=
          std::string::npos);
}

TEST_CASE("a server can have one reader at a time, and be served again") {
    const test::temporary_folder folder;
    unix_server server = unix_listen(folder / "s");
    auto lines = text_lines(server);
    for (int round = 0; round < 5; ++round) {
        test::driver<std::string> d(lines);
        CHECK(io_failure([&] { lines.open("0", nullptr, {}); }, EADDRINUSE).find("twice") != std::string::npos);
        auto client = peer_socket::connect_to(folder / "s");
        client.send("line\npart");
        if (round % 2 == 0) d.read(1);
        d.close();
        CHECK(client.at_end());
    }
    CHECK(unix_listen(folder / "t", {.max_connections = 0}).problems().size() == 1);
}

TEST_CASE("a client reads what the server sends until that closes") {
    const test::temporary_folder folder;
    const std::string path = folder / "s";
    auto server = peer_socket::listening(path);
    auto lines = text_lines(unix_connect(path));
    test::driver<std::string> d(lines);
    {
        auto s = server.accept();
        s.send("one\ntw");
        d.read(1);
        s.send("o\ncut");
    }
    d.run();
    CHECK(d.values == texts{"one", "two"});
    REQUIRE(d.bad.size() == 1);
    CHECK(d.bad[0].where == path + ":3 byte 8");
    CHECK(d.bad[0].raw == "cut");
}

TEST_CASE("a client fails without a server, or waits for it if it may try again") {
    const test::temporary_folder folder;
    const std::string path = folder / "s";
    auto once = text_lines(unix_connect(path));
    test::driver<std::string> failing(once);
    CHECK(io_failure([&] { failing.run(); }, ENOENT) ==
          "cannot connect to " + path + ": No such file or directory");

    auto lines = text_lines(unix_connect(path, {.reconnect = reconnect_options{}}));
    test::driver<std::string> d(lines);
    while (d.clock.now() < timestamp(0) + std::chrono::minutes(2)) REQUIRE(d.poll());
    auto server = peer_socket::listening(path);
    std::thread serving([&] {
        for (int i = 0; i < 2; ++i) server.accept().send("line\n");
    });
    d.read(2);
    serving.join();
    CHECK(d.values == texts{"line", "line"});
    CHECK(d.bad.empty());
}
