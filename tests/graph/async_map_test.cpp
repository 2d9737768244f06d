// async_map in whole jobs: simulated and real threads, callbacks and coroutines, cancelled, failed and ended.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/graph/dead_letter_output.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/runtime/pool_executor.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/testing/graph_harness.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/count.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

std::vector<int> numbers(int n) {
    std::vector<int> all;
    for (int i = 0; i < n; ++i) all.push_back(i);
    return all;
}

timestamp at_ns(const int& i) { return timestamp(i); }

/// Answers by the clock, after a delay that depends on the record, with twice its value.
struct delayed_answers {
    runnel::clock* time;
    void operator()(const int& x, completion<int> done) const {
        auto shared = std::make_shared<completion<int>>(std::move(done));
        time->call_at(time->now() + std::chrono::microseconds(1 + x * 7919 % 50),
                      [shared, x] { (*shared)(2 * x); });
    }
};

/// Answers from a few threads of its own, in no order.
class busy_service {
public:
    busy_service() {
        for (int i = 0; i < 3; ++i) threads_.emplace_back([this] { context_.run(); });
    }
    ~busy_service() {
        work_.reset();
        for (std::thread& t : threads_) t.join();
    }
    boost::asio::io_context& context() { return context_; }

private:
    boost::asio::io_context context_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
    std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("results behind async_map are those of map, in order, on simulated executors; windows lose nothing") {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        testing::sim_executor simulated(seed);
        const bool ordered = random.chance(50), with_key = random.chance(50);
        const async_options async{.capacity = random.below(20) + 1, .timeout = 1h, .ordered = ordered};
        const int n = static_cast<int>(random.below(400));
        std::vector<int> out;
        std::vector<std::pair<std::int64_t, std::uint64_t>> counts;
        pipeline p;
        const std::size_t splits = random.below(3) + 1;
        auto s = p.from(collection(numbers(n), splits)).event_time(at_ns, bounded_out_of_orderness(500ns));
        const delayed_answers ask{&simulated.clock()};
        auto doubled = with_key ? s.key_by([](int x) { return x % 5; }).async_map(ask, async)
                                : stream<int>(s).async_map(ask, async);
        doubled.to(collect(out));
        doubled.key_by([](int x) { return x % 3; })
            .window(tumbling(20ns).drop_late())
            .aggregate(count())
            .map([](const auto& w) { return std::pair(w.start.ns(), w.value); })
            .to(collect(counts));
        const std::size_t parallelism = random.below(3) + 1;
        std::move(p)
            .start({.parallelism = parallelism,
                    .batch_size = random.below(20) + 1,
                    .channel_capacity = random.below(3) + 1,
                    .executor = &simulated,
                    .clock = &simulated.clock()})
            .wait();
        CHECK(out.size() == static_cast<std::size_t>(n));
        if (ordered && splits == 1 && !(with_key && parallelism > 1)) CHECK(std::is_sorted(out.begin(), out.end()));
        if (with_key && splits == 1) {
            std::map<int, int> last;
            for (const int x : out) {
                const auto [it, fresh] = last.try_emplace(x / 2 % 5, x);
                if (!fresh) CHECK(it->second < x);
                it->second = x;
            }
        }
        std::uint64_t counted = 0;
        for (const auto& c : counts) counted += c.second;
        CHECK(counted == static_cast<std::uint64_t>(n));
        std::sort(out.begin(), out.end());
        for (int i = 0; i < n; ++i) CHECK(out[static_cast<std::size_t>(i)] == 2 * i);
    }
}

