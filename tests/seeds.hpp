#pragma once

#include <cstdint>

namespace runnel::test {

/// How many seeds a random test takes: `n`, and fewer where each costs many times as much.
constexpr std::uint64_t seeds(std::uint64_t n) {
#ifdef RUNNEL_SANITIZED
    return n / 8 + 1;
#else
    return n;
#endif
}

}  // namespace runnel::test
