#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/state/control_group.hpp"
#include "runnel/state/salted_hash.hpp"

namespace runnel {

/// Hash table from keys to values, made for updating many keys at a time, from a handful to tens of millions.
///
/// Open addressing in groups of 15 slots: one 16-byte comparison of tags finds a key's slot; overflow counts make
/// tombstones needless, so erasing moves nothing and a long-lived table doesn't decay. The caller computes the
/// hash by `hash(key)` and hands it to each call, so that it can prefetch in between; `update_batch` does so.
/// Keys and values may be move-only. A move that throws while the table grows leaves the table empty.
/// Thread safety: distinct objects: safe, shared objects: unsafe.
/// Complexity: find, insert, erase O(1); growth doubles; clear and iteration O(size) plus 1/16 byte-scan per slot.
/// Lifetime: references to values hold until the next insertion, or the erasure of that key.
template <class K, class V, class Hash = salted_hash<K>, class Match = detail::default_match>
class table {
public:
    using key_type = K;
    using mapped_type = V;

    table() = default;
    explicit table(Hash hash) : hash_(std::move(hash)) {}
    table(const table& other)
        requires std::is_copy_constructible_v<K> && std::is_copy_constructible_v<V>
        : hash_(other.hash_) {
        reserve(other.size_);
        for (std::size_t s = other.next(0); s != other.slots(); s = other.next(s + 1))
            insert_new(other.hash(other.key_at(s)), [&](void* at) { ::new (at) entry(other.entries_[s]); });
    }
    table(table&& other) noexcept(std::is_nothrow_copy_constructible_v<Hash>) : hash_(other.hash_) { swap(other); }
    table& operator=(table other) noexcept {
        swap(other);
        return *this;
    }
    ~table() { release(); }

    /// The hash that the other members want; salted per process.
    std::uint64_t hash(const K& key) const noexcept(nothrow_hash) { return hash_(key); }

    /// Fetches the tags that a later call with this hash reads first.
    void prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(&control_[hash & mask_]); }
    /// The slot that most likely holds the key, or `slots()`; fetches it. Reads the tags: `prefetch` them before.
    std::size_t prefetch_slot(std::uint64_t hash) const noexcept {
        const std::size_t group = hash & mask_;
        const unsigned same = Match::equal(control_[group], tag_of(hash));
        const unsigned candidates = same != 0 ? same : Match::empty(control_[group]);
        if (candidates == 0) return slots();
        const std::size_t slot = slot_of(group, candidates);
        const char* at = reinterpret_cast<const char*>(entries_ + slot);
        __builtin_prefetch(at, 1);
        if constexpr (sizeof(entry) > 8) __builtin_prefetch(at + sizeof(entry) - 1, 1);
        return same != 0 ? slot : slots();
    }

    /// The value of `key`, made by `V()` if there was none.
    V& get_or_create(const K& key, std::uint64_t hash, bool* created = nullptr) {
        return get_or_create_with(key, hash, [] { return V(); }, created);
    }
    /// The value of `key`, made by `make()` if there was none; `make` must not touch the table.
    template <class Make>
    V& get_or_create_with(const K& key, std::uint64_t hash, Make&& make, bool* created = nullptr) {
        std::size_t slot = locate(key, hash);
        const bool is_new = slot == npos;
        if (is_new) [[unlikely]] {
            if (size_ == limit_) grow();
            slot = insert_new(hash, [&](void* at) { ::new (at) entry{key, std::forward<Make>(make)()}; });
        }
        if (created) *created = is_new;
        return entries_[slot].value;
    }

    V* find(const K& key, std::uint64_t hash) noexcept {
        const std::size_t slot = locate(key, hash);
        return slot == npos ? nullptr : &entries_[slot].value;
    }
    const V* find(const K& key, std::uint64_t hash) const noexcept {
        const std::size_t slot = locate(key, hash);
        return slot == npos ? nullptr : &entries_[slot].value;
    }

    bool erase(const K& key, std::uint64_t hash) noexcept {
        const std::size_t slot = locate(key, hash);
        if (slot == npos) return false;
        erase_slot(slot, hash);
        return true;
    }

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    /// Keys that fit before the next growth.
    std::size_t capacity() const noexcept { return limit_; }
    /// Bytes allocated, without what keys and values themselves own.
    std::size_t memory_bytes() const noexcept { return entries_ ? bytes_for(mask_ + 1) : 0; }

