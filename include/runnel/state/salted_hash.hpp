#pragma once

#include <array>
#include <chrono>
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
    /// Drawn from the system's random device, once in a process. Thread safety: safe.
    static const hash_salt& of_process() {
        static const hash_salt salt = [] {
            std::random_device device;
            auto word = [&] {
                const std::uint64_t high = device();
                return high << 32 | device();
            };
            const std::uint64_t a = word();
            return hash_salt{a, word()};
        }();
        return salt;
    }
};

namespace detail {

/// Both halves of the 128-bit product, folded: the low bits too depend on all bits of the factors.
inline std::uint64_t fold_multiply(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using wide = unsigned __int128;
    const wide product = static_cast<wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline constexpr std::uint64_t mix_1 = 0x9e3779b97f4a7c15u;  // 2^64 / golden ratio
inline constexpr std::uint64_t mix_2 = 0xbf58476d1ce4e5b9u;  // odd, half of its bits set

/// One multiplication by a constant that is known to be good: dense keys, and keys of a fixed distance, come out at
/// least as evenly spread as random ones. Of secret multipliers one in a hundred would be bad for dense keys.
inline std::uint64_t salted_word(std::uint64_t x, const hash_salt& salt) noexcept {
    return fold_multiply(x ^ salt.a, mix_2);
}

inline std::uint64_t load_bytes(const char* p, std::size_t n) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, p, n);
    return word;
}

/// Two words a round; the last two overlap what came before, so that there is no loop over single bytes.
inline std::uint64_t salted_bytes(std::string_view bytes, const hash_salt& salt) noexcept {
    const char* p = bytes.data();
    std::size_t n = bytes.size();
    std::uint64_t h = salt.a ^ n * mix_1;
    for (; n > 16; p += 16, n -= 16) h = fold_multiply(load_bytes(p, 8) ^ salt.b, load_bytes(p + 8, 8) ^ h);
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
    h = fold_multiply(first ^ salt.b, second ^ h);
    return fold_multiply(h ^ salt.a, mix_2);
}

inline std::uint64_t salted_pair(std::uint64_t so_far, std::uint64_t next, const hash_salt& salt) noexcept {
    return fold_multiply(so_far ^ salt.b, next ^ mix_1);
}

/// The hash of one type: through the bytes of its codec, unless there is a shorter way below.
template <class K>
struct salted {
    static_assert(encodable<K>, "a key needs a codec: specialise runnel::codec for it");
    static std::uint64_t hash(const K& key, const hash_salt& salt) {
        thread_local std::string bytes;
        bytes.clear();
        codec<K>::encode(key, bytes);
        return salted_bytes(bytes, salt);
    }
};

template <class K>
    requires std::is_integral_v<K> || std::is_enum_v<K>
struct salted<K> {
    static std::uint64_t hash(K key, const hash_salt& salt) noexcept {
        return salted_word(static_cast<std::uint64_t>(key), salt);
    }
};

template <class K>
    requires std::is_floating_point_v<K>
struct salted<K> {
    static std::uint64_t hash(K key, const hash_salt& salt) noexcept {
        const auto number = key == K{} ? 0.0 : static_cast<double>(key);  // 0.0 equals -0.0
        return salted_word(load_bytes(reinterpret_cast<const char*>(&number), sizeof number), salt);
    }
};

template <class K>
    requires std::is_convertible_v<const K&, std::string_view>
struct salted<K> {
    static std::uint64_t hash(std::string_view key, const hash_salt& salt) noexcept { return salted_bytes(key, salt); }
};

template <>
struct salted<timestamp> {
    static std::uint64_t hash(timestamp key, const hash_salt& salt) noexcept {
        return salted_word(static_cast<std::uint64_t>(key.ns()), salt);
    }
};

template <class Rep, class Period>
struct salted<std::chrono::duration<Rep, Period>> {
    static std::uint64_t hash(std::chrono::duration<Rep, Period> key, const hash_salt& salt) noexcept {
        return salted<Rep>::hash(key.count(), salt);
    }
};

template <class T>
inline constexpr bool nothrow_salted =
    noexcept(salted<T>::hash(std::declval<const T&>(), std::declval<const hash_salt&>()));

template <class... Ts>
struct salted<std::tuple<Ts...>> {
    static std::uint64_t hash(const std::tuple<Ts...>& key, const hash_salt& salt)
        noexcept((nothrow_salted<Ts> && ...)) {
        std::uint64_t h = mix_2;
        std::apply([&](const Ts&... part) { ((h = salted_pair(h, salted<Ts>::hash(part, salt), salt)), ...); }, key);
        return h;
    }
};

template <class A, class B>
struct salted<std::pair<A, B>> {
    static std::uint64_t hash(const std::pair<A, B>& key,
                              const hash_salt& salt) noexcept(nothrow_salted<A>&& nothrow_salted<B>) {
        return salted_pair(salted<A>::hash(key.first, salt), salted<B>::hash(key.second, salt), salt);
    }
};

template <class T>
struct salted<std::optional<T>> {
    static std::uint64_t hash(const std::optional<T>& key, const hash_salt& salt) noexcept(nothrow_salted<T>) {
        return key ? salted_pair(mix_2, salted<T>::hash(*key, salt), salt) : salted_word(mix_1, salt);
    }
};

template <class List, class T>
struct salted_list {
    static std::uint64_t hash(const List& key, const hash_salt& salt) noexcept(nothrow_salted<T>) {
        std::uint64_t h = salted_word(key.size(), salt);
        for (const T& element : key) h = salted_pair(h, salted<T>::hash(element, salt), salt);
        return h;
    }
};
template <class T, class Allocator>
struct salted<std::vector<T, Allocator>> : salted_list<std::vector<T, Allocator>, T> {};
template <class T, std::size_t N>
struct salted<std::array<T, N>> : salted_list<std::array<T, N>, T> {};

}  // namespace detail

/// The hash of keys in memory: fast, and different in each process; never used to place a key on a subtask.
///
/// Knows integers, enums, floating point, times, durations, strings, pairs, tuples, optionals, vectors and arrays; any
/// other key, such as a described struct, is hashed through the bytes of its codec.
/// Thread safety: safe.
/// Throws: only what the codec throws, for keys that need it.
template <class K>
class salted_hash {
public:
    salted_hash() : salt_(hash_salt::of_process()) {}
    /// With a salt of one's own, for tests.
    explicit salted_hash(const hash_salt& salt) noexcept : salt_(salt) {}
    std::uint64_t operator()(const K& key) const noexcept(detail::nothrow_salted<K>) {
        return detail::salted<K>::hash(key, salt_);
    }

private:
    hash_salt salt_;
};

}  // namespace runnel
