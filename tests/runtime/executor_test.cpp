#include "runnel/runtime/executor.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <thread>
#include <vector>

#include "runnel/runtime/pool_executor.hpp"
#include "runnel/runtime/posting_executor.hpp"

using runnel::pool_executor;
using runnel::posting_executor;
using runnel::runnable;

namespace {

/// Counts its runs and says when the last expected one is done.
class counted final : public runnable {
public:
    counted(std::atomic<std::int64_t>& left, std::binary_semaphore& done) : left_(left), done_(done) {}
    void run() noexcept override {
        ++runs;
        if (left_.fetch_sub(1) == 1) done_.release();
    }
    std::atomic<int> runs = 0;

private:
    std::atomic<std::int64_t>& left_;
    std::binary_semaphore& done_;
};

template <class F>
class call final : public runnable {
public:
    explicit call(F f) : f_(std::move(f)) {}
    void run() noexcept override { f_(); }

private:
    F f_;
};

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

TEST_CASE("each submission from outside causes exactly one run") {
    for (std::size_t threads : {1u, 2u, 8u}) {
        CAPTURE(threads);
        constexpr int outside = 3;
        constexpr int each = 20'000;
        std::atomic<std::int64_t> left = outside * each;
        std::binary_semaphore done(0);
        std::vector<std::unique_ptr<counted>> work;
        for (int i = 0; i < outside * each; ++i) work.push_back(std::make_unique<counted>(left, done));
        {
            pool_executor pool(threads);
            CHECK(pool.concurrency() == threads);
            std::vector<std::thread> submitters;
            for (int t = 0; t < outside; ++t)
                submitters.emplace_back([&, t] {
                    for (int i = 0; i < each; ++i) pool.submit(*work[static_cast<std::size_t>(t * each + i)]);
                });
            for (auto& s : submitters) s.join();
            done.acquire();
        }
        int wrong = 0;
        for (auto& w : work) wrong += w->runs != 1;
        CHECK(wrong == 0);
    }
}

namespace {

/// Submits itself again, and now and then a fresh partner, until a common budget is used up.
class spreading final : public runnable {
public:
    spreading(pool_executor& pool, std::atomic<std::int64_t>& budget, std::atomic<std::int64_t>& runs)
        : pool_(pool), budget_(budget), runs_(runs) {}
    void run() noexcept override {
        if (overlap_.exchange(true)) std::abort();
        plain_ += 1;
        runs_.fetch_add(1, std::memory_order_relaxed);
        overlap_ = false;
        if (budget_.fetch_sub(1) > 0) pool_.submit(*this);
    }
    std::int64_t plain() const { return plain_; }

private:
    pool_executor& pool_;
    std::atomic<std::int64_t>& budget_;
    std::atomic<std::int64_t>& runs_;
    std::atomic<bool> overlap_ = false;
    std::int64_t plain_ = 0;  // unprotected: submit orders one run before the next
};

}  // namespace

TEST_CASE("a million submissions by the workers themselves all run, in order for each runnable") {
    for (std::size_t threads : {1u, 2u, 4u}) {
        CAPTURE(threads);
        std::atomic<std::int64_t> budget = 1'000'000;
        std::atomic<std::int64_t> runs = 0;
        std::vector<std::unique_ptr<spreading>> work;
        {
            pool_executor pool(threads);
            for (int i = 0; i < 16; ++i) work.push_back(std::make_unique<spreading>(pool, budget, runs));
            for (auto& w : work) pool.submit(*w);
        }
        CHECK(runs == 1'000'000 + 16);
        std::int64_t sum = 0;
        for (auto& w : work) sum += w->plain();
        CHECK(sum == runs);
    }
}

TEST_CASE("work that one worker submits is stolen by idle ones") {
    // All eight must be running at once for any to end; seven of them can only be stolen.
    constexpr int n = 8;
    std::atomic<int> running = 0;
    const auto meet = [&] {
        ++running;
        while (running < n) std::this_thread::yield();
    };
    std::vector<std::unique_ptr<call<decltype(meet)>>> work;
    for (int i = 0; i < n - 1; ++i) work.push_back(std::make_unique<call<decltype(meet)>>(meet));
    pool_executor* submit_to = nullptr;
    auto first = [&] {
        for (auto& w : work) submit_to->submit(*w);
        meet();
    };
    call start(first);
    pool_executor pool(n);
    submit_to = &pool;
    pool.submit(start);
    while (running < n) std::this_thread::yield();
    CHECK(running == n);
}

TEST_CASE("work from outside is not starved by workers that feed themselves") {
    std::atomic<bool> stop = false;
    struct busy final : runnable {
        explicit busy(std::atomic<bool>& s) : stop(s) {}
        void run() noexcept override {
            if (!stop) pool->submit(*this);
        }
        std::atomic<bool>& stop;
        pool_executor* pool = nullptr;
    } a(stop), b(stop);
    auto set = [&] { stop = true; };
    call outside(set);
    pool_executor pool(1);
    a.pool = b.pool = &pool;
    pool.submit(a);
    pool.submit(b);
    pool.submit(outside);  // the pool can end only if this one runs
}

TEST_CASE("the destructor runs all that was submitted, and what that submits") {
    std::atomic<int> runs = 0;
    for (int round = 0; round < 50; ++round) {
        auto inner = [&] { ++runs; };
        call last(inner);
        pool_executor* submit_to = nullptr;
        auto outer = [&] { submit_to->submit(last); };
        call first(outer);
        pool_executor pool(2);
        submit_to = &pool;
        pool.submit(first);
    }
    CHECK(runs == 50);
}

TEST_CASE("a pool starts and stops a thousand times") {
    std::atomic<int> runs = 0;
    auto f = [&] { ++runs; };
    for (int i = 0; i < 1000; ++i) {
        call work(f);
        pool_executor pool(1 + static_cast<std::size_t>(i) % 4);
        if (i % 3 != 0) pool.submit(work);
    }
    CHECK(runs == 666);
}

TEST_CASE("a pool without work uses no processor time") {
    std::binary_semaphore done(0);
    auto f = [&] { done.release(); };
    call work(f);
    pool_executor pool(8);
    pool.submit(work);
    done.acquire();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // let the workers park: what is measured is rest
    const double before = cpu_seconds();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    CHECK(cpu_seconds() - before < 0.003);
}

TEST_CASE("workers take no signals that are sent to the process") {
    bool blocked = false;
    bool crash_blocked = true;
    auto f = [&] {
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1;
        crash_blocked = sigismember(&mask, SIGSEGV) == 1;
    };
    call work(f);
    {
        pool_executor pool(1);
        pool.submit(work);
    }
    CHECK(blocked);
    CHECK_FALSE(crash_blocked);
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    CHECK(sigismember(&mask, SIGTERM) == 0);
}

TEST_CASE("two pools in one process: work goes to the one it was submitted to") {
    std::thread::id on_a, on_b;
    auto in_b = [&] { on_b = std::this_thread::get_id(); };
    call second(in_b);
    pool_executor* other = nullptr;
    auto in_a = [&] {
        on_a = std::this_thread::get_id();
        other->submit(second);
    };
    call first(in_a);
    {
        pool_executor b(1);
        other = &b;
        pool_executor a(1);
        a.submit(first);
    }
    CHECK(on_a != std::thread::id());
    CHECK(on_b != std::thread::id());
    CHECK(on_a != on_b);
}

TEST_CASE("a pool of 0 threads, or of absurdly many, is refused") {
    CHECK_THROWS_AS(pool_executor(0), std::invalid_argument);
    CHECK_THROWS_AS(pool_executor(5000), std::invalid_argument);
}

TEST_CASE("a posting executor hands each piece of work to the host, once, and runs nothing itself") {
    std::deque<std::function<void()>> posted;
    posting_executor executor([&](std::function<void()> f) { posted.push_back(std::move(f)); }, 3);
    CHECK(executor.concurrency() == 3);
    int runs = 0;
    auto f = [&] { ++runs; };
    call work(f);
    executor.submit(work);
    executor.submit(work);
    CHECK(runs == 0);
    REQUIRE(posted.size() == 2);
    posted[0]();
    CHECK(runs == 1);
    posted[1]();
    CHECK(runs == 2);
    CHECK_FALSE(executor.help());
}

TEST_CASE("a posting executor without function or threads is refused") {
    CHECK_THROWS_AS(posting_executor(nullptr, 1), std::invalid_argument);
    CHECK_THROWS_AS(posting_executor([](std::function<void()>) {}, 0), std::invalid_argument);
}

TEST_CASE("a Boost.Asio io_context is an executor: work runs in it, never inside submit") {
    boost::asio::io_context io;
    auto executor = runnel::on_context(io);
    CHECK(executor.concurrency() == 1);
    int left = 1000;
    bool inside = false;
    bool wrong = false;
    std::function<void()> step;
    auto f = [&] { step(); };
    call work(f);
    step = [&] {
        wrong |= inside;
        if (--left == 0) return;
        inside = true;
        executor.submit(work);  // on the context's own thread, where a dispatch would run it at once
        inside = false;
    };
    executor.submit(work);
    CHECK(left == 1000);
    io.run();
    CHECK(left == 0);
    CHECK_FALSE(wrong);
}

TEST_CASE("an io_context ends while a job waits for input unless the host guards it") {
    boost::asio::io_context io;
    auto executor = runnel::on_context(io);
    auto nothing = [] {};
    call work(nothing);
    executor.submit(work);
    CHECK(io.run() == 1);
    CHECK(io.stopped());  // nothing of the executor's keeps it running

    io.restart();
    auto guard = boost::asio::make_work_guard(io);
    std::atomic<int> runs = 0;
    auto count = [&] { ++runs; };
    call later(count);
    std::thread host([&] { io.run(); });
    for (int i = 0; i < 10; ++i) {
        executor.submit(later);
        while (runs == i) std::this_thread::yield();
    }
    guard.reset();
    host.join();
    CHECK(runs == 10);
}

TEST_CASE("a Boost.Asio thread_pool is an executor") {
    constexpr int n = 20'000;
    std::atomic<std::int64_t> left = n;
    std::binary_semaphore done(0);
    std::vector<std::unique_ptr<counted>> work;
    for (int i = 0; i < n; ++i) work.push_back(std::make_unique<counted>(left, done));
    boost::asio::thread_pool threads(3);
    auto executor = runnel::on_context(threads, 3);
    for (auto& w : work) executor.submit(*w);
    threads.join();
    CHECK(left == 0);
    int wrong = 0;
    for (auto& w : work) wrong += w->runs != 1;
    CHECK(wrong == 0);
}
