#include "runnel/window/own_trigger.hpp"

#include <doctest/doctest.h>

#include "differential.hpp"
#include "pane_oracle.hpp"
#include "runnel/testing/harness.hpp"
#include "runnel/window/window_operator.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using test::bag;
using test::event;
using test::paned_result;

namespace {

template <class Spec>
auto make(const Spec& spec) {
    return make_window_operator<std::int64_t, event>(&event::key, spec, bag{});
}
template <class D>
std::vector<std::vector<std::int64_t>> values_of(D& d) {
    d.flush();
    std::vector<std::vector<std::int64_t>> values;
    for (auto& [result, time] : d.results()) values.push_back(result.value);
    d.results().clear();
    return values;
}
using values = std::vector<std::vector<std::int64_t>>;

/// Answers what the record says: 0 proceed, 1 fire, 2 purge, 3 fire and purge; fires at the end.
struct obedient {
    trigger_result on_record(const event& e, timestamp, trigger_context<>&) const {
        return static_cast<trigger_result>(e.value % 4);
    }
    trigger_result on_time(timestamp, time_kind, trigger_context<>&) const { return trigger_result::fire; }
    void on_merge(no_trigger_state&, const no_trigger_state&) const {}
};

/// Counts what it is called for, asks for times, and says so in a log.
struct curious {
    struct state {
        std::int64_t records = 0;
    };
    std::vector<std::string>* log;
    trigger_result on_record(const event& e, timestamp t, trigger_context<state>& context) const {
        ++context.state().records;
        if (e.value < 0) context.at_event_time(timestamp(-e.value));
        if (e.value > 0) context.at_processing_time(timestamp(e.value));
        log->push_back("record " + std::to_string(t.ns()) + " count " + std::to_string(context.state().records));
        return trigger_result::proceed;
    }
    trigger_result on_time(timestamp t, time_kind kind, trigger_context<state>& context) const {
        log->push_back((kind == time_kind::event ? "event " : "processing ") + std::to_string(t.ns()) + " count " +
                       std::to_string(context.state().records));
        return trigger_result::fire;
    }
    void on_merge(state& into, const state& from) const { into.records += from.records; }
    void clear(trigger_context<state>& context) const {
        log->push_back("clear " + std::to_string(context.span().end.ns()));
    }
};

}  // namespace

template <>
struct runnel::codec<curious::state> {
    static void encode(const curious::state& s, std::string& out) { codec<std::int64_t>::encode(s.records, out); }
    static curious::state decode(byte_reader& in) { return {codec<std::int64_t>::decode(in)}; }
};

TEST_CASE("a trigger's answer fires, purges, does both or nothing; purge empties the contents only") {
    test::driver d(make(tumbling(10ns).drop_late().trigger(obedient{})));
    d.record({1, 0}, 1);
    d.record({1, 4}, 1);
    CHECK(values_of(d).empty());
    d.record({1, 5}, 1);
    CHECK(values_of(d) == values{{0, 4, 5}});
    d.record({1, 6}, 1);
    CHECK(values_of(d).empty());
    d.record({1, 7}, 1);
    CHECK(values_of(d) == values{{7}});
    d.record({1, 8}, 1);
    d.watermark(9);
    REQUIRE(d.results().size() == 1);
    CHECK(d.results()[0].first ==
          paned_result{1, timestamp(0), timestamp(10), {8}, {2, pane_timing::on_time}});
}

TEST_CASE("a trigger is called at the times that it asks for, at the end of its window, and when that is cleared") {
    std::vector<std::string> log;
    test::driver d(make(tumbling(10ns).lateness(5ns).trigger(curious{&log})));
    d.record({1, -7}, 1);
    d.record({1, -4}, 2);
    d.watermark(3);
    CHECK(log == std::vector<std::string>{"record 1 count 1", "record 2 count 2"});
    d.watermark(20);
    CHECK(std::vector(log.begin() + 2, log.end()) ==
          std::vector<std::string>{"event 4 count 2", "event 7 count 2", "event 9 count 2", "clear 10"});
    CHECK(values_of(d).size() == 3);
}

TEST_CASE("times that are asked for are called once each, also after a restore, and at the end of the input") {
    std::vector<std::string> log;
    testing::operator_harness h(make(global().trigger(curious{&log})));
    h.clock_at(timestamp(5));
    h.push({1, 20}, timestamp(1));
    h.push({1, 20}, timestamp(2));
    h.push({1, 10}, timestamp(3));
    h.push({1, 90}, timestamp(4));
    log.clear();
    h.clock_at(timestamp(12));
    CHECK(log == std::vector<std::string>{"processing 10 count 4"});
    const auto saved = h.snapshot();
    h.restore(saved);
    h.clock_at(timestamp(30));
    CHECK(log.back() == "processing 20 count 4");
    CHECK(log.size() == 2);
    h.end();
    CHECK(std::vector(log.begin() + 2, log.end()) ==
          std::vector<std::string>{"processing 90 count 4", "event 9223372036854775806 count 4",
                                   "clear 9223372036854775807"});
    CHECK(h.outputs().size() == 4);
}

TEST_CASE("when sessions merge their triggers' states do, and the times that were asked for stay") {
    std::vector<std::string> log;
    test::driver d(make(session(10ns).drop_late().trigger(curious{&log})));
    d.record({1, -30}, 0);
    d.record({1, -25}, 15);
    d.record({1, -40}, 8);
    d.flush();
    log.clear();
    d.watermark(24);
    CHECK(log.empty());
    d.watermark(100);
    CHECK(log == std::vector<std::string>{"event 24 count 3", "event 25 count 3", "clear 25"});
}

TEST_CASE("what a trigger asks for at the end of the input is dropped") {
    struct endless {
        trigger_result on_record(const event&, timestamp, trigger_context<>& c) const {
            c.at_processing_time(timestamp(1));
            return trigger_result::proceed;
        }
        trigger_result on_time(timestamp t, time_kind kind, trigger_context<>& c) const {
            if (kind == time_kind::processing) c.at_processing_time(t + duration(1));
            return kind == time_kind::processing ? trigger_result::fire : trigger_result::proceed;
        }
    };
    test::driver d(make(global().trigger(endless{})));
    d.record({1, 1}, 0);
    d.finish();
    CHECK(values_of(d) == values{{1}});
}
