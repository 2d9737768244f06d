#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/state/control_group.hpp"
#include "runnel/state/salted_hash.hpp"

namespace runnel {

namespace detail {

/// Memory for a table, uninitialised. From some megabytes on the system is asked for huge pages: random access to a
/// large table otherwise spends much of its time on translating addresses. Throws: std::bad_alloc.
void* allocate_table_memory(std::size_t bytes, std::size_t alignment);
/// Frees it; with the same figures.
void free_table_memory(void* memory, std::size_t bytes, std::size_t alignment) noexcept;

/// Is told before a table changes; see frozen_table.hpp.
class table_watcher {
public:
    /// The entry of this slot is about to be made, changed or destroyed.
    virtual void before_change(std::size_t slot) noexcept = 0;
    /// All entries are about to go or to move.
    virtual void before_end() noexcept = 0;

protected:
    ~table_watcher() = default;
};

}  // namespace detail

template <class K, class V>
class frozen_table;

/// Hash table from keys to values, made for updating many keys at a time, from a handful to tens of millions.
///
/// Open addressing in groups of 16 slots: one 16-byte comparison of tags finds a key's slot. A group counts the
/// keys that had to pass it, so erasing needs no tombstones, moves nothing, and a long-lived table doesn't decay.
/// The caller computes the hash by `hash(key)` and hands it to each call, so that it can prefetch in between;
/// `update_batch` does so. Keys and values may be move-only. `Hash` must mix well: all 64 bits are used.
/// Thread safety: distinct objects: safe, shared objects: unsafe.
/// Complexity: find, insert, erase O(1); growth doubles, O(size); iteration and clear O(size) plus a scan of one byte
/// per slot.
/// Throws: what keys and values throw; an insertion that throws has no effect, except that a move that throws while
/// the table grows leaves it empty.
/// Lifetime: references to values hold until the next insertion, or the erasure of that key.
template <class K, class V, class Hash = salted_hash<K>, class Match = detail::default_match>
class table {
    struct entry {
        K key;
        V value;
    };
    template <class, class>
    friend class frozen_table;
    static constexpr bool nothrow_equal = noexcept(std::declval<const K&>() == std::declval<const K&>());
    static constexpr bool nothrow_hash = noexcept(std::declval<const Hash&>()(std::declval<const K&>()));

public:
    using key_type = K;
    using mapped_type = V;
    class finder;

    table() = default;
    explicit table(Hash hash) : hash_(std::move(hash)) {}
    table(const table& other)
        requires std::is_copy_constructible_v<K> && std::is_copy_constructible_v<V>
        : table(other.hash_) {
        if (other.empty()) return;
        // Slot by slot, without looking for places: as fast as memory goes.
        allocate(other.groups());
        for (std::size_t s = other.next(0); s != other.slots(); s = other.next(s + 1)) {
            ::new (static_cast<void*>(find_.entries_ + s)) entry(other.find_.entries_[s]);
            find_.tags_[s] = other.find_.tags_[s];
            ++size_;
        }
        for (std::size_t g = 0; g != slots(); g += detail::group_slots) passed(g) = other.find_.passed(g);
    }
    table(table&& other) noexcept : hash_(other.hash_) { swap(other); }
    table& operator=(table other) noexcept {
        swap(other);
        return *this;
    }
    ~table() { release(); }

    /// The hash that the other members want; salted per process.
    std::uint64_t hash(const K& key) const noexcept(nothrow_hash) { return hash_(key); }
    const Hash& hash_function() const noexcept { return hash_; }
    /// For loops of searches; see there.
    const finder& searches() const noexcept { return find_; }

    /// Fetches what a later call with this hash reads first.
    [[gnu::always_inline]] void prefetch(std::uint64_t hash) const noexcept { find_.fetch(hash); }

