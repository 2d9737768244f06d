// What jobs with checkpoints accept, refuse and tell; that they lose nothing is shown by checkpoint_test.cpp.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/codec/codec.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/source/inlet.hpp"
#include "runnel/testing/failing_file_system.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/count.hpp"
#include "tests/core/temporary_folder.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

/// Keeps the largest number of each remainder by seven.
pipeline largest(std::uint64_t n, std::vector<std::uint64_t>& into, const char* name = "largest",
                 std::function<void(std::uint64_t)> seen = [](std::uint64_t) {}) {
    pipeline p("numbers");
    p.from(generate(n, [](std::uint64_t i) { return i; }))
        .named("source")
        .peek([seen](std::uint64_t i) { seen(i); })
        .key_by([](std::uint64_t i) { return i % 7; })
        .reduce([](std::uint64_t a, std::uint64_t b) { return std::max(a, b); })
        .named(name)
        .to(collect(into));
    return p;
}

struct setting {
    testing::memory_file_system disk;
    testing::failing_file_system files{disk};
    testing::sim_executor sim{7};
    job_options options() {
        job_options o{.batch_size = 4, .executor = &sim, .clock = &sim.clock()};
        o.checkpoints = {.folder = "/c", .interval = 3us, .executor = &sim, .files = &files};
        return o;
    }
};

/// Shows what it is given in checkpoints that are complete.
struct shown_with_checkpoints final : sink<std::uint64_t> {
    explicit shown_with_checkpoints(std::vector<std::uint64_t>& s) : shown(&s) {}
    std::string name() const override { return "shown"; }
    bool is_transactional() const override { return true; }
    std::unique_ptr<sink_writer<std::uint64_t>> open(const sink_context&) override {
        struct writer final : sink_writer<std::uint64_t> {
            progress write(batch<std::uint64_t>& records) override {
                for (std::size_t i = records.cursor(); i < records.size(); ++i)
                    codec<std::uint64_t>::encode(records.value(i), results);
                return progress::done;
            }
            std::string prepare() override { return std::exchange(results, {}); }
            std::string results;
        };
        return std::make_unique<writer>();
    }
    void commit(checkpoint_id id, const std::string&, const std::vector<std::string>& prepared) override {
        if (id <= newest) return;
        newest = id;
        for (const std::string& results : prepared)
            for (byte_reader in(results); !in.empty();) shown->push_back(codec<std::uint64_t>::decode(in));
    }
    std::vector<std::uint64_t>* shown;
    checkpoint_id newest = 0;
};