TEST_CASE("answers from other threads: nothing is lost, and order is kept") {
    busy_service service;
    for (const bool ordered : {true, false})
        for (const std::size_t parallelism : {1, 3}) {
            std::vector<int> out;
            pipeline p;
            p.from(collection(numbers(20'000)))
                .rebalance()
                .async_map(
                    [&](const int& x, completion<int> done) {
                        boost::asio::post(service.context(), [&x, d = std::move(done)]() mutable { d(x + 1); });
                    },
                    {.capacity = 50, .timeout = 1h, .ordered = ordered})
                .to(collect(out));
            std::move(p).start({.parallelism = parallelism}).wait();
            if (ordered && parallelism == 1) CHECK(std::is_sorted(out.begin(), out.end()));
            std::sort(out.begin(), out.end());
            CHECK(out.size() == 20'000);
            CHECK(out.front() == 1);
            CHECK(out.back() == 20'000);
            CHECK(std::adjacent_find(out.begin(), out.end()) == out.end());
        }
}

TEST_CASE("a completion ends a coroutine of Boost.Asio, with its value or its exception") {
    busy_service service;
    struct asker {
        static boost::asio::awaitable<std::string> ask(int x) {
            co_await boost::asio::post(co_await boost::asio::this_coro::executor, boost::asio::use_awaitable);
            if (x < 0) throw std::invalid_argument("negative");
            co_return "#" + std::to_string(x);
        }
    };
    auto spawn = [&](const int& x, completion<std::string> done) {
        boost::asio::co_spawn(service.context(), asker::ask(x), std::move(done));
    };
    std::vector<std::string> out;
    pipeline p;
    p.from(collection(numbers(1000))).async_map(spawn).to(collect(out));
    std::move(p).start().wait();
    REQUIRE(out.size() == 1000);
    for (int i = 0; i < 1000; ++i) CHECK(out[static_cast<std::size_t>(i)] == "#" + std::to_string(i));

    pipeline q;
    q.from(collection({3, -1})).async_map(spawn).named("lookup").to(null_sink());
    try {
        std::move(q).start().wait();
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "lookup");
        CHECK(std::string(e.what()).find("negative") != std::string::npos);
    }
}

TEST_CASE("a cancelled or destroyed job does not wait for answers, and those that come later are ignored") {
    for (const bool destroy : {true, false}) {
        std::mutex mutex;
        std::vector<completion<int>> open;
        std::atomic<int> asked{0};
        {
            pipeline p;
            p.from(collection(numbers(1000)))
                .async_map(
                    [&](const int&, completion<int> done) {
                        const std::lock_guard lock(mutex);
                        open.push_back(std::move(done));
                        asked.fetch_add(1);
                        asked.notify_all();
                    },
                    {.capacity = 10})
                .to(null_sink());
            job j = std::move(p).start({.parallelism = 2});
            for (int n = asked.load(); n < 10; n = asked.load()) asked.wait(n);
            if (!destroy) {
                j.cancel();
                j.wait();
            }
        }
        CHECK(open.size() == 10);
        for (auto& done : open) done(1);
    }
}

TEST_CASE("answers that race with the end of the job do no harm") {
    busy_service service;
    for (int round = 0; round < 100; ++round) {
        pipeline p;
        p.from(collection(numbers(200)))
            .async_map(
                [&](const int& x, completion<int> done) {
                    boost::asio::post(service.context(), [&x, d = std::move(done)]() mutable { d(x); });
                },
                {.capacity = 16, .ordered = round % 2 == 0})
            .to(null_sink());
        job j = std::move(p).start();
        if (round % 3 != 0) j.cancel();
    }
}

TEST_CASE("an attempt times out by the job's clock, also while the stream waits for room") {
    std::vector<completion<int>> open;
    std::vector<int> out;
    pipeline p;
    p.from(collection(numbers(5)))
        .async_map([&](const int&, completion<int> done) { open.push_back(std::move(done)); },
                   {.capacity = 2, .timeout = 10s})
        .on_error(on_error::skip)
        .to(collect(out));
    testing::graph_harness h(std::move(p));
    h.run_until_idle();
    CHECK(open.size() == 2);
    h.advance(9s);
    CHECK(open.size() == 2);
    open[1](7);
    h.advance(1s);
    CHECK(open.size() == 4);
    h.advance(10s);
    CHECK(open.size() == 5);
    open[4](8);
    h.finish();
    CHECK(out == std::vector<int>{7, 8});
    CHECK(h.status().operators[1].skipped == 3);
}

TEST_CASE("the record that fails is the one that is left out, whichever is in hand; its dead letter is on time") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        testing::sim_executor simulated(seed);
        std::vector<int> out;
        std::vector<int> failed;
        std::map<int, int> tries;
        dead_letter_output<int> bad;
        const std::size_t again = random.below(3);
        pipeline p;
        auto doubled =
            p.from(collection(numbers(200)))
                .event_time(at_ns, monotonous())
                .async_map(
                    [&, ask = delayed_answers{&simulated.clock()}](const int& x, completion<int> done) {
                        ++tries[x];
                        if (x % 7 != 3) return ask(x, std::move(done));
                        auto shared = std::make_shared<completion<int>>(std::move(done));
                        simulated.clock().call_at(simulated.clock().now() + 10us, [shared] {
                            (*shared)(std::make_exception_ptr(std::domain_error("three")));
                        });
                    },
                    {.capacity = random.below(10) + 1, .ordered = random.chance(50)})
                .named("ask")
                .retry(again, 5us)
                .on_error(bad);
        doubled.to(collect(out));
        bad.stream()
            .key_by([](const dead_letter<int>&) { return 0; })
            .window(tumbling(20ns).drop_late())
            .aggregate(count())
            .map([](const auto& w) { return static_cast<int>(w.value); })
            .to(collect(failed));
        job j = std::move(p).start({.batch_size = random.below(9) + 1,
                                    .channel_capacity = random.below(3) + 1,
                                    .executor = &simulated,
                                    .clock = &simulated.clock()});
        j.wait();
        std::sort(out.begin(), out.end());
        std::vector<int> expected;
        for (int i = 0; i < 200; ++i)
            if (i % 7 != 3) expected.push_back(2 * i);
        CHECK(out == expected);
        int letters = 0;
        for (const int n : failed) letters += n;
        CHECK(letters == 29);
        CHECK(tries[3] == static_cast<int>(again) + 1);
        CHECK(tries[4] == 1);
        for (const operator_status& o : j.status().operators) CHECK(o.late_dropped == 0);
    }
}

TEST_CASE("a record whose key function throws is left out whole, with its dead letter") {
    pipeline p;
    std::vector<std::string> out;
    std::vector<dead_letter<std::string>> letters;
    dead_letter_output<std::string> bad;
    const std::string long_one = "a text too long to be kept in the string itself";
    p.from(collection(std::vector<std::string>{"1", long_one, "2"}))
        .key_by([&](const std::string& s) { return s == long_one ? throw std::domain_error("too long") : s; })
        .async_map([](const std::string& s, completion<std::string> done) { done(s + "!"); })
        .on_error(bad)
        .to(collect(out));
    bad.stream().to(collect(letters));
    std::move(p).start().wait();
    CHECK(out == std::vector<std::string>{"1!", "2!"});
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].value == long_one);
    CHECK(letters[0].details.error == "too long");
}

