#include "runnel/observe/statsd.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "runnel/core/error.hpp"

using namespace runnel;
using namespace runnel::observe;
using namespace std::chrono_literals;

namespace {

/// A StatsD server on loopback.
class server {
public:
    server() {
        fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
        socklen_t size = sizeof at;
        REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
        port = ntohs(at.sin_port);
    }
    ~server() { ::close(fd_); }
    /// The lines of all datagrams that have come.
    std::vector<std::string> lines() {
        std::vector<std::string> all;
        char block[65536];
        for (;;) {
            const auto n = ::recv(fd_, block, sizeof block, MSG_DONTWAIT);
            if (n < 0) return all;
            largest = std::max(largest, static_cast<std::size_t>(n));
            std::istringstream in(std::string(block, static_cast<std::size_t>(n)));
            for (std::string line; std::getline(in, line);) all.push_back(line);
        }
    }
    std::uint16_t port = 0;
    std::size_t largest = 0;

private:
    int fd_;
};

job_status sample() {
    job_status s;
    s.name = "my clicks";
    s.at = timestamp(100s);
    s.operators.resize(2);
    s.operators[0].name = "a.b:c|d";
    s.operators[0].kind = "source";
    s.operators[0].subtasks.resize(1);
    s.operators[0].subtasks[0].records_out = 5;
    s.operators[0].subtasks[0].watermark = timestamp(-2s);
    s.operators[1].name = "out";
    s.operators[1].kind = "sink";
    s.operators[1].inputs = {0};
    s.operators[1].subtasks.resize(2);
    return s;
}

bool has(const std::vector<std::string>& lines, const std::string& line) {
    return std::find(lines.begin(), lines.end(), line) != lines.end();
}

}  // namespace

TEST_CASE("counters are sent as what has come since, gauges as they are, negative ones by way of 0") {
    server to;
    statsd out({.port = to.port});
    job_status s = sample();
    CHECK(out.send({s}) > 0);
    auto lines = to.lines();
    CHECK(has(lines, "runnel.records_out.my_clicks.a_b_c_d.0:5|c"));
    CHECK(has(lines, "runnel.watermark_lag_seconds.my_clicks.a_b_c_d.0:102|g"));
    const auto zero = std::find(lines.begin(), lines.end(), "runnel.watermark_timestamp_seconds.my_clicks.a_b_c_d.0:0|g");
    REQUIRE(zero != lines.end());
    CHECK(*(zero + 1) == "runnel.watermark_timestamp_seconds.my_clicks.a_b_c_d.0:-2|g");
    s.operators[0].subtasks[0].records_out = 12;
    out.send({s});
    CHECK(has(to.lines(), "runnel.records_out.my_clicks.a_b_c_d.0:7|c"));
    out.send({s});
    for (const std::string& line : to.lines()) CHECK(line.find("|c") == line.npos);
    // The job has gone on after a failure, with counters at 0.
    s.operators[0].subtasks[0].records_out = 3;
    out.send({s});
    CHECK(has(to.lines(), "runnel.records_out.my_clicks.a_b_c_d.0:3|c"));
}

TEST_CASE("with tags the labels are tags") {
    server to;
    statsd out({.port = to.port, .tags = true});
    out.send({sample()});
    CHECK(has(to.lines(), "runnel.records_out:5|c|#pipeline:my_clicks,operator:a.b_c_d,subtask:0"));
}

TEST_CASE("of a histogram the number of samples and three quantiles are sent") {
    server to;
    statsd out({.port = to.port, .tags = true});
    job_status s = sample();
    out.send({s});
    for (const std::string& line : to.lines()) CHECK(line.find("latency") == line.npos);
    for (int i = 0; i < 99; ++i) s.operators[1].latency.record(1ms);
    s.operators[1].latency.record(1s);
    out.send({s});
    const auto lines = to.lines();
    const std::string tags = "|#pipeline:my_clicks,operator:out";
    CHECK(has(lines, "runnel.latency_seconds.count:100|c" + tags));
    CHECK(has(lines, "runnel.latency_seconds.p50:0.001024|g" + tags));
    CHECK(has(lines, "runnel.latency_seconds.p99:0.001024|g" + tags));
    CHECK(has(lines, "runnel.latency_seconds.max:1.048576|g" + tags));
}

TEST_CASE("no datagram is larger than the limit, and a line that is larger by itself is left out") {
    server to;
    for (std::size_t limit : {60, 200, 1432}) {
        to.largest = 0;
        statsd out({.port = to.port, .max_datagram = limit});
        const std::size_t sent = out.send({sample()});
        CHECK(to.lines().size() == sent);
        CHECK(to.largest <= limit);
        CHECK(to.largest > 0);
    }
}

TEST_CASE("whatever names there are, each line is one of StatsD") {
    server to;
    for (bool tags : {false, true}) {
        statsd out({.port = to.port, .tags = tags});
        job_status s = sample();
        s.name = "";
        s.operators[0].name = "x:1|c\nevil:1|c,a#b@";
        s.operators[1].name = std::string(100, '|');
        out.send({s});
        for (const std::string& line : to.lines()) {
            CAPTURE(line);
            CHECK(line.starts_with("runnel."));
            const std::size_t colon = line.find(':');
            const std::string rest = line.substr(colon + 1, line.find("|#") - colon - 1);
            CHECK((rest.ends_with("|c") || rest.ends_with("|g")));
            CHECK(std::count(line.begin(), line.end(), '|') == (tags ? 2 : 1));
        }
    }
}

TEST_CASE("what nobody receives is lost without a word; a host that does not exist is an error") {
    std::uint16_t port = 0;
    {
        server gone;
        port = gone.port;
    }
    statsd out({.port = port});
    for (int i = 0; i < 5; ++i) (void)out.send({sample()});
    CHECK_THROWS_AS(statsd({.host = "no.such.host.invalid"}), io_error);
}