    /// The value of `key`, made by `V()` if there was none.
    V& get_or_create(const K& key, std::uint64_t hash, bool* created = nullptr) {
        return get_or_make(key, hash, value_init, created);
    }
    V& get_or_create(K&& key, std::uint64_t hash, bool* created = nullptr) {
        return get_or_make(std::move(key), hash, value_init, created);
    }
    /// The value of `key`, made by `make()` if there was none; `make` must not touch the table.
    template <class Make>
    V& get_or_create_with(const K& key, std::uint64_t hash, Make&& make, bool* created = nullptr) {
        return get_or_make(key, hash, make, created);
    }
    template <class Make>
    V& get_or_create_with(K&& key, std::uint64_t hash, Make&& make, bool* created = nullptr) {
        return get_or_make(std::move(key), hash, make, created);
    }
    /// Adds a key that is known not to be there, with the value `V()`.
    V& create(const K& key, std::uint64_t hash) { return make_new(key, hash, value_init); }
    V& create(K&& key, std::uint64_t hash) { return make_new(std::move(key), hash, value_init); }

    V* find(const K& key, std::uint64_t hash) noexcept(nothrow_equal) { return find_(key, hash); }
    const V* find(const K& key, std::uint64_t hash) const noexcept(nothrow_equal) { return find_(key, hash); }

    bool erase(const K& key, std::uint64_t hash) noexcept(nothrow_equal) {
        const std::size_t slot = find_.slot_of(key, hash);
        if (slot == npos) return false;
        erase_slot(slot, hash);
        return true;
    }

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    /// Keys that fit before the next growth.
    std::size_t capacity() const noexcept { return limit_; }
    /// Bytes allocated, without what keys and values themselves own.
    std::size_t memory_bytes() const noexcept { return bytes_for(groups()); }

    /// Whether each change is announced first: `get_or_create` and `erase` do so by themselves; values that are got by
    /// `find` or `searches` are announced by `announce`.
    bool is_watched() const noexcept { return watcher_ != nullptr; }
    /// The value of `key`, if there is one, is about to change.
    void announce(const K& key, std::uint64_t hash) const noexcept(nothrow_equal) {
        if (!watcher_) [[likely]] return;
        const std::size_t slot = find_.slot_of(key, hash);
        if (slot != npos) watcher_->before_change(slot);
    }
    /// Has what is being copied from the table copied to the end.
    void unwatch() const noexcept {
        if (watcher_) watcher_->before_end();
    }

    /// Removes all keys; keeps the memory, unless less than a sixteenth of it was in use: then the next insertion
    /// starts with memory for twice the keys that there were.
    void clear() noexcept {
        unwatch();
        const std::size_t had = size_;
        if (had < slots() / 16) {
            release();
            first_groups_ = groups_for(2 * had);
        } else {
            destroy_entries();
            if (groups() != 0) std::memset(find_.tags_, 0, entries_at(groups()));
        }
    }
    /// Removes all keys and frees the memory.
    void release() noexcept {
        unwatch();
        destroy_entries();
        if (groups() != 0) detail::free_table_memory(find_.tags_, memory_bytes(), alignment);
        find_ = finder();
        limit_ = 0;
        first_groups_ = 1;
    }
    /// Makes room for `n` keys in all.
    void reserve(std::size_t n) {
        if (n > limit_) rehash(groups_for(n));
    }
    /// Gives memory back if less than an eighth of it is in use, for instance after many erasures.
    void shrink() {
        if (size_ == 0)
            release();
        else if (size_ < slots() / 8)
            rehash(groups_for(2 * size_));
    }

    // Iteration in slot order, resumable: a slot keeps its key until that is erased or the table grows.
    std::size_t slots() const noexcept { return groups() * detail::group_slots; }
    /// The first slot >= `from` that holds a key, or `slots()`.
    std::size_t next(std::size_t from) const noexcept {
        const std::size_t end = slots();
        if (from >= end) return end;
        std::size_t group = from / detail::group_slots * detail::group_slots;
        std::uint64_t used = used_in(group) & ~std::uint64_t{0} << (from - group);
        while (used == 0) {
            if ((group += detail::group_slots) == end) return end;
            used = used_in(group);
        }
        return group + first_bit(used);
    }
    const K& key_at(std::size_t slot) const noexcept { return find_.entries_[slot].key; }
    V& value_at(std::size_t slot) noexcept { return find_.entries_[slot].value; }
    const V& value_at(std::size_t slot) const noexcept { return find_.entries_[slot].value; }
    /// Removes the key in `slot`; other keys stay where they are, so an iteration just goes on.
    void erase_at(std::size_t slot) noexcept(nothrow_hash) { erase_slot(slot, hash(key_at(slot))); }

