// Inlets in whole jobs: what the host program pushes, and what it is told when the job ends.
#include "runnel/source/inlet.hpp"

#include <doctest/doctest.h>

#include <boost/asio.hpp>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/runtime/posting_executor.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/testing/graph_harness.hpp"
#include "runnel/window/count.hpp"

namespace {

using namespace runnel;
using namespace std::chrono_literals;
namespace asio = boost::asio;

struct reaction {
    std::string room, emoji;
};

/// Pushes until it is refused, and says why.
template <class T>
std::string push_until_refused(inlet<T> in, T value) {
    try {
        for (;;) in.push(value);
    } catch (const inlet_closed& e) {
        return e.what();
    }
}

/// How a host with Boost.Asio awaits a push.
template <class T, class Token>
auto async_push(inlet<T> in, T value, Token&& token) {
    return asio::async_initiate<Token, void(std::exception_ptr)>(
        [](auto handler, inlet<T> to, T v) {
            auto kept = std::make_shared<decltype(handler)>(std::move(handler));
            const auto on = asio::get_associated_executor(*kept);
            auto work = asio::make_work_guard(on);
            to.push_async(std::move(v), [kept, work](std::exception_ptr refused) {
                asio::post(work.get_executor(), [kept, refused] { std::move (*kept)(refused); });
            });
        },
        token, std::move(in), std::move(value));
}

}  // namespace

