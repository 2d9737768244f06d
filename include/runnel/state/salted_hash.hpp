#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// The secret that keeps outsiders from choosing keys that collide.
struct hash_salt {
    std::uint64_t a;
    std::uint64_t b;
    /// Drawn from the system's random device once per process. Thread safety: safe.
    static const hash_salt& of_process() {
        static const hash_salt salt = [] {
            std::random_device device;
            auto word = [&] { return std::uint64_t{device()} << 32 | device(); };
            const std::uint64_t a = word();
            return hash_salt{a, word()};
        }();
        return salt;
    }
};

namespace detail {

/// Both halves of the 128-bit product, folded: every bit of the answer depends on every bit of `a` and `b`.
inline std::uint64_t fold_multiply(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using wide = unsigned __int128;
    const wide product = static_cast<wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline constexpr std::uint64_t mix_1 = 0x9e3779b97f4a7c15u;  // 2^64 / golden ratio
inline constexpr std::uint64_t mix_2 = 0xbf58476d1ce4e5b9u;  // odd, half of its bits set

/// Two rounds: one alone leaves keys of a fixed distance unevenly spread for some distances.
inline std::uint64_t salted_word(std::uint64_t x, const hash_salt& salt) noexcept {
    return fold_multiply(fold_multiply(x ^ salt.a, mix_1) ^ salt.b, mix_2);
}

inline std::uint64_t load_bytes(const char* p, std::size_t n) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, p, n);
    return word;
}

inline std::uint64_t salted_bytes(std::string_view bytes, const hash_salt& salt) noexcept {
    const char* p = bytes.data();
    std::size_t n = bytes.size();
    std::uint64_t h = salt.a ^ n * mix_2;
    for (; n > 16; p += 16, n -= 16)
        h = fold_multiply(load_bytes(p, 8) ^ salt.b ^ mix_1, load_bytes(p + 8, 8) ^ h);
    std::uint64_t first = 0, second = 0;
    if (n > 8) {
        first = load_bytes(p, 8);
        second = load_bytes(p + n - 8, 8);
    } else if (n >= 4) {
        first = load_bytes(p, 4);
        second = load_bytes(p + n - 4, 4);
    } else if (n > 0) {
        first = load_bytes(p, 1) | load_bytes(p + n / 2, 1) << 8 | load_bytes(p + n - 1, 1) << 16;
    }
    h = fold_multiply(first ^ salt.b ^ mix_1, second ^ h);
    return fold_multiply(h ^ salt.a, mix_2);
}

}  // namespace detail

/// A hash for keys in memory: fast, salted, different in each process; never used to place a key on a subtask.
///
/// Knows integers, enums, floating point (0.0 and -0.0 alike), timestamps, strings, pairs, tuples, optionals,
/// vectors; any other key is hashed through the bytes of its codec. Thread safety: safe.
template <class K>
class salted_hash {
public:
    salted_hash() : salt_(hash_salt::of_process()) {}
    explicit salted_hash(const hash_salt& salt) noexcept : salt_(salt) {}
    std::uint64_t operator()(const K& key) const noexcept(!by_codec) { return hash(key, salt_); }

private:
    static constexpr bool by_codec =
        !std::is_arithmetic_v<K> && !std::is_enum_v<K> && !std::is_convertible_v<const K&, std::string_view>;

    static std::uint64_t hash(const K& key, const hash_salt& salt) {
        if constexpr (std::is_floating_point_v<K>) {
            const double d = key == K{} ? 0.0 : static_cast<double>(key);
            std::uint64_t bits;
            std::memcpy(&bits, &d, sizeof d);
            return detail::salted_word(bits, salt);
        } else if constexpr (std::is_arithmetic_v<K> || std::is_enum_v<K>) {
            return detail::salted_word(static_cast<std::uint64_t>(key), salt);
        } else if constexpr (std::is_convertible_v<const K&, std::string_view>) {
            return detail::salted_bytes(std::string_view(key), salt);
        } else {
            static_assert(encodable<K>, "a key needs a codec: specialise runnel::codec for it");
            thread_local std::string bytes;
            bytes.clear();
            codec<K>::encode(key, bytes);
            return detail::salted_bytes(bytes, salt);
        }
    }

    hash_salt salt_;
};

}  // namespace runnel
