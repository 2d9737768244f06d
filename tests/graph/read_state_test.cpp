// Reading the state of a running job: job::read_state.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/sink/sink.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/state/saved_keyed_state.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct count_records {
    using output_type = std::uint64_t;
    value_state<std::uint64_t> seen;
    void open(state_setup& s) { seen = s.value<std::uint64_t>("seen"); }
    void on_record(std::uint64_t i, process_context<std::uint64_t>& c) {
        seen.set(seen.value_or(0) + 1);
        c.emit(i);
    }
};

/// Knows what has been prepared, and how much of it was committed.
class noting_sink final : public sink<std::uint64_t> {
public:
    std::atomic<std::uint64_t> prepared{0}, committed{0};
    std::string name() const override { return "noting"; }
    bool is_transactional() const override { return true; }
    void commit(checkpoint_id id, const std::string&, const std::vector<std::string>& results) override {
        if (id <= newest_) return;  // Asked again.
        newest_ = id;
        for (const std::string& r : results) committed += std::stoull(r);
    }
    std::unique_ptr<sink_writer<std::uint64_t>> open(const sink_context&) override {
        return std::make_unique<writer>(*this);
    }

private:
    checkpoint_id newest_ = 0;

    struct writer : sink_writer<std::uint64_t> {
        explicit writer(noting_sink& s) : sink_(s) {}
        progress write(batch<std::uint64_t>& records) override {
            taken_ += records.remaining();
            records.consume_until(records.size());
            return progress::done;
        }
        std::string prepare() override {
            sink_.prepared += taken_;
            return std::to_string(std::exchange(taken_, 0));
        }
        noting_sink& sink_;
        std::uint64_t taken_ = 0;
    };
};

/// Every record is counted by its remainder in "first", and behind an exchange in "second".
pipeline counting(std::uint64_t n, std::shared_ptr<noting_sink> to, std::atomic<std::uint64_t>* seen = nullptr,
                  std::uint64_t fails_at = ~std::uint64_t{0}) {
    pipeline p("counting");
    const auto key = [](std::uint64_t i) { return i % 7; };
    auto all = p.from(generate(n, [](std::uint64_t i) { return i; }, {.splits = 2})).named("numbers").peek(
        [seen, fails_at](std::uint64_t i) {
            if (seen) ++*seen;
            if (i == fails_at) throw std::runtime_error("not this one");
        });
    all.key_by(key).process(count_records{}).named("first").key_by(key).process(count_records{}).named("second").to(
        std::move(to)).named("noted");
    return p;
}

/// How many records an operator had seen.
std::uint64_t total(const checkpoint& c, const char* operator_name) {
    saved_keyed_state<std::uint64_t> state(c, operator_name);
    const auto seen = state.value<std::uint64_t>("seen");
    std::uint64_t sum = 0;
    state.for_each([&](std::uint64_t) { sum += seen.value_or(0); });
    return sum;
}

struct setting {
    testing::memory_file_system disk;
    std::shared_ptr<noting_sink> out = std::make_shared<noting_sink>();
    std::atomic<std::uint64_t> seen{0};
    testing::sim_executor sim{11};
    job_options options(duration interval = {}) {
        job_options o{.parallelism = 3, .batch_size = 4, .executor = &sim, .clock = &sim.clock()};
        o.checkpoints = {.folder = "/c", .interval = interval, .executor = &sim, .files = &disk};
        return o;
    }
};

}  // namespace

TEST_CASE("what is read of a running job is one instant: no operator has seen a record that another has not") {
    setting s;
    job running = counting(3000, s.out, &s.seen).start(s.options());
    std::uint64_t before = 0;
    for (std::uint64_t wanted = 200; wanted < 2600; wanted += 400) {
        s.sim.run_until([&] { return s.seen > wanted; });
        const checkpoint c = running.read_state();
        CHECK(c.job == "counting");
        CHECK(total(c, "first") == total(c, "second"));
        CHECK(total(c, "first") > before);
        before = total(c, "first");
    }
    running.wait();
    CHECK(s.seen == 3000);
    CHECK(s.out->committed == 3000);
}

