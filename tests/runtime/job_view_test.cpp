#include "runnel/runtime/job_view.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <stdexcept>
#include <thread>

#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/source/inlet.hpp"
#include "runnel/testing/memory_file_system.hpp"
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

auto endless() {
    return generate(~std::uint64_t{0}, [](std::uint64_t i) { return static_cast<int>(i); });
}

/// Counts what it is asked.
struct asked_clock final : runnel::clock {
    explicit asked_clock(runnel::clock& c) : real(c) {}
    timestamp now() const noexcept override { return ++asked, real.now(); }
    call_id call_at(timestamp t, std::function<void()> f) override { return ++asked, real.call_at(t, std::move(f)); }
    void cancel(call_id id) override { ++asked, real.cancel(id); }

    runnel::clock& real;
    mutable std::atomic<int> asked = 0;
};

}  // namespace

TEST_CASE("a job that has ended asks its clock no more: the host may destroy the clock first") {
    for (const bool fails : {false, true}) {
        CAPTURE(fails);
        testing::memory_file_system files;
        testing::sim_executor simulated(7);
        asked_clock clock(simulated.clock());
        pipeline p{"ended"};
        p.from(collection(numbers(100)))
            .named("numbers")
            .key_by([](int n) { return n % 7; })
            .reduce([](int a, int b) { return a + b; })
            .named("sums")
            .to(for_each([&](int n) {
                if (fails && n > 700) throw std::runtime_error("no more");
            }))
            .named("end");
        std::optional<job> j = std::move(p).start(
            {.executor = &simulated, .clock = &clock, .checkpoints = {.folder = "c", .interval = 1h, .files = &files}});
        if (fails)
            CHECK_THROWS_AS(j->wait(), job_error);
        else
            j->wait();
        clock.asked = 0;
        CHECK(j->status().at > timestamp{0});
        const job_view view = j->view();
        j.reset();
        CHECK(view.status().state == (fails ? job_state::failed : job_state::finished));
        CHECK(clock.asked == 0);
    }
}

TEST_CASE("a view shows what the job shows, and when the job is gone how it was in the end") {
    std::optional<job_view> view;
    {
        pipeline p{"short"};
        p.from(collection(numbers(1000))).to(null_sink());
        job j = std::move(p).start();
        view = j.view();
        CHECK(j.view() == *view);
        j.wait();
        CHECK(!view->is_gone());
        CHECK(view->status().state == job_state::finished);
        CHECK(view->status().running_for == j.status().running_for);
    }
    CHECK(view->is_gone());
    const job_status last = view->status();
    CHECK(last.name == "short");
    CHECK(last.state == job_state::finished);
    CHECK(last.operators.at(1).records_in == 1000);
}

TEST_CASE("a view keeps no job alive: destroying it cancels it and waits, however many look at it meanwhile") {
    std::atomic<bool> ends = false;
    std::atomic<int> looks = 0;
    std::vector<std::thread> viewers;
    std::optional<job_view> kept;
    {
        std::atomic<std::uint64_t> seen = 0;
        pipeline p{"endless"};
        p.from(endless()).key_by([](const int& i) { return i % 3; }).reduce([](int a, int) { return a; })
            .to(for_each([&](const int&) { ++seen; }));
        job j = std::move(p).start({.parallelism = 2});
        kept = j.view();
        for (int i = 0; i < 3; ++i)
            viewers.emplace_back([&, view = j.view()] {
                while (!ends) {
                    (void)view.status();
                    ++looks;
                }
            });
        while (looks < 10 || seen == 0) std::this_thread::yield();
    }  // `seen` is gone now, too.
    const int before = looks;
    while (looks < before + 10) std::this_thread::yield();
    ends = true;
    for (std::thread& t : viewers) t.join();
    CHECK(kept->status().state == job_state::cancelled);
}

TEST_CASE("the status says of each subtask what it says of the operator in all, and how the graph hangs together") {
    pipeline p{"shape"};
    auto all = p.from(collection(numbers(5000)))
                   .event_time([](const int& i) { return timestamp(i); }, monotonous())
                   .named("numbers");
    all.key_by([](const int& i) { return i % 50; })
        .window(tumbling(1000ns).drop_late())
        .aggregate(count())
        .named("counts")
        .to(null_sink())
        .named("out");
    all.to(null_sink()).named("rest");
    job j = std::move(p).start({.parallelism = 3});
    j.wait();
    const job_status s = j.status();
    for (const operator_status& o : s.operators) {
        REQUIRE(o.subtasks.size() == o.parallelism);
        std::uint64_t in = 0, out = 0;
        duration busy{0};
        for (const subtask_status& t : o.subtasks) {
            in += t.records_in;
            out += t.records_out;
            busy += t.busy;
            CHECK(t.watermark == timestamp::max());
        }
        CHECK(in == o.records_in);
        CHECK(out == o.records_out);
        const double all_time = std::chrono::duration<double>(s.running_for).count() * static_cast<double>(o.parallelism);
        CHECK(o.busy == doctest::Approx(std::chrono::duration<double>(busy).count() / all_time));
        for (std::size_t from : o.inputs) CHECK(from < s.operators.size());
        if (o.name == "numbers") CHECK(o.inputs.empty());
        if (o.name == "counts" || o.name == "rest") {
            REQUIRE(o.inputs.size() == 1);
            CHECK(s.operators[o.inputs[0]].name == "numbers");
        }
    }
}

