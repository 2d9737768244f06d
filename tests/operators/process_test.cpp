#include "runnel/operators/process.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/testing/harness.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/sum.hpp"
#include "tests/support/print.hpp"
#include "tests/support/state_under_test.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using testing::operator_harness;

namespace {

using record = std::pair<std::string, int>;
using results = std::vector<timed<std::string>>;

struct first {
    const std::string& operator()(const record& r) const { return r.first; }
};

/// A process function made of lambdas, with one handle of each kind; results are texts.
struct function {
    using output_type = std::string;
    using context = process_context<std::string>;
    struct handles {
        value_state<int> value;
        list_state<int> list;
        map_state<std::string, int> map;
        reducing_state<int> reducing;
        aggregating_state<record, std::uint64_t> counted;
        aggregating_state<record, std::int64_t> summed;
        event_timer early, late;
        processing_timer alarm;
    };
    std::function<void(const record&, context&, handles&)> record_;
    std::function<void(const timer_event&, context&, handles&)> timer_ = [](auto&&...) {};
    state_options options{};
    handles h{};

    void open(state_setup& s) {
        h.value = s.value<int>("value", options);
        h.list = s.list<int>("list", options);
        h.map = s.map<std::string, int>("map", options);
        h.reducing = s.reducing<int>("reducing", [](int a, int b) { return 10 * a + b; }, options);
        h.counted = s.aggregating<record>("counted", count(), options);
        h.summed = s.aggregating<record>("summed", sum(&record::second), options);
        h.early = s.event_timer("early");
        h.late = s.event_timer("late");
        h.alarm = s.processing_timer("alarm");
    }
    void on_record(const record& r, context& c) { record_(r, c, h); }
    void on_timer(const timer_event& e, context& c) { timer_(e, c, h); }
};
using handles = function::handles;
using context = function::context;
using operator_type = process_operator<std::string, record, first, function>;

struct driven : operator_harness<operator_type> {
    explicit driven(function f, testing::harness_options options = {})
        : operator_harness(operator_type(first{}, std::move(f)), with_state(std::move(options))) {}
    static testing::harness_options with_state(testing::harness_options options) {
        if (!options.state) options.state = tests::state_under_test();
        return options;
    }
    void push(std::string key, int value, duration at) {
        operator_harness::push(record(std::move(key), value), timestamp(at));
    }
    std::vector<std::string> texts() {
        std::vector<std::string> all;
        for (auto& r : take_outputs()) all.push_back(r.value);
        return all;
    }
};
using texts = std::vector<std::string>;

std::string text(const int* value) { return value ? std::to_string(*value) : "none"; }

}  // namespace

TEST_CASE("state is of the key in hand, and a missing value differs from a default one") {
    driven d({.record_ = [](const record& r, context& c, handles& h) {
        c.emit(c.key<std::string>() + " " + text(h.value.get()));
        if (r.second < 0) h.value.clear();
        else h.value.set(r.second);
    }});
    d.push("a", 0, 1s);
    d.push("b", 7, 1s);
    d.push("a", -1, 1s);
    d.push("a", 3, 1s);
    d.push("b", 0, 1s);
    CHECK(d.texts() == texts{"a none", "b none", "a 0", "a none", "b 7"});
}

TEST_CASE("a value can be changed in place, and begins as V()") {
    driven d({.record_ = [](const record& r, context& c, handles& h) {
        c.emit(std::to_string(h.value.get_or_create() += r.second));
        c.emit(std::to_string(h.value.value_or(-1)));
    }});
    d.push("a", 2, 1s);
    d.push("a", 3, 1s);
    CHECK(d.texts() == texts{"2", "2", "5", "5"});
}

TEST_CASE("a list keeps its elements in the order in which they were added") {
    driven d({.record_ = [](const record& r, context& c, handles& h) {
        if (r.second == 0) h.list.clear();
        else if (r.second < 0) h.list.set({9, 8, -r.second});
        else h.list.add(r.second);
        std::string all;
        for (const int i : h.list.elements()) all += std::to_string(i);
        c.emit(all + (h.list.empty() ? "empty" : ""));
    }});
    for (const int i : {3, 1, 2, 0, 4, -5, 6}) d.push("a", i, 1s);
    d.push("b", 1, 1s);
    CHECK(d.texts() == texts{"3", "31", "312", "empty", "4", "985", "9856", "1"});
}