    /// Calls `f(const K&, V&)` for each key; `f` must not insert or erase.
    template <class F>
    void for_each(F&& f) {
        if (size_ == 0) return;
        for (std::size_t group = 0; group != slots(); group += detail::group_slots)
            for (std::uint64_t used = used_in(group); used != 0; used &= used - 1) {
                entry& e = find_.entries_[group + first_bit(used)];
                f(std::as_const(e.key), e.value);
            }
    }
    /// Calls `f(const K&, const V&)` for each key.
    template <class F>
    void for_each(F&& f) const {
        const_cast<table*>(this)->for_each([&](const K& key, V& value) { f(key, std::as_const(value)); });
    }

    void swap(table& other) noexcept {
        std::swap(hash_, other.hash_);
        std::swap(find_, other.find_);
        std::swap(size_, other.size_);
        std::swap(limit_, other.limit_);
        std::swap(first_groups_, other.first_groups_);
    }

private:
    static constexpr std::size_t npos = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t alignment = std::max<std::size_t>(64, alignof(entry));

    static std::size_t first_bit(std::uint64_t mask) noexcept {
        return static_cast<std::size_t>(std::countr_zero(mask));
    }
    std::size_t groups() const noexcept { return find_.entries_ ? find_.mask_ / detail::group_slots + 1 : 0; }
    std::uint64_t used_in(std::size_t group) const noexcept { return Match::empty(find_.group_at(group)) ^ 0xffffu; }
    std::uint8_t& passed(std::size_t group) noexcept { return const_cast<std::uint8_t&>(find_.passed(group)); }

    static constexpr auto value_init = [] { return V(); };

    template <class Key, class Make>
    V& get_or_make(Key&& key, std::uint64_t hash, Make& make, bool* created) {
        V* const there = find_(key, hash);
        if (created) *created = there == nullptr;
        if (!there) return make_new(std::forward<Key>(key), hash, make);
        if (watcher_) [[unlikely]] watcher_->before_change(find_.slot_of(key, hash));
        return *there;
    }
    template <class Key, class Make>
    V& make_new(Key&& key, std::uint64_t hash, Make& make) {
        if (size_ == limit_) grow();
        return value_at(insert_new(hash, [&](void* at) {
            if (watcher_) [[unlikely]]
                watcher_->before_change(static_cast<std::size_t>(static_cast<entry*>(at) - find_.entries_));
            ::new (at) entry{std::forward<Key>(key), make()};
        }));
    }

    /// Puts a key that isn't there into a free slot; there must be one. `construct(void*)` may throw.
    template <class Construct>
    std::size_t insert_new(std::uint64_t hash, Construct&& construct) {
        std::size_t group = find_.home(hash);
        std::uint64_t free;
        while ((free = Match::empty(find_.group_at(group))) == 0) group = find_.after(group, hash);
        const std::size_t slot = group + first_bit(free);
        construct(static_cast<void*>(find_.entries_ + slot));
        find_.tags_[slot] = static_cast<std::uint8_t>(detail::tag_word(hash));
        // A count that has reached 255 stays there: it is no longer known.
        for (std::size_t g = find_.home(hash); g != group; g = find_.after(g, hash)) passed(g) += passed(g) != 255;
        ++size_;
        return slot;
    }
    void erase_slot(std::size_t slot, std::uint64_t hash) noexcept {
        if (watcher_) [[unlikely]] watcher_->before_change(slot);
        std::destroy_at(find_.entries_ + slot);
        find_.tags_[slot] = 0;
        const std::size_t group = slot / detail::group_slots * detail::group_slots;
        for (std::size_t g = find_.home(hash); g != group; g = find_.after(g, hash)) passed(g) -= passed(g) != 255;
        --size_;
    }

