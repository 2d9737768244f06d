#include "runnel/testing/graph_harness.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "runnel/sink/collect.hpp"
#include "runnel/window/count.hpp"

#include "tests/support/delay.hpp"

using namespace runnel;
using namespace runnel::testing;
using namespace std::chrono_literals;

namespace {

struct click {
    std::string user;
    timestamp at;
};

using counted = windowed<std::string, std::uint64_t>;

pipeline counting(const manual_source<click>& clicks, const collected<counted>& results) {
    pipeline p("clicks");
    p.from(clicks)
        .event_time(&click::at, monotonous())
        .named("clicks")
        .key_by(&click::user)
        .window(tumbling(10s).drop_late())
        .aggregate(count())
        .to(results);
    return p;
}

}  // namespace

TEST_CASE("results of a pipeline come when event time has passed them, step by step") {
    manual_source<click> clicks;
    collected<counted> results;
    graph_harness h(counting(clicks, results));

    clicks.push({"ann", timestamp(1s)});
    clicks.push({"ann", timestamp(9s)});
    h.run_until_idle();
    CHECK(results.values().empty());
    clicks.push({"bob", timestamp(10s)});
    h.run_until_idle();
    CHECK(results.values() == std::vector<counted>{{"ann", timestamp(0s), timestamp(10s), 2}});
    CHECK(results.timed_values()[0].time == timestamp(10s - 1ns));

    clicks.finish();
    h.finish();
    CHECK(results.take().back() == counted{"bob", timestamp(10s), timestamp(20s), 1});
    CHECK(h.status().state == job_state::finished);
}

TEST_CASE("the same seed gives the same run, and every seed and parallelism the same results per key") {
    auto run = [](std::size_t parallelism, std::uint64_t seed) {
        manual_source<click> clicks(3);
        collected<counted> results;
        graph_harness h(counting(clicks, results),
                        {.job = {.parallelism = parallelism, .batch_size = 4}, .seed = seed});
        for (int i = 0; i < 300; ++i) {
            clicks.push(static_cast<std::size_t>(i % 3), {"user " + std::to_string(i % 11), timestamp(i * 100ms)});
            if (i % 50 == 0) h.run_until_idle();
        }
        clicks.finish();
        h.finish();
        return results.values();
    };
    auto by_key = [](const std::vector<counted>& results) {
        std::map<std::string, std::vector<counted>> all;
        for (const counted& r : results) all[r.key].push_back(r);
        return all;
    };
    const auto expected = by_key(run(1, 1));
    CHECK(expected.size() == 11);
    bool orders_differ = false;
    for (std::size_t parallelism = 1; parallelism <= 4; ++parallelism) {
        for (std::uint64_t seed = 1; seed <= 10; ++seed) {
            CAPTURE(parallelism);
            CAPTURE(seed);
            const std::vector<counted> results = run(parallelism, seed);
            CHECK(by_key(results) == expected);
            CHECK(results == run(parallelism, seed));
            orders_differ |= results != run(parallelism, seed + 1);
        }
    }
    CHECK(orders_differ);
}

TEST_CASE("a silent split holds event time back until processing time makes it idle") {
    manual_source<click> clicks(2);
    collected<counted> results;
    pipeline p;
    p.from(clicks)
        .event_time(&click::at, monotonous().idle_after(5s))
        .key_by(&click::user)
        .window(tumbling(10s).drop_late())
        .aggregate(count())
        .to(results);
    graph_harness h(std::move(p));
    h.run_until_idle();
    h.advance(4s);
    clicks.push(0, {"ann", timestamp(1s)});
    clicks.push(0, {"ann", timestamp(11s)});
    h.run_until_idle();
    CHECK(results.size() == 0);
    h.advance(999ms);
    CHECK(results.size() == 0);
    h.advance(1ms);
    CHECK(results.size() == 1);
    CHECK(h.clock().now() == timestamp(5s));
}

