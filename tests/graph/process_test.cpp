#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/testing/graph_harness.hpp"
#include "tests/operators/process_language.hpp"
#include "tests/support/print.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using namespace process_language;
using runnel::testing::graph_harness;
using runnel::testing::manual_source;

namespace {

/// Results as texts; their times are compared where the operator is tested alone.
model::results texts(const collected<std::string>& from) {
    std::vector<std::pair<std::string, timestamp>> all;
    for (const std::string& text : from.values()) all.emplace_back(text, timestamp());
    return by_key(all);
}
model::results texts(model::results all) {
    for (auto& [key, results] : all)
        for (auto& r : results) r.second = timestamp();
    return all;
}

std::vector<instruction> draw(tests::random_numbers& random, std::size_t n, std::int64_t disorder_ms) {
    std::vector<instruction> all;
    std::int64_t now = 0;
    for (std::size_t i = 0; i < n; ++i) {
        now += random.between(0, 400);
        all.push_back({static_cast<int>(random.below(6)), static_cast<int>(random.below(program::lists)),
                       timestamp(std::chrono::milliseconds(now - random.between(0, disorder_ms)))});
    }
    return all;
}

}  // namespace

TEST_CASE("in a job, functions drawn at random give what the model gives, at any parallelism, with timers by the clock") {
    for (std::uint64_t seed = 1; seed <= 24; ++seed) {
        for (const std::size_t parallelism : {1, 2, 4}) {
            CAPTURE(seed);
            CAPTURE(parallelism);
            tests::random_numbers random(seed);
            const auto code = std::make_shared<const program>(seed, true);
            manual_source<instruction> source;
            collected<std::string> results;
            pipeline p;
            p.from(source)
                .event_time(&instruction::at, bounded_out_of_orderness(500ms))
                .key_by(&instruction::key)
                .process(interpreter{code})
                .to(results);
            graph_harness h(std::move(p), {.job = {.parallelism = parallelism}, .seed = seed});
            model m(*code);
            timestamp w = timestamp::min(), clock{0};
            for (const instruction& i : draw(random, 80, 1500)) {
                // One record at a time, so that it is known behind which watermark each is processed.
                source.push(i);
                h.run_until_idle();
                m.record(i);
                if (const timestamp next = i.at - 500ms - 1ns; next > w) m.watermark(w = next);
                if (!random.chance(30)) continue;
                const auto step = std::chrono::milliseconds(random.between(0, 3000));
                h.advance(step);
                m.clock(clock = clock + step, false);
            }
            source.finish();
            h.finish();
            m.watermark(timestamp::max());
            REQUIRE(first_difference(texts(results), texts(m.out)) == "");
        }
    }
}

TEST_CASE("in a job in event-time order, results are those of sorting first, whatever the batches, splits and subtasks") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        for (const std::size_t parallelism : {1, 2, 4}) {
            CAPTURE(seed);
            CAPTURE(parallelism);
            tests::random_numbers random(seed);
            const auto code = std::make_shared<const program>(seed, false);
            std::vector<instruction> all = draw(random, 300, 1500);
            // Equal times keep the order of arrival, which is none between splits.
            for (std::size_t i = 0; i < all.size(); ++i) all[i].at = all[i].at + duration(static_cast<std::int64_t>(i));
            collected<std::string> results;
            pipeline p;
            p.from(collection(all, 1 + seed % 3))
                .event_time(&instruction::at, bounded_out_of_orderness(1h))
                .key_by(&instruction::key)
                .in_event_time_order()
                .process(interpreter{code})
                .to(results);
            graph_harness h(std::move(p), {.job = {.parallelism = parallelism, .batch_size = 1 + random.below(50)},
                                           .seed = seed});
            h.finish();
            model m(*code);
            m.in_order(all);
            REQUIRE(first_difference(texts(results), texts(m.out)) == "");
        }
    }
}

namespace {

struct reading {
    std::string place;
    int value;
    timestamp at;
};

/// Passes readings above the limit that the place was given last.
struct above_limit {
    using output_type = std::string;
    using side_types = std::tuple<reading>;
    using context = process_context<std::string, reading>;
    value_state<int> limit;
    void open(state_setup& s) { limit = s.value<int>("limit"); }
    void on_record(const reading& r, context& c) {
        if (!limit.has_value()) c.side<0>().emit(r);
        else if (r.value > *limit.get()) c.emit(c.key<std::string>() + " " + std::to_string(r.value));
    }
    void on_second(const std::pair<std::string, int>& l, context&) { limit.set(l.second); }
};

}  // namespace