TEST_CASE("a map is iterated in order of its keys") {
    driven d({.record_ = [](const record& r, context& c, handles& h) {
        for (const char* name : {"x", "a", "m"}) h.map.put(name, r.second);
        h.map.erase("m");
        h.map.erase("nothing");
        h.map.get_or_create("b") += 1;
        std::string all = std::to_string(h.map.size());
        h.map.for_each([&](const std::string& key, int value) { all += " " + key + std::to_string(value); });
        c.emit(all + (h.map.contains("m") ? "!" : "") + std::to_string(h.map.value_or("m", 99)));
        h.map.clear();
        if (!h.map.empty()) c.emit("not empty");
    }});
    d.push("a", 5, 1s);
    CHECK(d.texts() == texts{"3 a5 b1 x599"});
}

TEST_CASE("reducing state keeps the first one as it is, and f(kept, next) after that") {
    driven d({.record_ = [](const record& r, context& c, handles& h) {
        if (r.second == 0) h.reducing.clear();
        else h.reducing.add(r.second);
        c.emit(text(h.reducing.get()));
    }});
    for (const int i : {1, 2, 3, 0, 4}) d.push("a", i, 1s);
    CHECK(d.texts() == texts{"1", "12", "123", "none", "4"});
}

TEST_CASE("aggregating state gives the aggregate of what was added, none if that is nothing") {
    driven d({.record_ = [](const record& r, context& c, handles& h) {
        if (r.second == 0) {
            h.counted.clear();
            h.summed.clear();
        } else {
            h.counted.add(r);
            h.summed.add(r);
        }
        c.emit(h.counted.get() ? std::to_string(*h.counted.get()) + " " + std::to_string(*h.summed.get()) : "none");
    }});
    for (const int i : {5, 7, 0, 1}) d.push("a", i, 1s);
    CHECK(d.texts() == texts{"1 5", "2 12", "none", "1 1"});
}

TEST_CASE("the context tells time, watermark, processing time and key, and emits at the time in hand or another") {
    driven d({.record_ = [](const record&, context& c, handles& h) {
                  h.early.set(c.time() + 1s);
                  c.emit(to_string(c.time()) + " " + to_string(c.watermark()) + " " + to_string(c.processing_time()));
                  c.emit("later", timestamp(1min));
              },
              .timer_ =
                  [](const timer_event& e, context& c, handles&) {
                      c.emit(c.key<std::string>() + " " + to_string(e.time) + " " + to_string(c.watermark()));
                  }});
    d.clock_at(timestamp(5s));
    d.push("a", 1, 2s);
    d.watermark(timestamp(9s));
    CHECK(d.take_outputs() == results{{"1970-01-01T00:00:02Z min 1970-01-01T00:00:05Z", timestamp(2s)},
                                      {"later", timestamp(1min)},
                                      {"a 1970-01-01T00:00:03Z 1970-01-01T00:00:09Z", timestamp(3s)}});
}

TEST_CASE("a key that is asked for by another type is an error that says so") {
    driven d({.record_ = [](const record&, context& c, handles&) { (void)c.key<int>(); }});
    try {
        d.push("a", 1, 1s);
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(std::string(e.what()).find("Ask for the type that key_by returned") != std::string::npos);
    }
}

