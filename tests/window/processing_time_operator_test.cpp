#include "runnel/window/processing_time_operator.hpp"

#include <doctest/doctest.h>

#include "runnel/testing/harness.hpp"
#include "runnel/window/window_operator.hpp"
#include "window_oracle.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using test::bag;
using test::bag_result;
using test::event;

namespace {

template <class Spec>
auto make(const Spec& spec) {
    return make_window_operator<std::int64_t, event>(&event::key, spec, bag{});
}
template <class Harness>
auto take(Harness& h) {
    std::vector<typename Harness::output_type> values;
    for (auto& r : h.take_outputs()) {
        CHECK(r.time == r.value.end.previous());
        values.push_back(r.value);
    }
    return values;
}
bag_result result(std::int64_t key, std::int64_t start, std::int64_t end, std::vector<std::int64_t> values) {
    return {key, timestamp(start), timestamp(end), std::move(values)};
}
using results = std::vector<bag_result>;

}  // namespace

TEST_CASE("by processing time a record counts for when it comes, whatever its event time") {
    testing::operator_harness h(make(tumbling(10ns).by_processing_time()));
    h.clock_at(timestamp(3));
    h.push({1, 100}, timestamp(-1'000'000));
    h.clock_at(timestamp(9));
    h.push({1, 101}, timestamp(1'000'000));
    h.watermark(timestamp(2'000'000));
    CHECK(take(h).empty());
    h.clock_at(timestamp(10));
    CHECK(take(h) == results{result(1, 0, 10, {100, 101})});
    h.push({1, 102}, timestamp(0));
    h.clock_at(timestamp(19));
    CHECK(take(h).empty());
    h.clock_at(timestamp(25));
    CHECK(take(h) == results{result(1, 10, 20, {102})});
    CHECK(h.late_dropped() == 0);
}

TEST_CASE("windows by processing time ask to be called when the next one is due") {
    testing::operator_harness h(make(tumbling(10ns).by_processing_time()));
    CHECK(h.get().next_tick() == timestamp::max());
    h.clock_at(timestamp(3));
    h.push({1, 100}, timestamp(0));
    CHECK(h.get().next_tick() == timestamp(10));
    h.clock_at(timestamp(10));
    CHECK(h.get().next_tick() == timestamp::max());
}

TEST_CASE("a record that comes before the clock has been asked still finds the windows before it closed") {
    testing::operator_harness h(make(tumbling(10ns).by_processing_time()));
    h.clock_at(timestamp(3));
    h.push({1, 100}, timestamp(0));
    h.clock().advance_to(timestamp(14));
    h.push({1, 101}, timestamp(0));
    CHECK(take(h) == results{result(1, 0, 10, {100})});
    h.end();
    CHECK(take(h) == results{result(1, 10, 20, {101})});
}

TEST_CASE("pending windows by processing time fire once at the end of the input, in order of time") {
    testing::operator_harness h(make(sliding(20ns, 10ns).by_processing_time()));
    h.clock_at(timestamp(13));
    h.push({1, 100}, timestamp(0));
    h.end();
    CHECK(take(h) == results{result(1, 0, 20, {100}), result(1, 10, 30, {100})});
}

TEST_CASE("sessions by processing time last as long as records come within the gap") {
    testing::operator_harness h(make(session(10ns).by_processing_time()));
    h.clock_at(timestamp(0));
    h.push({1, 100}, timestamp(0));
    h.clock_at(timestamp(10));
    h.push({1, 101}, timestamp(0));
    h.clock_at(timestamp(20));
    CHECK(take(h).empty());
    h.clock_at(timestamp(21));
    CHECK(take(h) == results{result(1, 0, 20, {100, 101})});
}

TEST_CASE("after a restore windows by processing time go on, overdue ones fire, and time does not go back") {
    testing::operator_harness h(make(tumbling(10ns).by_processing_time()));
    h.clock_at(timestamp(3));
    h.push({1, 100}, timestamp(0));
    const auto saved = h.snapshot();
    h.restore(saved);
    h.push({1, 101}, timestamp(0));
    const auto again = h.snapshot();
    h.clock().advance_to(timestamp(30));
    h.restore(again);
    h.tick();
    CHECK(take(h) == results{result(1, 0, 10, {100, 101})});

    testing::operator_harness behind(make(tumbling(10ns).by_processing_time()));
    behind.restore(again);
    behind.push({1, 102}, timestamp(0));
    behind.end();
    CHECK(take(behind) == results{result(1, 0, 10, {100, 101, 102})});
}

TEST_CASE("early every d of processing time fires at multiples of d if there is something new") {
    testing::operator_harness h(make(tumbling(1h).drop_late().early(every_processing_time(10ns)).accumulating()));
    h.clock_at(timestamp(3));
    h.push({1, 100}, timestamp(5));
    h.push({2, 200}, timestamp(5));
    h.clock_at(timestamp(9));
    CHECK(h.outputs().empty());
    h.clock_at(timestamp(12));
    CHECK(h.take_outputs().size() == 2);
    h.clock_at(timestamp(40));
    CHECK(h.outputs().empty());
    h.push({1, 101}, timestamp(6));
    h.clock_at(timestamp(50));
    REQUIRE(h.outputs().size() == 1);
    CHECK(h.outputs()[0].value.value == std::vector<std::int64_t>{100, 101});
    CHECK(h.outputs()[0].value.pane == pane{1, pane_timing::early});
    h.take_outputs();
    h.push({1, 102}, timestamp(6));
    const auto saved = h.snapshot();
    h.restore(saved);
    h.clock_at(timestamp(60));
    CHECK(h.take_outputs().size() == 1);
    h.end();
    CHECK(h.take_outputs().size() == 2);
}