    /// Removes all keys; keeps the memory, unless less than a sixteenth of it was in use: then the next insertion
    /// starts with memory for twice the keys that there were.
    void clear() noexcept {
        const std::size_t had = size_;
        destroy_entries();
        if (had < slots() / 16) {
            release();
            first_groups_ = groups_for(2 * had);
        } else if (entries_) {
            std::memset(static_cast<void*>(control_), 0, (mask_ + 1) * sizeof(control_group));
        }
    }
    /// Removes all keys and frees the memory.
    void release() noexcept {
        destroy_entries();
        if (entries_) deallocate(control_);
        control_ = empty_control();
        entries_ = nullptr;
        mask_ = limit_ = 0;
        first_groups_ = 1;
    }
    /// Makes room for `n` keys in all.
    void reserve(std::size_t n) {
        if (n > limit_) rehash(groups_for(n));
    }
    /// Gives memory back if less than an eighth of it is in use, for instance after many erasures.
    void shrink() {
        if (size_ == 0) release();
        else if (size_ < slots() / 8) rehash(groups_for(2 * size_));
    }

    // Iteration in slot order, resumable: a slot keeps its key until that is erased or the table grows.
    std::size_t slots() const noexcept { return entries_ ? (mask_ + 1) * detail::group_slots : 0; }
    /// The first slot >= `from` that holds a key, or `slots()`.
    std::size_t next(std::size_t from) const noexcept {
        const std::size_t end = slots();
        if (from >= end) return end;
        std::size_t group = from / detail::group_slots;
        unsigned used = used_in(group) & ~0u << from % detail::group_slots;
        while (used == 0) {
            if (++group > mask_) return end;
            used = used_in(group);
        }
        return slot_of(group, used);
    }
    const K& key_at(std::size_t slot) const noexcept { return entries_[slot].key; }
    V& value_at(std::size_t slot) noexcept { return entries_[slot].value; }
    const V& value_at(std::size_t slot) const noexcept { return entries_[slot].value; }
    /// Removes the key in `slot`; other keys stay where they are, so an iteration just goes on.
    void erase_at(std::size_t slot) noexcept(nothrow_hash) { erase_slot(slot, hash(entries_[slot].key)); }

    /// Calls `f(const K&, V&)` for each key; `f` must not insert or erase.
    template <class F>
    void for_each(F&& f) {
        if (size_ == 0) return;
        for (std::size_t group = 0; group <= mask_; ++group)
            for (unsigned used = used_in(group); used != 0; used &= used - 1) {
                entry& e = entries_[slot_of(group, used)];
                f(std::as_const(e.key), e.value);
            }
    }
    template <class F>
    void for_each(F&& f) const {
        const_cast<table*>(this)->for_each([&](const K& key, V& value) { f(key, std::as_const(value)); });
    }

    void swap(table& other) noexcept {
        std::swap(hash_, other.hash_);
        std::swap(control_, other.control_);
        std::swap(entries_, other.entries_);
        std::swap(mask_, other.mask_);
        std::swap(size_, other.size_);
        std::swap(limit_, other.limit_);
        std::swap(first_groups_, other.first_groups_);
    }

private:
    using control_group = detail::control_group;
    struct entry {
        K key;
        V value;
    };
    static constexpr std::size_t npos = std::numeric_limits<std::size_t>::max();
    static constexpr bool nothrow_hash = noexcept(std::declval<const Hash&>()(std::declval<const K&>()));
    static constexpr bool nothrow_relocation = std::is_nothrow_move_constructible_v<entry>;
    static constexpr std::size_t alignment = std::max<std::size_t>(64, alignof(entry));

    static control_group* empty_control() noexcept { return const_cast<control_group*>(&detail::no_slots); }
    static std::uint8_t tag_of(std::uint64_t hash) noexcept {
        const auto tag = static_cast<std::uint8_t>(hash >> 56);
        return tag + (tag == 0);
    }
    /// Distance between the groups that are searched for one key: odd, so that it visits them all. It depends on
    /// the hash, so keys that crowd a part of the table (taken from another one in slot order) soon leave it.
    static std::size_t step_of(std::uint64_t hash) noexcept { return (hash >> 32) | 1; }
    static std::size_t slot_of(std::size_t group, unsigned mask) noexcept {
        return group * detail::group_slots + static_cast<std::size_t>(std::countr_zero(mask));
    }
    unsigned used_in(std::size_t group) const noexcept { return Match::empty(control_[group]) ^ 0x7fffu; }