TEST_CASE("a failure that may not be left out ends the job, also with tries left for others") {
    for (const std::size_t again : {0, 2}) {
        testing::sim_executor simulated(1);
        pipeline p;
        p.from(collection(numbers(100)))
            .event_time(at_ns, monotonous())
            .async_map(
                [ask = delayed_answers{&simulated.clock()}](const int& x, completion<int> done) {
                    if (x == 50) throw std::domain_error("fifty");
                    ask(x, std::move(done));
                },
                {.capacity = 3})
            .named("ask")
            .retry(again, 1us)
            .to(null_sink());
        try {
            std::move(p).start({.batch_size = 64, .executor = &simulated, .clock = &simulated.clock()}).wait();
            FAIL("nothing was thrown");
        } catch (const job_error& e) {
            CHECK(e.operator_name() == "ask");
            CHECK(e.record_time() == timestamp(50));
            CHECK(std::string(e.what()).find("fifty") != std::string::npos);
        }
    }
}

TEST_CASE("with a slow outside system results reach the sink as they come, not when the batch is full") {
    std::vector<completion<int>> open;
    collected<int> out;
    pipeline p;
    p.from(collection(numbers(1000)))
        .async_map([&](const int&, completion<int> done) { open.push_back(std::move(done)); }, {.capacity = 1})
        .to(out);
    testing::graph_harness h(std::move(p));
    for (int i = 0; i < 1000; ++i) {
        h.run_until_idle();
        REQUIRE(open.size() == static_cast<std::size_t>(i + 1));
        CHECK(out.size() == static_cast<std::size_t>(i));
        open.back()(i);
    }
    h.finish();
    CHECK(out.values() == numbers(1000));
}

TEST_CASE("wrong options are problems of the graph") {
    pipeline p;
    p.from(collection(numbers(5)))
        .async_map<int>([](const int& x, auto done) { done(x); }, {.capacity = 0, .timeout = -1s})
        .to(null_sink());
    CHECK(p.validate().size() == 2);
    CHECK(p.describe().find("async_map (0 at a time, ordered") != std::string::npos);
}
