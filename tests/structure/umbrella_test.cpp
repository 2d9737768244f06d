// The umbrella comes first, so that it has to bring all that it needs.
#include "runnel/runnel.hpp"

#include <doctest/doctest.h>

TEST_CASE("a program that includes the umbrella, and links with another unit that does, is one program") {
    CHECK(runnel::timestamp::min() < runnel::timestamp::max());
}
