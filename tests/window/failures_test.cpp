// What becomes of records, and of results, at which a window operator fails.
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runnel/testing/harness.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/local_window_operator.hpp"
#include "runnel/window/mean.hpp"
#include "runnel/window/pre_aggregate_operator.hpp"
#include "runnel/window/record_list.hpp"
#include "runnel/window/sum.hpp"
#include "window_grid.hpp"

using namespace runnel;
using namespace runnel::test;
using namespace std::chrono_literals;

namespace {

const failure_policy leave_out{.what = on_error::skip};
constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

/// Sums of weights. Multiples of seven can't be added, sums that are multiples of five give no result, and none may
/// come to more than `limit`.
struct shaky {
    std::int64_t limit = most;
    std::int64_t create() const { return 0; }
    void add(std::int64_t& a, const click& c) const {
        if (c.weight % 7 == 0) throw std::domain_error("seven");
        merge(a, c.weight);
    }
    void merge(std::int64_t& a, std::int64_t b) const {
        if (a + b > limit) throw std::domain_error("full");
        a += b;
    }
    std::int64_t result(std::int64_t a) const {
        if (a % 5 == 0) throw std::domain_error("five");
        return a;
    }
};

const auto user_if_known = [](const click& c) {
    if (c.weight == 99) throw std::invalid_argument("nobody");
    return c.user;
};

template <class Spec, class Agg>
auto make(const Spec& spec, const Agg& agg) {
    return make_window_operator<std::int64_t, click>(user_if_known, spec, agg);
}

template <class Spec, class Agg>
void check_failures(const Spec& spec, const Agg& agg, bool uneven = true) {
    const auto op = make(spec, agg);
    using Result = typename decltype(op)::output_type;
    grid_options<click, Result> options;
    options.group_of = group_by(user_of);
    options.result_key = order_by([](const Result& r) { return r.key; });
    options.uneven_watermarks = uneven;
    options.on_failure = leave_out;
    options.parallelism = {1, 3};
    options.seeds = 6;
    for (std::uint64_t seed = 1; seed <= seeds(2); ++seed) {
        CAPTURE(spec.text());
        CAPTURE(seed);
        CHECK(run_grid(op, clicks(seed), options) > 10);
    }
}

template <class Op>
std::vector<std::string> letters(const operator_harness<Op>& h) {
    std::vector<std::string> all;
    for (const auto& l : h.dead_letters()) {
        const failure_details& d = l.value.details;
        all.push_back((l.value.value ? std::to_string(l.value.value->weight) : "none") + " " + d.error + " " + d.where +
                      " at " + std::to_string(d.time.ns()));
    }
    return all;
}
template <class Op>
auto values(const operator_harness<Op>& h) {
    std::vector<decltype(h.outputs()[0].value.value)> all;
    for (const auto& r : h.outputs()) all.push_back(r.value.value);
    return all;
}
std::string text_of(std::int64_t start, std::int64_t end) {
    return "[" + to_string(timestamp(start)) + ", " + to_string(timestamp(end)) + ")";
}
using sums = std::vector<std::int64_t>;
using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("a record at which the aggregate or the key function throws is left out, and its window is as before") {
    const auto check = [](const auto& spec) {
        CAPTURE(spec.text());
        operator_harness h(make(spec, shaky{}), {.on_failure = leave_out});
        h.push_batch({{{1, 7}, timestamp(1)},
                      {{1, 1}, timestamp(1)},
                      {{1, 14}, timestamp(2)},
                      {{1, 99}, timestamp(2)},
                      {{2, 21}, timestamp(2)},
                      {{1, 2}, timestamp(3)}});
        h.end();
        CHECK(values(h) == sums{3});
        CHECK(letters(h) == texts{"7 seven  at 1", "14 seven  at 2", "99 nobody  at 2", "21 seven  at 2"});
        CHECK(h.skipped() == 4);
        CHECK(h.late_dropped() == 0);
        CHECK(h.metrics().records_in.get() == 6);
    };
    check(tumbling(10ns).drop_late());
    check(cumulative(10ns, 10ns).drop_late());
    check(session(20ns).drop_late());
    check(global());
    check(tumbling(10ns).drop_late().early(every(10ns)).accumulating());
    check(tumbling(10ns).drop_late().early(every_records(5)).accumulating());
    check(session([](const click&) { return 20ns; }).drop_late());
    check(count(2));
}

TEST_CASE("a gap function that throws leaves its record out") {
    const auto gap = [](const click& c) { return c.weight == 3 ? throw std::domain_error("no gap") : duration(5); };
    operator_harness h(make(session(gap).drop_late(), weights{}), {.on_failure = leave_out});
    h.push_batch({{{1, 1}, timestamp(1)}, {{1, 3}, timestamp(2)}, {{2, 3}, timestamp(2)}, {{1, 4}, timestamp(6)}});
    h.end();
    CHECK(values(h) == sums{5});
    CHECK(letters(h) == texts{"3 no gap  at 2", "3 no gap  at 2"});
}

TEST_CASE("a result that can't be made is left out, with key and window; the window is as if it had fired") {
    const auto check = [](const auto& spec, const std::string& where, std::int64_t time) {
        CAPTURE(spec.text());
        operator_harness h(make(spec, shaky{}), {.on_failure = leave_out});
        h.push_batch({{{1, 5}, timestamp(1)}, {{2, 2}, timestamp(1)}, {{3, 15}, timestamp(1)}});
        h.end();
        CHECK(values(h) == sums{2});
        const std::string at = ", window " + where + " at " + std::to_string(time);
        CHECK(letters(h).size() == 2);
        for (const std::string& l : letters(h))
            CHECK((l == "none five key 1" + at || l == "none five key 3" + at));
        CHECK(h.skipped() == 2);
        if constexpr (requires { h.get().live_keys(); }) CHECK(h.get().live_keys() == 0);
    };
    const std::string ten = text_of(0, 10);
    check(tumbling(10ns).drop_late(), ten, 9);
    check(sliding(10ns, 10ns).drop_late(), ten, 9);
    check(cumulative(10ns, 10ns).drop_late(), ten, 9);
    check(tumbling(10ns).drop_late().early(every_records(5)).accumulating(), ten, 9);
    const std::string session_text = text_of(1, 11);
    check(session(10ns).drop_late(), session_text, 10);
    check(session([](const click&) { return 10ns; }).drop_late(), session_text, 10);
    const std::string all = text_of(timestamp::min().ns(), timestamp::max().ns());
    check(count(1), all, timestamp::max().ns());
}

TEST_CASE("a late record whose window can't give its result again stays in the window") {
    operator_harness h(make(sliding(10ns, 5ns).lateness(100ns), shaky{}), {.on_failure = leave_out});
    h.push({1, 1}, timestamp(7));
    h.watermark(timestamp(20));
    h.push({1, 4}, timestamp(7));
    CHECK(letters(h).size() == 2);
    h.push({1, 1}, timestamp(12));
    CHECK(values(h) == sums{1, 1, 6, 1});
    CHECK(letters(h).size() == 2);
    h.push({1, 7}, timestamp(7));
    CHECK(letters(h).back() == "7 seven  at 7");
}

TEST_CASE("an integer sum that overflows leaves out the record that it overflows at, alone or among other aggregates") {
    const auto check = [](const auto& spec) {
        CAPTURE(spec.text());
        const auto heavy = [](const click& c) { return c.weight == 9 ? most : std::int64_t(c.weight); };
        operator_harness h(make(spec, combine(count(), sum(heavy), count(), mean(heavy))), {.on_failure = leave_out});
        h.push_batch({{{1, 1}, timestamp(1)}, {{1, 9}, timestamp(2)}, {{1, 2}, timestamp(3)}});
        h.end();
        REQUIRE(h.outputs().size() == 1);
        CHECK(h.outputs()[0].value.value == std::tuple(std::uint64_t(2), std::int64_t(3), std::uint64_t(2), 1.5));
        CHECK(h.dead_letters()[0].value.value == click{1, 9});
        CHECK(h.skipped() == 1);
    };
    check(tumbling(10ns).drop_late());
    check(session(20ns).drop_late());
    check(session([](const click&) { return 20ns; }).drop_late());
    check(tumbling(10ns).drop_late().early(every(10ns)).accumulating());
}

TEST_CASE("sessions that can't be merged stay as they were, and the record between them is left out") {
    const auto check = [](const auto& spec) {
        CAPTURE(spec.text());
        operator_harness h(make(spec, shaky{.limit = 10}), {.on_failure = leave_out});
        h.push_batch({{{1, 6}, timestamp(0)}, {{1, 8}, timestamp(20)}, {{1, 1}, timestamp(10)}, {{1, 3}, timestamp(5)}});
        h.end();
        CHECK(values(h) == sums{9, 8});
        CHECK(letters(h) == texts{"1 full  at 10"});
    };
    check(session(10ns).drop_late());
    check(session([](const click&) { return 10ns; }).drop_late());
}

TEST_CASE("a window whose parts can't be merged gives no result; those beside it do") {
    const auto check = [](const auto& spec) {
        CAPTURE(spec.text());
        operator_harness h(make(spec, shaky{.limit = 10}), {.on_failure = leave_out});
        h.push_batch({{{1, 6}, timestamp(1)}, {{1, 8}, timestamp(6)}, {{2, 3}, timestamp(6)}, {{1, 1}, timestamp(11)}});
        h.end();
        CHECK(letters(h) == texts{"none full key 1, window " + text_of(0, 10) + " at 9"});
        return values(h);
    };
    sums sliding_sums = check(sliding(10ns, 5ns).drop_late());
    std::sort(sliding_sums.begin(), sliding_sums.end());
    CHECK(sliding_sums == sums{1, 3, 3, 6, 9});
    sums cumulative_sums = check(cumulative(10ns, 5ns).drop_late());
    std::sort(cumulative_sums.begin(), cumulative_sums.end());
    CHECK(cumulative_sums == sums{1, 1, 3, 6});
}

TEST_CASE("a window function, an evictor and a function of all records that throw leave the result out") {
    const auto f = [](std::int64_t key, const window&, std::int64_t sum) {
        return key == 1 ? throw std::domain_error("no function") : sum;
    };
    operator_harness h(make(tumbling(10ns).drop_late(), detail::aggregate_then(weights{}, f)),
                       {.on_failure = leave_out});
    h.push_batch({{{1, 1}, timestamp(1)}, {{2, 2}, timestamp(1)}});
    h.end();
    CHECK(values(h) == sums{2});
    CHECK(h.dead_letters()[0].value.details.error == "no function");

    const auto evict = [](auto& records, const window&) {
        if (records.size() > 1) throw std::domain_error("too many");
    };
    const auto size = [](std::int64_t, const window&, const std::vector<timed<click>>& all) {
        return all[0].value.weight == 3 ? throw std::domain_error("three") : std::int64_t(all.size());
    };
    using records = detail::keep_records<click, decltype(evict)>;
    operator_harness k(make(tumbling(10ns).drop_late(), detail::aggregate_then(records(evict), size)),
                       {.on_failure = leave_out});
    k.push_batch({{{1, 1}, timestamp(1)}, {{2, 2}, timestamp(1)}, {{2, 2}, timestamp(2)}, {{3, 3}, timestamp(1)}});
    k.end();
    CHECK(values(k) == sums{1});
    CHECK(k.skipped() == 2);
}

namespace {

/// Counts records in its state; fails at some, and at its times.
struct failing_trigger {
    struct state {
        int seen = 0;
    };
    trigger_result on_record(const click& c, timestamp t, trigger_context<state>& context) const {
        ++context.state().seen;
        context.at_event_time(t + 1ns);
        if (c.weight == 4) throw std::domain_error("no trigger");
        return context.state().seen % 2 == 0 ? trigger_result::fire : trigger_result::proceed;
    }
    trigger_result on_time(timestamp t, time_kind, trigger_context<state>& context) const {
        if (t == context.span().end.previous()) return trigger_result::fire;
        throw std::domain_error("no time");
    }
    void on_merge(state& into, const state& from) const { into.seen += from.seen; }
    void clear(trigger_context<state>&) const { throw std::domain_error("not clear"); }
};

}  // namespace

template <>
struct runnel::codec<failing_trigger::state> {
    static void encode(const failing_trigger::state& s, std::string& out) { codec<int>::encode(s.seen, out); }
    static failing_trigger::state decode(byte_reader& in) { return {codec<int>::decode(in)}; }
};

TEST_CASE("a record at which a trigger throws is in neither contents nor trigger; its times and end fail by themselves") {
    operator_harness h(make(tumbling(10ns).drop_late().trigger(failing_trigger{}), weights{}),
                       {.on_failure = leave_out});
    h.push_batch({{{1, 1}, timestamp(1)}, {{1, 4}, timestamp(4)}, {{1, 2}, timestamp(6)}, {{2, 4}, timestamp(6)}});
    CHECK(values(h) == sums{3});
    CHECK(letters(h) == texts{"4 no trigger  at 4", "4 no trigger  at 6"});
    h.watermark(timestamp(8));
    CHECK(letters(h).size() == 4);
    CHECK(letters(h).back() == "none no time key 1, window " + text_of(0, 10) + " at 9");
    h.end();
    CHECK(values(h) == sums{3, 3});
    CHECK(h.dead_letters().back().value.details.error == "not clear");
    CHECK(h.skipped() == 5);
    CHECK(h.get().live_keys() == 0);
}

TEST_CASE("a record is left out of those of its windows that can't take it, and counted once") {
    operator_harness h(make(sliding(10ns, 5ns).drop_late().early(every_records(10)).accumulating(), shaky{.limit = 10}),
                       {.on_failure = leave_out});
    h.push_batch({{{1, 6}, timestamp(1)}, {{1, 8}, timestamp(6)}});
    h.end();
    CHECK(values(h) == sums{6, 6, 8});
    CHECK(letters(h) == texts{"8 full  at 6"});
    CHECK(h.skipped() == 1);
}

TEST_CASE("windows by processing time leave out records, and results when the clock comes to them or the input ends") {
    operator_harness h(make(tumbling(10ns).by_processing_time(), shaky{}), {.on_failure = leave_out});
    h.push_batch({{{1, 5}, timestamp(1)}, {{1, 7}, timestamp(1)}, {{2, 2}, timestamp(1)}});
    h.clock_at(timestamp(10));
    CHECK(values(h) == sums{2});
    CHECK(letters(h) == texts{"7 seven  at 0", "none five key 1, window " + text_of(0, 10) + " at 9"});
    h.push({1, 5}, timestamp(1));
    h.end();
    CHECK(letters(h).back() == "none five key 1, window " + text_of(10, 20) + " at 19");
    CHECK(h.skipped() == 3);
}

TEST_CASE("first stages leave out the record that fails, and keep and count those before it") {
    const auto spec = tumbling(10ns).drop_late();
    local_window_operator<click, decltype(spec), shaky> local(spec, shaky{});
    operator_harness h(local, {.on_failure = leave_out});
    h.push_batch({{{1, 7}, timestamp(1)}, {{1, 1}, timestamp(1)}, {{1, 14}, timestamp(2)}, {{1, 2}, timestamp(3)},
                  {{1, 7}, timestamp(11)}});
    h.end();
    REQUIRE(h.outputs().size() == 1);
    CHECK(h.outputs()[0].value.value == 3);
    CHECK(h.outputs()[0].value.records == 2);
    CHECK(h.skipped() == 3);

    pre_aggregate_operator<std::int64_t, click, decltype(user_if_known), shaky> pre(
        user_if_known, spec.windows().slices(0ns), shaky{});
    operator_harness p(pre, {.on_failure = leave_out});
    p.push_batch({{{1, 1}, timestamp(1)}, {{1, 99}, timestamp(1)}, {{1, 2}, timestamp(2)}, {{2, 14}, timestamp(3)}});
    // All is on its way when the call returns, since nothing of it is saved.
    REQUIRE(p.outputs().size() == 1);
    CHECK(p.outputs()[0].value.value == 3);
    CHECK(p.outputs()[0].value.records == 2);
    CHECK(p.skipped() == 2);
}

TEST_CASE("a sum of records that its window can't take counts for all of them, and has no value") {
    const auto spec = tumbling(10ns).drop_late();
    using sum_type = detail::slice_sum<std::int64_t>;
    const auto key = [](const sum_type&) { return no_key(); };
    operator_harness h(make_window_operator<no_key, sum_type>(key, spec, detail::merge_slice_sums(shaky{.limit = 10})),
                       {.on_failure = {.what = on_error::skip, .with_values = false}});
    h.push_batch({{{6, 2}, timestamp(1)}, {{8, 3}, timestamp(2)}, {{1, 1}, timestamp(3)}, {{15, 4}, timestamp(11)}});
    h.end();
    CHECK(values(h) == sums{7});
    CHECK(h.skipped() == 7);
    CHECK(!h.dead_letters()[0].value.value);
}

TEST_CASE("failures come and are counted alike in every way: windows in slices, sessions, counts") {
    check_failures(tumbling(2s).lateness(2s), shaky{});
    check_failures(tumbling(2s).drop_late(), shaky{.limit = 200});
    check_failures(sliding(3s, 1s).lateness(2s).late_to(somewhere{}), shaky{.limit = 250});
    check_failures(cumulative(4s, 1s).lateness(1s), shaky{.limit = 250});
    check_failures(session(400ms).lateness(2s), shaky{.limit = 200});
    check_failures(count(5), shaky{}, false);
    check_failures(count(6, 4), shaky{.limit = 220}, false);
}

TEST_CASE("failures come and are counted alike in every way: windows kept each by itself") {
    check_failures(sliding(3s, 1s).drop_late().early(every_records(3)).accumulating(), shaky{.limit = 150});
    check_failures(tumbling(2s).lateness(3s).early(every(700ms)).late(every(2s)).discarding(), shaky{});
    check_failures(session([](const click& c) { return 100ms + c.weight * 10ms; }).lateness(1s), shaky{.limit = 300});
    check_failures(tumbling(2s).drop_late().trigger(failing_trigger{}), weights{});
}