TEST_CASE("a function of two streams shares its state between them, by key; side outputs are streams") {
    for (const std::size_t parallelism : {1, 3}) {
        manual_source<reading> readings;
        manual_source<std::pair<std::string, int>> limits;
        collected<std::string> results;
        collected<reading> unknown;
        pipeline p;
        auto [above, without] =
            p.from(readings)
                .event_time(&reading::at, monotonous())
                .key_by(&reading::place)
                .connect(p.from(limits)
                             .event_time([](const auto&) { return timestamp(0); }, monotonous())
                             .key_by([](const auto& l) { return l.first; }))
                .process(above_limit{});
        above.to(results);
        without.to(unknown);
        CHECK(p.describe(2).find("process of two") != std::string::npos);
        graph_harness h(std::move(p), {.job = {.parallelism = parallelism}});
        readings.push({"a", 5, timestamp(1s)});
        h.run_until_idle();
        limits.push({"a", 4});
        limits.push({"b", 6});
        h.run_until_idle();
        for (const char* place : {"a", "b", "c"}) readings.push({place, 5, timestamp(2s)});
        h.run_until_idle();
        readings.finish();
        limits.finish();
        h.finish();
        CHECK(results.values() == std::vector<std::string>{"a 5"});
        REQUIRE(unknown.values().size() == 2);
        CHECK(unknown.values()[0].place == "a");
        CHECK(unknown.values()[1].place == "c");
    }
}

namespace {

struct by_rule {
    using output_type = std::string;
    broadcast_state<std::string, int> rules;
    value_state<int> count;
    void open(state_setup& s) {
        rules = s.broadcast<std::string, int>("rules");
        count = s.value<int>("count");
    }
    void on_record(const reading& r, process_context<std::string>& c) {
        ++count.get_or_create();
        if (const int* rule = rules.get("limit"); rule && r.value > *rule)
            c.emit(r.place + std::to_string(*count.get()) + "/" + std::to_string(*rule));
    }
    void on_broadcast(int limit, broadcast_context<std::string>& c) { c.put(rules, "limit", limit); }
};

}  // namespace

TEST_CASE("a broadcast stream reaches the keys of all subtasks") {
    for (const std::size_t parallelism : {1, 2, 4}) {
        manual_source<reading> readings;
        manual_source<int> rules;
        collected<std::string> results;
        pipeline p;
        p.from(readings)
            .event_time(&reading::at, monotonous())
            .key_by(&reading::place)
            .connect(p.from(rules).event_time([](int) { return timestamp(0); }, monotonous()).broadcast())
            .process(by_rule{})
            .to(results);
        graph_harness h(std::move(p), {.job = {.parallelism = parallelism}});
        const auto all_places = [&](std::int64_t second) {
            for (const char* place : {"a", "b", "c", "d", "e"})
                readings.push({place, 5, timestamp(std::chrono::seconds(second))});
            h.run_until_idle();
        };
        all_places(1);
        rules.push(3);
        h.run_until_idle();
        all_places(2);
        rules.push(9);
        h.run_until_idle();
        all_places(3);
        rules.push(4);
        h.run_until_idle();
        all_places(4);
        readings.finish();
        rules.finish();
        h.finish();
        std::vector<std::string> sorted = results.values();
        std::sort(sorted.begin(), sorted.end());
        CHECK(sorted == std::vector<std::string>{"a2/3", "a4/4", "b2/3", "b4/4", "c2/3", "c4/4", "d2/3", "d4/4", "e2/3",
                                                 "e4/4"});
    }
}

TEST_CASE("in event-time order, late records go to the late output") {
    manual_source<reading> readings;
    collected<std::string> results;
    collected<late_record<reading>> too_late;
    pipeline p;
    struct names {
        using output_type = std::string;
        void on_record(const reading& r, process_context<std::string>& c) { c.emit(std::to_string(r.value)); }
    };
    late_output<reading> late;
    CHECK_THROWS_AS((void)late.stream(), graph_error);
    p.from(readings)
        .event_time(&reading::at, bounded_out_of_orderness(2s))
        .key_by(&reading::place)
        .in_event_time_order(late)
        .process(names{})
        .to(results);
    late.stream().to(too_late);
    graph_harness h(std::move(p), {.job = {.parallelism = 2}});
    for (const int second : {5, 4, 9, 6, 8, 10}) readings.push({"a", second, timestamp(std::chrono::seconds(second))});
    readings.finish();
    h.finish();
    CHECK(results.values() == std::vector<std::string>{"4", "5", "8", "9", "10"});
    REQUIRE(too_late.values().size() == 1);
    CHECK(too_late.values()[0].value.value == 6);
    CHECK(too_late.values()[0].watermark == timestamp(7s) - 1ns);
}

TEST_CASE("event-time order without event time is an error of the graph") {
    pipeline p;
    p.from(collection(std::vector<instruction>{}))
        .key_by(&instruction::key)
        .in_event_time_order()
        .process(interpreter{std::make_shared<const program>(1, false)})
        .to(null_sink());
    const auto problems = p.validate();
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].find("needs event time") != std::string::npos);
}

TEST_CASE("streams of two pipelines cannot be connected") {
    pipeline a, b;
    const auto first = a.from(collection(std::vector<instruction>{})).key_by(&instruction::key);
    const auto second = b.from(collection(std::vector<instruction>{})).key_by(&instruction::key);
    CHECK_THROWS_AS((void)first.connect(second), graph_error);
}
