#include "runnel/source/watermarks.hpp"

#include <doctest/doctest.h>

#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

}  // namespace

TEST_CASE("before the first record a generator's value is min") {
    CHECK(monotonous().generator.value == timestamp::min());
    CHECK(bounded_out_of_orderness(5s).generator.value == timestamp::min());
}

TEST_CASE("monotonous: the largest time - 1 tick") {
    auto g = monotonous().generator;
    CHECK(g.on_record(at(-10)) == at(-11));
    CHECK(g.on_record(at(-10)) == at(-11));
    CHECK(g.on_record(at(7)) == at(6));
    CHECK(g.on_record(at(3)) == at(6));
}

TEST_CASE("bounded_out_of_orderness: the largest time - bound - 1 tick, whatever the order") {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        const std::int64_t bound = random.between(0, 30);
        auto g = bounded_out_of_orderness(duration(bound)).generator;
        std::int64_t largest = -1000;
        for (int i = 0; i < 100; ++i) {
            const std::int64_t t = random.between(-100, 100);
            largest = std::max(largest, t);
            REQUIRE(g.on_record(at(t)) == at(largest - bound - 1));
        }
    }
}

TEST_CASE("a bound reaching before all time saturates") {
    auto g = bounded_out_of_orderness(duration::max()).generator;
    CHECK(g.on_record(at(-100)) == timestamp::min());
    CHECK(g.on_record(timestamp::min()) == timestamp::min());
    CHECK(g.on_record(at(100)) > timestamp::min());
}

TEST_CASE("punctuated: when a record says so, by its value or by value and time; never back") {
    auto by_value = punctuated([](int value) -> std::optional<timestamp> {
        if (value < 0) return std::nullopt;
        return timestamp(value);
    }).generator;
    CHECK(by_value.on_record(-1, at(100)) == timestamp::min());
    CHECK(by_value.on_record(10, at(100)) == at(10));
    CHECK(by_value.on_record(5, at(100)) == at(10));
    CHECK(by_value.on_record(-1, at(100)) == at(10));

    auto by_both = punctuated([](int, timestamp t) { return t; }).generator;
    CHECK(by_both.on_record(1, at(4)) == at(4));
    CHECK(by_both.on_record(1, at(3)) == at(4));
}

TEST_CASE("problems: a negative bound and an idle time that is not above zero") {
    CHECK(bounded_out_of_orderness(0s).problems().empty());
    CHECK(bounded_out_of_orderness(-1ns).problems().size() == 1);
    CHECK(monotonous().idle_after(0s).problems().size() == 1);
    CHECK(monotonous().idle_after(-1s).problems().size() == 1);
    CHECK(monotonous().idle_after(1ns).problems().empty());
    CHECK(bounded_out_of_orderness(-1s).idle_after(-1s).problems().size() == 2);
    CHECK(punctuated([](int) { return timestamp(); }).problems().empty());
}

TEST_CASE("idle detection is off unless asked") {
    CHECK(monotonous().idle == 0s);
    const auto asked = bounded_out_of_orderness(3s).idle_after(2s);
    CHECK(asked.idle == 2s);
    CHECK(asked.generator.bound == 3s);
}
