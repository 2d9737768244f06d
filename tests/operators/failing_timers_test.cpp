// What becomes of timers at which a process function fails, and of records that it fails for in order of time.
#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "runnel/operators/process.hpp"
#include "runnel/operators/process_in_order.hpp"
#include "runnel/operators/reduce.hpp"
#include "runnel/testing/grid.hpp"
#include "runnel/testing/harness.hpp"
#include "tests/seeds.hpp"

using namespace runnel;
using namespace runnel::testing;
using namespace std::chrono_literals;

namespace {

/// Adds up the records of a key. A timer gives the sum, the alarm the number of records; some fail, after they have
/// emitted.
struct moody {
    using output_type = std::string;
    using side_types = std::tuple<int>;
    using context = process_context<std::string, int>;
    value_state<int> sum{};
    event_timer report{};
    processing_timer alarm{};
    /// Calls that fail, by the timer's time in seconds; negative for records: by value.
    std::map<int, int>* failures = nullptr;

    void open(state_setup& s) {
        sum = s.value<int>("sum");
        report = s.event_timer("report");
        alarm = s.processing_timer("alarm");
    }
    void on_record(const int& i, context& c) {
        c.emit("record " + std::to_string(i));
        if (failures && (*failures)[-i]-- > 0) throw std::domain_error("record " + std::to_string(i));
        if (!failures && i % 7 == 0) throw std::domain_error("seven");
        sum.set(sum.value_or(0) + i);
        report.set(c.time() + 10s);
        if (i >= 100) alarm.set(c.processing_time() - duration(i));
        else alarm.set(c.processing_time() + 60s);
    }
    void on_timer(const timer_event& e, context& c) {
        c.emit((e == report ? "sum " : "alarm ") + std::to_string(sum.value_or(0)));
        c.side<0>().emit(sum.value_or(0));
        if (failures) {
            if ((*failures)[static_cast<int>(e.time.ns() / 1'000'000'000)]-- > 0) throw std::domain_error("no time");
        } else if (sum.value_or(0) % 3 == 0) {
            throw std::domain_error("three");
        }
    }
};

constexpr auto last_digit = [](int i) { return i % 10; };
using moody_operator = process_operator<int, int, decltype(last_digit), moody>;
using ordered_moody = ordered_process_operator<int, int, decltype(last_digit), moody, false>;

template <class Op>
std::vector<std::string> texts(const operator_harness<Op>& h) {
    std::vector<std::string> all;
    for (const auto& r : h.outputs()) all.push_back(r.value);
    return all;
}

const failure_policy leave_out{.what = on_error::skip};

}  // namespace

TEST_CASE("a timer that fails is left out: what it emitted is withdrawn, the letter has key, timer, time; others go on") {
    std::map<int, int> failures{{11, 1}};
    operator_harness h(moody_operator(last_digit, {.failures = &failures}), {.on_failure = leave_out});
    h.push(1, timestamp(1s));
    h.push(12, timestamp(2s));
    h.push(21, timestamp(3s));
    h.watermark(timestamp(20s));
    CHECK(texts(h) == std::vector<std::string>{"record 1", "record 12", "record 21", "sum 12", "sum 22"});
    CHECK(h.side_outputs().size() == 2);
    REQUIRE(h.dead_letters().size() == 1);
    CHECK(h.dead_letters()[0].value ==
          dead_letter<int>{{}, {"no time", "operator", 0, "key 1, timer 'report'", timestamp(11s)}});
    CHECK(h.skipped() == 1);
}

TEST_CASE("a timer by the clock that fails is left out, at its time and at the end of the input") {
    std::map<int, int> failures{{60, 1}, {61, 1}};
    operator_harness h(moody_operator(last_digit, {.failures = &failures}), {.on_failure = leave_out});
    h.push(1, timestamp(1s));
    h.push(2, timestamp(1s));
    h.clock_at(timestamp(1s));
    h.push(3, timestamp(1s));
    h.push(4, timestamp(1s));
    h.clock_at(timestamp(60s));
    REQUIRE(h.dead_letters().size() == 1);
    CHECK(h.dead_letters()[0].value.details.where == "key 1, timer 'alarm'");
    CHECK(h.dead_letters()[0].value.details.time == timestamp(60s));
    CHECK(h.outputs().back().value == "alarm 2");
    h.end();
    CHECK(h.dead_letters().size() == 2);
    CHECK(h.skipped() == 2);
    CHECK(h.outputs().back().value == "alarm 4");
}

TEST_CASE("a timer that fails is called again after the backoff, and those behind it and the watermark wait") {
    std::map<int, int> failures{{11, 2}, {12, 1}};
    std::vector<timestamp> waits;
    std::size_t sent_on = 0;
    operator_harness<moody_operator>* self = nullptr;
    operator_harness h(moody_operator(last_digit, {.failures = &failures}),
                       {.when_waiting =
                            [&] {
                                CHECK(self->watermarks().size() == sent_on);
                                self->clock().advance_to(self->clock().now() + 1s);
                                waits.push_back(self->clock().now());
                            },
                        .on_failure = {.what = on_error::fail, .retries = 2, .backoff = 2s}});
    self = &h;
    h.push(1, timestamp(1s));
    h.push(2, timestamp(2s));
    h.push(3, timestamp(3s));
    h.watermark(timestamp(20s));
    CHECK(waits.size() == 2 + 4 + 2);
    CHECK(texts(h) == std::vector<std::string>{"record 1", "record 2", "record 3", "sum 1", "sum 2", "sum 3"});
    failures = {{30, 3}};
    sent_on = 1;
    h.push(1, timestamp(20s));
    CHECK_THROWS_AS(h.watermark(timestamp(31s)), job_error);
}

TEST_CASE("a timer that fails right behind the record that set it is called again, without that record") {
    std::map<int, int> failures{{10, 2}};
    operator_harness<moody_operator>* self = nullptr;
    operator_harness h(moody_operator(last_digit, {.failures = &failures}),
                       {.when_waiting = [&] { self->clock().advance_to(self->clock().now() + 1s); },
                        .on_failure = {.what = on_error::skip, .retries = 2, .backoff = 1s}});
    self = &h;
    h.clock_at(timestamp(10s) + 100ns);
    h.push_batch({{100, timestamp(1s)}, {5, timestamp(2s)}});
    CHECK(texts(h) == std::vector<std::string>{"record 100", "alarm 100", "record 5"});
    failures = {{20, 3}};
    h.clock_at(timestamp(20s) + 200ns);
    h.push_batch({{200, timestamp(1s)}, {15, timestamp(2s)}});
    CHECK(h.skipped() == 1);
    CHECK(h.outputs().back().value == "record 15");
    h.end();
    CHECK(h.skipped() == 1);
}

TEST_CASE("a record that fails in its turn by time is left out with its value and time, or given again") {
    for (const std::size_t retries : {0, 2}) {
        std::map<int, int> failures{{-2, 2}, {-3, 3}};
        operator_harness<ordered_moody>* self = nullptr;
        operator_harness h(ordered_moody(last_digit, {.failures = &failures}),
                           {.when_waiting = [&] { self->clock().advance_to(self->clock().now() + 1s); },
                            .on_failure = {.what = on_error::skip, .retries = retries, .backoff = 1s}});
        self = &h;
        h.push(4, timestamp(4s));
        h.push(3, timestamp(3s));
        h.push(2, timestamp(2s));
        h.push(1, timestamp(1s));
        h.watermark(timestamp(5s));
        std::vector<std::string> expected{"record 1", "record 2", "record 4"};
        if (retries == 0) expected.erase(expected.begin() + 1);
        CHECK(texts(h) == expected);
        REQUIRE(h.dead_letters().size() == (retries == 0 ? 2 : 1));
        CHECK(h.dead_letters().back().value == dead_letter<int>{3, {"record 3", "operator", 0, "", timestamp(3s)}});
        CHECK(h.skipped() == h.dead_letters().size());
    }
}

TEST_CASE("failing records and timers are left out in every way alike: arrival order and order of time") {
    random_script_options o;
    o.records = 200;
    o.watermark_percent = 20;
    o.disorder = 5s;
    const auto make = [](std::mt19937_64& random) { return static_cast<int>(random() % 99); };
    for (std::uint64_t seed = 1; seed <= test::seeds(3); ++seed) {
        CAPTURE(seed);
        grid_options<int, std::string> options;
        options.group_of = group_by(last_digit);
        options.on_failure = leave_out;
        options.parallelism = {1, 3};
        CHECK(run_grid(ordered_moody(last_digit, {}), random_script<int>(seed, make, o), options) > 20);
        o.disorder = 0s;
        CHECK(run_grid(moody_operator(last_digit, {}), random_script<int>(seed, make, o), options) > 20);
    }
}

TEST_CASE("where a reducing function fails the kept record stays as it was") {
    const auto add = [](int kept, int next) {
        if (next % 7 == 0) throw std::domain_error("seven");
        return kept + next;
    };
    const reduce_operator<int, int, decltype(last_digit), decltype(add)> op(last_digit, add);
    operator_harness h(op, {.on_failure = leave_out});
    for (const int i : {1, 21, 11, 2, 91}) h.push(i, timestamp(1s));
    std::vector<int> got;
    for (const auto& r : h.outputs()) got.push_back(r.value);
    CHECK(got == std::vector<int>{1, 12, 2});
    REQUIRE(h.dead_letters().size() == 2);
    CHECK(h.dead_letters()[0].value.value == 21);
}
