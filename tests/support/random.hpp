#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

namespace runnel::tests {

/// Random numbers that are the same on every machine for the same seed.
class random_numbers {
public:
    explicit random_numbers(std::uint64_t seed) : engine_(seed) {}
    /// 0 to `n` - 1.
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
    /// `low` to `high`, both included.
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
    }
    /// True with a chance of `percent` in 100.
    bool chance(unsigned percent) { return engine_() % 100 < percent; }
    std::uint64_t seed() { return engine_(); }

private:
    std::mt19937_64 engine_;
};

}  // namespace runnel::tests
