#include "runnel/connect/tcp_output.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/describe/class.hpp>
#include <cerrno>
#include <future>
#include <thread>

#include "runnel/connect/csv_lines.hpp"
#include "runnel/connect/json_lines.hpp"
#include "runnel/connect/lines.hpp"
#include "runnel/connect/tcp.hpp"
#include "runnel/core/error.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/source/collection.hpp"
#include "tests/connect/drive.hpp"
#include "tests/connect/sink_driver.hpp"
#include "tests/support/random.hpp"

namespace {

struct sample {
    std::string unit;
    int n = 0;
    friend bool operator==(const sample&, const sample&) = default;
};
BOOST_DESCRIBE_STRUCT(sample, (), (unit, n))

}  // namespace

using namespace runnel;
using namespace std::chrono_literals;
using strings = std::vector<std::string>;

namespace {

/// A server that does by hand what it is told; one connection at a time.
class server {
public:
    server() {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::bind(listener_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
        REQUIRE(::listen(listener_, 8) == 0);
        socklen_t size = sizeof at;
        REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
        port_ = ntohs(at.sin_port);
    }
    ~server() {
        close();
        ::close(listener_);
    }
    std::uint16_t port() const { return port_; }
    std::string name() const { return "127.0.0.1:" + std::to_string(port_); }
    tcp_output to(tcp_output_options options = {}) const { return tcp_connect_to("127.0.0.1", port_, options); }

    /// False once the server has been stopped.
    bool accept() {
        client_ = ::accept(listener_, nullptr, nullptr);
        return client_ >= 0;
    }
    /// Reads until so many bytes have come, or all.
    std::string read(std::size_t wanted = std::string::npos) {
        std::string got;
        char block[4096];
        while (got.size() < wanted) {
            const auto n = ::recv(client_, block, std::min(sizeof block, wanted - got.size()), 0);
            if (n <= 0) break;
            got.append(block, static_cast<std::size_t>(n));
        }
        return got;
    }
    void say(const std::string& text) { REQUIRE(::send(client_, text.data(), text.size(), MSG_NOSIGNAL) > 0); }
    void close() {
        if (client_ >= 0) ::close(client_);
        client_ = -1;
    }
    /// Tells the client that this connection ends; what it has sent can still be read.
    void end_connection() { ::shutdown(client_, SHUT_WR); }
    /// Closes the connection as a machine does whose program has died.
    void reset() {
        const linger at_once{1, 0};
        ::setsockopt(client_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close();
    }
    void stop() { ::shutdown(listener_, SHUT_RDWR); }

private:
    int listener_ = -1;
    int client_ = -1;
    std::uint16_t port_ = 0;
};

template <class F>
std::string failure(F f, int code) {
    try {
        f();
    } catch (const io_error& e) {
        CHECK(e.code() == code);
        return e.what();
    }
    return "no error";
}

/// Has `f` run on another thread while this one reads; joins at the end.
struct beside {
    template <class F>
    explicit beside(F f) : thread(std::move(f)) {}
    ~beside() { thread.join(); }
    std::thread thread;
};

}  // namespace

TEST_CASE("records are sent as lines of JSON, CSV below a header, or text, and the server's closing is the end") {
    auto run = [](auto make, auto values) {
        using T = typename decltype(values)::value_type;
        server s;
        std::string got;
        {
            beside reader([&] {
                s.accept();
                s.say("welcome\n");
                got = s.read();
                s.close();
            });
            auto to = make(s.to()).template bind<T>();
            test::sink_driver<T> d(*to);
            d.write(std::move(values));
            d.flush();
            d.finish();
            d.finish();
        }
        return got;
    };
    const std::vector<sample> samples{{"V", 1}, {"A", 2}};
    CHECK(run([](auto to) { return json_lines_to(to); }, samples) ==
          "{\"unit\":\"V\",\"n\":1}\n{\"unit\":\"A\",\"n\":2}\n");
    CHECK(run([](auto to) { return csv_lines_to(to, ';'); }, samples) == "unit;n\nV;1\nA;2\n");
    CHECK(run([](auto to) { return text_lines_to(to); }, strings{"one", "", "two"}) == "one\n\ntwo\n");
    CHECK(run([](auto to) { return text_lines_to(to); }, strings{}) == "");
    CHECK(json_lines_to(tcp_connect_to("::1", 9)).bind<sample>()->name() == "json_lines_to [::1]:9");
    CHECK(json_lines_to(tcp_connect_to("a", 9)).bind<sample>()->max_parallelism() == 1);
}

TEST_CASE("a flush sends what there is, without waiting for more") {
    server s;
    auto to = text_lines_to(s.to()).bind<std::string>();
    test::sink_driver<std::string> d(*to);
    d.write({"one"});
    d.flush();
    s.accept();
    CHECK(s.read(4) == "one\n");
}

TEST_CASE("a refused connection is an error with host, port and reason") {
    std::uint16_t port;
    { port = server().port(); }
    auto to = text_lines_to(tcp_connect_to("127.0.0.1", port)).bind<std::string>();
    test::sink_driver<std::string> d(*to);
    CHECK(failure([&] { d.finish(); }, ECONNREFUSED) ==
          "cannot send to 127.0.0.1:" + std::to_string(port) + ": Connection refused");
    CHECK(failure([&] { d.write({"one"}); d.flush(); }, ECONNREFUSED) != "no error");
}

TEST_CASE("connecting again is tried as often as asked, with a backoff that doubles") {
    std::uint16_t port;
    { port = server().port(); }
    auto to = text_lines_to(tcp_connect_to("127.0.0.1", port,
                                           {.reconnects = 3, .backoff = 10ms, .max_backoff = 25ms}))
                  .bind<std::string>();
    test::sink_driver<std::string> d(*to);
    std::vector<std::string> told;
    d.waiting = [&] { told.push_back(to->trouble()); };
    CHECK(failure([&] { d.finish(); }, ECONNREFUSED).ends_with(", tried 4 times: Connection refused"));
    CHECK(d.waits() == std::vector<duration>{10ms, 20ms, 25ms});
    const std::string what = "cannot send to 127.0.0.1:" + std::to_string(port);
    CHECK(told == std::vector<std::string>{what + ": Connection refused", what + ", tried 2 times: Connection refused",
                                           what + ", tried 3 times: Connection refused"});
    d.close();
    CHECK(to->trouble().empty());
}

TEST_CASE("a connection that is lost ends the job, also when there is nothing to send") {
    server s;
    auto to = text_lines_to(s.to()).bind<std::string>();
    test::sink_driver<std::string> d(*to);
    d.write({"one"});
    d.flush();
    s.accept();
    s.read(4);
    SUBCASE("closed") {
        s.close();
        CHECK(failure([&] { d.idle(); }, 0) == "cannot send to " + s.name() + ": the server has closed the connection");
    }
    SUBCASE("reset") {
        s.reset();
        CHECK(failure([&] { d.idle(); }, ECONNRESET) == "cannot send to " + s.name() + ": Connection reset by peer");
    }
}

TEST_CASE("a server that closes without having read all is an error at the end") {
    server s;
    auto to = text_lines_to(s.to()).bind<std::string>();
    test::sink_driver<std::string> d(*to);
    d.write({"one", "two"});
    d.flush();
    beside reader([&] {
        s.accept();
        s.read(4);
        s.close();
    });
    CHECK(failure([&] { d.finish(); }, ECONNRESET) != "no error");
}

TEST_CASE("a server that does not close at the end is given up after the time-out") {
    server s;
    auto to = text_lines_to(s.to({.timeout = 50ms})).bind<std::string>();
    test::sink_driver<std::string> d(*to);
    d.write({"one"});
    s.accept();
    CHECK(failure([&] { d.finish(); }, ETIMEDOUT) ==
          "cannot send to " + s.name() + ": the server has not closed the connection within 50 ms of the end, so it may "
          "not have read everything");
}

TEST_CASE("a slow server slows the writer down, in bounded memory, and gets everything") {
    server s;
    auto to = text_lines_to(s.to({.max_waiting = 10'000})).bind<std::string>();
    test::sink_driver<std::string> d(*to);
    std::promise<void> refused;
    bool first = true;
    // Nobody reads before the writer has been refused.
    d.refused = [&] {
        if (std::exchange(first, false)) refused.set_value();
    };
    std::string got;
    {
        beside reader([&] {
            s.accept();
            refused.get_future().wait();
            got = s.read();
            s.close();
        });
        // More than the system's buffers take.
        for (int i = 0; i < 64; ++i) d.write(strings(1'000, std::string(999, 'x')));
        d.finish();
    }
    CHECK(got.size() == 64'000'000);
}

TEST_CASE("with reconnects, whole lines that were not confirmed come again on the next connection, below the header") {
    server s;
    auto to = csv_lines_to(s.to({.reconnects = 5})).bind<sample>();
    test::sink_driver<sample> d(*to);
    d.write({{"V", 1}});
    d.flush();
    s.accept();
    CHECK(s.read(7 + 4) == "unit,n\nV,1\n");
    s.reset();
    d.write({{"V", 2}});
    d.flush();
    std::string got;
    {
        beside reader([&] {
            s.accept();
            got = s.read();
            s.close();
        });
        d.finish();
    }
    CHECK(got.starts_with("unit,n\n"));
    CHECK(got.ends_with("V,2\n"));
    CHECK((got == "unit,n\nV,1\nV,2\n" || got == "unit,n\nV,2\n"));
    CHECK(d.waits() == std::vector<duration>{100ms});
}

TEST_CASE("with reconnects, no line is lost by connections that end, if the server reads what it has been sent") {
    std::size_t connections = 0;
    for (std::uint64_t seed = 0; seed < 15; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        server s;
        auto to = text_lines_to(s.to({.max_waiting = 1 + random.below(20'000), .reconnects = 100})).bind<std::string>();
        test::sink_driver<std::string> d(*to);
        const std::size_t lines = 20'000 + random.below(20'000);
        const std::size_t cuts = 1 + random.below(4);
        std::vector<std::string> got;
        {
            beside reader([&, seed] {
                tests::random_numbers sizes(seed + 1000);
                for (std::size_t i = 0; s.accept(); ++i) {
                    got.push_back(s.read(i < cuts ? 1 + sizes.below(100'000) : std::string::npos));
                    if (i < cuts) {
                        // As a program does that is told to end: what it has been sent is read.
                        s.end_connection();
                        got.back() += s.read();
                    }
                    s.close();
                }
            });
            std::size_t n = 0;
            while (n < lines) {
                std::vector<std::string> b;
                for (std::size_t size = 1 + random.below(500); size != 0 && n < lines; --size)
                    b.push_back("line " + std::to_string(n++));
                d.write(std::move(b));
                if (random.chance(20)) d.flush();
            }
            d.finish();
            s.stop();
        }
        // Each connection begins with a whole line, at most one after the last of the one before.
        std::size_t next = 0;
        for (std::string& text : got) {
            text.resize(text.rfind('\n') + 1);
            std::size_t at = 0;
            for (std::size_t end; (end = text.find('\n', at)) != text.npos; at = end + 1) {
                const std::string line = text.substr(at, end - at);
                REQUIRE(line.starts_with("line "));
                const std::size_t number = std::stoul(line.substr(5));
                if (at == 0) REQUIRE(number <= next);
                else REQUIRE(number == next);
                next = number + 1;
            }
        }
        CHECK(next == lines);
        connections += got.size();
    }
    CHECK(connections > 15);
}

TEST_CASE("a sink that goes while it connects, sends, waits or has failed ends at once") {
    {
        server s;
        auto to = text_lines_to(s.to()).bind<std::string>();
        to->open({});
        auto writer = to->open({});
        batch<std::string> b;
        for (int i = 0; i < 2'000; ++i) b.append(std::string(1'000, 'x'), {});
        (void)writer->write(b);
    }
    std::uint16_t port;
    { port = server().port(); }
    auto to = text_lines_to(tcp_connect_to("127.0.0.1", port, {.reconnects = 9})).bind<std::string>();
    test::sink_driver<std::string> d(*to);
    d.close();
}

TEST_CASE("options that make no sense are all reported before the job starts") {
    CHECK(tcp_connect_to("a", 1, {.timeout = 0ms, .max_waiting = 0, .backoff = -1ms}).problems().size() == 3);
    CHECK(text_lines_to(tcp_connect_to("a", 1, {.max_waiting = 0})).bind<std::string>()->problems().size() == 1);
    CHECK(tcp_connect_to("a", 1).problems().empty());
}

TEST_CASE("what one job sends is what another one reads, whatever the batches and limits") {
    for (std::uint64_t seed = 0; seed < 15; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        std::vector<sample> values;
        for (std::size_t n = random.below(3'000); n != 0; --n)
            values.push_back({std::string(random.below(50), "a,\"\\;"[random.below(5)]), static_cast<int>(n)});
        const bool csv = random.chance(50);
        tcp_server from = tcp_listen(0, {.end_after = 1});
        const tcp_output to = tcp_connect_to("127.0.0.1", from.port(), {.max_waiting = 1 + random.below(5'000)});

        std::vector<sample> got;
        pipeline reading;
        if (csv) reading.from(csv_lines<sample>(from)).to(collect(got));
        else reading.from(json_lines<sample>(from)).to(collect(got));
        auto reader = std::move(reading).start({.batch_size = 1 + random.below(100)});
        pipeline sending;
        auto stream = sending.from(collection(values));
        if (csv) stream.to(csv_lines_to(to));
        else stream.to(json_lines_to(to));
        std::move(sending).start({.batch_size = 1 + random.below(100)}).wait();
        reader.wait();
        CHECK(got == values);
    }
}