std::string refusal(pipeline p, const job_options& o) {
    try {
        std::move(p).start(o).wait();
    } catch (const error& e) {
        return e.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("operators with state, sources and transactional sinks without names are refused, all in one error") {
    setting s;
    pipeline p;
    std::vector<std::uint64_t> out;
    p.from(generate(3, [](std::uint64_t i) { return i; }))
        .key_by([](std::uint64_t i) { return i; })
        .reduce([](std::uint64_t a, std::uint64_t) { return a; })
        .to(collect(out));
    const std::string why = refusal(std::move(p), s.options());
    CHECK(why.find("(source)") != why.npos);
    CHECK(why.find("(reduce)") != why.npos);
    CHECK(why.find("(sink)") == why.npos);
    CHECK(why.find(".named(") != why.npos);
    CHECK(s.disk.files().empty());
}

TEST_CASE("a sink that needs checkpoints is refused in a job without") {
    struct needing final : sink<std::uint64_t> {
        std::string name() const override { return "all at once"; }
        bool needs_checkpoints() const override { return true; }
        std::unique_ptr<sink_writer<std::uint64_t>> open(const sink_context&) override {
            struct none final : sink_writer<std::uint64_t> {
                progress write(batch<std::uint64_t>&) override { return progress::done; }
            };
            return std::make_unique<none>();
        }
    };
    setting s;
    const auto made = [] {
        pipeline p;
        p.from(generate(3, [](std::uint64_t i) { return i; })).named("source").to(std::make_shared<needing>()).named("n");
        return p;
    };
    job_options without = s.options();
    without.checkpoints = {};
    const std::string why = refusal(made(), without);
    CHECK(why.find("operator 'n' (all at once)") != why.npos);
    CHECK(why.find("checkpoints") != why.npos);
    CHECK(refusal(made(), s.options()) == "none");
}

TEST_CASE("a source that cannot be read again is refused unless it is accepted by name") {
    setting s;
    inlet<int> from;
    std::vector<int> out;
    const auto graph = [&](bool accepted) {
        pipeline p("inlet");
        auto stream = p.from(from).named("pushed");
        if (accepted) stream.at_most_once();
        stream.to(collect(out));
        return p;
    };
    CHECK(refusal(graph(false), s.options()).find(".at_most_once()") != std::string::npos);
    auto job = graph(true).start({.checkpoints = {.folder = "/c", .interval = 1ms, .files = &s.disk}});
    from.push(1);
    job.checkpoint();
    from.push(2);
    from.close();
    job.wait();
    CHECK(out == std::vector<int>{1, 2});
    // The next run begins with what comes then.
    from = inlet<int>();
    {
        auto next = graph(true).start({.checkpoints = {.folder = "/c2", .interval = 1ms, .files = &s.disk}});
        from.push(3);
        next.checkpoint();
        next.cancel();
        next.wait();
        CHECK_THROWS_AS(from.push(4), std::exception);
    }
    from = inlet<int>();
    auto after = graph(true).start({.checkpoints = {.folder = "/c2", .interval = 1ms, .files = &s.disk}});
    from.push(5);
    from.close();
    after.wait();
    CHECK(out.back() == 5);
}

TEST_CASE("a restart strategy without checkpoints is refused") {
    std::vector<std::uint64_t> out;
    CHECK(refusal(largest(3, out), {.restart = fixed_delay(1, 1ms)}).find("restart strategy") != std::string::npos);
}

TEST_CASE("a restore is refused with another number of key groups, and both numbers are named") {
    setting s;
    std::vector<std::uint64_t> out;
    largest(100, out).start(s.options()).wait();
    job_options o = s.options();
    o.key_groups = 64;
    const std::string why = refusal(largest(100, out), o);
    CHECK(why.find("128 key groups") != why.npos);
    CHECK(why.find("64") != why.npos);
}

TEST_CASE("saved state of an operator that is gone is refused by name, unless it may be dropped") {
    setting s;
    std::vector<std::uint64_t> out;
    largest(100, out).start(s.options()).wait();
    CHECK(refusal(largest(100, out, "renamed"), s.options()).find("'largest' (reduce)") != std::string::npos);
    job_options o = s.options();
    o.allow_dropped_state = true;
    CHECK(refusal(largest(100, out, "renamed"), o) == "none");
}

TEST_CASE("a folder that holds the checkpoints of another job is refused with both names") {
    setting s;
    std::vector<std::uint64_t> out;
    largest(10, out).start(s.options()).wait();
    pipeline other("other");
    other.from(generate(3, [](std::uint64_t i) { return i; })).named("source").to(collect(out));
    const std::string why = refusal(std::move(other), s.options());
    CHECK(why.find("'numbers'") != why.npos);
    CHECK(why.find("'other'") != why.npos);
}

TEST_CASE("a job that was drained does not go on with closed windows") {
    setting s;
    std::vector<std::uint64_t> out;
    {
        job running = largest(1000, out).start(s.options());
        s.sim.run_until([&] { return out.size() > 100; });
        running.drain();
        running.wait();
    }
    CHECK(out.size() < 1000);
    CHECK(refusal(largest(1000, out), s.options()).find("was drained") != std::string::npos);
}

TEST_CASE("two jobs cannot have one folder at a time") {
    setting s;
    std::vector<std::uint64_t> out;
    job first = largest(1000, out).start(s.options());
    CHECK(refusal(largest(10, out), s.options()).find("/c") != std::string::npos);
}

TEST_CASE("a savepoint is begun from once; then the newer checkpoint that has come of it wins, and any other is refused") {
    setting s;
    std::vector<std::uint64_t> out;
    {
        job first = largest(1000, out).start(s.options());
        first.savepoint("/saved");
        first.stop_with_savepoint("/stopped");
        first.wait();
        CHECK_THROWS_WITH(first.checkpoint(), doctest::Contains("has ended"));
    }
    CHECK(out.size() < 1000);
    job_options o = s.options();
    o.restore = "/stopped";
    o.checkpoints.folder = "/second";
    largest(1000, out).start(o).wait();
    CHECK(out.size() == 1000);
    largest(1000, out).start(o).wait();  // All is done.
    CHECK(out.size() == 1000);
    o.restore = "/saved";
    CHECK(refusal(largest(1000, out), o).find("have not come of the savepoint") != std::string::npos);
}

TEST_CASE("a savepoint into a folder that is not empty fails alone; the job goes on") {
    setting s;
    std::vector<std::uint64_t> out;
    job running = largest(1000, out).start(s.options());
    s.disk.make_directories("/there");
    s.disk.put("/there/file", "x");
    CHECK_THROWS_AS(running.savepoint("/there"), checkpoint_error);
    CHECK_THROWS_AS(running.stop_with_savepoint("/there"), checkpoint_error);
    CHECK_THROWS_AS(running.savepoint(""), checkpoint_error);
    CHECK_THROWS_AS(running.savepoint("/there/file/x"), std::exception);
    running.wait();
    CHECK(out.size() == 1000);
}

TEST_CASE("checkpoints that fail are tolerated up to a number in a row, and told of in the status") {
    setting s;
    std::vector<std::uint64_t> out;
    job_options o = s.options();
    o.checkpoints.tolerated_failures = 1000;
    job running = largest(2000, out).start(o);
    s.sim.run_until([&] { return out.size() > 300; });
    s.files.restart({.first = 1, .code = ENOSPC, .from_then_on = true});
    s.sim.run_until([&] { return out.size() > 900; });
    s.files.restart({});
    running.wait();
    CHECK(out.size() == 2000);
    const checkpoint_status status = running.status().checkpoints;
    CHECK(status.failed > 0);
    CHECK(status.completed > 0);
    CHECK(status.last_failure.find("No space") != std::string::npos);
}

TEST_CASE("without an interval there are only the checkpoints that are asked for, also after one that failed") {
    setting s;
    std::vector<std::uint64_t> out;
    job_options o = s.options();
    o.checkpoints.interval = {};
    o.checkpoints.tolerated_failures = 5;
    job running = largest(2000, out).start(o);
    s.files.restart({.first = 1, .code = ENOSPC, .from_then_on = true});
    CHECK_THROWS_AS(running.checkpoint(), checkpoint_error);
    s.files.restart({});
    s.sim.run_until([&] { return out.size() > 1000; });
    CHECK(running.status().checkpoints.failed == 1);
    CHECK(running.status().checkpoints.completed == 0);
    running.wait();
    CHECK(running.status().checkpoints.completed == 1);  // The last one, for the tail.
}

TEST_CASE("a job that fails goes on from its checkpoint in the same process, as often as its strategy allows") {
    for (const std::size_t allowed : {2, 3}) {
        setting s;
        std::vector<std::uint64_t> out;
        int failures = 3;
        job_options o = s.options();
        o.restart = fixed_delay(allowed, 50us);
        job running = largest(1000, out, "largest", [&](std::uint64_t i) {
                          if (i == 700 && failures-- > 0) throw std::runtime_error("not now");
                      }).start(o);
        if (allowed == 2) {
            CHECK_THROWS_WITH_AS(running.wait(), doctest::Contains("not now"), job_error);
        } else {
            running.wait();
            CHECK(running.status().checkpoints.restarts == 3);
            CHECK(out.back() == 999);
        }
    }
}

TEST_CASE("results of the life before, prepared for a checkpoint that failed, are not shown after a restart") {
    setting s;
    std::vector<std::uint64_t> shown;
    bool has_failed = false;
    job_options o = s.options();
    o.checkpoints.tolerated_failures = 1000;
    o.restart = fixed_delay(1, 50us);
    pipeline p("numbers");
    p.from(generate(1000, [](std::uint64_t i) { return i; }))
        .named("source")
        .peek([&](std::uint64_t i) {
            if (i == 300 && !has_failed) s.files.restart({.first = 1, .code = ENOSPC, .from_then_on = true});
            if (i != 700 || std::exchange(has_failed, true)) return;
            s.files.restart({});
            throw std::runtime_error("not now");
        })
        .to(shown_with_checkpoints(shown))
        .named("sink");
    job running = std::move(p).start(o);
    running.wait();
    CHECK(running.status().checkpoints.failed > 0);
    CHECK(running.status().checkpoints.restarts == 1);
    REQUIRE(shown.size() == 1000);
    for (std::uint64_t i = 0; i != 1000; ++i) CHECK(shown[i] == i);
}

TEST_CASE("a subtask that had ended in the life before does not count as ended after a restart") {
    int early = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        setting s;
        testing::sim_executor sim(seed);
        std::vector<std::uint64_t> shown, others;
        std::uint64_t seen = 0;
        bool has_failed = false;
        job_options o = s.options();
        o.executor = o.checkpoints.executor = &sim;
        o.clock = &sim.clock();
        o.checkpoints.interval = {};
        o.restart = fixed_delay(1, 50us);
        pipeline p("two");
        p.from(generate(400, [](std::uint64_t i) { return i; }))
            .named("short")
            .peek([&](std::uint64_t) { ++seen; })
            .to(shown_with_checkpoints(shown))
            .named("shown");
        p.from(generate(3000, [](std::uint64_t i) { return i; }))
            .named("long")
            .peek([&](std::uint64_t i) {
                if (i == 2000 && !std::exchange(has_failed, true)) throw std::runtime_error("not now");
            })
            .to(shown_with_checkpoints(others))
            .named("others");
        job running = std::move(p).start(o);
        sim.run_until([&] { return seen > 10; });
        running.checkpoint();
        early += shown.size() < 400;
        sim.run_until([&] { return running.status().checkpoints.restarts == 1; });
        running.checkpoint();
        running.wait();
        CHECK(shown.size() == 400);
        CHECK(std::is_sorted(shown.begin(), shown.end()));
        CHECK(others.size() == 3000);
    }
    CHECK(early > 80);  // It had not ended yet at the checkpoint.
}

TEST_CASE("what a subtask has prepared when it ended is part of one checkpoint") {
    setting s;
    std::vector<std::uint64_t> shown, others;
    pipeline p("two");
    p.from(generate(100, [](std::uint64_t i) { return i; }))
        .named("short")
        .to(shown_with_checkpoints(shown))
        .named("shown");
    p.from(generate(3000, [](std::uint64_t i) { return i; }))
        .named("long")
        .to(shown_with_checkpoints(others))
        .named("others");
    job running = std::move(p).start(s.options());
    running.wait();
    CHECK(running.status().checkpoints.completed > 5);
    CHECK(shown.size() == 100);
    CHECK(others.size() == 3000);
}

TEST_CASE("exponential delays double up to their limit, and begin anew after a run that has lasted") {
    setting s;
    std::vector<std::uint64_t> out;
    std::vector<timestamp> failed;
    job_options o = s.options();
    o.restart = exponential_delay(1ms, 4ms, 1s);
    job running = largest(1000, out, "largest", [&](std::uint64_t i) {
                      if (i != 700 || failed.size() == 5) return;
                      failed.push_back(s.sim.clock().now());
                      throw std::runtime_error("not now");
                  }).start(o);
    running.wait();
    REQUIRE(failed.size() == 5);
    const duration expected[] = {1ms, 2ms, 4ms, 4ms};
    for (std::size_t i = 0; i != 4; ++i) {
        const duration waited = failed[i + 1] - failed[i];
        CHECK(waited >= expected[i]);
        CHECK(waited < expected[i] + 900us);
    }
}

TEST_CASE("a failure rate that is too high ends the job") {
    setting s;
    std::vector<std::uint64_t> out;
    job_options o = s.options();
    o.restart = failure_rate(2, 1s, 10us);
    job running = largest(1000, out, "largest", [](std::uint64_t i) {
                      if (i == 700) throw std::runtime_error("never");
                  }).start(o);
    CHECK_THROWS_AS(running.wait(), job_error);
    CHECK(running.status().checkpoints.restarts == 2);
    CHECK(running.status().state == job_state::failed);
}

TEST_CASE("a job that waits for being restarted can be cancelled") {
    setting s;
    std::vector<std::uint64_t> out;
    job_options o = s.options();
    o.restart = fixed_delay(1, std::chrono::hours(1));
    job running = largest(1000, out, "largest", [](std::uint64_t i) {
                      if (i == 700) throw std::runtime_error("not now");
                  }).start(o);
    for (int i = 0; i < 3000; ++i)
        if (running.status().state == job_state::restarting) break;
        else s.sim.step();
    CHECK(running.status().state == job_state::restarting);
    CHECK(!running.is_done());
    running.cancel();
    CHECK_THROWS_AS(running.wait(), job_error);
    CHECK(running.status().state == job_state::failed);
    CHECK(s.sim.clock().now() < timestamp(std::chrono::minutes(1)));
}