TEST_CASE("several threads push into a job: every record is counted once") {
    for (std::size_t capacity : {1, 64, 4096}) {
        CAPTURE(capacity);
        inlet<reaction> reactions({.capacity = capacity});
        std::map<std::string, std::uint64_t> counts;
        pipeline p;
        p.from(reactions)
            .event_time(monotonous())
            .key_by(&reaction::room)
            .window(tumbling(1s).lateness(1h))
            .aggregate(count())
            .to(for_each([&](const windowed<std::string, std::uint64_t>& w) { counts[w.key] = w.value; }));
        auto j = std::move(p).start({.parallelism = 2});
        std::vector<std::thread> hosts;
        for (int t = 0; t < 3; ++t)
            hosts.emplace_back([&, t] {
                for (int i = 0; i < 2'000; ++i)
                    reactions.push({"room " + std::to_string((t + i) % 3), "+1"}, timestamp(500ms));
            });
        for (std::thread& h : hosts) h.join();
        reactions.close();
        j.wait();
        CHECK(counts.size() == 3);
        for (const auto& [room, n] : counts) CHECK(n == 2'000);
        CHECK(reactions.unread() == 0);
    }
}

TEST_CASE("what is pushed reaches the sink without a further push, and the job sleeps in between") {
    inlet<int> in;
    std::vector<int> out;
    pipeline p;
    p.from(in).map([](int i) { return 2 * i; }).to(collect(out));
    testing::graph_harness h(std::move(p));
    for (int i = 0; i < 5; ++i) {
        in.push(i);
        h.run_until_idle();
        CHECK(out.size() == static_cast<std::size_t>(i) + 1);
    }
    in.close();
    h.finish();
    CHECK(out == std::vector{0, 2, 4, 6, 8});
}

TEST_CASE("a full pipeline holds the inlet back, and the inlet those who push") {
    inlet<int> in({.capacity = 8});
    pipeline p;
    p.from(in).to(null_sink());
    testing::graph_harness h(std::move(p), {.job = {.batch_size = 4}});
    for (int i = 0; i < 8; ++i) CHECK(in.try_push(i));
    CHECK_FALSE(in.try_push(8));
    h.run_until_idle();
    CHECK(in.try_push(8));
    in.close();
    h.finish();
}

TEST_CASE("a job that is cancelled, fails or has been destroyed makes pushes fail, those that wait included") {
    for (const char* how : {"cancelled", "failed", "destroyed"}) {
        CAPTURE(how);
        inlet<int> in({.capacity = 2});
        std::string refused;
        std::thread host;
        {
            pipeline p;
            p.from(in)
                .map([how, n = 0](int i) mutable {
                    if (++n == 10 && how == std::string("failed")) throw std::runtime_error("no more");
                    return i;
                })
                .to(null_sink());
            auto j = std::move(p).start();
            host = std::thread([&] { refused = push_until_refused(in, 1); });
            if (how == std::string("cancelled")) j.cancel();
            if (how == std::string("failed")) CHECK_THROWS_AS(j.wait(), job_error);
            if (how == std::string("cancelled")) j.wait();
        }
        host.join();
        CHECK(refused.find("the job that read it has ended") != std::string::npos);
        CHECK_THROWS_AS(in.push(1), inlet_closed);
    }
}

TEST_CASE("a job that ends before its inlet was read refuses what had been pushed for it") {
    struct broken final : source<int> {
        std::string name() const override { return "broken"; }
        std::vector<std::string> splits() override { throw io_error("no such folder", 2); }
        std::unique_ptr<split_reader<int>> open(const std::string&, const std::string*, const reader_context&) override {
            return nullptr;
        }
    };
    inlet<int> in({.capacity = 2});
    std::string refused;
    std::thread host([&] { refused = push_until_refused(in, 1); });
    pipeline p;
    p.from(broken{}).to(null_sink());
    p.from(in).to(null_sink());
    auto j = std::move(p).start();
    CHECK_THROWS_AS(j.wait(), job_error);
    host.join();
    CHECK(refused.find("has ended") != std::string::npos);
}

TEST_CASE("drain ends an inlet where it stands: what was read is processed, the rest is counted as unread") {
    inlet<int> in({.capacity = 100});
    std::vector<int> out;
    pipeline p;
    p.from(in).to(collect(out));
    testing::graph_harness h(std::move(p), {.job = {.batch_size = 4}});
    for (int i = 0; i < 10; ++i) in.push(i);
    h.run_until_idle();
    for (int i = 10; i < 20; ++i) in.push(i);
    h.job().drain();
    h.finish();
    CHECK(out.size() + in.unread() == 20);
    CHECK(out.size() >= 10);
    CHECK_THROWS_AS(in.push(1), inlet_closed);
}

TEST_CASE("one inlet in two sources is an error of the second") {
    inlet<int> in;
    pipeline p;
    p.from(in).to(null_sink());
    p.from(in).named("again").to(null_sink());
    auto j = std::move(p).start();
    try {
        j.wait();
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "again");
    }
}

TEST_CASE("a record without a time ends the job, or is skipped and counted, where times are taken from the source") {
    inlet<int> in;
    pipeline p;
    p.from(in).event_time(monotonous()).on_error(on_error::skip).to(null_sink());
    testing::graph_harness h(std::move(p));
    in.push(1);
    in.push(2, timestamp(2s));
    in.close();
    h.finish();
    CHECK(h.status().operators.front().skipped == 1);
    CHECK(h.status().operators.front().records_out == 1);
    CHECK(h.status().bad_records.front().why == "pushed without an event time. Use push(value, time)");
}

TEST_CASE("a coroutine of the host awaits its pushes, on the context that runs the job too") {
    asio::io_context io;
    inlet<int> in({.capacity = 3});
    std::vector<int> out;
    pipeline p;
    p.from(in).to(collect(out));
    auto executor = on_context(io);
    auto j = std::move(p).start({.executor = &executor});
    std::string refused;
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            for (int i = 0; i < 1'000; ++i) co_await async_push(in, i, asio::use_awaitable);
            in.close();
            try {
                co_await async_push(in, 0, asio::use_awaitable);
            } catch (const inlet_closed& e) {
                refused = e.what();
            }
        },
        [](std::exception_ptr e) { CHECK_FALSE(e); });
    while (!j.is_done()) io.run_one();
    j.wait();
    io.run();
    REQUIRE(out.size() == 1'000);
    for (int i = 0; i < 1'000; ++i) REQUIRE(out[static_cast<std::size_t>(i)] == i);
    CHECK(refused == "inlet: it has been closed. Push before close()");
}
