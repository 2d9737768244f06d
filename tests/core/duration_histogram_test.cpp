#include "runnel/core/duration_histogram.hpp"

#include <doctest/doctest.h>

using namespace runnel;
using namespace std::chrono_literals;

TEST_CASE("a duration is counted under the first bound that is not below it") {
    CHECK(duration_counts::place(-1s) == 0);
    CHECK(duration_counts::place(0ns) == 0);
    CHECK(duration_counts::place(1us) == 0);
    CHECK(duration_counts::place(1us + 1ns) == 1);
    CHECK(duration_counts::place(duration::max()) == duration_counts::bound_count);
    for (std::size_t i = 0; i < duration_counts::bound_count; ++i) {
        const duration bound = duration_counts::bound(i);
        CHECK(duration_counts::place(bound) == i);
        CHECK(duration_counts::place(bound + 1ns) == i + 1);
    }
    CHECK(duration_counts::bound(duration_counts::bound_count - 1) > 33s);
}

TEST_CASE("a share of all durations did not exceed the quantile") {
    duration_counts counts;
    CHECK(counts.quantile(0.5) == 0s);
    for (int i = 0; i < 98; ++i) counts.record(3us);
    counts.record(1ms);
    counts.record(1h);
    CHECK(counts.count() == 100);
    CHECK(counts.sum == 98 * 3us + 1ms + 1h);
    CHECK(counts.quantile(0) == 4us);
    CHECK(counts.quantile(0.98) == 4us);
    CHECK(counts.quantile(0.99) == 1024us);
    CHECK(counts.quantile(1) == duration::max());
}

TEST_CASE("a histogram that is read has what was recorded, and adds up with others") {
    duration_histogram h;
    duration_counts plain;
    for (int i = 0; i < 1000; ++i) {
        h.record(i * 777us);
        plain.record(i * 777us);
    }
    CHECK(h.read() == plain);
    duration_counts twice = plain;
    twice += plain;
    CHECK(twice.count() == 2000);
    CHECK(twice.sum == 2 * plain.sum);
    CHECK(twice.quantile(0.5) == plain.quantile(0.5));
}
