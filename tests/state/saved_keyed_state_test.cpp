#include "runnel/state/saved_keyed_state.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "runnel/checkpoint/savepoint.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/sum.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t groups = 8;

template <class F>
std::string failure(F f) {
    try {
        f();
    } catch (const error& e) {
        return e.what();
    }
    FAIL("no error");
    return {};
}

/// State of every kind, as two subtasks save it: for the keys "key 0" to "key 9".
checkpoint every_kind() {
    checkpoint c{3, "job", groups, timestamp(100s), false, {{"all", "process", 2, {}}, {"none", "map", 1, {}}}, {}};
    for (std::size_t subtask = 0; subtask < 2; ++subtask) {
        const detail::stopped_clock clock(timestamp(50s));
        const key_group_range mine = range_of(subtask, 2, groups);
        detail::keyed_state<std::string> state;
        state_setup s(state);
        auto value = s.value<int>("value");
        auto list = s.list<std::string>("list");
        auto map = s.map<int, double>("map");
        auto most = s.reducing<int>("most", [](int a, int b) { return std::max(a, b); });
        auto total = s.aggregating<int>("total", sum([](int i) { return i; }));
        auto old = s.value<int>("by event time", {.ttl = 10s});
        auto visit = s.value<int>("by the clock", {.ttl = 60s, .clock = ttl_clock::processing});
        s.event_timer("timer");
        state.open(groups, mine, &clock);
        for (int i = 0; i < 10; ++i) {
            const std::string key = "key " + std::to_string(i);
            if (!mine.contains(key_group_of(key, groups))) continue;
            state.enter_key(key, state.hash(key), timestamp(std::chrono::seconds(i)));
            if (i != 5) value.set(i);
            for (int n = 0; n < i; ++n) list.add(std::string(1, static_cast<char>('a' + n)));
            map.put(i, i / 2.0);
            for (const int n : {i, 2 * i, 1}) {
                most.add(n);
                total.add(n);
            }
            old.set(i);
            visit.set(i);
            state.leave();
        }
        operator_snapshot part;
        snapshot_writer writer(part);
        // Event time has come to 15 s: what was written before 5 s has expired.
        state.save(writer, timestamp(15s));
        c.operators[0].state.add(std::move(part));
    }
    return c;
}

struct count_records {
    using output_type = int;
    value_state<int> seen;
    void open(state_setup& s) { seen = s.value<int>("seen"); }
    void on_record(const std::string&, process_context<int>&) { seen.set(seen.value_or(0) + 1); }
};

}  // namespace

TEST_CASE("state of every kind is read by name and key, as it was when the checkpoint was taken") {
    const checkpoint c = every_kind();
    saved_keyed_state<std::string> saved(c, "all");
    const auto value = saved.value<int>("value");
    const auto list = saved.list<std::string>("list");
    const auto map = saved.map<int, double>("map");
    const auto most = saved.value<int>("most");
    const auto total = saved.aggregating<int>("total", sum([](int i) { return i; }));
    const auto old = saved.value<int>("by event time", {.ttl = 10s});
    const auto visit = saved.value<int>("by the clock", {.ttl = 60s, .clock = ttl_clock::processing});
    for (int i = 9; i >= 0; --i) {
        CAPTURE(i);
        CHECK(saved.select("key " + std::to_string(i)));
        CHECK(value.has_value() == (i != 5));
        CHECK(value.value_or(5) == i);
        CHECK(list.size() == static_cast<std::size_t>(i));
        CHECK(map.value_or(i, -1) == i / 2.0);
        CHECK(map.size() == 1);
        CHECK(*most.get() == std::max(2 * i, 1));
        CHECK(total.get() == 3 * i + 1);
        CHECK(old.has_value() == (i > 5));
        CHECK(visit.has_value());
    }
    CHECK_FALSE(saved.select("key 10"));
    CHECK_FALSE(value.has_value());
    CHECK(list.empty());
    int sum = 0;
    saved.for_each([&](const std::string& key) {
        if (value.has_value()) CHECK(key == "key " + std::to_string(*value.get()));
        sum += *most.get();
    });
    CHECK(sum == 1 + 2 * 45);
}

TEST_CASE("what was declared is read alone, and changes stay inside") {
    const checkpoint c = every_kind();
    saved_keyed_state<std::string> saved(c, "all");
    auto value = saved.value<int>("value");
    CHECK_FALSE(saved.select("key 5"));
    CHECK(saved.select("key 6"));
    value.set(60);
    CHECK(saved.select("key 6"));
    CHECK(*value.get() == 60);
    saved_keyed_state<std::string> again(c, "all");
    value = again.value<int>("value");
    CHECK(again.select("key 6"));
    CHECK(*value.get() == 6);
}

TEST_CASE("an operator, a state or a type that is not the saved one is an error that says what there is") {
    const checkpoint c = every_kind();
    CHECK(failure([&] { saved_keyed_state<std::string>(c, "al"); }) ==
          "checkpoint 3 has no operator 'al', but 'all', 'none'. Name one that is there");
    CHECK(failure([&] { saved_keyed_state<int>(c, "none").value<int>("x"); }) ==
          "operator 'none' has no keyed state 'x', but none of a process function. Name one that is there");
    saved_keyed_state<std::string> saved(c, "all");
    CHECK(failure([&] { saved.value<int>("values"); }) ==
          "operator 'all' has no keyed state 'values', but 'by event time', 'by the clock', 'list', 'map', 'most', "
          "'total', 'value'. Name one that is there");
    saved.value<int>("value");
    saved.select("key 1");
    CHECK(failure([&] { saved.value<int>("most"); }) ==
          "a state is declared after a key was selected. Declare all of them first.");
    saved_keyed_state<std::string> as_value(c, "all");
    as_value.value<int>("list");
    CHECK(failure([&] { as_value.select("key 1"); }).starts_with("state 'list' was saved as list"));
    saved_keyed_state<std::uint64_t> other_key(c, "all");
    other_key.value<int>("value");
    CHECK(failure([&] { other_key.select(1); })
              .starts_with("the keyed state of operator 'all' is not of the types of key and state that were given: "));
}

TEST_CASE("the checkpoint of a job that ran is read from outside") {
    testing::memory_file_system files;
    testing::sim_executor sim(1);
    pipeline p("words");
    p.from(collection(std::vector<std::string>{"a", "b", "a", "c", "a"}))
        .named("read")
        .key_by([](const std::string& word) { return word; })
        .process(count_records{})
        .named("count")
        .to(null_sink())
        .named("end");
    job_options options{.parallelism = 3, .executor = &sim, .clock = &sim.clock()};
    options.checkpoints = {.folder = "/job", .interval = 1h, .executor = &sim, .files = &files};
    std::move(p).start(options).wait();
    const checkpoint c = read_savepoint(files, "/job");
    saved_keyed_state<std::string> saved(c, "count");
    const auto seen = saved.value<int>("seen");
    CHECK(saved.select("a"));
    CHECK(*seen.get() == 3);
    CHECK(saved.select("c"));
    CHECK(*seen.get() == 1);
    CHECK_FALSE(saved.select("d"));
}
