#pragma once

#include <cstddef>
#include <string_view>

namespace runnel {

/// Whether `text` is well-formed UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates).
/// Thread safety: safe. Complexity: O(size).
bool is_valid_utf8(std::string_view text) noexcept;

/// Length of the longest well-formed front part: the position of the first bad byte, or the whole size.
/// Thread safety: safe. Complexity: O(size).
std::size_t valid_utf8_prefix(std::string_view text) noexcept;

}  // namespace runnel
