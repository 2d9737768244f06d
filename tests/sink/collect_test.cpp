#include "runnel/sink/collect.hpp"

#include <doctest/doctest.h>

#include <memory>

#include "tests/sink/some_records.hpp"

using namespace runnel;
using test::some_records;

TEST_CASE("collect appends the records from the cursor on to the caller's vector") {
    std::vector<std::string> into{"before"};
    auto to = collect(into);
    CHECK(to.max_parallelism() == 1);
    auto writer = to.open({});
    auto b = some_records(3, 1);
    CHECK(writer->write(b) == progress::done);
    CHECK(b.empty());
    b = some_records(1);
    writer->write(b);
    CHECK(writer->finish() == progress::done);
    CHECK(into == std::vector<std::string>{"before", "1", "2", "0"});
}

TEST_CASE("collect into timed values keeps the times") {
    std::vector<timed<std::string>> into;
    auto b = some_records(2);
    collect(into).open({})->write(b);
    CHECK(into == std::vector<timed<std::string>>{{"0", timestamp(10)}, {"1", timestamp(20)}});
}

TEST_CASE("collect takes values that cannot be copied") {
    std::vector<std::unique_ptr<int>> into;
    batch<std::unique_ptr<int>> b;
    b.append(std::make_unique<int>(5), timestamp());
    collect(into).open({})->write(b);
    REQUIRE(into.size() == 1);
    CHECK(*into[0] == 5);
}

TEST_CASE("collected shows its records through every copy, and take empties it") {
    collected<std::string> out;
    {
        collected<std::string> copy = out;
        auto b = some_records(2);
        copy.open({})->write(b);
    }
    CHECK(out.size() == 2);
    CHECK(out.values() == std::vector<std::string>{"0", "1"});
    CHECK(out.timed_values()[1] == timed<std::string>{"1", timestamp(20)});
    CHECK(out.take() == std::vector<std::string>{"0", "1"});
    CHECK(out.size() == 0);
    CHECK(out.timed_values().empty());
}
