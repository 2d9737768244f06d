#include "runnel/connect/troubles.hpp"

#include <doctest/doctest.h>

using runnel::detail::troubles;

TEST_CASE("a trouble is told until it is over, and several as one and a number") {
    troubles of;
    const int a = 0, b = 0;
    CHECK(of.text() == "");
    of.tell(&a, "no answer");
    of.tell(&a, "no answer, tried 2 times");
    CHECK(of.text() == "no answer, tried 2 times");
    of.tell(&b, "no answer, tried 2 times");
    CHECK(of.text() == "no answer, tried 2 times (and 1 more)");
    of.over(&a);
    CHECK(of.text() == "no answer, tried 2 times");
    of.over(&b);
    of.over(&b);
    CHECK(of.text() == "");
}
