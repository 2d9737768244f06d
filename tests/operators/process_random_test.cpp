#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/operators/process.hpp"
#include "runnel/operators/process_in_order.hpp"
#include "runnel/testing/grid.hpp"
#include "runnel/testing/harness.hpp"
#include "tests/operators/process_language.hpp"
#include "tests/support/print.hpp"
#include "tests/support/state_under_test.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using namespace process_language;
using runnel::testing::event;
using runnel::testing::script;

namespace {

struct by_number {
    int operator()(const instruction& i) const { return i.key; }
};
using in_arrival_order = process_operator<int, instruction, by_number, interpreter>;
template <bool has_late_output>
using in_time_order = ordered_process_operator<int, instruction, by_number, interpreter, has_late_output>;

template <class Op>
Op run_by(const std::shared_ptr<const program>& code) {
    return Op(by_number{}, interpreter{code});
}

script<instruction> draw_script(std::uint64_t seed, bool with_clock, std::size_t records = 120) {
    runnel::testing::random_script_options options;
    options.records = records;
    options.step = 400ms;
    options.disorder = 2s;
    options.watermark_delay = 1s;
    options.watermark_percent = 20;
    options.clock_percent = with_clock ? 15 : 0;
    auto s = runnel::testing::random_script<instruction>(
        seed,
        [](auto& random) {
            const int key = static_cast<int>(random() % 5);
            return instruction{key, static_cast<int>(random() % program::lists), {}};
        },
        options);
    return s;
}

std::vector<std::pair<std::string, timestamp>> pairs(const std::vector<timed<std::string>>& all) {
    std::vector<std::pair<std::string, timestamp>> out;
    for (const auto& r : all) out.emplace_back(r.value, r.time);
    return out;
}

runnel::testing::grid_options<instruction, std::string> grid() {
    runnel::testing::grid_options<instruction, std::string> o;
    o.group_of = runnel::testing::group_by(&instruction::key);
    o.result_key = [](const std::string& text) { return text.substr(0, text.find(':')); };
    o.uneven_watermarks = true;
    o.burst = 40;
    o.state = tests::state_under_test();
    return o;
}

}  // namespace

TEST_CASE("functions drawn at random give what the model gives, by event time and by the clock") {
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        CAPTURE(seed);
        const bool with_clock = seed % 2 == 0;
        const auto code = std::make_shared<const program>(seed, with_clock);
        const script<instruction> input = draw_script(seed, with_clock);
        runnel::testing::operator_harness h(run_by<in_arrival_order>(code),
                                            {.state = tests::state_under_test()});
        model m(*code);
        for (const event<instruction>& e : input.events()) {
            using kind = event<instruction>::kind;
            h.step(e);
            if (e.what == kind::record) m.record({e.value->key, e.value->list, e.time});
            if (e.what == kind::watermark) m.watermark(e.time);
            if (e.what == kind::clock) m.clock(e.time, true);
        }
        REQUIRE(first_difference(by_key(pairs(h.outputs())), m.out) == "");
    }
}

TEST_CASE("in event-time order, functions drawn at random give what sorting first gives; late records are told apart") {
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        CAPTURE(seed);
        const auto code = std::make_shared<const program>(seed, false);
        const script<instruction> input = draw_script(seed, false);
        runnel::testing::operator_harness h(run_by<in_time_order<true>>(code),
                                            {.state = tests::state_under_test()});
        std::vector<instruction> kept;
        std::vector<timed<instruction>> late;
        timestamp w = timestamp::min();
        for (const event<instruction>& e : input.events()) {
            using kind = event<instruction>::kind;
            h.step(e);
            if (e.what == kind::watermark) w = e.time;
            if (e.what != kind::record) continue;
            if (e.time <= w) late.push_back({*e.value, e.time});
            else kept.push_back({e.value->key, e.value->list, e.time});
        }
        model m(*code);
        m.in_order(kept);
        REQUIRE(first_difference(by_key(pairs(h.outputs())), m.out) == "");
        REQUIRE(h.side_outputs().size() == late.size());
        for (std::size_t i = 0; i < late.size(); ++i) {
            CHECK(h.side_outputs()[i].value.value == late[i].value);
            CHECK(h.side_outputs()[i].value.time == late[i].time);
            CHECK(h.side_outputs()[i].value.reason == late_reason::out_of_order);
        }
    }
}

TEST_CASE("functions drawn at random give the same in every way, with the clock, snapshots and other parallelism") {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        CAPTURE(seed);
        const bool with_clock = seed % 2 == 0;
        const auto code = std::make_shared<const program>(seed, with_clock);
        CHECK(run_grid(run_by<in_arrival_order>(code), draw_script(seed, with_clock), grid()) > 60);
    }
}

TEST_CASE("in event-time order, functions drawn at random give the same in every way") {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        CAPTURE(seed);
        const auto code = std::make_shared<const program>(seed, false);
        CHECK(run_grid(run_by<in_time_order<true>>(code), draw_script(seed, false), grid()) > 60);
        CHECK(run_grid(run_by<in_time_order<false>>(code), draw_script(seed, false), grid()) > 60);
    }
}

TEST_CASE("in event-time order, a snapshot is of its barrier, whatever is pushed, called and late behind it") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        const auto code = std::make_shared<const program>(seed, false);
        const auto events = draw_script(seed, false).events();
        const std::size_t barrier = seed % 3 * events.size() / 4 + seed;
        runnel::testing::operator_harness one(run_by<in_time_order<true>>(code));
        runnel::testing::operator_harness other(run_by<in_time_order<true>>(code));
        std::size_t i = 0;
        for (; i != barrier; ++i) one.step(events[i]), other.step(events[i]);
        CHECK(one.begin_snapshot());
        for (; i != events.size(); ++i) one.step(events[i]);
        CHECK(one.finish_snapshot() == other.snapshot());
    }
}
