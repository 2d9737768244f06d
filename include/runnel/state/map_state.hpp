#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/state/state_column.hpp"

namespace runnel {

namespace detail {

template <class K2, class V>
class map_column final : public state_column {
    static_assert(std::totally_ordered<K2>, "map_state: the key of the map needs the operators < and ==");

public:
    using state_column::state_column;

    V* find(const K2& key) {
        const slot s = reading();
        if (!holds(s)) return nullptr;
        const auto it = cells_[s]->find(key);
        if (it == cells_[s]->end()) return nullptr;
        if (expires()) [[unlikely]] {
            if (it->second.until <= now()) return nullptr;
            if (refreshed_by_reading()) refresh(it->second);
        }
        return &it->second.value;
    }
    template <class Make>
    V& get_or_make(const K2& key, Make make) {
        const slot s = writing();
        elements& all = at(s);
        auto it = all.find(key);
        if (it != all.end() && expires() && it->second.until <= now()) {
            it = all.erase(it);
            --elements_;
        }
        if (it == all.end() || it->first != key) it = insert(s, key, make(), expires() ? fresh_until() : never);
        else if (expires()) refresh(it->second);
        return it->second.value;
    }
    void erase(const K2& key) {
        const slot s = reading();
        if (!holds(s)) return;
        if (const auto it = cells_[s]->find(key); it != cells_[s]->end()) erase(s, it);
    }
    void clear() {
        const slot s = reading();
        if (holds(s)) drop(s);
    }
    /// Calls `f(const K2&, V&)` for the elements that have not expired.
    template <class F>
    void for_each(F f) {
        const slot s = reading();
        if (!holds(s)) return;
        for (auto& [key, e] : *cells_[s]) {
            if (expires() && e.until <= now()) continue;
            if (expires() && refreshed_by_reading()) refresh(e);
            f(key, e.value);
        }
    }

    void grow_to(std::size_t slots) override { cells_.resize(slots); }
    bool holds(slot s) const override { return s < cells_.size() && cells_[s]; }
    void save(slot s, std::string& out) const override {
        codec<std::uint64_t>::encode(cells_[s]->size(), out);
        for (const auto& [key, e] : *cells_[s]) {
            encode(key, out);
            if (expires()) codec<timestamp>::encode(e.until, out);
            encode(e.value, out);
        }
    }
    void load(slot s, byte_reader& in) override {
        at(s);
        for (auto n = codec<std::uint64_t>::decode(in); n != 0; --n) {
            K2 key = decode<K2>(in, 1);
            const timestamp until = expires() ? codec<timestamp>::decode(in) : never;
            const std::size_t before = cells_[s]->size();
            insert(s, std::move(key), decode<V>(in), until);
            if (cells_[s]->size() == before) fail_double_key();
        }
    }
    void drop(slot s) override {
        elements_ -= cells_[s]->size();
        cells_[s].reset();
        scope().drop_use(s);
    }
    std::vector<layout> layouts() const override { return layouts_of<V, K2>(); }
    void sweep(timestamp limit) override {
        while (!queue_.empty() && queue_.front().at <= limit) {
            check due = std::move(queue_.front());
            queue_.pop_front();
            if (!holds(due.of)) continue;
            const auto it = cells_[due.of]->find(due.key);
            // Another time: the element was erased and made anew, and has an entry of its own.
            if (it == cells_[due.of]->end() || it->second.checked_at != due.at) continue;
            if (it->second.until > limit) {
                due.at = it->second.checked_at = it->second.until;
                queue_.push_back(std::move(due));
            } else {
                scope().announce(due.of);
                erase(due.of, it);
            }
        }
    }
    void expire(slot s, timestamp limit) override {
        if (!holds(s)) return;
        elements_ -= std::erase_if(*cells_[s], [&](const auto& e) { return e.second.until <= limit; });
        if (cells_[s]->empty()) drop(s);
    }
    timestamp next_expiry(slot s) const override {
        timestamp first = never;
        for (const auto& [key, e] : *cells_[s]) first = std::min(first, e.until);
        return first;
    }

private:
    static constexpr timestamp never = timestamp::max();