TEST_CASE("reading writes nothing and commits nothing; what was prepared for it goes with the next checkpoint") {
    setting s;
    job running = counting(3000, s.out, &s.seen).start(s.options());
    s.sim.run_until([&] { return s.seen > 300; });
    running.checkpoint();
    const std::uint64_t committed = s.out->committed;
    s.sim.run_until([&] { return s.seen > 900; });
    const std::size_t operations = s.disk.operations();
    running.read_state();
    running.read_state();
    CHECK(s.disk.operations() == operations);
    CHECK(s.out->committed == committed);
    CHECK(s.out->prepared > committed);
    CHECK(running.status().checkpoints.completed == 1);
    const std::uint64_t prepared = s.out->prepared;
    running.checkpoint();
    CHECK(s.out->committed >= prepared);
    CHECK(s.out->committed == s.out->prepared);
    running.wait();
    CHECK(s.out->committed == 3000);
}

TEST_CASE("who reads again and again does not keep the job from its own checkpoints") {
    setting s;
    job running = counting(30000, s.out, &s.seen).start(s.options(3us));
    while (s.seen < 3000) running.read_state();
    CHECK(running.status().checkpoints.completed > 2);
    running.wait();
    CHECK(s.out->committed == 30000);
}

TEST_CASE("after a crash a job goes on from its last checkpoint, whatever was read since") {
    setting s;
    {
        job running = counting(3000, s.out, &s.seen).start(s.options());
        s.sim.run_until([&] { return s.seen > 300; });
        running.checkpoint();
        s.sim.run_until([&] { return s.seen > 900; });
        running.read_state();
        running.cancel();
        running.wait();
    }
    const std::uint64_t committed = s.out->committed;
    counting(3000, s.out).start(s.options()).wait();
    CHECK(committed < 900);
    CHECK(s.out->committed == 3000);
}

TEST_CASE("there is no state to be read of a job that has ended, has failed, or makes no checkpoints") {
    setting s;
    {
        job done = counting(100, std::make_shared<noting_sink>()).start(s.options());
        done.wait();
        CHECK_THROWS_WITH_AS(done.read_state(), "there is no state to be read of a job that has ended.",
                             checkpoint_error);
    }
    {
        job_options o = s.options();
        o.checkpoints.folder = "/failing";
        job failing = counting(1000, s.out, &s.seen, 500).start(o);
        std::string why;
        try {
            for (;;) failing.read_state();
        } catch (const checkpoint_error& e) {
            why = e.what();
        }
        CHECK(why.find("failed") != std::string::npos);
        CHECK_THROWS_AS(failing.wait(), job_error);
        CHECK_THROWS_AS(failing.read_state(), checkpoint_error);
    }
    job without = counting(10, s.out).start();
    CHECK_THROWS_WITH(without.read_state(), doctest::Contains("makes no checkpoints"));
    without.wait();
}

TEST_CASE("several threads may read at the same time, while checkpoints are made") {
    testing::memory_file_system disk;
    const auto out = std::make_shared<noting_sink>();
    job_options o{.parallelism = 2};
    o.checkpoints = {.folder = "/c", .interval = 1ms, .files = &disk};
    job running = counting(~std::uint64_t{0} >> 1, out).start(o);
    std::atomic<int> differences{0}, backwards{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i)
        readers.emplace_back([&] {
            std::uint64_t before = 0;
            for (int n = 0; n < 10; ++n) {
                const checkpoint c = running.read_state();
                const std::uint64_t now = total(c, "first");
                differences += now != total(c, "second");
                backwards += now < before;
                before = now;
            }
        });
    for (std::thread& t : readers) t.join();
    CHECK(differences == 0);
    CHECK(backwards == 0);
    running.cancel();
    running.wait();
}
