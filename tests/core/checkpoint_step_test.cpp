#include "runnel/core/checkpoint_step.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace runnel;

TEST_CASE("each step of a checkpoint has a name of its own, and what is none has none") {
    std::set<std::string> names;
    for (std::size_t i = 0; i < checkpoint_steps; ++i) names.insert(name_of(static_cast<checkpoint_step>(i)));
    CHECK(names.size() == checkpoint_steps);
    const std::string none = name_of(static_cast<checkpoint_step>(checkpoint_steps));
    CHECK(!names.contains(none));
}