    // Layout of the memory: the tags of all groups, their counts, the entries.
    static constexpr std::size_t entries_at(std::size_t groups) noexcept {
        return (groups * (sizeof(detail::control_group) + 1) + alignment - 1) / alignment * alignment;
    }
    static constexpr std::size_t bytes_for(std::size_t groups) noexcept {
        return entries_at(groups) + groups * detail::group_slots * sizeof(entry);
    }
    static constexpr std::size_t limit_for(std::size_t groups) noexcept {
        return groups == 1 ? detail::group_slots : groups * (detail::group_slots / 8 * 7);
    }
    static constexpr std::size_t groups_for(std::size_t n) noexcept {
        std::size_t groups = 1;
        while (limit_for(groups) < n) groups *= 2;
        return groups;
    }

    /// Memory for `groups` groups; there is none yet.
    void allocate(std::size_t groups) {
        void* memory = detail::allocate_table_memory(bytes_for(groups), alignment);
        std::memset(memory, 0, entries_at(groups));
        find_.tags_ = static_cast<std::uint8_t*>(memory);
        find_.entries_ = reinterpret_cast<entry*>(static_cast<char*>(memory) + entries_at(groups));
        find_.mask_ = (groups - 1) * detail::group_slots;
        limit_ = limit_for(groups);
    }

    void grow() { rehash(groups() != 0 ? 2 * groups() : first_groups_); }

    /// Moves all keys into memory of `groups` groups. They are taken in slot order and the low bits of the hash choose
    /// the group, so that doubling reads one stream and writes two.
    void rehash(std::size_t groups) {
        unwatch();
        std::vector<std::uint64_t> hashes;
        if constexpr (!nothrow_hash) {
            hashes.reserve(size_);
            for (std::size_t s = next(0); s != slots(); s = next(s + 1)) hashes.push_back(hash(key_at(s)));
        }
        table grown(hash_);
        grown.allocate(groups);
        try {
            std::size_t i = 0;
            for (std::size_t s = next(0); s != slots(); s = next(s + 1)) {
                std::uint64_t h;
                if constexpr (nothrow_hash)
                    h = hash(key_at(s));
                else
                    h = hashes[i++];
                grown.insert_new(h, [&](void* at) { ::new (at) entry(std::move(find_.entries_[s])); });
            }
        } catch (...) {
            release();
            throw;
        }
        swap(grown);
    }

    void destroy_entries() noexcept {
        if constexpr (!std::is_trivially_destructible_v<entry>)
            for (std::size_t s = next(0); s != slots(); s = next(s + 1)) std::destroy_at(find_.entries_ + s);
        size_ = 0;
    }

    void watch(detail::table_watcher& by) const noexcept { watcher_ = &by; }
    void watch_no_more() const noexcept { watcher_ = nullptr; }
    std::uint8_t tag_at(std::size_t slot) const noexcept { return find_.tags_[slot]; }
    const entry& entry_at(std::size_t slot) const noexcept { return find_.entries_[slot]; }

    [[no_unique_address]] Hash hash_{};
    finder find_;
    mutable detail::table_watcher* watcher_ = nullptr;
    std::size_t size_ = 0;
    std::size_t limit_ = 0;
    std::size_t first_groups_ = 1;
};

/// What a search of a table reads. A loop of searches copies it, so that the compiler keeps it in registers while
/// values are written. Valid until the next insertion.
template <class K, class V, class Hash, class Match>
class table<K, V, Hash, Match>::finder {
public:
    /// Where the search for a key shall look first; null if nothing is known. Void after growth and erasure.
    using guess = entry*;

    // Inlined by force: gcc 12 takes a function that only fetches for one without effect, and drops calls of it.

