#pragma once

#include <cstdint>

#include "runnel/window/aggregate.hpp"

namespace runnel {

/// Number of records, as std::uint64_t.
struct count_aggregate {
    static constexpr bool creates_default = true;
    std::uint64_t create() const noexcept { return 0; }
    template <class T>
    void add(std::uint64_t& n, const T&) const noexcept {
        ++n;
    }
    void merge(std::uint64_t& n, std::uint64_t more) const noexcept { n += more; }
    std::uint64_t result(std::uint64_t n) const noexcept { return n; }
};

/// Counts the records: `aggregate(count())`.
constexpr count_aggregate count() noexcept { return {}; }

}  // namespace runnel
