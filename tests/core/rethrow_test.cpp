#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "runnel/core/error.hpp"
#include "tests/support/print.hpp"

using namespace runnel;

namespace {

/// What comes of an exception that `f` throws at subtask 3 of "parse", record time 1 s after the epoch.
template <class F>
void rethrown(F f) {
    try {
        f();
    } catch (...) {
        detail::rethrow_with_place("parse", 3, timestamp(std::chrono::seconds(1)));
    }
}

}  // namespace

TEST_CASE("a failure gets operator, subtask and record time, and the cause is nested in it") {
    try {
        rethrown([] { throw std::out_of_range("no such column"); });
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "parse");
        CHECK(e.subtask() == 3);
        CHECK(e.record_time() == timestamp(std::chrono::seconds(1)));
        CHECK(std::string(e.what()) ==
              "operator 'parse', subtask 3, record time 1970-01-01T00:00:01Z: no such column");
        CHECK_THROWS_WITH_AS(std::rethrow_if_nested(e), "no such column", std::out_of_range);
    }
}

TEST_CASE("the innermost place wins: what has one is rethrown as it is") {
    try {
        rethrown([] { throw job_error("inner", 1, timestamp(5), "cause"); });
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.operator_name() == "inner");
        CHECK(e.subtask() == 1);
    }
}

TEST_CASE("what is not a std::exception is nested too") {
    try {
        rethrown([] { throw 42; });
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(std::string(e.what()).find("not a std::exception") != std::string::npos);
        CHECK_THROWS_AS(std::rethrow_if_nested(e), int);
    }
}

TEST_CASE("a failure that is learnt of later names the time of its own record, and nests the cause") {
    const auto cause = std::make_exception_ptr(std::out_of_range("no such column"));
    CHECK_THROWS_WITH(throw record_error(cause, timestamp(7)), "no such column");
    CHECK_THROWS_WITH(throw record_error(std::make_exception_ptr(42), timestamp(7)),
                      "an exception that is not a std::exception");
    try {
        rethrown([&] { throw record_error(cause, timestamp(std::chrono::seconds(7))); });
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(e.record_time() == timestamp(std::chrono::seconds(7)));
        CHECK(e.operator_name() == "parse");
        CHECK_THROWS_AS(std::rethrow_if_nested(e), std::out_of_range);
    }
}

TEST_CASE("the end of the input is no time") {
    const job_error e("sink", 0, timestamp::max(), "disk full");
    CHECK(std::string(e.what()) == "operator 'sink', subtask 0: disk full");
    CHECK(e.record_time() == timestamp::min());
}
