#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace runnel::detail {

/// Slots that one group of a table has: as many as tags are compared at once.
inline constexpr std::size_t group_slots = 16;

/// The tags of 16 slots: 0 for an empty slot, else 8 bits of the key's hash.
struct alignas(group_slots) control_group {
    std::uint8_t tags[group_slots];
};

/// The tag of a hash, four times side by side, since that is what both ways of comparing can start from.
inline std::uint32_t tag_word(std::uint64_t hash) noexcept {
    // A look-up, since a multiplication and a test for 0 take longer.
    static constexpr auto words = [] {
        std::array<std::uint32_t, 256> all{};
        for (std::uint32_t byte = 0; byte != 256; ++byte) all[byte] = (byte == 0 ? 1 : byte) * 0x01010101u;
        return all;
    }();
    return words[hash >> 56];
}

/// Compares the tags of a group as two 64-bit words; answers have one bit per slot.
struct swar_match {
    static std::uint64_t equal(const control_group& g, std::uint32_t tag_word) noexcept {
        const std::uint64_t pattern = tag_word | std::uint64_t{tag_word} << 32;
        return zero_bytes(word(g, 0) ^ pattern) | zero_bytes(word(g, 8) ^ pattern) << 8;
    }
    static std::uint64_t empty(const control_group& g) noexcept { return equal(g, 0); }

private:
    static std::uint64_t word(const control_group& g, std::size_t at) noexcept {
        std::uint64_t w;
        std::memcpy(&w, g.tags + at, sizeof w);
        if constexpr (std::endian::native == std::endian::big) w = __builtin_bswap64(w);
        return w;
    }
    /// One bit per byte of `x` that is zero, exactly: no carry leaves a byte.
    static std::uint64_t zero_bytes(std::uint64_t x) noexcept {
        constexpr std::uint64_t low7 = 0x7f7f7f7f7f7f7f7fu;
        const std::uint64_t high_bits = ~(((x & low7) + low7) | x | low7);
        return ((high_bits >> 7) * 0x0102040810204080u) >> 56;
    }
};

#if defined(__SSE2__)
/// Compares the tags of a group by one SSE2 comparison; answers have one bit per slot.
struct sse2_match {
    static std::uint64_t equal(const control_group& g, std::uint32_t tag_word) noexcept {
        // By hand: what gcc 12 makes of _mm_set1_epi8 goes through memory and stalls.
        const __m128i tag = _mm_shuffle_epi32(_mm_cvtsi32_si128(static_cast<int>(tag_word)), 0);
        const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(&g));
        return static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(tags, tag)));
    }
    static std::uint64_t empty(const control_group& g) noexcept { return equal(g, 0); }
};
using default_match = sse2_match;
#else
using default_match = swar_match;
#endif

}  // namespace runnel::detail
