#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace runnel::detail {

/// XXH64 with seed 0, as published in the xxHash specification ("xxHash fast digest algorithm", version 0.1.1):
/// the values are part of the persistent formats.
class xxh64 {
public:
    static std::uint64_t of(std::string_view bytes) noexcept {
        const char* p = bytes.data();
        std::size_t rest = bytes.size();
        std::uint64_t h = prime_5;
        if (rest >= 32) {
            std::uint64_t lanes[4] = {prime_1 + prime_2, prime_2, 0, 0 - prime_1};
            for (; rest >= 32; p += 32, rest -= 32)
                for (std::size_t i = 0; i != 4; ++i) lanes[i] = round(lanes[i], load<std::uint64_t>(p + 8 * i));
            h = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
            for (std::uint64_t lane : lanes) h = (h ^ round(0, lane)) * prime_1 + prime_4;
        }
        h += bytes.size();
        for (; rest >= 8; p += 8, rest -= 8) h = add_8(h, load<std::uint64_t>(p));
        if (rest >= 4) {
            h = add_4(h, load<std::uint32_t>(p));
            p += 4;
            rest -= 4;
        }
        for (; rest != 0; ++p, --rest) h = std::rotl(h ^ static_cast<unsigned char>(*p) * prime_5, 11) * prime_1;
        return avalanche(h);
    }
    /// The same as `of` the eight bytes of `word`.
    static std::uint64_t of_8(std::uint64_t word) noexcept { return avalanche(add_8(prime_5 + 8, word)); }
    /// The same as `of` the four bytes of `word`.
    static std::uint64_t of_4(std::uint32_t word) noexcept { return avalanche(add_4(prime_5 + 4, word)); }

private:
    static constexpr std::uint64_t prime_1 = 0x9e3779b185ebca87u;
    static constexpr std::uint64_t prime_2 = 0xc2b2ae3d27d4eb4fu;
    static constexpr std::uint64_t prime_3 = 0x165667b19e3779f9u;
    static constexpr std::uint64_t prime_4 = 0x85ebca77c2b2ae63u;
    static constexpr std::uint64_t prime_5 = 0x27d4eb2f165667c5u;

    template <class Word>
    static Word load(const char* p) noexcept {
        static_assert(std::endian::native == std::endian::little);
        Word word;
        std::memcpy(&word, p, sizeof word);
        return word;
    }
    static std::uint64_t round(std::uint64_t lane, std::uint64_t input) noexcept {
        return std::rotl(lane + input * prime_2, 31) * prime_1;
    }
    static std::uint64_t add_8(std::uint64_t h, std::uint64_t word) noexcept {
        return std::rotl(h ^ round(0, word), 27) * prime_1 + prime_4;
    }
    static std::uint64_t add_4(std::uint64_t h, std::uint32_t word) noexcept {
        return std::rotl(h ^ word * prime_1, 23) * prime_2 + prime_3;
    }
    static std::uint64_t avalanche(std::uint64_t h) noexcept {
        h = (h ^ h >> 33) * prime_2;
        h = (h ^ h >> 29) * prime_3;
        return h ^ h >> 32;
    }
};

}  // namespace runnel::detail