TEST_CASE("latency is the time from leaving the source to the end of the sink's write, by the job's clock") {
    for (std::size_t parallelism : {1, 2}) {
        // In virtual time nothing else takes long.
        testing::sim_executor simulated(7);
        pipeline p;
        p.from(collection(numbers(10)))
            .rebalance()
            .map([&](int i) {
                if (i == 5) simulated.clock().advance(5ms);
                return i;
            })
            .with_parallelism(parallelism)
            .to(null_sink());
        job j = std::move(p).start({.executor = &simulated, .clock = &simulated.clock()});
        j.wait();
        const duration_counts latency = j.status().operators.back().latency;
        CHECK(latency.count() >= 1);
        CHECK(latency.sum >= 5ms);
        CHECK(latency.quantile(1) == duration_counts::bound(duration_counts::place(5ms)));
        CHECK(j.status().operators[0].latency.count() == 0);
    }
}

TEST_CASE("a slow operator shows in the latency of the sink behind it, across channels") {
    std::atomic<int> seen = 0;
    pipeline p;
    p.from(collection(numbers(2000)))
        .rebalance()
        .map([](int i) {
            if (i % 100 == 0) std::this_thread::sleep_for(1ms);
            return i;
        })
        .with_parallelism(2)
        .to(for_each([&](const int&) { ++seen; }));
    job j = std::move(p).start({.parallelism = 2, .batch_size = 100});
    j.wait();
    CHECK(seen == 2000);
    const duration_counts latency = j.status().operators.back().latency;
    CHECK(latency.count() > 0);
    CHECK(latency.quantile(1) >= 1ms);
    CHECK(latency.sum >= 1ms);
}

TEST_CASE("without event time nothing holds it back") {
    std::atomic<bool> seen = false;
    pipeline p;
    p.from(endless()).rebalance().map([](int i) { return i; }).with_parallelism(2).to(for_each([&](const int&) {
        seen = true;
    }));
    job j = std::move(p).start();
    while (!seen) std::this_thread::yield();
    for (const operator_status& o : j.status().operators) CHECK(o.held_by.empty());
}

TEST_CASE("the status keeps the text of what the job has failed with, or has gone on after") {
    for (bool restarts : {false, true}) {
        testing::memory_file_system files;
        std::atomic<int> failures = 0;
        pipeline p{"fragile"};
        p.from(collection(numbers(100)))
            .named("numbers")
            .map([&](int i) {
                if (i == 50 && failures++ == 0) throw std::runtime_error("a bad day");
                return i;
            })
            .named("picky")
            .to(null_sink())
            .named("out");
        job_options options;
        if (restarts) {
            options.checkpoints = {.folder = "state", .files = &files};
            options.restart = fixed_delay(1, 0s);
        }
        job j = std::move(p).start(options);
        if (restarts) {
            j.wait();
        } else {
            CHECK_THROWS(j.wait());
        }
        CHECK(j.status().failure.find("a bad day") != std::string::npos);
        CHECK(j.status().failure.find("picky") != std::string::npos);
        CHECK(j.status().state == (restarts ? job_state::finished : job_state::failed));
    }
}

TEST_CASE("the status tells time, duration and size of the newest checkpoint, in all and by operator") {
    testing::memory_file_system files;
    std::atomic<bool> go = false;
    pipeline p{"sizes"};
    p.from(endless())
        .named("numbers")
        .key_by([](const int& i) { return i % 1000; })
        .reduce([](int a, int) { return a; })
        .named("kept")
        .to(for_each([&](const int& i) {
            if (i == 999) go = true;
        }))
        .named("out");
    job j = std::move(p).start({.checkpoints = {.folder = "state", .interval = 0s, .files = &files}});
    CHECK(j.status().checkpoints.completed_at == timestamp::min());
    while (!go) std::this_thread::yield();
    for (int i = 0; i < 3; ++i) j.checkpoint();
    const job_status s = j.status();
    CHECK(s.checkpoints.completed == 3);
    CHECK(s.checkpoints.durations.count() == 3);
    CHECK(s.checkpoints.took > 0s);
    CHECK(s.checkpoints.durations.sum >= s.checkpoints.took);
    CHECK(s.checkpoints.completed_at <= s.at);
    CHECK(s.checkpoints.bytes_by_operator.at("kept") >= 1000 * sizeof(int));
    CHECK(s.operators.at(1).keys == 1000);
    CHECK(s.operators.at(0).keys == -1);
    std::uint64_t sum = 0;
    for (const auto& [name, bytes] : s.checkpoints.bytes_by_operator) sum += bytes;
    CHECK(sum == s.checkpoints.bytes);
}

