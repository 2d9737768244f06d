#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace runnel::detail {

/// Slots that one group of a table has: as many as there are tags beside the overflow count in 16 bytes.
inline constexpr std::size_t group_slots = 15;

/// The control bytes of 15 slots, and how many keys that belong to this group had to go to a later one.
///
/// A tag is 0 for an empty slot, else 8 bits of the key's hash. The count lets a search stop without tombstones:
/// it is raised by each insertion that passes the group and lowered when that key is erased. It sticks at 255.
struct alignas(16) control_group {
    std::uint8_t tags[group_slots];
    std::uint8_t overflow;
};
static_assert(sizeof(control_group) == 16);

/// Compares the tags of a group as two 64-bit words; answers have one bit per slot.
struct swar_match {
    static unsigned equal(const control_group& g, std::uint8_t tag) noexcept {
        const std::uint64_t pattern = tag * 0x0101010101010101u;
        return combine(zero_bytes(word(g, 0) ^ pattern), zero_bytes(word(g, 8) ^ pattern));
    }
    static unsigned empty(const control_group& g) noexcept { return equal(g, 0); }

private:
    static std::uint64_t word(const control_group& g, std::size_t at) noexcept {
        std::uint64_t w;
        std::memcpy(&w, reinterpret_cast<const unsigned char*>(&g) + at, sizeof w);
        if constexpr (std::endian::native == std::endian::big) w = __builtin_bswap64(w);
        return w;
    }
    /// One bit per byte of `x` that is zero, exactly: no carry leaves a byte.
    static unsigned zero_bytes(std::uint64_t x) noexcept {
        constexpr std::uint64_t low7 = 0x7f7f7f7f7f7f7f7fu;
        const std::uint64_t high_bits = ~(((x & low7) + low7) | x | low7);
        return static_cast<unsigned>(((high_bits >> 7) * 0x0102040810204080u) >> 56);
    }
    static unsigned combine(unsigned low, unsigned high) noexcept { return (low | high << 8) & 0x7fffu; }
};

#if defined(__SSE2__)
/// Compares the tags of a group by one SSE2 comparison; answers have one bit per slot.
struct sse2_match {
    static unsigned equal(const control_group& g, std::uint8_t tag) noexcept {
        const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(&g));
        // Spread by a multiplication: of a byte, gcc 12 makes a store and a wider load, which wait for each other.
        const __m128i pattern = _mm_set1_epi32(static_cast<int>(tag * 0x01010101u));
        const __m128i same = _mm_cmpeq_epi8(tags, pattern);
        return static_cast<unsigned>(_mm_movemask_epi8(same)) & 0x7fffu;
    }
    static unsigned empty(const control_group& g) noexcept { return equal(g, 0); }
};
using default_match = sse2_match;
#else
using default_match = swar_match;
#endif

/// What a table without memory points at: never written.
inline constexpr control_group no_slots{};

}  // namespace runnel::detail
