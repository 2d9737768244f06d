// The log as source and sink of jobs, and the durable inlet.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/log/durable_inlet.hpp"
#include "runnel/log/log_folder.hpp"
#include "runnel/log/log_sink.hpp"
#include "runnel/log/log_source.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/count.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

std::string key_of(const std::string& text) { return text.substr(0, 1); }

std::vector<std::string> read_all(const log_topic& topic) {
    std::vector<std::string> all;
    for (std::size_t p = 0; p != topic.partitions(); ++p) {
        log_reader in = topic.reader(p);
        while (const log_record* r = in.next()) {
            byte_reader bytes(*r->value);
            all.push_back(codec<std::string>::decode(bytes));
            if (r->key) CHECK(*r->key == key_of(all.back()));
        }
    }
    std::sort(all.begin(), all.end());
    return all;
}

std::string text_of(std::uint64_t i) { return std::to_string(i * 7919 % 1000) + ":" + std::to_string(i); }

std::vector<std::string> texts(std::uint64_t n) {
    std::vector<std::string> all;
    for (std::uint64_t i = 0; i != n; ++i) all.push_back(text_of(i));
    std::sort(all.begin(), all.end());
    return all;
}

job_options simulated(testing::sim_executor& sim, file_system& files, tests::random_numbers& random) {
    // Little at a time, so that there are many steps to be ended at.
    job_options options{.parallelism = 1 + random.below(4),
                        .batch_size = 2,
                        .channel_capacity = 2,
                        .executor = &sim,
                        .clock = &sim.clock()};
    options.checkpoints = {.folder = "/checkpoints",
                           .interval = std::chrono::microseconds(random.between(1, 40)),
                           .executor = &sim,
                           .files = &files};
    return options;
}

}  // namespace

TEST_CASE("what a job writes to a log another one reads, by key and with its times") {
    test::temporary_folder folder;
    log_folder log(folder.path());
    const log_topic topic = log.topic("texts", {.partitions = 3});
    {
        pipeline p;
        p.from(generate(500, text_of))
            .event_time([](const std::string& t) { return timestamp(std::stoll(t.substr(t.find(':') + 1))); },
                        monotonous())
            .to(to_log(topic, key_of));
        std::move(p).start().wait();
    }
    CHECK(read_all(topic) == texts(500));
    collected<std::string> got;
    pipeline p;
    p.from(from_log<std::string>(topic, {.bounded = true})).event_time(monotonous()).to(got);
    std::move(p).start({.parallelism = 2}).wait();
    std::vector<std::string> values = got.values();
    std::sort(values.begin(), values.end());
    CHECK(values == texts(500));
}

TEST_CASE("a job that is ended at any step, or by a power failure, has written each record to the log exactly once") {
    std::size_t ended = 0, ended_at_commit = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        auto files = std::make_unique<testing::memory_file_system>();
        const std::uint64_t n = 20 + random.below(300);
        for (bool done = false; !done;) {
            testing::sim_executor sim(random.seed());
            std::optional<std::size_t> failed_at;
            std::optional<std::size_t> at_commit;
            {
                log_folder log("/log", {.files = files.get(), .clock = &sim.clock()});
                pipeline p("writer");
                p.from(generate(n, text_of, {.splits = 2, .rate = 2e6})).named("numbers")
                    .to(to_log(log.topic("texts", {.partitions = 3}), key_of)).named("log");
                job_options options = simulated(sim, *files, random);
                options.checkpoints.on_step = [&](checkpoint_step s, checkpoint_id) {
                    if (s == checkpoint_step::commit) at_commit = files->operations();
                };
                job running = std::move(p).start(options);
                for (std::size_t steps = random.below(80); steps != 0 && !running.is_done(); --steps) sim.step();
                done = running.is_done();
                ended += !done;
                if (done) running.wait();
                // Also between a checkpoint and what it makes visible.
                else if (at_commit && random.chance(50)) failed_at = at_commit, ++ended_at_commit;
                else if (random.chance(40)) failed_at = files->operations();
            }
            if (failed_at) files = files->crash_image(*failed_at, testing::survivors::some, random.seed());
        }
        log_folder log("/log", {.files = files.get()});
        REQUIRE(read_all(log.topic("texts")) == texts(n));
    }
    CHECK(ended > 60);
    CHECK(ended_at_commit > 20);
}