    struct element {
        V value;
        timestamp until;
        timestamp checked_at;  ///< Time of its entry in the queue.
    };
    using elements = std::map<K2, element>;
    struct check {
        timestamp at;
        slot of;
        K2 key;
    };

    /// The elements of `s`, never empty for longer than it takes to insert one.
    elements& at(slot s) {
        if (!cells_[s]) {
            cells_[s] = std::make_unique<elements>();
            scope().add_use(s);
        }
        return *cells_[s];
    }
    template <class Key>
    auto insert(slot s, Key&& key, V&& value, timestamp until) {
        element made{std::move(value), until, until};
        const auto [it, is_new] = cells_[s]->insert_or_assign(std::forward<Key>(key), std::move(made));
        if (is_new) ++elements_;
        if (expires()) {
            queue_.push_back({until, s, it->first});
            if (queue_.size() > 2 * elements_ + 64) [[unlikely]] clean_up();
        }
        return it;
    }
    void erase(slot s, typename elements::iterator it) {
        cells_[s]->erase(it);
        --elements_;
        if (cells_[s]->empty()) drop(s);
    }
    void refresh(element& e) { e.until = std::max(e.until, fresh_until()); }
    /// Leaves one entry in the queue for each element.
    void clean_up() {
        queue_.clear();
        for (slot s = 0; s < cells_.size(); ++s)
            if (cells_[s])
                for (const auto& [key, e] : *cells_[s]) queue_.push_back({e.checked_at, s, key});
        std::sort(queue_.begin(), queue_.end(), [](const check& a, const check& b) { return a.at < b.at; });
    }

    std::vector<std::unique_ptr<elements>> cells_;
    std::size_t elements_ = 0;  ///< Of all slots.
    std::deque<check> queue_;   ///< An entry for each element, and some of elements that are gone.
};

}  // namespace detail

/// A map per key, iterated in order of its own keys; none is an empty one. Made by `state_setup::map`.
///
/// All members work on the key in hand, and throw `error` where there is none, or if the handle was not declared.
/// Thread safety: unsafe; one subtask owns it.
/// Complexity: O(log n) for an element; for_each and, with a time to live, size and empty O(n).
/// Lifetime: an element stays where it is until it is erased, or the callback ends.
/// Checkpointed state: the elements, by key group.
template <class K2, class V>
class map_state {
public:
    map_state() = default;
    explicit map_state(detail::map_column<K2, V>& column) : column_(&column) {}

    /// The value of `key`, or null if there is none.
    const V* get(const K2& key) const { return column().find(key); }
    bool contains(const K2& key) const { return get(key) != nullptr; }
    V value_or(const K2& key, V otherwise) const {
        const V* value = get(key);
        return value ? *value : std::move(otherwise);
    }
    void put(const K2& key, V value) {
        bool is_new = false;
        V& at = column().get_or_make(key, [&] {
            is_new = true;
            return std::move(value);
        });
        if (!is_new) at = std::move(value);
    }
    /// The value to be changed in place, V() if there was none. Counts as a write.
    V& get_or_create(const K2& key) {
        return column().get_or_make(key, [] { return V(); });
    }
    void erase(const K2& key) { column().erase(key); }
    /// Calls `f(const K2&, const V&)` for each element; `f` must not change the map.
    template <class F>
    void for_each(F f) const {
        column().for_each([&f](const K2& key, V& value) { f(key, std::as_const(value)); });
    }
    std::size_t size() const {
        std::size_t n = 0;
        column().for_each([&n](const K2&, V&) { ++n; });
        return n;
    }
    bool empty() const { return size() == 0; }
    void clear() { column().clear(); }

private:
    detail::map_column<K2, V>& column() const { return detail::declared(column_, "map_state"); }

    detail::map_column<K2, V>* column_ = nullptr;
};

}  // namespace runnel
