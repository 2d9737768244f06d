#pragma once

#include <cstdint>
#include <string_view>

namespace runnel {

/// The CRC-32C of `bytes`; with `before`, that of what `before` belongs to followed by `bytes`.
///
/// Finds every burst of errors up to 32 bits and nearly all others; no protection against intent.
/// Thread safety: safe. Complexity: O(bytes), by the processor's instruction where there is one.
/// Source: Castagnoli, Braeuer, Herrmann, 1993; polynomial 0x1EDC6F41, reflected, as in RFC 3720.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0) noexcept;

namespace detail {

/// The same by tables, for processors without the instruction.
std::uint32_t crc32c_by_table(std::string_view bytes, std::uint32_t before) noexcept;

}  // namespace detail

}  // namespace runnel
