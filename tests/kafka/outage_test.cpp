// Brokers that go away, networks that fail: jobs that read, write and commit go on, and what they write is there once.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "runnel/testing/tcp_proxy.hpp"
#include "tests/kafka/traffic.hpp"

using namespace kafka_test;
using runnel::testing::tcp_proxy;

namespace {

/// Ports "ADVERTISED>REAL" of the first broker; none if it has no such listener.
bool proxied(std::uint16_t& told, std::uint16_t& real) {
    unsigned a = 0, b = 0;
    const char* const ports = std::getenv("KAFKA_PROXIED");
    if (ports == nullptr || std::sscanf(ports, "%u>%u", &a, &b) != 2) {
        std::printf("SKIPPED %s\n", doctest::getContextOptions()->currentTest->m_name);
        return false;
    }
    told = static_cast<std::uint16_t>(a);
    real = static_cast<std::uint16_t>(b);
    return true;
}

/// A cluster behind a proxy, whose clients find out soon that nobody answers.
kafka_cluster behind(const tcp_proxy& proxy) {
    kafka_cluster c = cluster({{"socket.timeout.ms", "4000"}});
    c.brokers = "127.0.0.1:" + std::to_string(proxy.port());
    return c;
}

}  // namespace

TEST_CASE("outage: while all brokers are away jobs wait, say so, and hold no more than they may; then they go on") {
    if (!can_control()) return;
    const auto begun = std::chrono::steady_clock::now();
    traffic t("outage");
    control("kill 1");
    const std::uint64_t made = t.made();
    wait_until(t.writes(), "the writing sink says so", [&] { return !t.trouble_of_writing().empty(); });
    wait_until(t.copies(), "the source says so", [&] { return !t.trouble_of_reading().empty(); });
    wait_until(t.copies(), "the committing sink says so", [&] { return !t.trouble_of_committing().empty(); });
    CHECK(t.trouble_of_writing().find("127.0.0.1:") != std::string::npos);
    keep_up_outage();
    // What was made between the kill and the look at it, the writer's queue, and what is on the way to it.
    CHECK(t.made() - made < traffic::rate + traffic::queue + 1'000);
    control("start 1");
    t.flow();
    wait_until(t.writes(), "nothing is wrong", [&] { return t.trouble_of_writing().empty(); });
    wait_until(t.copies(), "nothing is wrong",
               [&] { return t.trouble_of_reading().empty() && t.trouble_of_committing().empty(); });
    t.check();
    if (const char* const seconds = std::getenv("RUNNEL_KAFKA_OUTAGE"))
        std::printf("torture R1-outage %s of %s differences 0 seed 0 seconds %.1f\n", seconds, seconds,
                    std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
}

TEST_CASE("a broker that is slow, or whose connections end again and again: nothing is lost, nothing comes twice") {
    std::uint16_t told, real;
    if (!proxied(told, real)) return;
    tcp_proxy proxy(real, told);
    traffic t("proxied", behind(proxy));
    SUBCASE("slow") {
        proxy.delay(20ms, 1'000);
        t.flow();
        proxy.delay(0ms);
    }
    SUBCASE("ended, in order and not") {
        for (int i = 0; i != 3; ++i) {
            proxy.cut();
            t.flow();
            proxy.reset();
            t.flow();
        }
    }
    SUBCASE("ended in the middle of a message") {
        for (const int bytes : {1, 100, 3'000, 70'000, 10, 5'000}) {
            proxy.reset_after(static_cast<std::uint64_t>(bytes));
            t.flow();
        }
    }
    SUBCASE("silent") {
        proxy.hold();
        wait_until(t.writes(), "the writing sink says so", [&] { return !t.trouble_of_writing().empty(); });
        wait_until(t.copies(), "the source says so", [&] { return !t.trouble_of_reading().empty(); });
        wait_until(t.copies(), "the committing sink says so", [&] { return !t.trouble_of_committing().empty(); });
        proxy.hold(false);
        t.flow();
    }
    SUBCASE("turned away") {
        proxy.refuse();
        proxy.reset();
        wait_until(t.writes(), "the writing sink says so", [&] { return !t.trouble_of_writing().empty(); });
        wait_until(t.copies(), "the source says so", [&] { return !t.trouble_of_reading().empty(); });
        proxy.refuse(false);
        t.flow();
    }
    t.check();
    // Subcases share the topics.
    admin a;
    a.remove("proxied_in");
    a.remove("proxied_out");
}