TEST_CASE("a job goes on reading a log where its checkpoint says, at another parallelism") {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        testing::memory_file_system files;
        {
            log_folder log("/log", {.files = &files});
            pipeline p;
            p.from(generate(200, text_of)).to(to_log(log.topic("in", {.partitions = 4}), key_of));
            std::move(p).start().wait();
        }
        for (bool done = false; !done;) {
            testing::sim_executor sim(random.seed());
            log_folder log("/log", {.files = &files, .clock = &sim.clock()});
            pipeline p("copier");
            p.from(from_log<std::string>(log.topic("in"), {.bounded = true})).named("in")
                .to(to_log(log.topic("out", {.partitions = 2}), key_of)).named("out");
            job running = std::move(p).start(simulated(sim, files, random));
            for (std::size_t steps = random.below(60); steps != 0 && !running.is_done(); --steps) sim.step();
            done = running.is_done();
            if (done) running.wait();
        }
        log_folder log("/log", {.files = &files});
        REQUIRE(read_all(log.topic("out")) == texts(200));
    }
}

TEST_CASE("a record that cannot be decoded is a bad record, named by topic, partition and offset") {
    test::temporary_folder folder;
    log_folder log(folder.path());
    const log_topic topic = log.topic("texts", {});
    {
        log_writer out = topic.writer(0);
        out.append({.time = {}, .value = "\x05 no text"});
    }
    pipeline p;
    p.from(from_log<std::string>(topic, {.bounded = true})).named("texts").to(null_sink());
    auto job = std::move(p).start();
    CHECK_THROWS_WITH_AS(job.wait(), doctest::Contains("texts/0 offset 0: "), job_error);
}

TEST_CASE("what threads push into a durable inlet is read to its end; a closed one refuses") {
    test::temporary_folder folder;
    log_folder log(folder.path());
    durable_inlet<std::string> inlet(log.topic("pushed", {.partitions = 2}));
    collected<std::string> got;
    pipeline p;
    p.from(inlet).event_time(monotonous()).to(got);
    auto job = std::move(p).start({.parallelism = 2});
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t != 4; ++t)
        threads.emplace_back([&, t] {
            for (std::uint64_t i = 0; i != 25; ++i) inlet.push(text_of(t * 25 + i), timestamp(1));
        });
    for (std::thread& t : threads) t.join();
    inlet.close();
    job.wait();
    std::vector<std::string> values = got.values();
    std::sort(values.begin(), values.end());
    CHECK(values == texts(100));
    CHECK_THROWS_WITH(inlet.push("late"), doctest::Contains("it is closed"));
}

TEST_CASE("what was pushed into a durable inlet before a crash is not lost, and not counted twice after it") {
    test::temporary_folder folder;
    std::uint64_t pushed = 0;
    for (int life = 0; life != 4; ++life) {
        log_folder log(folder / "log");
        durable_inlet<std::string> inlet(log.topic("pushed", {}));
        pipeline p("counter");
        p.from(inlet).named("pushed").to(to_log(log.topic("out", {}), key_of)).named("out");
        auto job = std::move(p).start({.checkpoints = {.folder = folder / "checkpoints", .interval = {}}});
        for (int i = 0; i != 10; ++i) inlet.push(text_of(pushed++));
        if (life == 1) job.checkpoint();
        for (int i = 0; i != 10; ++i) inlet.push(text_of(pushed++));
        if (life == 3) {
            inlet.close();
            job.wait();
        }
    }
    log_folder log(folder / "log");
    CHECK(read_all(log.topic("out")) == texts(pushed));
}
