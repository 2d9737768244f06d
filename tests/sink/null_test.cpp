#include "runnel/sink/null.hpp"

#include <doctest/doctest.h>

#include "tests/sink/some_records.hpp"

using namespace runnel;
using test::some_records;

TEST_CASE("null takes everything, on any number of subtasks") {
    auto to = null_sink().bind<std::string>();
    CHECK(to->max_parallelism() > 1'000'000);
    auto b = some_records(3);
    CHECK(to->open({})->write(b) == progress::done);
    CHECK(b.empty());
}
