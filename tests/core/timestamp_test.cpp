#include "runnel/core/timestamp.hpp"

#include <doctest/doctest.h>

#include <string>

#include "runnel/core/error.hpp"

using namespace runnel;
using namespace std::chrono_literals;

TEST_CASE("times are written in ISO 8601 without trailing zeros of the fraction") {
    CHECK(to_string(timestamp(0)) == "1970-01-01T00:00:00Z");
    CHECK(to_string(timestamp(1)) == "1970-01-01T00:00:00.000000001Z");
    CHECK(to_string(timestamp(1'795'244'400s)) == "2026-11-21T07:00:00Z");
    CHECK(to_string(timestamp(1'795'244'400'120ms)) == "2026-11-21T07:00:00.12Z");
    CHECK(to_string(timestamp(951'782'399s)) == "2000-02-28T23:59:59Z");
}

TEST_CASE("negative times count back from the epoch, and the ends of the range are written") {
    CHECK(to_string(timestamp(-1)) == "1969-12-31T23:59:59.999999999Z");
    CHECK(to_string(timestamp(-1s)) == "1969-12-31T23:59:59Z");
    CHECK(to_string(timestamp::min() + duration(1)) == "1677-09-21T00:12:43.145224193Z");
    CHECK(to_string(timestamp::max().previous()) == "2262-04-11T23:47:16.854775806Z");
}

TEST_CASE("the sentinels have names") {
    CHECK(to_string(timestamp::min()) == "min");
    CHECK(to_string(timestamp::max()) == "max");
}

TEST_CASE("arithmetic saturates at the sentinels") {
    CHECK(timestamp::max() + 1ns == timestamp::max());
    CHECK(timestamp::min() - 1h == timestamp::min());
    CHECK(timestamp::min().previous() == timestamp::min());
    CHECK(timestamp(std::chrono::hours(100'000'000)) == timestamp::max());
    CHECK(timestamp(5) - timestamp(7) == duration(-2));
    CHECK(timestamp::max() - timestamp::min() == duration::max());
}

TEST_CASE("a graph error lists every problem on a line of its own") {
    const graph_error e({"no sink", "two operators are named 'count'"});
    CHECK(std::string(e.what()) == "the graph cannot run:\n  - no sink\n  - two operators are named 'count'");
    CHECK(e.problems().size() == 2);
}

TEST_CASE("a job error names operator, subtask, record time and cause") {
    const job_error e("count", 3, timestamp(1s), "overflow");
    CHECK(std::string(e.what()) == "operator 'count', subtask 3, record time 1970-01-01T00:00:01Z: overflow");
    CHECK(e.operator_name() == "count");
    CHECK(e.subtask() == 3);
    CHECK(e.record_time() == timestamp(1s));
    CHECK(std::string(job_error("read", 0, timestamp::min(), "gone").what()) == "operator 'read', subtask 0: gone");
}
