#include "runnel/sink/async_for_each.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <stdexcept>
#include <thread>

#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"
#include "tests/sink/some_records.hpp"
#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using test::some_records;

namespace {

struct under_way {
    std::string value;
    record_done done;
};

/// A sink whose calls wait until the test ends them.
struct driven {
    std::vector<under_way> calls;
    int wakes = 0;
    std::unique_ptr<sink_writer<std::string>> writer;

    explicit driven(std::size_t capacity) {
        writer = async_for_each([this](const std::string& s, record_done done) { calls.push_back({s, done}); },
                                {.capacity = capacity})
                     .bind<std::string>()
                     ->open({.wake = [this] { ++wakes; }});
    }
};

template <class F>
void check_failure(F f, const std::string& text, timestamp t) {
    try {
        f();
        FAIL("nothing was thrown");
    } catch (const record_error& e) {
        CHECK(e.what() == text);
        CHECK(e.record_time() == t);
    }
}

const auto broken = std::make_exception_ptr(std::runtime_error("broken"));

/// Ends calls in random order, from a thread of its own.
class worker {
public:
    explicit worker(std::uint64_t seed) : random_(seed), thread_([this] { run(); }) {}
    ~worker() {
        {
            const std::lock_guard lock(mutex_);
            ends_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    void add(std::function<void()> call) {
        {
            const std::lock_guard lock(mutex_);
            calls_.push_back(std::move(call));
        }
        changed_.notify_all();
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [&] { return ends_ || !calls_.empty(); });
            if (calls_.empty()) return;
            std::swap(calls_.front(), calls_[random_.below(calls_.size())]);
            const auto call = std::move(calls_.front());
            calls_.pop_front();
            lock.unlock();
            call();
            lock.lock();
        }
    }

    tests::random_numbers random_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> calls_;
    bool ends_ = false;
    std::thread thread_;
};

}  // namespace

TEST_CASE("no more records than the capacity are under way, and one that is over makes room and wakes") {
    driven d(2);
    auto b = some_records(5, 1);
    CHECK(d.writer->write(b) == progress::blocked);
    CHECK(b.cursor() == 3);
    CHECK(d.calls.size() == 2);
    CHECK(d.writer->write(b) == progress::blocked);
    CHECK(d.wakes == 0);
    d.calls[1].done();
    CHECK(d.wakes == 1);
    d.calls[1].done();
    d.calls[1].done(broken);
    CHECK(d.wakes == 1);
    CHECK(d.writer->write(b) == progress::blocked);
    CHECK(b.cursor() == 4);
    d.calls[0].done();
    CHECK(d.writer->write(b) == progress::done);
    CHECK(b.empty());
    CHECK(d.calls.back().value == "4");
}

TEST_CASE("finish waits for all that is under way, and a flush does not") {
    driven d(10);
    auto b = some_records(3);
    CHECK(d.writer->write(b) == progress::done);
    CHECK(d.writer->flush() == progress::done);
    CHECK(d.writer->finish() == progress::blocked);
    d.calls[2].done();
    d.calls[0].done();
    CHECK(d.wakes == 0);
    CHECK(d.writer->finish() == progress::blocked);
    d.calls[1].done();
    CHECK(d.wakes == 1);
    CHECK(d.writer->finish() == progress::done);
}

TEST_CASE("a checkpoint waits for all that is under way, which would not come again after it") {
    driven d(10);
    auto b = some_records(2);
    CHECK(d.writer->write(b) == progress::done);
    CHECK(d.writer->settle() == progress::blocked);
    d.calls[0].done();
    CHECK(d.writer->settle() == progress::blocked);
    CHECK(d.wakes == 0);
    d.calls[1].done();
    CHECK(d.wakes == 1);
    CHECK(d.writer->settle() == progress::done);
    b = some_records(1);
    CHECK(d.writer->write(b) == progress::done);
    d.calls[2].done();
    CHECK(d.wakes == 1);
}

TEST_CASE("a call may be over before the function returns, and takes the record's time if it wants it") {
    std::string seen;
    auto writer = async_for_each(
                      [&](const std::string& s, timestamp t, const record_done& done) {
                          seen += s + "@" + std::to_string(t.ns()) + " ";
                          done();
                      },
                      {.capacity = 1})
                      .bind<std::string>()
                      ->open({});
    auto b = some_records(3);
    CHECK(writer->write(b) == progress::done);
    CHECK(writer->finish() == progress::done);
    CHECK(seen == "0@10 1@20 2@30 ");
}

