#pragma once

#include <utility>

#include "runnel/core/wakeable.hpp"

namespace runnel::tests {

/// Counts how often it was woken.
struct noted_wake final : wakeable {
    int count = 0;
    void wake() noexcept override { ++count; }
    /// True if there was a wake since the last question.
    bool taken() noexcept { return std::exchange(count, 0) != 0; }
};

}  // namespace runnel::tests
