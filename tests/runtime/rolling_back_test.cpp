// Jobs whose sink rolls back: what it shows in the end is what a run without failures shows, wherever they end, and what
// does not fit is refused before anything is lost.
//
// RUNNEL_PROGRAMS says how many runs to try, RUNNEL_SEED the first seed. A failure prints its seed.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runnel/checkpoint/checkpoint_store.hpp"
#include "runnel/checkpoint/savepoint.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/testing/failing_file_system.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "tests/support/error_text.hpp"
#include "tests/support/random.hpp"
#include "tests/support/rolling_back_sink.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using tests::rolling_back_sink;
using strings = std::vector<std::string>;

namespace {

/// Each number, with the sum of those before it that have its remainder by seven.
pipeline sums(std::uint64_t n, std::shared_ptr<sink<std::string>> to) {
    pipeline p("sums");
    p.from(generate(n, [](std::uint64_t i) { return std::pair(i, i); }))
        .named("numbers")
        .key_by([](const auto& v) { return v.first % 7; })
        .reduce([](const auto& a, const auto& b) { return std::pair(b.first, a.second + b.second); })
        .named("sums")
        .map([](const auto& v) { return std::to_string(v.first) + " " + std::to_string(v.second); })
        .to(std::move(to))
        .named("out");
    return p;
}

strings expected(std::uint64_t n) {
    std::map<std::uint64_t, std::uint64_t> sum;
    strings all;
    for (std::uint64_t i = 0; i != n; ++i) all.push_back(std::to_string(i) + " " + std::to_string(sum[i % 7] += i));
    std::sort(all.begin(), all.end());
    return all;
}

constexpr auto timeout = 10ms;

/// What outlives a job, and what is done to it.
struct place {
    testing::memory_file_system disk;
    testing::failing_file_system files{disk};
    testing::sim_executor sim;
    rolling_back_sink::settings to = {.files = &files};
    std::function<void(checkpoint_step, checkpoint_id)> on_step = {};
    std::size_t set_aside = 0;

    explicit place(std::uint64_t seed = 5) : sim(seed) {}

    job_options options(const std::string& folder = "/c") {
        job_options o{.batch_size = 4, .channel_capacity = 2, .executor = &sim, .clock = &sim.clock()};
        o.checkpoints = {.folder = folder,
                         .interval = 5us,
                         .timeout = timeout,
                         .keep = 1,
                         .executor = &sim,
                         .files = &files,
                         .on_step = [this](checkpoint_step s, checkpoint_id id) {
                             if (s == checkpoint_step::set_aside) ++set_aside;
                             if (on_step) on_step(s, id);
                         }};
        return o;
    }
    job start(std::uint64_t n, const job_options& o) {
        return sums(n, std::make_shared<rolling_back_sink>("/out", to)).start(o);
    }
    std::string failure_of(std::uint64_t n, const job_options& o) {
        return tests::failure_of([&] { start(n, o).wait(); });
    }
    /// All lines that can be seen.
    strings shown() {
        strings all;
        for (const std::string& path : disk.files()) {
            if (!path.starts_with("/out/0")) continue;
            const std::string text = disk.get(path);
            for (std::size_t from = 0; from < text.size(); from = text.find('\n', from) + 1)
                all.push_back(text.substr(from, text.find('\n', from) - from));
        }
        std::sort(all.begin(), all.end());
        return all;
    }
    std::vector<checkpoint_id> checkpoints(const std::string& folder = "/c") {
        std::vector<checkpoint_id> all;
        for (const checkpoint_info& c : list_checkpoints(disk, folder)) all.push_back(c.id);
        return all;
    }
    /// The number of the newest commit.
    checkpoint_id marker() {
        checkpoint_id newest = 0;
        for (const std::string& path : disk.files())
            if (path.starts_with("/out/0")) newest = std::max<checkpoint_id>(newest, std::stoull(path.substr(5)));
        return newest;
    }
};

/// Ends the job in the `n`th commit, before or after it is done.
std::function<void(bool)> dies_in_commit(int n, bool afterwards) {
    return [n, afterwards](bool at_the_end) mutable {
        if (at_the_end == afterwards && --n == 0) throw std::runtime_error("the target is away");
    };
}

}  // namespace