    std::size_t locate(const K& key, std::uint64_t hash) const noexcept {
        const std::uint8_t tag = tag_of(hash);
        std::size_t group = hash & mask_;
        for (std::size_t tried = 0; tried <= mask_; ++tried) {
            for (unsigned same = Match::equal(control_[group], tag); same != 0; same &= same - 1) {
                const std::size_t slot = slot_of(group, same);
                if (entries_[slot].key == key) [[likely]] return slot;
            }
            if (control_[group].overflow == 0) break;
            group = (group + step_of(hash)) & mask_;
        }
        return npos;
    }

    /// Puts a key that isn't there into a free slot; there must be one. `construct(void*)` may throw.
    template <class Construct>
    std::size_t insert_new(std::uint64_t hash, Construct&& construct) {
        std::size_t group = hash & mask_;
        unsigned free;
        while ((free = Match::empty(control_[group])) == 0) group = (group + step_of(hash)) & mask_;
        const std::size_t slot = slot_of(group, free);
        construct(static_cast<void*>(entries_ + slot));
        control_[group].tags[slot - group * detail::group_slots] = tag_of(hash);
        for (std::size_t passed = hash & mask_; passed != group; passed = (passed + step_of(hash)) & mask_)
            if (control_[passed].overflow != 255) ++control_[passed].overflow;
        ++size_;
        return slot;
    }

    void erase_slot(std::size_t slot, std::uint64_t hash) noexcept {
        const std::size_t group = slot / detail::group_slots;
        std::destroy_at(entries_ + slot);
        control_[group].tags[slot - group * detail::group_slots] = 0;
        for (std::size_t passed = hash & mask_; passed != group; passed = (passed + step_of(hash)) & mask_)
            if (control_[passed].overflow != 255) --control_[passed].overflow;
        --size_;
    }

    static std::size_t limit_for(std::size_t groups) noexcept {
        const std::size_t slots = groups * detail::group_slots;
        return groups == 1 ? slots : slots - slots / 8;
    }
    static std::size_t groups_for(std::size_t n) noexcept {
        std::size_t groups = std::bit_ceil(std::max<std::size_t>(1, n / detail::group_slots));
        while (limit_for(groups) < n) groups *= 2;
        return groups;
    }
    static std::size_t entries_at(std::size_t groups) noexcept {
        return (groups * sizeof(control_group) + alignment - 1) / alignment * alignment;
    }
    static std::size_t bytes_for(std::size_t groups) noexcept {
        return entries_at(groups) + groups * detail::group_slots * sizeof(entry);
    }
    static void deallocate(control_group* control) noexcept {
        ::operator delete(static_cast<void*>(control), std::align_val_t(alignment));
    }

    void grow() { rehash(entries_ ? 2 * (mask_ + 1) : first_groups_); }

    /// Moves all keys into memory of `groups` groups. Groups are taken in order and the low bits of the hash choose
    /// the group, so that doubling reads one stream and writes two.
    void rehash(std::size_t groups) {
        std::vector<std::uint64_t> hashes;
        if constexpr (!nothrow_hash) {
            hashes.reserve(size_);
            for (std::size_t s = next(0); s != slots(); s = next(s + 1)) hashes.push_back(hash(key_at(s)));
        }
        table grown(hash_);
        void* memory = ::operator new(bytes_for(groups), std::align_val_t(alignment));
        grown.control_ = static_cast<control_group*>(memory);
        grown.entries_ = reinterpret_cast<entry*>(static_cast<char*>(memory) + entries_at(groups));
        grown.mask_ = groups - 1;
        grown.limit_ = limit_for(groups);
        std::memset(memory, 0, groups * sizeof(control_group));
        try {
            std::size_t i = 0;
            for (std::size_t s = next(0); s != slots(); s = next(s + 1)) {
                entry& from = entries_[s];
                std::uint64_t h;
                if constexpr (nothrow_hash) h = hash_(from.key);
                else h = hashes[i++];
                grown.insert_new(h, [&](void* at) { ::new (at) entry(std::move(from)); });
            }
        } catch (...) {
            release();
            throw;
        }
        swap(grown);
    }

    void destroy_entries() noexcept {
        if constexpr (!std::is_trivially_destructible_v<entry>)
            for (std::size_t s = next(0); s != slots(); s = next(s + 1)) std::destroy_at(entries_ + s);
        size_ = 0;
    }

    [[no_unique_address]] Hash hash_{};
    control_group* control_ = empty_control();
    entry* entries_ = nullptr;
    std::size_t mask_ = 0;
    std::size_t size_ = 0;
    std::size_t limit_ = 0;
    std::size_t first_groups_ = 1;
};

}  // namespace runnel
