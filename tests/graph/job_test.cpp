// Jobs as a host program sees them: start, wait, cancel, drain, failure, status; real threads and simulated ones.
#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <malloc.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/runtime/pool_executor.hpp"
#include "runnel/runtime/posting_executor.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/count.hpp"

namespace {

using namespace runnel;
using namespace std::chrono_literals;

std::vector<int> numbers(int n) {
    std::vector<int> all;
    for (int i = 0; i < n; ++i) all.push_back(i);
    return all;
}

timestamp at_ns(const int& i) { return timestamp(i); }

/// Numbers without end.
auto endless() {
    return generate(~std::uint64_t{0}, [](std::uint64_t i) { return static_cast<int>(i); });
}

/// The texts of an exception and of those nested in it.
std::vector<std::string> texts(const std::exception& e) {
    std::vector<std::string> all{e.what()};
    try {
        std::rethrow_if_nested(e);
    } catch (const std::exception& inner) {
        for (std::string& t : texts(inner)) all.push_back(std::move(t));
    }
    return all;
}

/// Physical memory in use, in bytes.
std::size_t resident() {
    std::ifstream statm("/proc/self/statm");
    std::size_t total = 0, pages = 0;
    statm >> total >> pages;
    return pages * 4096;
}

}  // namespace

TEST_CASE("wait returns when all input is consumed, all windows are closed and all output is complete") {
    for (std::size_t parallelism : {1, 3}) {
        std::vector<windowed<int, std::uint64_t>> results;
        pipeline p;
        p.from(collection(numbers(10'000)))
            .event_time(at_ns, monotonous())
            .key_by([](const int& i) { return i % 7; })
            .window(tumbling(1000ns).drop_late())
            .aggregate(count())
            .to(collect(results));
        std::move(p).start({.parallelism = parallelism}).wait();
        CHECK(results.size() == 70);
        std::uint64_t sum = 0;
        for (const auto& r : results) sum += r.value;
        CHECK(sum == 10'000);
    }
}

TEST_CASE("a failing function ends the job; wait names operator, subtask and record time, with the cause nested") {
    pipeline p;
    p.from(collection(numbers(5'000)))
        .event_time(at_ns, monotonous())
        .map([](int i) {
            if (i == 4'321) throw std::invalid_argument("no such number");
            return i;
        })
        .named("picky")
        .to(null_sink());
    job j = std::move(p).start();
    for (int i = 0; i < 2; ++i) {  // Again and again the same.
        try {
            j.wait();
            FAIL("no exception");
        } catch (const job_error& e) {
            CHECK(e.operator_name() == "picky");
            CHECK(e.subtask() == 0);
            CHECK(e.record_time() == timestamp(4'321));
            CHECK(texts(e).back() == "no such number");
        }
    }
    CHECK(j.is_done());
    CHECK(j.status().state == job_state::failed);
}

TEST_CASE("whatever is thrown in source, key function, aggregate or sink, the job ends and the others go on") {
    pool_executor threads(2);
    std::uint64_t seen = 0;
    pipeline steady{"steady"};
    steady.from(collection(numbers(300'000))).to(for_each([&](const int&) { ++seen; }));
    job other = std::move(steady).start({.executor = &threads});

    struct thrower final : source<int> {
        struct reader final : split_reader<int> {
            poll_result poll(batch<int>&, std::size_t) override { throw std::runtime_error("broken pipe"); }
            std::string position() const override { return {}; }
        };
        std::string name() const override { return "thrower"; }
        std::vector<std::string> splits() override { return {"0"}; }
        std::unique_ptr<split_reader<int>> open(const std::string&, const std::string*, const reader_context&) override {
            return std::make_unique<reader>();
        }
    };
    auto failing = [&](int where) {
        pipeline p;
        auto s = where == 0 ? p.from(thrower{}) : p.from(collection(numbers(1'000)));
        s.event_time(at_ns, monotonous())
            .key_by([where](const int& i) {
                if (where == 1 && i == 500) throw 42;  // Not even an exception class.
                return i % 3;
            })
            .window(tumbling(10ns).drop_late())
            .aggregate(count())
            .to(for_each([where](const windowed<int, std::uint64_t>& w) {
                if (where == 2 && w.end > timestamp(500)) throw std::runtime_error("sink full");
            }));
        return std::move(p).start({.parallelism = 2, .executor = &threads});
    };
    for (int where : {0, 1, 2}) CHECK_THROWS_AS(failing(where).wait(), job_error);
    other.wait();
    CHECK(seen == 300'000);
}

TEST_CASE("a missing file, and a folder instead of a file, are failures with the name and the system's reason") {
    // The source stands for any that cannot be opened; files have tests of their own.
    struct unopened final : source<int> {
        std::string name() const override { return "unopened"; }
        std::vector<std::string> splits() override { throw io_error("clicks.jsonl: open: No such file or directory", 2); }
        std::unique_ptr<split_reader<int>> open(const std::string&, const std::string*, const reader_context&) override {
            return nullptr;
        }
    };
    pipeline p;
    p.from(unopened{}).named("clicks").to(null_sink());
    job j = std::move(p).start();
    try {
        j.wait();
        FAIL("no exception");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "clicks");
        CHECK(texts(e).back() == "clicks.jsonl: open: No such file or directory");
    }
}

TEST_CASE("a bad graph throws all its problems at once, before anything is opened") {
    struct touchy final : source<int> {
        std::string name() const override { return "touchy"; }
        std::vector<std::string> splits() override { return {"0"}; }
        std::unique_ptr<split_reader<int>> open(const std::string&, const std::string*, const reader_context&) override {
            std::abort();
        }
    };
    pipeline p;
    auto s = p.from(touchy{}).named("twice");
    s.key_by([](const int& i) { return i; }).window(tumbling(0s).drop_late()).aggregate(count()).named("twice").to(null_sink());
    s.map([](int i) { return i; }).filter([](const int&) { return true; });  // Never used: nothing comes of it.
    try {
        (void)std::move(p).start({.parallelism = 0});
        FAIL("no exception");
    } catch (const graph_error& e) {
        // Parallelism, names, size, and event time missing.
        CHECK(e.problems().size() == 4);
    }
}

TEST_CASE("cancel stops an endless job; destroying a running job cancels and joins it") {
    pipeline p;
    p.from(endless()).key_by([](const int& i) { return i % 10; }).reduce([](const int& a, const int& b) { return a ^ b; }).to(null_sink());
    job j = std::move(p).start({.parallelism = 2});
    while (j.status().operators.back().records_in < 1'000) std::this_thread::yield();
    j.cancel();
    j.wait();
    CHECK(j.status().state == job_state::cancelled);

    std::atomic<bool> running{false};
    {
        pipeline q;
        q.from(endless()).to(for_each([&](const int&) { running = true; }));
        job k = std::move(q).start();
        while (!running) std::this_thread::yield();
    }
    CHECK(running);
}

TEST_CASE("drain ends the sources where they are, closes the windows and keeps every record that was read") {
    std::uint64_t counted = 0;
    pipeline p;
    p.from(endless())
        .event_time(at_ns, monotonous())
        .key_by([](const int& i) { return i % 4; })
        .window(tumbling(1h).drop_late())
        .aggregate(count())
        .to(for_each([&](const windowed<int, std::uint64_t>& w) { counted += w.value; }));
    job j = std::move(p).start({.parallelism = 2});
    while (j.status().operators.front().records_out < 10'000) std::this_thread::yield();
    j.drain();
    j.wait();
    CHECK(j.status().state == job_state::finished);
    CHECK(counted >= 10'000);
    CHECK(counted == j.status().operators.front().records_out);
}

TEST_CASE("status counts records in and out of each operator and says when all has ended") {
    pipeline p{"counted"};
    p.from(collection(numbers(1'000)))
        .event_time(at_ns, monotonous())
        .filter([](const int& i) { return i % 2 == 0; })
        .named("even")
        .key_by([](const int& i) { return i % 10; })
        .window(tumbling(100ns).drop_late())
        .aggregate(count())
        .to(null_sink());
    job j = std::move(p).start({.parallelism = 2});
    j.wait();
    const job_status s = j.status();
    CHECK(s.name == "counted");
    CHECK(s.state == job_state::finished);
    REQUIRE(s.operators.size() == 4);
    CHECK(s.operators[0].records_out == 1'000);
    CHECK(s.operators[1].name == "even");
    CHECK(s.operators[1].records_in == 1'000);
    CHECK(s.operators[1].records_out == 500);
    CHECK(s.operators[2].records_in == 500);
    CHECK(s.operators[2].records_out == 50);
    CHECK(s.operators[3].records_in == 50);
    for (const operator_status& o : s.operators) CHECK(o.watermark == timestamp::max());
    CHECK(s.memory_reserved <= s.memory_budget);
}

TEST_CASE("status says which input holds event time back") {
    // Two splits, one of which stays silent: read by hand on the simulated executor.
    struct two final : source<int> {
        struct reader final : split_reader<int> {
            explicit reader(bool silent) : left(silent ? 0 : 100) {}
            int left;
            poll_result poll(batch<int>& into, std::size_t limit) override {
                for (; left > 0 && limit > 0; --left, --limit) into.append_raw(100 - left, {});
                return poll_result::wait();
            }
            std::string position() const override { return {}; }
        };
        std::string name() const override { return "two"; }
        std::vector<std::string> splits() override { return {"lively", "silent"}; }
        std::unique_ptr<split_reader<int>> open(const std::string& id, const std::string*, const reader_context&) override {
            return std::make_unique<reader>(id == "silent");
        }
    };
    testing::sim_executor simulated(1);
    pipeline p;
    p.from(two{}).event_time(at_ns, monotonous()).to(null_sink());
    job j = std::move(p).start({.executor = &simulated, .clock = &simulated.clock()});
    simulated.run_ready();
    const job_status s = j.status();
    CHECK(s.operators[0].records_out == 100);
    CHECK(s.operators[0].watermark == timestamp::min());
    CHECK(s.operators[0].held_by == "silent");
    j.cancel();
    j.wait();
}

TEST_CASE("a sink much slower than the source holds the source back, within the memory budget") {
    constexpr int n = 2'000'000;
    constexpr std::size_t budget = 4 << 20;
    const std::size_t before = resident();
    std::size_t peak = 0;
    int seen = 0;
    pipeline p;
    p.from(generate(n, [](std::uint64_t i) { return static_cast<std::int64_t>(i); }))
        .key_by([](const std::int64_t& i) { return i % 100; })
        .reduce([](const std::int64_t& a, const std::int64_t& b) { return a + b; })
        .to(for_each([&](const std::int64_t&) {
            // Slow by work, not by the clock: some thousand times what the source does for a record.
            if (++seen % 1'000 != 0) return;
            volatile int spin = 0;
            for (int i = 0; i < 300'000; ++i) spin = spin + 1;
            peak = std::max(peak, resident());
        }));
    job j = std::move(p).start({.parallelism = 4, .memory_budget = budget});
    j.wait();
    CHECK(seen == n);
    CHECK(j.status().memory_reserved <= budget);
#ifndef RUNNEL_SANITIZED
    CHECK(peak < before + budget + budget / 10 + (24 << 20));  // Threads' stacks and arenas come on top.
#endif
}

TEST_CASE("a memory budget that cannot be kept is refused with the number that it would take") {
    pipeline p;
    p.from(collection(numbers(10))).key_by([](const int& i) { return i; }).reduce([](const int& a, const int&) { return a; }).to(null_sink());
    CHECK_THROWS_WITH_AS((void)std::move(p).start({.parallelism = 4, .memory_budget = 100}), doctest::Contains("at least"),
                         graph_error);
}

TEST_CASE("a thousand starts and stops leave nothing behind") {
    auto once = [](int i) {
        pipeline p;
        auto s = i % 2 ? p.from(collection(numbers(100))) : p.from(collection(numbers(50'000)));
        s.event_time(at_ns, monotonous())
            .key_by([](const int& x) { return x % 5; })
            .window(tumbling(10ns).drop_late())
            .aggregate(count())
            .to(null_sink());
        job j = std::move(p).start({.parallelism = 2});
        if (i % 2) j.wait();
        else j.cancel();
    };
    auto threads = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}); };
    auto files = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); };
    for (int i = 0; i < 50; ++i) once(i);
    const auto threads_before = threads();
    const auto files_before = files();
    const std::size_t memory_before = resident();
    for (int i = 0; i < 1'000; ++i) once(i);
    CHECK(threads() == threads_before);
    CHECK(files() == files_before);
#ifndef RUNNEL_SANITIZED
    malloc_trim(0);
    CHECK(resident() < memory_before + (16 << 20));
#endif
    (void)memory_before;
}

TEST_CASE("a job runs on the host's own Asio context") {
    boost::asio::io_context context;
    auto guard = boost::asio::make_work_guard(context);
    std::thread host([&] { context.run(); });
    auto on_host = on_context(context);
    std::vector<int> results;
    {
        pipeline p;
        p.from(collection(numbers(1'000))).key_by([](const int& i) { return i % 3; }).reduce([](const int& a, const int& b) { return a + b; }).to(collect(results));
        job j = std::move(p).start({.parallelism = 2, .executor = &on_host});
        j.wait();
    }
    guard.reset();
    host.join();
    CHECK(results.size() == 1'000);
}

TEST_CASE("two jobs share one executor") {
    pool_executor threads(2);
    std::vector<int> a, b;
    pipeline p{"a"}, q{"b"};
    p.from(collection(numbers(20'000))).map([](int i) { return i * 2; }).to(collect(a));
    q.from(collection(numbers(30'000))).filter([](const int& i) { return i % 3 == 0; }).to(collect(b));
    job j = std::move(p).start({.executor = &threads});
    job k = std::move(q).start({.executor = &threads});
    j.wait();
    k.wait();
    CHECK(a.size() == 20'000);
    CHECK(b.size() == 10'000);
}

TEST_CASE("a part-filled batch is sent when its input runs empty") {
    // The source gives three records and then waits for ever: they arrive all the same.
    struct three final : source<int> {
        struct reader final : split_reader<int> {
            int next = 0;
            poll_result poll(batch<int>& into, std::size_t) override {
                if (next < 3) into.append_raw(next++, {});
                return next < 3 ? poll_result::more() : poll_result::wait();
            }
            std::string position() const override { return {}; }
        };
        std::string name() const override { return "three"; }
        std::vector<std::string> splits() override { return {"0"}; }
        std::unique_ptr<split_reader<int>> open(const std::string&, const std::string*, const reader_context&) override {
            return std::make_unique<reader>();
        }
    };
    testing::sim_executor simulated(5);
    std::vector<int> results;
    pipeline p;
    p.from(three{}).key_by([](const int& i) { return i; }).reduce([](const int& a, const int&) { return a; }).to(collect(results));
    job j = std::move(p).start({.parallelism = 3, .executor = &simulated, .clock = &simulated.clock()});
    simulated.run_ready();
    CHECK(results.size() == 3);
    j.cancel();
    j.wait();
}

TEST_CASE("the same seed gives the same simulated run") {
    auto trace = [](std::uint64_t seed) {
        testing::sim_executor simulated(seed);
        std::vector<int> results;
        pipeline p;
        p.from(collection(numbers(3'000), 3)).key_by([](const int& i) { return i % 11; }).reduce([](const int& a, const int& b) { return a + b; }).to(collect(results));
        job j = std::move(p).start({.parallelism = 3, .executor = &simulated, .clock = &simulated.clock()});
        j.wait();
        return std::pair(simulated.trace(), results);
    };
    CHECK(trace(3) == trace(3));
    CHECK(trace(3).first != trace(4).first);
}
