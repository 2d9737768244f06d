#include "runnel/core/crc32c.hpp"

#include <array>
#include <cstddef>
#include <cstring>

namespace runnel {

namespace {

constexpr std::uint32_t polynomial = 0x82F63B78;  // reflected
constexpr std::size_t lanes = 8;

/// tables[k][b]: what byte b does to the remainder when k more bytes follow it.
constexpr auto tables = [] {
    std::array<std::array<std::uint32_t, 256>, lanes> t{};
    for (std::uint32_t b = 0; b < 256; ++b) {
        std::uint32_t r = b;
        for (int i = 0; i < 8; ++i) r = r & 1 ? r >> 1 ^ polynomial : r >> 1;
        t[0][b] = r;
    }
    for (std::size_t k = 1; k < lanes; ++k)
        for (std::size_t b = 0; b < 256; ++b) t[k][b] = t[k - 1][b] >> 8 ^ t[0][t[k - 1][b] & 0xFF];
    return t;
}();

std::uint32_t by_table(const unsigned char* p, std::size_t n, std::uint32_t r) noexcept {
    for (; n >= lanes; p += lanes, n -= lanes) {
        const std::uint32_t low = r ^ (static_cast<std::uint32_t>(p[0]) | static_cast<std::uint32_t>(p[1]) << 8 |
                                       static_cast<std::uint32_t>(p[2]) << 16 | static_cast<std::uint32_t>(p[3]) << 24);
        r = tables[7][low & 0xFF] ^ tables[6][low >> 8 & 0xFF] ^ tables[5][low >> 16 & 0xFF] ^ tables[4][low >> 24] ^
            tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^ tables[0][p[7]];
    }
    for (; n != 0; ++p, --n) r = r >> 8 ^ tables[0][(r ^ *p) & 0xFF];
    return r;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) std::uint32_t by_instruction(const unsigned char* p, std::size_t n,
                                                               std::uint32_t r) noexcept {
    std::uint64_t wide = r;
    for (; n >= 8; p += 8, n -= 8) {
        std::uint64_t word;
        std::memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    r = static_cast<std::uint32_t>(wide);
    for (; n != 0; ++p, --n) r = __builtin_ia32_crc32qi(r, *p);
    return r;
}

auto choose() noexcept { return __builtin_cpu_supports("sse4.2") ? by_instruction : by_table; }

#else

auto choose() noexcept { return by_table; }

#endif

const unsigned char* bytes_of(std::string_view text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::uint32_t detail::crc32c_by_table(std::string_view bytes, std::uint32_t before) noexcept {
    return ~by_table(bytes_of(bytes), bytes.size(), ~before);
}

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before) noexcept {
    static const auto way = choose();
    return ~way(bytes_of(bytes), bytes.size(), ~before);
}

}  // namespace runnel