TEST_CASE("results are shown by the checkpoint that they belong to, all of them in the end") {
    for (const std::size_t parallelism : {1, 3}) {
        place p;
        job_options o = p.options();
        o.parallelism = parallelism;
        p.start(2000, o).wait();
        CHECK(p.shown() == expected(2000));
        CHECK(p.set_aside == 0);
        // All is done.
        p.start(2000, o).wait();
        CHECK(p.shown() == expected(2000));
    }
}

TEST_CASE("a commit that did not come about gives its checkpoint up: the job goes on from the one before") {
    for (const int n : {1, 2, 5})
        for (const bool afterwards : {false, true})
            for (const bool restarts : {false, true}) {
                CAPTURE(n);
                CAPTURE(afterwards);
                CAPTURE(restarts);
                place p;
                job_options o = p.options();
                if (restarts) o.restart = fixed_delay(1, 10us);
                p.to.on_commit = dies_in_commit(n, afterwards);
                const std::string why = p.failure_of(2000, o);
                if (restarts) {
                    CHECK(why == "none");
                } else {
                    CHECK(why.find("the target is away") != std::string::npos);
                    const auto there = p.checkpoints();
                    // With keep = 1, too, the one before is there until the newest is committed.
                    CHECK(there.size() == (n == 1 ? 1 : 2));
                    CHECK(p.marker() == (afterwards ? there.back() : n == 1 ? 0 : there.front()));
                    p.to.on_commit = {};
                    p.start(2000, o).wait();
                }
                CHECK(p.shown() == expected(2000));
                CHECK(p.set_aside == (afterwards ? 0 : 1));
            }
}

TEST_CASE("wherever a job ends in a checkpoint, once or again while it starts, each result is shown once") {
    for (std::size_t i = 0; i != checkpoint_steps; ++i) {
        const auto step = static_cast<checkpoint_step>(i);
        CAPTURE(name_of(step));
        for (const bool twice : {false, true}) {
            place p;
            job_options o = p.options();
            o.parallelism = 2;
            // So that there is something to set aside.
            p.to.on_commit = dies_in_commit(3, false);
            (void)p.failure_of(1000, o);
            p.to.on_commit = {};
            int dies = twice ? 2 : 1, skip = 4;
            if (step == checkpoint_step::set_aside || step == checkpoint_step::recover) skip = 0;
            bool happened = false;
            p.on_step = [&](checkpoint_step s, checkpoint_id) {
                if (s != step || dies == 0 || skip-- > 0) return;
                --dies;
                happened = true;
                throw std::runtime_error("the step fails");
            };
            int lives = 0;
            while (p.failure_of(1000, o) != "none") REQUIRE(++lives < 5);
            CHECK(happened);
            CHECK(p.shown() == expected(1000));
        }
    }
}

TEST_CASE("mistakes that the comparison finds: a recovery that ignores what is committed, and a commit before the "
          "checkpoint") {
    place careless;
    careless.to.believes_all = true;
    careless.to.on_commit = dies_in_commit(3, false);
    (void)careless.failure_of(1000, careless.options());
    careless.to.on_commit = {};
    careless.start(1000, careless.options()).wait();
    CHECK(careless.shown().size() < 1000);

    place hasty;
    hasty.to.is_hasty = true;
    hasty.to.believes_all = true;
    int checkpoints = 3;
    hasty.on_step = [&](checkpoint_step s, checkpoint_id) {
        if (s == checkpoint_step::write_manifest && --checkpoints == 0) throw std::runtime_error("no more");
    };
    (void)hasty.failure_of(1000, hasty.options());
    hasty.start(1000, hasty.options()).wait();
    CHECK(hasty.shown().size() > 1000);
}

