#pragma once

#include <cstddef>
#include <cstdint>

#include "runnel/state/control_group.hpp"

namespace runnel::tests {

/// Counts the groups that searches of a table look at.
struct counting_match {
    static inline std::size_t looks = 0;
    static std::uint64_t equal(const detail::control_group& g, std::uint32_t tag_word) noexcept {
        ++looks;
        return detail::swar_match::equal(g, tag_word);
    }
    static std::uint64_t empty(const detail::control_group& g) noexcept { return detail::swar_match::empty(g); }
};

}  // namespace runnel::tests
