#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "runnel/state/table.hpp"

namespace runnel {

/// Calls `update(V&, i, created)` for the key of each i in [first, last), in this order, making missing values by V().
///
/// `key_at(i)` gives the key, by value or reference; it is called a few times for each i, the last time just before
/// `update`. The functions are fastest if they hold their pointers by value: `[=]`, not `[&]`. `update` must not insert
/// into or erase from the table.
/// Throws: what the functions throw. When one does at i, which is the one that `key_at` was called for last, the keys
/// before i are updated, and those behind are not; if it is `update`, the key of i is there.
/// Complexity: O(last - first). A table beyond the near caches is read in stages, a block of keys at a time, so that
/// the memory fetches of a block overlap.
template <class Table, class KeyAt, class Update>
void update_batch(Table& into, std::size_t first, std::size_t last, KeyAt key_at, Update update) {
    // Enough keys to keep all of the memory's channels busy, few enough for their lines to stay in the second-level
    // cache. Below the first bound the processor overlaps enough by itself; below the second the tags are near.
    constexpr std::size_t block = 512;
    constexpr std::size_t near_bytes = 1 << 20;
    constexpr std::size_t near_tags = 1 << 19;

    const auto hash = into.hash_function();
    if (into.is_watched()) [[unlikely]] {
        std::size_t i = first;
        try {
            for (; i != last; ++i) {
                auto&& key = key_at(i);
                into.announce(key, hash(key));
            }
        } catch (...) {
            if (i != first) {
                update_batch(into, first, i, key_at, update);
                (void)key_at(i);
            }
            throw;
        }
    }
    auto find = into.searches();
    const auto insert = [&]<class Key>(Key&& key, std::uint64_t h, std::size_t i) {
        auto& value = into.create(std::forward<Key>(key), h);
        find = into.searches();
        update(value, i, true);
    };

    while (first != last && into.memory_bytes() <= near_bytes) {
        const std::size_t end = first + std::min(block, last - first);
        for (; first != end; ++first) {
            auto&& key = key_at(first);
            const std::uint64_t h = hash(key);
            if (auto* value = find(key, h)) [[likely]]
                update(*value, first, false);
            else
                insert(std::forward<decltype(key)>(key), h, first);
        }
    }

    std::uint64_t hashes[block];
    typename Table::finder::guess guesses[block];
    while (first != last) {
        const std::size_t slots = into.slots();
        std::size_t n = std::min(block, last - first);
        if (slots <= near_tags) {
            std::size_t j = 0;
            try {
                for (; j != n; ++j) guesses[j] = find.look_and_fetch(hashes[j] = hash(key_at(first + j)));
            } catch (...) {
                if (j == 0) throw;
                n = j;  // those before are done first
            }
        } else {
            std::size_t j = 0;
            try {
                for (; j != n; ++j) find.fetch(hashes[j] = hash(key_at(first + j)));
            } catch (...) {
                if (j == 0) throw;
                n = j;
            }
            for (j = 0; j != n; ++j) guesses[j] = find.look_and_fetch(hashes[j]);
        }
        // Growth makes the guesses void.
        for (std::size_t j = 0; j != n && into.slots() == slots; ++j, ++first) {
            auto&& key = key_at(first);
            if (auto* value = find(key, hashes[j], guesses[j])) [[likely]]
                update(*value, first, false);
            else
                insert(std::forward<decltype(key)>(key), hashes[j], first);
        }
    }
}

}  // namespace runnel
