#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "runnel/state/table.hpp"

namespace runnel {

/// Calls `update(V&, i, created)` for the key of each i in [first, last), in this order, making missing values by V().
///
/// `key_at(i)` gives the key, by value or reference, and is called up to twice for each i. A table that exceeds
/// the near caches is read in stages, a block of keys at a time: fetch the tags, fetch the slots, update.
/// `update` must not insert into or erase from the table. When it throws at i, the keys before i are updated, and
/// the key of i exists.
/// Complexity: O(last - first).
template <class Table, class KeyAt, class Update>
void update_batch(Table& into, std::size_t first, std::size_t last, KeyAt key_at, Update update) {
    constexpr std::size_t block = 128;
    constexpr std::size_t near_cache_bytes = 256 * 1024;
    auto update_one = [&](std::size_t i, std::uint64_t hash) {
        bool created;
        auto& value = into.get_or_create(key_at(i), hash, &created);
        update(value, i, created);
    };
    std::uint64_t hashes[block];
    while (first != last) {
        if (into.memory_bytes() <= near_cache_bytes) {
            update_one(first, into.hash(key_at(first)));
            ++first;
            continue;
        }
        const std::size_t n = std::min(block, last - first);
        for (std::size_t j = 0; j != n; ++j) into.prefetch(hashes[j] = into.hash(key_at(first + j)));
        for (std::size_t j = 0; j != n; ++j) into.prefetch_slot(hashes[j]);
        for (std::size_t j = 0; j != n; ++j) update_one(first + j, hashes[j]);
        first += n;
    }
}

}  // namespace runnel
