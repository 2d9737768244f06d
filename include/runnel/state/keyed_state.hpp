#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/codec/binary.hpp"
#include "runnel/state/frozen_slots.hpp"
#include "runnel/state/frozen_table.hpp"
#include "runnel/state/group_watermarks.hpp"
#include "runnel/state/key_group.hpp"
#include "runnel/state/saved_layout.hpp"
#include "runnel/state/state_store.hpp"
#include "runnel/state/table.hpp"

// State by key, in one key group. "state NAME": key, what it holds; repeated. "timer NAME": key, number of times
// (uint64), times. "watermark": the operator's (int64, ns).
// Local state "declared": the states in words, see state_store. "broadcast NAME": a copy of it. "layouts": what the
// bytes mean, see saved_layout.

namespace runnel::detail {

/// The states and timers of one subtask's keys.
///
/// Thread safety: unsafe.
/// Complexity: one search of a hash table per record; none per timer. Of keys that are away, see `away_keys`.
template <class K>
class keyed_state final : public state_store {
public:
    ~keyed_state() override { this->unfreeze(); }

    /// After the function has declared all.
    void open(std::size_t key_groups, key_group_range mine, const clock* clock) {
        declared_all();
        groups_ = key_groups;
        mine_ = mine;
        restored_.set_groups(key_groups);
        set_clock(clock);
    }

    std::uint64_t hash(const K& key) const { return index_.hash(key); }
    const auto& searches() const noexcept { return index_.searches(); }

    /// Takes the key of a record in hand, until `leave`. `key` must stay where it is.
    void enter_key(const K& key, std::uint64_t hash, timestamp t) {
        key_ = &key;
        hash_ = hash;
        const slot* s = index_.find(key, hash);
        if (!s && away()) [[unlikely]] return enter(look_away(key, hash), t);
        enter(s ? *s : no_slot, t);
    }
    /// Takes the key of a timer in hand.
    void enter_slot(slot s, timestamp t) {
        key_ = &*keys_[s];
        enter(s, t);
    }
    /// The key in hand.
    const K& key() const noexcept { return *key_; }
    const K& key_of(slot s) const noexcept { return *keys_[s]; }
    /// Keys that hold something now.
    std::size_t live_keys() const noexcept { return index_.size() + (away() ? away()->size() : 0); }
    /// Calls `f(key)` for each of them that is in memory.
    template <class F>
    void for_each_key(F f) const {
        index_.for_each([&](const K& key, slot) { f(key); });
    }

    /// The watermark that counts for `key`, the operator's being `w`.
    timestamp watermark_of(const K& key, timestamp w) const { return restored_.of(key, w); }
    const group_watermarks& restored() const noexcept { return restored_; }
    std::size_t key_groups() const noexcept { return groups_; }

    void save(snapshot_writer& to, timestamp watermark) const {
        for (key_group g = mine_.first; g < mine_.last; ++g)
            codec<timestamp>::encode(restored_.of_group(g, watermark), to.keyed("watermark", g));
        to.local("declared") = text();
        for (const auto& b : broadcasts()) b->save(to, "broadcast " + b->declared().name);
        save_key_layout<K>(to);
        for (const auto& column : columns()) column->save_layouts(to);
        this->unfreeze();
        save_gradually(to, std::make_shared<frozen_slots>(*this, keys_.size()),
                       [others = away() ? away()->view() : nullptr, mine = mine_](snapshot_writer& into,
                                                                                  frozen_slots& in_memory) {
                           if (others) into.keyed(away_keys::with_away(others, in_memory, mine));
                           else in_memory.write(into);
                       });
    }

    /// Returns the watermark to begin with. `subtask` chooses which copy of broadcast state it takes.
    timestamp load(const snapshot_reader& from, std::size_t subtask) {
        from.local("declared", [&](std::string_view saved) { check(saved); });
        check_key_layout<K>(from);
        for (const auto& column : columns()) column->load_layouts(from);
        std::optional<timestamp> lowest;
        from.keyed("watermark", [&](key_group g, std::string_view bytes) {
            byte_reader in(bytes);
            const timestamp w = codec<timestamp>::decode(in);
            restored_.set(g, w);
            lowest = lowest ? std::min(*lowest, w) : w;
        });
        for (const auto& column : columns())
            load_part(from, "state " + column->declared().name,
                      [&](slot s, byte_reader& in) { column->load(s, in); });
        for (timer_queue* queue : {&event_timers(), &processing_timers()})
            for (std::uint32_t i = 0; i < queue->timers().size(); ++i)
                load_part(from, "timer " + queue->timers()[i].name, [&](slot s, byte_reader& in) {
                    for (auto n = codec<std::uint64_t>::decode(in); n != 0; --n)
                        queue->add(s, i, codec<timestamp>::decode(in));
                });
        for (const auto& b : broadcasts()) {
            std::vector<std::string_view> copies;
            const std::string name = "broadcast " + b->declared().name;
            from.local(name, [&](std::string_view bytes) { copies.push_back(bytes); });
            if (copies.empty()) continue;
            byte_reader in(copies[subtask % copies.size()]);
            b->load(from, name, in);
        }
        return lowest.value_or(timestamp::min());
    }

private:
    template <class Load>
    void load_part(const snapshot_reader& from, const std::string& name, Load load) {
        from.keyed(name, [&](key_group, std::string_view bytes) {
            for (byte_reader in(bytes); !in.empty();) {
                const K key = codec<K>::decode(in);
                enter_key(key, hash(key), timestamp::min());
                const slot s = make_slot("state", name);
                load(s, in);
                leave();
            }
        });
    }