namespace {

/// Fails once, at its fourth batch; then a recovery of it takes until it may end.
struct waiting_sink final : sink<int> {
    std::string name() const override { return "waiting"; }
    bool is_transactional() const override { return true; }
    std::string trouble() const override { return "no way to there"; }
    void recover(checkpoint_id, const std::string&, const std::vector<std::string>&) override {
        if (!has_failed) return;
        recovers = true;
        recovers.notify_all();
        may_end.wait(false);
    }
    std::unique_ptr<sink_writer<int>> open(const sink_context&) override { return std::make_unique<writer>(*this); }
    struct writer final : sink_writer<int> {
        explicit writer(waiting_sink& of) : of(of) {}
        progress write(batch<int>& records) override {
            if (of.writes++ == 3 && !of.has_failed.exchange(true)) throw std::runtime_error("once");
            records.consume_until(records.size());
            return progress::done;
        }
        waiting_sink& of;
    };
    std::atomic<int> writes = 0;
    std::atomic<bool> has_failed = false, recovers = false, may_end = false;
};

}  // namespace

TEST_CASE("while a sink takes long to recover, the job can be asked and cancelled, and shows operators as they were") {
    testing::memory_file_system files;
    const auto to = std::make_shared<waiting_sink>();
    pipeline p{"patient"};
    p.from(endless()).named("numbers").to(to).named("out");
    job_options options{.threads = 2};
    options.checkpoints = {.folder = "state", .files = &files};
    options.restart = fixed_delay(1, 0s);
    job j = std::move(p).start(options);
    to->recovers.wait(false);
    const job_status s = j.status();
    CHECK(s.state == job_state::restarting);
    CHECK(s.failure.find("once") != std::string::npos);
    REQUIRE(s.operators.size() == 2);
    CHECK(s.operators[0].name == "numbers");
    CHECK(s.operators[0].records_out > 0);
    CHECK(s.operators[0].subtasks.size() == 1);
    CHECK(s.operators[0].trouble.empty());
    CHECK(s.operators[1].name == "out");
    CHECK(s.operators[1].trouble == "no way to there");  // As of now.
    j.cancel();
    CHECK(j.status().state == job_state::cancelled);
    CHECK(j.status().operators.size() == 2);
    to->may_end = true;
    to->may_end.notify_all();
    j.wait();
}

namespace {

/// Never has room.
struct full_sink final : sink<int> {
    std::string name() const override { return "full"; }
    std::unique_ptr<sink_writer<int>> open(const sink_context&) override { return std::make_unique<writer>(); }
    struct writer final : sink_writer<int> {
        progress write(batch<int>&) override { return progress::blocked; }
    };
};

}  // namespace

TEST_CASE("time in which a subtask waits shows while it waits: blocked without room, idle without input") {
    testing::sim_executor sim(1);
    pipeline p{"stuck"};
    p.from(endless()).named("numbers").rebalance().to(std::make_shared<full_sink>()).named("full");
    inlet<int> quiet;
    p.from(quiet).named("quiet").to(null_sink()).named("nothing");
    job j = std::move(p).start({.executor = &sim, .clock = &sim.clock()});
    for (int i = 0; i < 1000; ++i) sim.step();
    sim.clock().pass(10s);
    const job_status s = j.status();
    const auto subtask = [&](std::size_t i) { return s.operators.at(i).subtasks.at(0); };
    CHECK(subtask(0).blocked > 9s);
    CHECK(subtask(1).blocked > 9s);
    CHECK(subtask(2).idle > 9s);
    CHECK(subtask(3).idle > 9s);
    for (const operator_status& o : s.operators) {
        CHECK(o.busy < 0.1);
        CHECK(o.busy + o.blocked + o.idle <= 1.001);
    }
    quiet.close();
    j.cancel();
}

TEST_CASE("a sink says in the status what keeps it from writing") {
    const auto to = std::make_shared<waiting_sink>();
    to->has_failed = true;
    pipeline p{"troubled"};
    p.from(collection(numbers(10))).to(to);
    job j = std::move(p).start();
    j.wait();
    CHECK(j.status().operators.back().trouble == "no way to there");
    CHECK(j.status().operators.back().lag == std::nullopt);
    CHECK(j.status().operators.front().trouble.empty());
}
