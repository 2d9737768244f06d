#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/record_list.hpp"
#include "runnel/window/sum.hpp"
#include "runnel/window/top.hpp"
#include "window_grid.hpp"

using namespace runnel;
using namespace runnel::test;
using namespace std::chrono_literals;

namespace {

/// Fires when it has seen a weight of 100, or a time 500 ms after its first record, and at the end.
struct heavy_trigger {
    struct state {
        std::int64_t weight = 0;
    };
    trigger_result on_record(const click& c, timestamp t, trigger_context<state>& context) const {
        if (context.state().weight == 0) context.at_event_time(t + 500ms);
        context.state().weight += c.weight;
        if (context.state().weight < 100) return trigger_result::proceed;
        context.state().weight = 0;
        return trigger_result::fire_and_purge;
    }
    trigger_result on_time(timestamp, time_kind, trigger_context<state>&) const { return trigger_result::fire; }
    void on_merge(state& into, const state& from) const { into.weight += from.weight; }
};

}  // namespace

template <>
struct runnel::codec<heavy_trigger::state> {
    static void encode(const heavy_trigger::state& s, std::string& out) { codec<std::int64_t>::encode(s.weight, out); }
    static heavy_trigger::state decode(byte_reader& in) { return {codec<std::int64_t>::decode(in)}; }
};

TEST_CASE("windows that fire early and late give the same in every way: results per key in order, late records, counts") {
    const auto check = [](const auto& windows) {
        check_in_all_ways(user_of, windows.drop_late().early(every_records(3)).accumulating(), count());
        check_in_all_ways(user_of, windows.lateness(3s).early(every(700ms)).late(every(2s)).discarding(), count());
        check_in_all_ways(user_name, windows.lateness(5s).late_to(somewhere{}).discarding(), sum(&click::weight));
    };
    check(tumbling(2s));
    check(sliding(3s, 1s));
    check(cumulative(4s, 1s));
    check(session(400ms));
    check(session([](const click& c) { return 100ms + c.weight * 10ms; }));
}

TEST_CASE("the global window and windows of counts give the same in every way") {
    check_in_all_ways(user_of, global(), count());
    check_in_all_ways(user_of, global().early(on_each_record()).accumulating(), sum(&click::weight));
    check_in_all_ways(user_name, global().early(every(2s)).discarding(), sum(&click::weight));
    check_in_all_ways(user_of, count(5), sum(&click::weight), false);
    check_in_all_ways(user_name, count(6, 4), combine(count(), top(2, &click::weight)), false);
    check_in_all_ways(user_of, count(2, 3), sum(&click::weight), false);
}

TEST_CASE("windows with a trigger of the user's own give the same in every way") {
    check_in_all_ways(user_of, tumbling(2s).lateness(1s).trigger(heavy_trigger{}), sum(&click::weight));
    check_in_all_ways(user_of, session(300ms).lateness(1s).trigger(heavy_trigger{}), sum(&click::weight));
}

TEST_CASE("windows that keep records, with and without an evictor, give the same in every way") {
    const auto text = [](const auto& key, const window& span, const std::vector<timed<click>>& records) {
        std::string all = std::to_string(span.end.ns()) + (sizeof(key) == 0 ? "" : ":");
        for (const auto& r : records) all += " " + std::to_string(r.value.weight);
        return all;
    };
    const auto keeping = [&](auto evictor) {
        using records = detail::keep_records<click, decltype(evictor)>;
        return detail::aggregate_then<records, decltype(text)>(records(evictor), text);
    };
    check_in_all_ways(user_of, tumbling(2s).lateness(1s), keeping(detail::no_evictor()));
    check_in_all_ways(user_of, session(500ms).lateness(1s), keeping(detail::no_evictor()));
    check_in_all_ways(user_of, tumbling(2s).lateness(1s), keeping(keep_last(3)));
    check_in_all_ways(user_of, global().early(every_records(4)).accumulating(), keeping(keep_recent(1s)));
}

TEST_CASE("windows by processing time give the same in every way") {
    // The clock of the grid stands still: all records count for one time.
    check_in_all_ways(user_of, tumbling(1s).by_processing_time(), sum(&click::weight), false);
    check_in_all_ways(user_of, session(1s).by_processing_time(), sum(&click::weight), false);
    check_in_all_ways(user_of, tumbling(1s).by_processing_time().early(every_records(4)).discarding(),
                      sum(&click::weight), false);
}