TEST_CASE("jobs that end anywhere, and whose checkpoints fail, take too long or are read, show each result once") {
    const char* const programs = std::getenv("RUNNEL_PROGRAMS");
    const char* const first_seed = std::getenv("RUNNEL_SEED");
    const std::uint64_t runs = programs ? std::strtoull(programs, nullptr, 10) : 200;
    const std::uint64_t first = first_seed ? std::strtoull(first_seed, nullptr, 10) : 1;
    std::size_t ends = 0, set_aside = 0;
    for (std::uint64_t seed = first; seed < first + runs; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        place p(seed);
        bool done = false;
        p.on_step = [&](checkpoint_step s, checkpoint_id) {
            if (s == checkpoint_step::align && random.chance(2)) p.sim.clock().pass(2 * timeout);
            if (s == checkpoint_step::write_data && random.chance(5)) throw std::runtime_error("the disk is full");
        };
        p.to.on_commit = [&](bool) {
            if (random.chance(5)) throw std::runtime_error("the target is away");
        };
        for (int life = 0; !done && life < 200; ++life) {
            job_options o = p.options();
            o.parallelism = 1 + random.below(4);
            o.batch_size = 1 + random.below(32);
            o.checkpoints.interval = std::chrono::microseconds(random.between(1, 40));
            o.checkpoints.tolerated_failures = 100;
            o.checkpoints.keep = 1 + random.below(2);
            if (random.chance(50)) o.restart = fixed_delay(random.below(3), 10us);
            std::optional<job> running;
            try {
                running.emplace(p.start(1500, o));
                const std::size_t steps = random.below(life < 20 ? 80 : 20'000);
                for (std::size_t i = 0; i < steps && !running->is_done(); ++i) {
                    p.sim.step();
                    try {
                        if (random.chance(1)) (void)running->read_state();
                        if (random.chance(1)) running->savepoint("/s/" + std::to_string(life) + "/" + std::to_string(i));
                    } catch (const error&) {
                        // The job has ended, or the checkpoint failed.
                    }
                }
                if (!running->is_done()) {
                    ++ends;
                    continue;
                }
                running->wait();
                done = true;
            } catch (const std::exception&) {
                ++ends;
            }
        }
        REQUIRE(done);
        REQUIRE(p.shown() == expected(1500));
        set_aside += p.set_aside;
    }
    MESSAGE("ended " << ends << " times, " << set_aside << " checkpoints set aside");
    CHECK(ends > runs);
    CHECK(set_aside > runs / 10);
}

TEST_CASE("a checkpoint that fails, and one that takes too long, let the writers go on: their results come with the next") {
    for (const bool late : {false, true})
        for (const std::size_t parallelism : {1, 3}) {
            CAPTURE(late);
            // What one subtask does alone is all there before anybody can look at the time.
            if (late && parallelism == 1) continue;
            place p;
            job_options o = p.options();
            o.parallelism = parallelism;
            o.checkpoints.tolerated_failures = 3;
            int bad = 3;
            p.on_step = [&](checkpoint_step s, checkpoint_id) {
                // One subtask is late, others have prepared and wait.
                if (late && s == checkpoint_step::prepare && bad-- > 0) p.sim.clock().pass(2 * timeout);
                if (!late && s == checkpoint_step::write_data && bad-- > 0) throw std::runtime_error("the disk is full");
            };
            job running = p.start(2000, o);
            running.wait();
            CHECK(running.status().checkpoints.failed >= (late ? 1 : 3));
            CHECK(p.shown() == expected(2000));
        }
}

TEST_CASE("a job that is cancelled while it goes back does not start again") {
    place p;
    job_options o = p.options();
    o.restart = fixed_delay(5, 10us);
    p.to.on_commit = dies_in_commit(3, false);
    job running = p.start(1000, o);
    p.on_step = [&](checkpoint_step s, checkpoint_id) {
        if (s == checkpoint_step::set_aside) running.cancel();
    };
    CHECK_THROWS_AS(running.wait(), job_error);
    CHECK(p.set_aside == 1);
    CHECK(p.shown().size() < 1000);
}

TEST_CASE("what does not fit is refused by the sink, and no checkpoint is removed for it") {
    place p;
    job_options o = p.options();
    o.checkpoints.keep = 3;
    p.to.on_commit = dies_in_commit(5, false);
    (void)p.failure_of(3000, o);
    p.to.on_commit = {};
    const auto there = p.checkpoints();
    REQUIRE(there.size() == 4);
    const strings before = p.disk.files();
    SUBCASE("it is ahead of the checkpoint") {
        p.disk.put("/out/000000000900.txt", "x\n");
        CHECK(p.failure_of(3000, o).find("is at 900, and the job goes on from") != std::string::npos);
        CHECK(p.checkpoints() == there);
    }
    SUBCASE("it is behind both") {
        p.disk.remove("/out/" + std::string(11, '0') + std::to_string(p.marker()) + ".txt");
        CHECK(p.failure_of(3000, o).find("and the job goes on from " + std::to_string(there.back())) !=
              std::string::npos);
        CHECK(p.checkpoints() == there);
    }
    SUBCASE("the one before is damaged") {
        const std::string n = std::to_string(there[2]);
        for (const std::string& path : before)
            if (path.starts_with("/c/") && path.find(n) != path.npos && p.disk.get(path).size() > 40) {
                std::string bytes = p.disk.get(path);
                bytes[bytes.size() / 2] ^= 1;
                p.disk.put(path, bytes);
            }
        CHECK(p.failure_of(3000, o).find("/c/") != std::string::npos);
        CHECK(p.checkpoints() == there);
    }
    SUBCASE("the graph has lost an operator") {
        pipeline other("sums");
        other.from(generate(3000, [](std::uint64_t i) { return std::to_string(i); }))
            .named("numbers")
            .to(std::make_shared<rolling_back_sink>("/out", p.to))
            .named("out");
        CHECK_THROWS_AS(std::move(other).start(o), checkpoint_error);
        CHECK(p.checkpoints() == there);
        p.start(3000, o).wait();
        CHECK(p.shown() == expected(3000));
    }
}

TEST_CASE("a sink that rolls back is the only transactional one of its job") {
    place p;
    const auto graph = [&](bool two) {
        pipeline q("two");
        auto numbers = q.from(generate(10, [](std::uint64_t i) { return std::to_string(i); })).named("numbers");
        numbers.to(std::make_shared<rolling_back_sink>("/out", p.to)).named("first");
        if (two) numbers.to(std::make_shared<rolling_back_sink>("/other", p.to)).named("second");
        return q;
    };
    CHECK_THROWS_WITH_AS(graph(true).start(p.options()),
                         doctest::Contains("operator 'first' (rolling back): it rolls back to the checkpoint before, and of "
                                           "the transactional sinks 'first' (rolling back), 'second' (rolling back)"),
                         graph_error);
    graph(false).start(p.options()).wait();
    CHECK(p.shown().size() == 10);
}

TEST_CASE("a savepoint shows the results before it, so it can be begun from; as long as no more have been shown") {
    place p;
    job_options o = p.options();
    o.checkpoints.interval = {};
    std::size_t seen = 0;
    {
        job running = p.start(2000, o);
        p.sim.run_until([&] { return running.status().operators.back().records_in > 300; });
        running.savepoint("/saved");
        seen = p.shown().size();
        CHECK(seen > 0);
        CHECK(p.marker() == list_checkpoints(p.disk, "/saved").at(0).id);
        // Reading shows nothing, and holds nobody up.
        (void)running.read_state();
        p.sim.run_until([&] { return running.status().operators.back().records_in > 600; });
        CHECK(p.shown().size() == seen);
        // And the job ends, as if it crashed.
    }
    const auto image = p.disk.crash_image(p.disk.operations(), testing::survivors::all);
    job_options other = p.options("/d");
    other.restore = "/saved";
    p.start(2000, other).wait();
    CHECK(p.shown() == expected(2000));
    // Its own folder went on from the savepoint, too: it was a checkpoint.
    CHECK(read_savepoint(*image, "/c").id == read_savepoint(*image, "/saved").id);
    job_options again = p.options("/e");
    again.restore = "/saved";
    CHECK(p.failure_of(2000, again).find("and the job goes on from") != std::string::npos);
    CHECK(p.shown() == expected(2000));
}

TEST_CASE("a job that began from a savepoint goes back to it if the first checkpoint is not committed") {
    place p;
    {
        job first = p.start(2000, p.options());
        p.sim.run_until([&] { return first.status().operators.back().records_in > 500; });
        first.stop_with_savepoint("/stopped");
        first.wait();
    }
    job_options o = p.options("/d");
    o.restore = "/stopped";
    p.to.on_commit = dies_in_commit(1, false);
    CHECK(p.failure_of(2000, o).find("the target is away") != std::string::npos);
    p.to.on_commit = {};
    job_options without = p.options("/d");
    const auto there = p.checkpoints("/d");
    CHECK(there.size() == 1);
    CHECK(p.failure_of(2000, without).find("and the job goes on from") != std::string::npos);
    CHECK(p.checkpoints("/d") == there);
    p.start(2000, o).wait();
    CHECK(p.set_aside == 1);
    CHECK(p.shown() == expected(2000));
}
