#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/codec/codec.hpp"
#include "runnel/core/timestamp.hpp"
#include "runnel/core/xxh64.hpp"

namespace runnel {

/// Version of `stable_hash` and `key_group_of`; a saved state whose groups were made by another one can't be loaded.
inline constexpr unsigned key_group_version = 1;

/// XXH64, seed 0, of the key's encoded bytes: the same on every machine and in every release. -0.0 counts as 0.0.
template <class K>
std::uint64_t stable_hash(const K& key) {
    if constexpr (std::is_same_v<K, timestamp>) {
        return stable_hash(key.ns());
    } else if constexpr (std::is_arithmetic_v<K> || std::is_enum_v<K>) {
        static_assert(!std::is_same_v<K, long double>, "long double has unused bytes; use double as a key");
        K value = key;
        if constexpr (std::is_floating_point_v<K>)
            if (value == K{}) value = K{};
        if constexpr (sizeof(K) == 8) {
            std::uint64_t word;
            std::memcpy(&word, &value, 8);
            return detail::xxh64::of_8(word);
        } else if constexpr (sizeof(K) == 4) {
            std::uint32_t word;
            std::memcpy(&word, &value, 4);
            return detail::xxh64::of_4(word);
        } else {
            char bytes[sizeof(K)];
            std::memcpy(bytes, &value, sizeof(K));
            return detail::xxh64::of({bytes, sizeof(K)});
        }
    } else {
        static_assert(encodable<K>, "a key needs a codec: specialise runnel::codec for it");
        thread_local std::string bytes;
        bytes.clear();
        codec<K>::encode(key, bytes);
        return detail::xxh64::of(bytes);
    }
}

/// The key group of `key` among `groups`, which is fixed for the life of a job's state.
template <class K>
key_group key_group_of(const K& key, std::size_t groups) {
    return static_cast<key_group>(stable_hash(key) % groups);
}

/// The subtask, of `parallelism`, that owns group `g` of `groups`.
constexpr std::size_t subtask_of(key_group g, std::size_t groups, std::size_t parallelism) noexcept {
    return g * parallelism / groups;
}

/// The groups that `subtask` of `parallelism` owns: exactly those that `subtask_of` maps to it. Empty if there are
/// more subtasks than groups and this one gets none.
constexpr key_group_range range_of(std::size_t subtask, std::size_t parallelism, std::size_t groups) noexcept {
    auto first_of = [&](std::size_t s) {
        return static_cast<key_group>((s * groups + parallelism - 1) / parallelism);
    };
    return {first_of(subtask), first_of(subtask + 1)};
}

/// True for keys that don't equal themselves, such as NaN, and what holds one: they could never be found again.
template <class K>
bool is_unusable_key(const K& key) {
    if constexpr (std::is_integral_v<K> || std::is_enum_v<K> || std::is_convertible_v<const K&, std::string_view>) {
        return false;
    } else {
        const K& same = key;
        return !(key == same);
    }
}

}  // namespace runnel
