#include "runnel/connect/udp.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "runnel/connect/lines.hpp"
#include "runnel/core/error.hpp"
#include "tests/connect/drive.hpp"

using namespace runnel;
using texts = std::vector<std::string>;

namespace {

/// A plain socket, by the system's own calls.
class sender {
public:
    explicit sender(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        REQUIRE(fd_ >= 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    }
    sender(const sender&) = delete;
    sender& operator=(const sender&) = delete;
    ~sender() { ::close(fd_); }
    void send(const std::string& bytes) const {
        REQUIRE(::send(fd_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    }
    std::string name() const {
        sockaddr_in at{};
        socklen_t size = sizeof at;
        REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
        return "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    }

private:
    int fd_;
};

}  // namespace

TEST_CASE("each datagram holds whole lines, the last of which may lack its end") {
    udp_server server = udp_listen(0, {.end_after = 5});
    const std::uint16_t port = server.port();
    CHECK(port != 0);
    CHECK(server.name() == "UDP 127.0.0.1:" + std::to_string(port));
    const sender a(port), b(port);
    a.send("one");
    b.send("two\nthree\n");
    a.send("four\r\nfive");
    b.send("");
    a.send("six\n");
    auto lines = text_lines(server);
    test::driver<std::string> d(lines);
    d.run();
    CHECK(d.values == texts{"one", "two", "three", "four", "five", "", "six"});
    CHECK(d.bad.empty());
    CHECK(d.position().empty());
}

TEST_CASE("a reader that waits is woken by a datagram, and a bad line names its sender") {
    udp_server server = udp_listen(0);
    auto lines = text_lines(server);
    test::driver<std::string> d(lines);
    std::thread later([&] {
        const sender s(server.port());
        for (int i = 0; i < 100; ++i) s.send(std::to_string(i));
    });
    d.read(100);
    later.join();
    CHECK(d.values.back() == "99");
    const sender s(server.port());
    s.send("\xFF");
    d.read(101);
    REQUIRE(d.bad.size() == 1);
    CHECK(d.bad[0].where.find(s.name() + ":101 byte ") == 0);
}

TEST_CASE("the largest datagram is one line, and a longer line than allowed is a bad record") {
    udp_server server = udp_listen(0, {.end_after = 2});
    const sender s(server.port());
    s.send(std::string(65'507, 'x'));
    s.send("short");
    auto lines = text_lines(server, {.max_line = 65'506});
    test::driver<std::string> d(lines);
    d.run();
    CHECK(d.values == texts{"short"});
    REQUIRE(d.bad.size() == 1);
    CHECK(d.bad[0].raw.size() == 65'506);
}

TEST_CASE("datagrams that the system has dropped are counted in a bad record") {
    udp_server server = udp_listen(0, {.receive_buffer = 4096});
    const sender s(server.port());
    constexpr std::size_t sent = 1000;
    for (std::size_t i = 0; i < sent; ++i) s.send(std::to_string(i));
    auto lines = text_lines(server);
    test::driver<std::string> d(lines);
    d.read_all();
    const std::size_t kept = d.values.size();
    CHECK(kept < sent);
    CHECK(d.bad.empty());
    s.send("after");
    d.read(kept + 2);
    CHECK(d.values.back() == "after");
    REQUIRE(d.bad.size() == 1);
    CHECK(d.bad[0].why == "the system has dropped " + std::to_string(sent - kept) +
                              " datagrams that came faster than they were read. Raise receive_buffer if they come in "
                              "bursts");
}

TEST_CASE("a port in use and a foreign address are named with the system's reason") {
    udp_server server = udp_listen(0);
    const std::string name = "127.0.0.1:" + std::to_string(server.port());
    CHECK_THROWS_WITH_AS(text_lines(udp_listen(server.port())).splits(),
                         ("cannot listen on UDP " + name + ": Address already in use").c_str(), io_error);
    CHECK_THROWS_WITH_AS(udp_listen("192.0.2.1", 0).port(),
                         "cannot listen on UDP 192.0.2.1:0: Cannot assign requested address", io_error);
    CHECK_THROWS_AS(udp_listen("no such host", 0).port(), io_error);
    auto lines = text_lines(server);
    test::driver<std::string> first(lines);
    CHECK_THROWS_WITH_AS(lines.open("0", nullptr, {}),
                         ("cannot listen on UDP " + name + ": it is being read already").c_str(), io_error);
    first.close();
    test::driver<std::string> second(lines);
    CHECK("127.0.0.1:" + std::to_string(server.port()) == name);
    const std::string position;
    CHECK_THROWS_AS(lines.open("0", &position, {}), error);
}