namespace {

/// Sets the timers that records ask for by their number, in seconds, and tells of those that are called.
function alarm_clock(std::function<void(const timer_event&, handles&)> also = [](auto&&...) {}) {
    return {.record_ = [](const record& r,
                          context&, handles& h) { h.early.set(timestamp(std::chrono::seconds(r.second))); },
            .timer_ =
                [also](const timer_event& e, context& c, handles& h) {
                    const char* name = e == h.early ? "early" : e == h.late ? "late" : e == h.alarm ? "alarm" : "?";
                    c.emit(c.key<std::string>() + name + std::to_string(e.time.ns() / 1'000'000'000));
                    also(e, h);
                }};
}

}  // namespace

TEST_CASE("an event timer is called when the watermark reaches it, not before, and once") {
    driven d(alarm_clock());
    d.push("a", 10, 1s);
    d.watermark(timestamp(10s).previous());
    CHECK(d.texts() == texts{});
    d.watermark(timestamp(10s));
    CHECK(d.texts() == texts{"aearly10"});
    d.watermark(timestamp(20s));
    CHECK(d.texts() == texts{});
}

TEST_CASE("timers are called in order of time over all keys, before the watermark goes on") {
    driven d(alarm_clock());
    for (const int i : {30, 10, 20}) d.push("a", i, 1s);
    for (const int i : {25, 5, 15}) d.push("b", i, 1s);
    d.watermark(timestamp(26s));
    CHECK(d.output().signals().back().records_before == 5);
    CHECK(d.texts() == texts{"bearly5", "aearly10", "bearly15", "aearly20", "bearly25"});
}

TEST_CASE("a timer set several times for one time is called once; another name or time is another timer") {
    driven d({.record_ =
                  [](const record&, context&, handles& h) {
                      for (int i = 0; i < 3; ++i) h.late.set(timestamp(5s));
                      for (int i = 0; i < 3; ++i) h.early.set(timestamp(5s));
                      h.late.set(timestamp(4s));
                  },
              .timer_ = alarm_clock().timer_});
    d.push("a", 0, 1s);
    d.watermark(timestamp(5s));
    CHECK(d.texts() == texts{"alate4", "aearly5", "alate5"});
}

TEST_CASE("a timer that is cancelled is not called; cancelling an absent one does nothing") {
    driven d({.record_ =
                  [](const record& r, context&, handles& h) {
                      h.early.cancel(timestamp(99s));
                      if (r.second == 0) h.early.cancel(timestamp(5s));
                      else h.early.set(timestamp(5s));
                      h.late.set(timestamp(r.first == "a" ? 6s : 7s));
                      h.alarm.cancel(timestamp(5s));
                  },
              .timer_ = alarm_clock().timer_});
    d.push("a", 1, 1s);
    d.push("a", 0, 1s);
    d.push("b", 1, 1s);
    d.push("b", 0, 1s);
    d.push("b", 1, 1s);
    d.watermark(timestamp(7s));
    CHECK(d.texts() == texts{"bearly5", "alate6", "blate7"});
}

TEST_CASE("a timer that a timer sets for a time already due is called in the same advance, in its place") {
    driven d(alarm_clock([](const timer_event& e, handles& h) {
        if (e.time == timestamp(10s)) h.late.set(timestamp(3s));
        if (e == h.late) h.early.set(timestamp(12s));
    }));
    d.push("a", 10, 1s);
    d.push("b", 11, 1s);
    d.push("b", 13, 1s);
    d.watermark(timestamp(13s));
    CHECK(d.texts() == texts{"aearly10", "alate3", "bearly11", "aearly12", "bearly13"});
}

TEST_CASE("an event timer that a record sets for a time already due is called with the next watermark") {
    driven d(alarm_clock());
    d.watermark(timestamp(20s));
    d.push("a", 10, 21s);
    CHECK(d.texts() == texts{});
    d.watermark(timestamp(20s) + duration(1));
    CHECK(d.texts() == texts{"aearly10"});
}

TEST_CASE("an event timer for the end of time is called at the end of the input") {
    driven d({.record_ = [](const record&, context&, handles& h) { h.late.set(timestamp::max()); },
              .timer_ = [](const timer_event&, context& c, handles&) { c.emit("end", timestamp(1s)); }});
    d.push("a", 0, 1s);
    d.watermark(timestamp::max().previous());
    CHECK(d.texts() == texts{});
    d.end();
    CHECK(d.texts() == texts{"end"});
}

namespace {

function by_clock(std::function<void(const timer_event&, handles&)> also = [](auto&&...) {}) {
    function f = alarm_clock(std::move(also));
    f.record_ = [](const record& r, context&, handles& h) { h.alarm.set(timestamp(std::chrono::seconds(r.second))); };
    return f;
}

}  // namespace

TEST_CASE("a processing-time timer is called when the clock reaches it, in order of time, and asks for that call") {
    driven d(by_clock());
    d.push("a", 10, 1s);
    d.push("b", 5, 1s);
    CHECK(d.get().next_tick() == timestamp(5s));
    d.watermark(timestamp(1h));
    d.clock_at(timestamp(5s).previous());
    CHECK(d.texts() == texts{});
    d.clock_at(timestamp(10s));
    CHECK(d.texts() == texts{"balarm5", "aalarm10"});
    CHECK(d.get().next_tick() == timestamp::max());
}

TEST_CASE("a processing-time timer set for a time that has passed is called at once, by records and by timers") {
    driven d(by_clock([](const timer_event& e, handles& h) {
        if (e.time == timestamp(30s)) h.alarm.set(timestamp(29s));
    }));
    d.clock_at(timestamp(20s));
    d.push("a", 20, 1s);
    CHECK(d.texts() == texts{"aalarm20"});
    d.push("a", 30, 1s);
    d.push("b", 35, 1s);
    CHECK(d.texts() == texts{});
    d.clock_at(timestamp(40s));
    CHECK(d.texts() == texts{"aalarm30", "aalarm29", "balarm35"});
}

TEST_CASE("pending processing-time timers are called once at the end of input, in order; what they set is dropped") {
    driven d(by_clock([](const timer_event& e, handles& h) {
        h.alarm.set(e.time + 1s);
        h.early.set(e.time + 1s);
    }));
    d.push("a", 50, 1s);
    d.push("b", 40, 1s);
    d.end();
    CHECK(d.texts() == texts{"balarm40", "aalarm50"});
}

TEST_CASE("timers and state go on from a snapshot, and overdue processing-time timers are called after a restore") {
    driven d({.record_ =
                  [](const record& r, context&, handles& h) {
                      h.value.set(r.second);
                      h.early.set(timestamp(10s));
                      h.early.set(timestamp(11s));
                      h.alarm.set(timestamp(50s));
                  },
              .timer_ =
                  [](const timer_event& e, context& c, handles& h) {
                      c.emit(to_string(e.time) + " " + text(h.value.get()));
                  }});
    d.push("a", 7, 1s);
    d.watermark(timestamp(10s));
    CHECK(d.texts() == texts{"1970-01-01T00:00:10Z 7"});
    const operator_snapshot s = d.snapshot();
    d.clock().advance_to(timestamp(60s));
    d.restore(s);
    d.tick();
    d.watermark(timestamp(20s));
    CHECK(d.texts() == texts{"1970-01-01T00:00:50Z 7", "1970-01-01T00:00:11Z 7"});
}

TEST_CASE("a key that holds nothing and waits for nothing takes no room") {
    driven d({.record_ =
                  [](const record& r, context&, handles& h) {
                      if (r.second == 1) h.value.set(1);
                      if (r.second == 1) h.early.set(timestamp(9s));
                      if (r.second == 2) h.value.clear();
                      if (r.second == 3) h.list.add(1), h.list.clear(), (void)h.value.get();
                  }});
    for (const char* key : {"a", "b", "c"}) d.push(key, 1, 1s);
    CHECK(d.get().live_keys() == 3);
    d.push("a", 2, 1s);
    d.push("d", 3, 1s);
    CHECK(d.get().live_keys() == 3);
    d.watermark(timestamp(9s));
    CHECK(d.get().live_keys() == 2);
    d.push("b", 2, 1s);
    d.push("c", 2, 1s);
    CHECK(d.get().live_keys() == 0);
}

TEST_CASE("timers that are set and cancelled again and again take no more room than those that are pending") {
    detail::keyed_state<int> state;
    state.open(128, {0, 128}, nullptr);
    event_timer t = state.declare_event_timer("t");
    for (int i = 0; i < 100'000; ++i) {
        const int key = i % 10;
        state.enter_key(key, state.hash(key), timestamp::min());
        if (i >= 10) t.cancel(timestamp(1'000'000 + i - 10));
        t.set(timestamp(1'000'000 + i));
        state.leave();
    }
    CHECK(state.event_timers().heap_size() < 150);
    CHECK(state.live_keys() == 10);
}

namespace {

std::string cause_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const std::exception& e) {
        return e.what();
    }
    return "nothing was thrown";
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a handle used outside a record or timer of a key is an error that names it") {
    driven d({.record_ = [](const record&, context&, handles&) {}});
    const handles& h = d.get().function().h;
    CHECK(has(cause_of([&] { (void)h.value.get(); }), "value 'value' is used where there is no key"));
    CHECK(has(cause_of([&] { (void)h.list.size(); }), "list 'list' is used where there is no key"));
    CHECK(has(cause_of([&] { (void)h.map.size(); }), "map 'map' is used where there is no key"));
    CHECK(has(cause_of([&] { handles(h).value.set(1); }), "value 'value' is used where there is no key"));
    CHECK(has(cause_of([&] { handles(h).early.set({}); }), "timer 'early' is used where there is no key"));
    CHECK(has(cause_of([&] { handles(h).alarm.cancel({}); }), "timer 'alarm' is used where there is no key"));
}

TEST_CASE("a handle or timer that was not declared is an error that says what to do") {
    CHECK(has(cause_of([] { (void)value_state<int>().get(); }), "value_state: it is used but was not declared"));
    CHECK(has(cause_of([] { list_state<int>().add(1); }), "list_state: it is used but was not declared"));
    CHECK(has(cause_of([] { map_state<int, int>().clear(); }), "map_state: it is used but was not declared"));
    CHECK(has(cause_of([] { reducing_state<int>().add(1); }), "reducing_state: it is used but was not declared"));
    CHECK(has(cause_of([] { (void)aggregating_state<int, int>().get(); }), "aggregating_state: it is used but"));
    CHECK(has(cause_of([] { (void)broadcast_state<int, int>().get(1); }), "broadcast_state: it is used but"));
    CHECK(has(cause_of([] { event_timer().set({}); }), "a timer is used but was not declared"));
}

TEST_CASE("a name declared twice is the same state if type and options agree, else an error") {
    detail::keyed_state<int> state;
    state_setup s(state);
    s.value<int>("x");
    value_state<int> again = s.value<int>("x");
    s.event_timer("t");
    CHECK(has(cause_of([&] { s.value<long long>("x"); }), "state 'x' is declared twice"));
    CHECK(has(cause_of([&] { s.list<int>("x"); }), "state 'x' is declared twice, as value and as list"));
    CHECK(has(cause_of([&] { s.value<int>("x", {.ttl = 1h}); }), "state 'x' is declared twice"));
    CHECK(has(cause_of([&] { s.broadcast<int, int>("x"); }), "state 'x' is declared twice"));
    CHECK(has(cause_of([&] { s.processing_timer("t"); }), "timer 't' is declared by event time and by processing time"));
    CHECK(has(cause_of([&] { s.value<int>(""); }), "a state is declared without a name"));
    CHECK(has(cause_of([&] { s.event_timer(""); }), "a timer is declared without a name"));
    value_state<int> fresh = s.value<int>("x");
    state.open(128, {0, 128}, nullptr);
    const int key = 1;
    state.enter_key(key, state.hash(key), timestamp::min());
    again.set(5);
    CHECK(*fresh.get() == 5);
}

TEST_CASE("a time to live that is not more than zero is an error") {
    detail::keyed_state<int> state;
    state_setup s(state);
    CHECK(has(cause_of([&] { s.value<int>("x", {.ttl = -1ns}); }), "state 'x' has a time to live of -1 ns"));
    CHECK(has(cause_of([&] { s.map<int, int>("x", {.ttl = 0s}); }), "state 'x' has a time to live of 0 ns"));
}

namespace {

struct bare {
    int x;
};
struct keeps_bare {
    using output_type = int;
    value_state<bare> last;
    void open(state_setup& s) { last = s.value<bare>("last"); }
    void on_record(const record&, process_context<int>&) { last.set({1}); }
};
struct forgets_on_timer {
    using output_type = int;
    event_timer t;
    void open(state_setup& s) { t = s.event_timer("t"); }
    void on_record(const record&, process_context<int>&) {}
};
struct keeps_list {
    using output_type = int;
    list_state<int> last;
    void open(state_setup& s) { last = s.list<int>("last"); }
    void on_record(const record&, process_context<int>&) { last.add(1); }
};
struct keeps_value {
    using output_type = int;
    value_state<int> last;
    void open(state_setup& s) { last = s.value<int>("last"); }
    void on_record(const record&, process_context<int>&) { last.set(1); }
};

}  // namespace

TEST_CASE("a type without a codec can be kept but not saved, and the error names the state") {
    operator_harness h(process_operator<std::string, record, first, keeps_bare>(first{}, {}));
    h.push({"a", 1}, timestamp(1s));
    CHECK(has(cause_of([&] { (void)h.snapshot(); }), "value 'last' can't be saved: its type has no codec"));
}

TEST_CASE("a function that declares a timer and has no on_timer cannot be opened") {
    CHECK(has(cause_of([] {
                  operator_harness h(process_operator<std::string, record, first, forgets_on_timer>(first{}, {}));
              }),
              "declares a timer, but has no on_timer"));
}

TEST_CASE("state that was saved as another kind is refused") {
    operator_harness h(process_operator<std::string, record, first, keeps_list>(first{}, {}));
    h.push({"a", 1}, timestamp(1s));
    const operator_snapshot s = h.snapshot();
    operator_harness other(process_operator<std::string, record, first, keeps_value>(first{}, {}));
    CHECK(has(cause_of([&] { other.restore(s); }), "state 'last' was saved as list and can't be loaded as value"));
}
