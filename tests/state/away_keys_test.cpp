// Process functions whose keys are not all in memory. (All that is tested of states and timers is run this way, too:
// see state_under_test.)
#include "runnel/state/away_keys.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/checkpoint/checkpoint_store.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/operators/process.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/testing/harness.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "tests/operators/process_language.hpp"
#include "tests/support/map_backend.hpp"
#include "tests/support/random.hpp"
#include "tests/support/state_under_test.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using namespace process_language;
using tests::map_backend;

namespace {

template <class K>
struct first {
    const K& operator()(const std::pair<K, int>& r) const { return r.first; }
};

/// Adds up, and forgets at 0.
template <class K>
struct adding {
    using output_type = int;
    value_state<std::string> total{};
    event_timer timer{};
    void open(state_setup& s) {
        total = s.value<std::string>("total", {.ttl = 1h});
        timer = s.event_timer("timer");
    }
    void on_record(const std::pair<K, int>& r, process_context<int>& c) {
        const int sum = r.second + std::stoi(total.value_or("0"));
        c.emit(sum);
        if (r.second == 0) total.clear();
        else total.set(std::to_string(sum));
        if (r.second > 100) timer.set(timestamp(std::chrono::seconds(r.second)));
    }
    void on_timer(const timer_event& e, process_context<int>& c) { c.emit(static_cast<int>(e.time.ns() / 1'000'000'000)); }
};
template <class K>
using adding_operator = process_operator<K, std::pair<K, int>, first<K>, adding<K>>;
using harness = testing::operator_harness<adding_operator<int>>;

harness with(const std::shared_ptr<state_backend>& state) {
    return harness(adding_operator<int>(first<int>(), {}), {.state = state});
}

}  // namespace

TEST_CASE("keys beyond those that fit into memory are put away, and come back when they are needed") {
    const auto state = std::make_shared<map_backend>(4);
    harness h = with(state);
    for (int round = 1; round <= 3; ++round)
        for (int key = 0; key < 100; ++key) h.push({key, key + 1}, timestamp(1s));
    CHECK(h.get().live_keys() == 100);
    CHECK(state->held().size() >= 96);
    REQUIRE(h.outputs().size() == 300);
    for (std::size_t i = 0; i < 300; ++i)
        CHECK(h.outputs()[i].value == static_cast<int>((i / 100 + 1) * (i % 100 + 1)));
}

TEST_CASE("keys that stay in memory cost the store nothing") {
    const auto state = std::make_shared<map_backend>(100);
    harness h = with(state);
    for (int key = 0; key < 100; ++key) h.push({key, 1}, timestamp(1s));
    const std::size_t gets = state->gets;
    for (int key = 0; key < 100; ++key) h.push({key, 1}, timestamp(1s));
    CHECK(state->gets == gets);
    CHECK(state->puts == 0);
}

TEST_CASE("a key that holds nothing any more leaves nothing in the store") {
    const auto state = std::make_shared<map_backend>(2);
    harness h = with(state);
    for (int key = 0; key < 50; ++key) h.push({key, 1}, timestamp(1s));
    for (int key = 0; key < 50; ++key) h.push({key, 0}, timestamp(2s));
    CHECK(h.get().live_keys() == 0);
    CHECK(state->held().empty());
    for (int key = 0; key < 50; ++key) h.push({key, 1000 + key}, timestamp(3s));
    h.watermark(timestamp(10h));  // Calls their timers, and has their values expire.
    CHECK(h.outputs().size() == 200);
    CHECK(h.get().live_keys() == 0);
    CHECK(state->held().empty());
}

TEST_CASE("timers of keys that are away are called in order of time") {
    harness h = with(std::make_shared<map_backend>(3));
    std::vector<int> at;
    for (int key = 0; key < 60; ++key) at.push_back(101 + (key * 37) % 60);
    for (int key = 0; key < 60; ++key) h.push({key, at[static_cast<std::size_t>(key)]}, timestamp(1s));
    h.take_outputs();
    h.watermark(timestamp(130s));
    h.watermark(timestamp(131s));
    const auto called = h.take_outputs();
    REQUIRE(called.size() == 31);
    for (std::size_t i = 0; i < called.size(); ++i) CHECK(called[i].value == static_cast<int>(101 + i));
    h.end();
    CHECK(h.outputs().size() == 29);
}

TEST_CASE("keys that are equal are one key, even if their bytes differ") {
    testing::operator_harness h(adding_operator<double>(first<double>(), {}),
                                {.state = std::make_shared<map_backend>(1)});
    h.push({-0.0, 1}, timestamp(1s));
    h.push({1.0, 1}, timestamp(1s));
    h.push({0.0, 1}, timestamp(1s));
    CHECK(h.outputs().back().value == 2);
}

TEST_CASE("an operator without states and timers asks for no store") {
    struct passing {
        using output_type = int;
        void on_record(const std::pair<int, int>& r, process_context<int>& c) { c.emit(r.second); }
    };
    const auto state = std::make_shared<map_backend>(1);
    testing::operator_harness h(process_operator<int, std::pair<int, int>, first<int>, passing>(first<int>(), {}),
                                {.state = state});
    state->calls_left = 0;
    h.push({1, 2}, timestamp(1s));
    CHECK(h.outputs().size() == 1);
}

namespace {
struct opaque {
    std::unique_ptr<int> of;
};
struct keeps_opaque {
    using output_type = int;
    value_state<opaque> value{};
    void open(state_setup& s) { value = s.value<opaque>("bare"); }
    void on_record(const std::pair<int, int>&, process_context<int>&) {}
};
}  // namespace

TEST_CASE("a state that has no codec is refused before the first record") {
    const process_operator<int, std::pair<int, int>, first<int>, keeps_opaque> op(first<int>(), {});
    const testing::operator_harness in_memory(op);
    std::string why;
    try {
        const testing::operator_harness h(op, {.state = std::make_shared<map_backend>(1)});
    } catch (const job_error& e) {
        why = e.what();
    }
    CHECK(why.find("value 'bare' can't be kept outside of memory") != std::string::npos);
}

TEST_CASE("what a snapshot holds of a key group is the same until something in it changes, wherever its keys are") {
    harness h = with(std::make_shared<map_backend>(5));
    for (int key = 0; key < 500; ++key) h.push({key, 200}, timestamp(1s));
    const operator_snapshot before = h.snapshot();
    CHECK(h.snapshot() == before);
    h.push({7, 1}, timestamp(1s));
    const operator_snapshot after = h.snapshot();
    for (const auto& [name, groups] : before.keyed)
        for (const auto& [group, bytes] : groups)
            CHECK((after.keyed.at(name).at(group) == bytes) == (name != "state total" || group != key_group_of(7, 128)));
}

TEST_CASE("a checkpoint writes the key groups that have changed, wherever their keys are") {
    testing::memory_file_system files;
    checkpoint_store store(files, "/checkpoints");
    harness h = with(std::make_shared<map_backend>(5));
    for (int key = 0; key < 5000; ++key) h.push({key, 200}, timestamp(1s));
    const auto write = [&](checkpoint_id id) {
        checkpoint c;
        c.id = id;
        c.key_groups = 128;
        c.operators.push_back({"adding", "process", 1, h.snapshot()});
        store.write(c);
        return store.list().back();
    };
    CHECK(write(1).new_bytes > 90'000);
    h.push({7, 1}, timestamp(1s));
    const checkpoint_info second = write(2);
    CHECK(second.bytes > 90'000);
    CHECK(second.new_bytes < 3'000);
}

TEST_CASE("whatever call of the store fails, the job does, with the reason, though it leaves out records that fail") {
    std::size_t failed = 0;
    for (std::size_t calls = 0;; ++calls) {
        CAPTURE(calls);
        const auto state = std::make_shared<map_backend>(2);
        state->calls_left = calls;
        std::vector<timed<std::pair<int, int>>> records;
        for (int i = 0; i < 40; ++i) records.push_back({{i % 5, 110 + i}, timestamp(std::chrono::seconds(i))});
        std::vector<int> shown;
        pipeline p("job");
        p.from(timed_collection(records))
            .key_by(first<int>())
            .process(adding<int>{})
            .on_error(on_error::skip)
            .to(collect(shown));
        job j = std::move(p).start({.state = state});
        try {
            j.wait();
        } catch (const job_error& e) {
            CHECK_THROWS_AS(std::rethrow_if_nested(e), state_error);
            ++failed;
            continue;
        }
        CHECK(shown.size() == 80);
        break;
    }
    CHECK(failed > 100);
}

namespace {

constexpr std::uint64_t instructions = 300;

/// At times that are all different, up to 2 s out of order.
instruction nth(std::uint64_t seed, std::uint64_t i) {
    const std::uint64_t h = (i + 1 + seed * 1000) * 0x9E3779B97F4A7C15U;
    const std::uint64_t ms = i * 50 + (h >> 40) % 2000;
    return {static_cast<int>((h >> 33) % 7), static_cast<int>((h >> 20) % program::lists),
            timestamp(std::chrono::milliseconds(ms) + std::chrono::microseconds(i))};
}

struct by_number {
    int operator()(const instruction& i) const { return i.key; }
};

}  // namespace

TEST_CASE("a savepoint goes from memory to stores and back, at any parallelism, and nothing is different") {
    std::size_t legs = 0, with_stores = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        const auto code = std::make_shared<const program>(seed, false);
        testing::memory_file_system files;
        std::vector<std::pair<std::string, timestamp>> shown;
        std::string from;
        for (bool is_over = false; !is_over; ++legs) {
            const std::string folder = "/" + std::to_string(legs);
            testing::sim_executor sim(random.seed());
            job_options o{.parallelism = 1 + random.below(4), .batch_size = 1 + random.below(4), .executor = &sim,
                          .clock = &sim.clock()};
            o.checkpoints = {.folder = folder, .interval = {}, .executor = &sim, .files = &files};
            o.restore = from;
            const std::size_t keys = 1 + random.below(4);
            const std::size_t where = random.below(tests::has_rocksdb() ? 3 : 2);
            if (where == 1) o.state = std::make_shared<map_backend>(keys);
            if (where == 2) o.state = tests::rocksdb_under_test(keys);
            with_stores += where != 0;
            pipeline p("job");
            p.from(generate(instructions, [seed](std::uint64_t i) { return nth(seed, i); }, {.splits = 3}))
                .named("instructions")
                .event_time(&instruction::at, bounded_out_of_orderness(3s))
                .key_by(by_number())
                .in_event_time_order()
                .process(interpreter{code})
                .named("interpreter")
                .to(for_each([&](const std::string& s, timestamp t) { shown.emplace_back(s, t); }))
                .named("show");
            job j = std::move(p).start(o);
            for (std::size_t steps = random.below(12); steps != 0 && !j.is_done(); --steps) sim.step();
            try {
                from = folder + "-savepoint";
                j.stop_with_savepoint(from);
            } catch (const checkpoint_error&) {
                is_over = true;
            }
            j.wait();
        }
        model m(*code);
        std::vector<instruction> all;
        for (std::uint64_t i = 0; i < instructions; ++i) all.push_back(nth(seed, i));
        m.in_order(all);
        REQUIRE(first_difference(by_key(shown), m.out) == "");
    }
    CHECK(legs > 50);
    CHECK(with_stores > 30);
}
