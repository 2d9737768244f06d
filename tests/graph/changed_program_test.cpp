// A job that ends with a savepoint, from which another version of its program goes on, whose types have changed.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/best_by.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/sum.hpp"
#include "tests/support/random.hpp"
#include "tests/support/state_under_test.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct event_1 {
    std::string key;
    std::int32_t value = 0;
    std::string unused = "unused";
    timestamp at;
};
struct event_2 {
    timestamp at;
    std::int64_t value = 0;
    std::vector<int> tags = {4, 5};
    std::string key;
};
/// What a program can't know by itself: hundredths have become tenths.
struct event_3 {
    std::string key;
    double tenths = 0;
    timestamp at;
};
struct event_4 {
    std::string key;
    std::uint8_t value = 0;
    timestamp at;
};
BOOST_DESCRIBE_STRUCT(event_1, (), (key, value, unused, at))
BOOST_DESCRIBE_STRUCT(event_2, (), (at, value, tags, key))
BOOST_DESCRIBE_STRUCT(event_3, (), (key, tenths, at))
BOOST_DESCRIBE_STRUCT(event_4, (), (key, value, at))

}  // namespace

template <>
struct runnel::migration<event_3> {
    using from = event_1;
    static event_3 migrate(event_1&& old) { return {old.key, old.value / 10.0, old.at}; }
};

namespace {

std::int64_t value_of(const event_1& e) { return e.unused == "unused" ? e.value : -1; }
std::int64_t value_of(const event_2& e) { return e.tags == std::vector<int>{4, 5} ? e.value : -1; }
std::int64_t value_of(const event_3& e) { return std::llround(e.tenths * 10); }
std::int64_t value_of(const event_4& e) { return e.value; }
void set_value(event_1& e, std::uint8_t v) { e.value = v; }
void set_value(event_2& e, std::uint8_t v) { e.value = v; }
void set_value(event_3& e, std::uint8_t v) { e.tenths = v / 10.0; }
void set_value(event_4& e, std::uint8_t v) { e.value = v; }

constexpr std::uint64_t events = 600;

template <class E>
E make(std::uint64_t i) {
    const std::uint64_t h = (i + 1) * 0x9E3779B97F4A7C15U;
    E e;
    e.key = "key " + std::to_string((h >> 33) % 5);
    set_value(e, static_cast<std::uint8_t>(h >> 50));
    e.at = timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(i * 5 + h % 90)));
    return e;
}

template <class E>
std::string text(const E& e) {
    return e.key + " " + std::to_string(value_of(e)) + " " + to_string(e.at);
}

/// Says each time what it has in each kind of state.
template <class E>
struct remembering {
    using output_type = std::string;
    value_state<E> last;
    list_state<E> few;
    map_state<std::string, E> by_parity;
    void open(state_setup& s) {
        last = s.value<E>("last");
        few = s.list<E>("few", {.ttl = 100ms});
        by_parity = s.map<std::string, E>("by parity");
    }
    void on_record(const E& e, process_context<std::string>& c) {
        if (last.get()) c.emit("last " + text(*last.get()));
        for (const E& each : few.elements()) c.emit("few " + text(each));
        by_parity.for_each([&](const std::string& parity, const E& each) { c.emit(parity + " " + text(each)); });
        last.set(e);
        few.add(e);
        by_parity.put(value_of(e) % 2 == 0 ? "even" : "odd", e);
    }
};

/// Fires a window at the first record that is not more than the one before.
template <class E>
struct when_falling {
    using state = std::vector<E>;
    trigger_result on_record(const E& e, timestamp, trigger_context<state>& c) const {
        const bool falls = !c.state().empty() && value_of(e) <= value_of(c.state()[0]);
        c.state() = {e};
        return falls ? trigger_result::fire : trigger_result::proceed;
    }
    trigger_result on_time(timestamp, time_kind, trigger_context<state>&) const { return trigger_result::fire; }
};

template <class E>
pipeline program(std::vector<std::string>& shown) {
    pipeline p("job");
    const auto show = [&](const char* name) {
        return for_each([&shown, name](const std::string& s) { shown.push_back(name + (" " + s)); });
    };
    auto keyed = p.from(generate(events, &make<E>, {.splits = 3}))
                     .named("events")
                     .event_time(&E::at, bounded_out_of_orderness(200ms))
                     .key_by(&E::key);
    const auto shape = [](const auto& r) {
        return r.key + " " + to_string(r.end) + " " + text(std::get<0>(r.value)) + " " +
               std::to_string(std::get<1>(r.value));
    };
    const auto value = [](const E& e) { return value_of(e); };
    const auto best = [&] { return combine(max_by(value), sum(value)); };
    keyed.in_event_time_order().process(remembering<E>{}).named("remembering").to(show("state")).named("show state");
    keyed.reduce([](const E& a, const E& b) { return value_of(a) * 31 % 101 > value_of(b) * 31 % 101 ? a : b; })
        .named("reduce")
        .map(&text<E>)
        .to(show("reduce"))
        .named("show reduce");
    const auto windows = [&](const char* name, const auto& spec) {
        keyed.window(spec).aggregate(best()).named(name).map(shape).to(show(name)).named(std::string("show ") + name);
    };
    windows("sliding", sliding(400ms, 100ms).drop_late());
    windows("session", session(20ms).drop_late());
    windows("early", tumbling(1s).drop_late().early(every_records(7)).accumulating());
    windows("early by time", tumbling(1s).drop_late().early(every(100ms)).accumulating());
    windows("early own", tumbling(1s).drop_late().trigger(when_falling<E>()));
    windows("count", count(40, 10));
    keyed.window(tumbling(300ms).drop_late())
        .process_window([](const std::string&, const window&, const std::vector<timed<E>>& all) {
            std::string texts;
            for (const auto& r : all) texts += text(r.value) + ",";
            return texts;
        })
        .named("all")
        .map([](const auto& r) { return r.value; })
        .to(show("all"))
        .named("show all");
    return p;
}