    /// Fetches the tags.
    [[gnu::always_inline]] void fetch(std::uint64_t hash) const noexcept { __builtin_prefetch(tags_ + home(hash)); }
    /// Reads the tags, best after having fetched them, and fetches the entry that will be read or made.
    [[gnu::always_inline]] guess look_and_fetch(std::uint64_t hash) const noexcept {
        std::size_t group = home(hash);
        std::uint64_t same = Match::equal(group_at(group), detail::tag_word(hash));
        if (same == 0 && passed(group) != 0) {
            group = after(group, hash);
            same = Match::equal(group_at(group), detail::tag_word(hash));
        }
        const std::size_t slot = group + first_bit(same != 0 ? same : Match::empty(group_at(group)) | 1);
        // An address, not a pointer: an empty table has no entries.
        const std::uintptr_t at = reinterpret_cast<std::uintptr_t>(entries_) + slot * sizeof(entry);
        __builtin_prefetch(reinterpret_cast<const void*>(at), 1);
        if constexpr (sizeof(entry) > alignof(entry))
            __builtin_prefetch(reinterpret_cast<const void*>(at + sizeof(entry) - 1), 1);
        return same != 0 ? entries_ + slot : nullptr;
    }
    /// The value of `key`, or null. What nearly always succeeds, the first slot with the right tag, is inlined.
    [[gnu::always_inline]] V* operator()(const K& key, std::uint64_t hash) const noexcept(nothrow_equal) {
        const std::size_t group = home(hash);
        const std::uint64_t same = Match::equal(group_at(group), detail::tag_word(hash));
        if (same != 0) [[likely]] {
            entry& e = entries_[group + first_bit(same)];
            if (e.key == key) [[likely]] return &e.value;
        }
        return search(key, hash, same);
    }
    V* operator()(const K& key, std::uint64_t hash, guess g) const noexcept(nothrow_equal) {
        if (g && g->key == key) [[likely]] return &g->value;
        return search(key, hash, Match::equal(group_at(home(hash)), detail::tag_word(hash)));
    }

private:
    friend table;

    std::size_t home(std::uint64_t hash) const noexcept { return hash & mask_; }
    /// The next group to search. The distance depends on the hash, so that keys that crowd a part of the table (taken
    /// from another one in slot order) soon leave it; it is odd in groups, so that it reaches all.
    std::size_t after(std::size_t group, std::uint64_t hash) const noexcept {
        return (group + ((hash >> 32) | 1) * detail::group_slots) & mask_;
    }
    const detail::control_group& group_at(std::size_t group) const noexcept {
        return *reinterpret_cast<const detail::control_group*>(tags_ + group);
    }
    const std::uint8_t& passed(std::size_t group) const noexcept {
        return tags_[mask_ + detail::group_slots + group / detail::group_slots];
    }
    /// `same`: the slots of the key's first group that have its tag.
    [[gnu::noinline]] V* search(const K& key, std::uint64_t hash, std::uint64_t same) const noexcept(nothrow_equal) {
        const std::size_t slot = slot_of(key, hash, same);
        return slot == npos ? nullptr : &entries_[slot].value;
    }
    std::size_t slot_of(const K& key, std::uint64_t hash) const noexcept(nothrow_equal) {
        return slot_of(key, hash, Match::equal(group_at(home(hash)), detail::tag_word(hash)));
    }
    std::size_t slot_of(const K& key, std::uint64_t hash, std::uint64_t same) const noexcept(nothrow_equal) {
        std::size_t group = home(hash);
        for (;;) {
            for (; same != 0; same &= same - 1) {
                const std::size_t slot = group + first_bit(same);
                if (entries_[slot].key == key) [[likely]] return slot;
            }
            if (passed(group) == 0) return npos;
            group = after(group, hash);
            if (group == home(hash)) return npos;
            same = Match::equal(group_at(group), detail::tag_word(hash));
        }
    }

    /// What an empty table searches: one group without keys; never written.
    alignas(detail::control_group) static constexpr std::uint8_t nothing[detail::group_slots + 1] = {};

    std::uint8_t* tags_ = const_cast<std::uint8_t*>(nothing);
    entry* entries_ = nullptr;
    std::size_t mask_ = 0;  ///< of the slot numbers where groups begin
};

}  // namespace runnel