TEST_CASE("a failure in the pipeline comes out of the harness") {
    manual_source<int> numbers;
    collected<int> results;
    pipeline p;
    p.from(numbers)
        .map([](int n) { return n == 3 ? throw std::runtime_error("three") : n; })
        .named("checked")
        .to(results);
    graph_harness h(std::move(p));
    numbers.push(1);
    h.run_until_idle();
    CHECK(results.values() == std::vector<int>{1});
    numbers.push(3);
    try {
        h.run_until_idle();
        FAIL("no failure");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "checked");
    }
    CHECK_THROWS_AS(h.finish(), job_error);
    numbers.push(4);  // The reader is gone; nobody is woken.
}

TEST_CASE("finish() says what the job waits for when a source has not been finished") {
    manual_source<click> clicks(2);
    collected<counted> results;
    graph_harness h(counting(clicks, results));
    clicks.finish(0);
    try {
        h.finish();
        FAIL("finished");
    } catch (const error& e) {
        const std::string text = e.what();
        CHECK(text.find("Finish its manual sources first") != std::string::npos);
        CHECK(text.find("\n  clicks, waiting for ") != std::string::npos);
    }
    clicks.finish();
    h.finish();
}

TEST_CASE("a bad pipeline is refused with all problems") {
    pipeline p;
    p.from(manual_source<int>(0));
    try {
        graph_harness h(std::move(p));
        FAIL("accepted");
    } catch (const graph_error& e) {
        CHECK(e.problems().size() >= 2);
    }
}

TEST_CASE("a manual source refuses splits that don't exist or have ended") {
    manual_source<int> numbers(2);
    numbers.push(1, 5);
    numbers.finish(1);
    CHECK_THROWS_WITH_AS(numbers.push(1, 6), "manual_source: split 1 has been finished already", error);
    CHECK_THROWS_WITH_AS(numbers.finish(2), "manual_source: there is no split 2, only 2, from 0 on", error);
    CHECK_FALSE(numbers.is_finished(0));
    numbers.finish();
    CHECK(numbers.is_finished(0));
}

TEST_CASE("a manual source is read again from any position") {
    manual_source<int> numbers;
    for (int n = 0; n < 5; ++n) numbers.push(n, timestamp(n));
    numbers.finish();
    const reader_context context{[] {}, {}, nullptr};
    auto first = numbers.open("0", nullptr, context);
    batch<int> records;
    CHECK(first->poll(records, 3).what == poll_result::kind::more);
    const std::string position = first->position();
    first.reset();
    auto second = numbers.open("0", &position, context);
    CHECK(second->poll(records, 10).what == poll_result::kind::finished);
    REQUIRE(records.size() == 5);
    for (int n = 0; n < 5; ++n) {
        CHECK(records.value(static_cast<std::size_t>(n)) == n);
        CHECK(records.time(static_cast<std::size_t>(n)) == timestamp(n));
    }
}

TEST_CASE("operators in a chain and behind an exchange are told of the processing time that they wait for") {
    for (const bool exchange : {false, true}) {
        CAPTURE(exchange);
        manual_source<int> numbers(1), others(1);
        collected<int> results;
        pipeline p;
        auto s = p.from(numbers);
        (exchange ? s.merge(p.from(others)) : stream<int>(s)).then(tests::delay{}).then(tests::delay{}).to(results);
        graph_harness h(std::move(p), {.job = {.batch_size = 2, .channel_capacity = 1}});
        for (int i = 0; i < 10; ++i) numbers.push(i);
        h.run_until_idle();
        h.advance(9s);
        numbers.push(10);
        h.run_until_idle();
        h.advance(10s);
        CHECK(results.values().empty());  // The first delay let them go between 10 and 20 s; the second holds them.
        h.advance(1s);
        CHECK(results.values().size() == 10);
        h.advance(9s);
        CHECK(results.values().size() == 11);
        numbers.push(11);
        numbers.finish();
        others.finish();
        h.finish();
        CHECK(results.values().size() == 12);
    }
}