struct run {
    testing::memory_file_system files;
    std::vector<std::string> shown;

    template <class E>
    job start(testing::sim_executor& sim, std::size_t parallelism, const char* folder, const char* from = "") {
        job_options o{.parallelism = parallelism, .batch_size = 16, .executor = &sim, .clock = &sim.clock()};
        o.checkpoints = {.folder = folder, .interval = {}, .executor = &sim, .files = &files};
        o.restore = from;
        o.state = tests::state_under_test();
        return program<E>(shown).start(o);
    }
    /// False if it has come to its end before.
    template <class E>
    bool stop(std::size_t parallelism, std::uint64_t seed) {
        testing::sim_executor sim(seed);
        job first = start<E>(sim, parallelism, "/first");
        for (std::size_t steps = 2 * seed * parallelism; steps != 0 && !first.is_done(); --steps) sim.step();
        try {
            first.stop_with_savepoint("/savepoint");
            first.wait();
            return true;
        } catch (const checkpoint_error&) {
            return false;
        }
    }
    std::vector<std::string> sorted() const {
        std::vector<std::string> all = shown;
        std::sort(all.begin(), all.end());
        return all;
    }
};

/// What a run without an end shows, reduced and early results aside: these depend on the order of arrival.
std::vector<std::string> without_order(std::vector<std::string> shown) {
    std::erase_if(shown, [](const std::string& s) {
        return s.starts_with("reduce") || s.starts_with("early") || s.starts_with("count");
    });
    return shown;
}

template <class E>
void goes_on(std::size_t from, std::size_t to) {
    std::size_t stopped = 0;
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        CAPTURE(seed);
        run changed, same;
        if (!changed.stop<event_1>(from, seed) || !same.stop<event_1>(from, seed)) continue;
        ++stopped;
        testing::sim_executor sim(seed), sim_again(seed);
        changed.start<E>(sim, to, "/second", "/savepoint").wait();
        same.start<event_1>(sim_again, to, "/second", "/savepoint").wait();
        CHECK(changed.sorted() == same.sorted());
        run whole;
        testing::sim_executor sim_whole(seed);
        whole.start<event_1>(sim_whole, 1, "/first").wait();
        CHECK(without_order(changed.sorted()) == without_order(whole.sorted()));
    }
    CHECK(stopped > 6);
}

std::string all_causes(const std::exception& e) {
    std::string text = e.what();
    try {
        std::rethrow_if_nested(e);
    } catch (const std::exception& cause) {
        text += "\n" + all_causes(cause);
    }
    return text;
}

}  // namespace

TEST_CASE("a program with other members in its records goes on from the savepoint of another, as it would have") {
    goes_on<event_2>(2, 1);
    goes_on<event_2>(3, 2);
}

TEST_CASE("a program with a migration goes on from the savepoint of the one before") {
    goes_on<event_3>(2, 3);
}

TEST_CASE("a job goes on from the savepoint of an earlier release, at any parallelism") {
    // When it was written, so many results that do not depend on the order of arrival had been shown.
    constexpr std::size_t before = 15 + 56 + 49 + 1290;
    for (const std::size_t parallelism : {1, 2, 3}) {
        CAPTURE(parallelism);
        run later, whole;
        later.files.make_directories("/savepoint");
        for (const std::string name : {"manifest-1", "data-1"}) {
            std::ifstream in("tests/checkpoint/releases/0.1-job/" + name, std::ios::binary);
            later.files.put("/savepoint/" + name, std::string(std::istreambuf_iterator<char>(in), {}));
        }
        testing::sim_executor sim(1), sim_whole(2);
        later.start<event_1>(sim, parallelism, "/second", "/savepoint").wait();
        whole.start<event_1>(sim_whole, 1, "/first").wait();
        const auto rest = without_order(later.sorted()), all = without_order(whole.sorted());
        CHECK(std::includes(all.begin(), all.end(), rest.begin(), rest.end()));
        CHECK(before + rest.size() == all.size());
    }
}

TEST_CASE("a program that can't take what was saved is refused by operator, state and layouts; nothing is lost") {
    run r;
    REQUIRE(r.stop<event_1>(2, 1));
    std::string refused;
    const auto before = r.sorted();
    try {
        testing::sim_executor sim(1);
        r.start<event_4>(sim, 2, "/second", "/savepoint").wait();
    } catch (const std::exception& e) {
        refused = all_causes(e);
    }
    CAPTURE(refused);
    CHECK(refused.find("operator '") != std::string::npos);
    CHECK(refused.find("{key:string,value:i32,unused:string,at:timestamp}") != std::string::npos);
    CHECK(refused.find("{key:string,value:u8,at:timestamp}") != std::string::npos);
    CHECK(refused.find("'value' was saved as i32 and is u8 now. Specialise runnel::migration") != std::string::npos);
    CHECK(r.sorted() == before);
    testing::sim_executor sim(2), sim_whole(3);
    r.start<event_2>(sim, 2, "/third", "/savepoint").wait();
    run whole;
    whole.start<event_1>(sim_whole, 1, "/first").wait();
    CHECK(without_order(r.sorted()) == without_order(whole.sorted()));
}