    slot create_slot() override {
        if (away()) [[unlikely]] make_room();
        return add_slot(*key_, hash_);
    }
    slot add_slot(const K& key, std::uint64_t hash) {
        slot s;
        if (free_.empty()) {
            if (keys_.size() >= no_slot) fail_too_many_keys();
            s = static_cast<slot>(keys_.size());
            if (s == room_) [[unlikely]] grow();
            keys_.emplace_back(key);
        } else {
            s = free_.back();
            this->announce(s);
            free_.pop_back();
            keys_[s].emplace(key);
        }
        index_.create(key, hash) = s;
        begin_slot();
        return s;
    }
    [[gnu::noinline]] void grow() {
        const std::size_t more = room_ + room_ / 2 + 16;
        keys_.reserve(more);
        this->grow_to(more);
        room_ = more;
    }
    void release_slot(slot s) override {
        const K& key = *keys_[s];
        if (away() && away()->has_copy(s)) [[unlikely]] away()->remove_copy(s, bytes_of(key));
        index_.erase(key, index_.hash(key));
        keys_[s].reset();
        free_.push_back(s);
    }

    /// The slot of a key that is not in memory: brought back, or none if it holds nothing.
    [[gnu::noinline]] slot look_away(const K& key, std::uint64_t hash) {
        make_room();
        if (!away()->find(bytes_of(key))) return no_slot;
        const slot s = add_slot(key, hash);
        away()->bring_back(s);
        return s;
    }
    void append_slot(slot s, std::string& out) const override {
        if (!keys_[s]) return;
        state_parts::append_sized(out, [&] { append_bytes(*keys_[s], out); });
        state_parts::append_sized(out, [&] { parts().append_record(s, out); });
    }
    slot fetch(std::string_view bytes) override {
        byte_reader in(bytes.substr(sizeof(key_group)));
        const K key = codec<K>::decode(in);
        const slot s = look_away(key, hash(key));
        if (s == no_slot) away_keys::fail_lost();
        return s;
    }
    /// Has keys put away until there is room for one more, the longest in memory first.
    void make_room() {
        for (std::size_t tries = keys_.size(); tries != 0 && index_.size() >= away()->most_in_memory(); --tries) {
            next_away_ = next_away_ + 1 < keys_.size() ? next_away_ + 1 : 0;
            const slot s = next_away_;
            // Timers that are held up because their key is ahead must stay at hand.
            const bool stays = !keys_[s] || s == in_hand() ||
                               (restored_.highest() != timestamp::min() &&
                                event_timers().first_of(s) <= restored_.highest());
            if (stays) continue;
            this->announce(s);
            away()->put_away(s, bytes_of(*keys_[s]));
        }
    }
    /// The key as it is known to `state_parts`: first its group, so that those of a group lie together in a store.
    void append_bytes(const K& key, std::string& out) const {
        const key_group g = key_group_of(key, groups_);
        out += static_cast<char>(g >> 8);
        out += static_cast<char>(g);
        // Equal keys have equal bytes.
        if constexpr (std::is_floating_point_v<K>) codec<K>::encode(key == K{} ? K{} : key, out);
        else codec<K>::encode(key, out);
    }
    std::string bytes_of(const K& key) const {
        std::string bytes;
        append_bytes(key, bytes);
        return bytes;
    }

    table<K, slot> index_;
    std::vector<std::optional<K>> keys_;  ///< By slot.
    std::size_t room_ = 0;  ///< Slots that there is room for.
    std::vector<slot> free_;
    slot next_away_ = 0;
    const K* key_ = nullptr;
    std::uint64_t hash_ = 0;
    std::size_t groups_ = 128;
    key_group_range mine_{0, 128};
    group_watermarks restored_;
};

}  // namespace runnel::detail