TEST_CASE("a failure wakes the writer and is thrown by whatever it is asked next, with the time of its record") {
    for (int next = 0; next < 3; ++next) {
        driven d(10);
        auto b = some_records(3);
        (void)d.writer->write(b);
        d.calls[1].done(broken);
        CHECK(d.wakes == 1);
        d.calls[0].done(std::make_exception_ptr(std::runtime_error("a later one")));
        CHECK(d.wakes == 1);
        b = some_records(1);
        check_failure(
            [&] {
                if (next == 0) (void)d.writer->write(b);
                else if (next == 1) (void)d.writer->flush();
                else (void)d.writer->finish();
            },
            "broken", timestamp(20));
        CHECK(b.remaining() == 1);
    }
}

TEST_CASE("a null error is a success") {
    driven d(1);
    auto b = some_records(1);
    (void)d.writer->write(b);
    d.calls[0].done(nullptr);
    CHECK(d.writer->finish() == progress::done);
}

TEST_CASE("a record_done that goes without a call is a failure, not a job that never ends") {
    driven d(10);
    auto b = some_records(2);
    (void)d.writer->write(b);
    d.calls.erase(d.calls.begin());
    CHECK(d.wakes == 1);
    try {
        (void)d.writer->finish();
        FAIL("nothing was thrown");
    } catch (const record_error& e) {
        CHECK(std::string(e.what()).find("destroyed without a call") != std::string::npos);
        CHECK(e.record_time() == timestamp(10));
    }
}

TEST_CASE("when the function throws, the cursor stands at the record, and its place is free again") {
    int calls = 0;
    auto writer = async_for_each(
                      [&](const std::string&, record_done done) {
                          if (++calls == 2) throw std::runtime_error("two");
                          done();
                      },
                      {.capacity = 1})
                      .bind<std::string>()
                      ->open({});
    auto b = some_records(3);
    CHECK_THROWS_WITH((void)writer->write(b), "two");
    CHECK(b.cursor() == 1);
    CHECK(writer->write(b) == progress::done);
    CHECK(writer->finish() == progress::done);
    CHECK(calls == 4);
}

TEST_CASE("what is over after the writer has gone is nobody's business any more") {
    driven d(10);
    auto b = some_records(3);
    (void)d.writer->write(b);
    (void)d.writer->finish();
    d.writer.reset();
    d.calls[0].done();
    d.calls[1].done(broken);
    d.calls.clear();
    CHECK(d.wakes == 0);
}

TEST_CASE("a capacity of 0 is a problem before the job starts") {
    auto f = [](int, const record_done& done) { done(); };
    CHECK(async_for_each(f, {.capacity = 0}).bind<int>()->problems().size() == 1);
    CHECK(async_for_each(f).bind<int>()->problems().empty());
}

TEST_CASE("a job hands over each record once, never more than the capacity, and ends when all are over") {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        const std::size_t capacity = 1 + random.below(20);
        std::vector<int> numbers;
        for (int i = 0; i < 2'000; ++i) numbers.push_back(i);
        std::vector<int> got;
        std::atomic<std::size_t> now = 0, over = 0;
        std::size_t most = 0;
        std::vector<std::unique_ptr<worker>> workers;
        for (int i = 0; i < 3; ++i) workers.push_back(std::make_unique<worker>(random.seed()));
        pipeline p;
        p.from(collection(numbers, 3)).to(async_for_each(
            [&](int n, const record_done& done) {
                got.push_back(n);
                most = std::max(most, ++now);
                workers[static_cast<std::size_t>(n) % 3]->add([&, done] {
                    --now;
                    ++over;
                    done();
                });
            },
            {.capacity = capacity}));
        auto job = std::move(p).start({.parallelism = 2, .threads = 2, .batch_size = 1 + random.below(50)});
        job.wait();
        CHECK(over == numbers.size());
        CHECK(most <= capacity);
        std::sort(got.begin(), got.end());
        CHECK(got == numbers);
    }
}

TEST_CASE("a failure ends the job with operator and record time, also when nothing more comes") {
    worker other(1);
    std::vector<record_done> never_over;
    pipeline p;
    p.from(timed_collection<int>({{1, timestamp(std::chrono::seconds(1))}, {2, timestamp(std::chrono::seconds(2))}}))
        .to(async_for_each([&](int n, const record_done& done) {
            if (n == 1) other.add([done] { done(broken); });
            else never_over.push_back(done);
        }))
        .named("send");
    try {
        std::move(p).start().wait();
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "send");
        CHECK(e.record_time() == timestamp(std::chrono::seconds(1)));
        CHECK_THROWS_WITH_AS(std::rethrow_if_nested(e), "broken", std::runtime_error);
    }
}
