#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/state/state_column.hpp"

namespace runnel {

namespace detail {

template <class V>
class value_column final : public state_column {
public:
    using state_column::state_column;

    V* find() {
        const slot s = reading();
        if (s >= key_scope::no_slot || !cells_[s]) return nullptr;
        if (expires()) [[unlikely]] {
            if (expiry_.of(s) <= now()) return nullptr;
            if (refreshed_by_reading()) expiry_.touch(s, fresh_until());
        }
        return &*cells_[s];
    }
    void set(V&& value) {
        std::optional<V>& c = cell_for_writing();
        if (!c) scope().add_use(scope().in_hand());
        c = std::move(value);
    }
    /// The value to be changed, made by `make()` if there is none.
    template <class Make>
    V& get_or_make(Make make) {
        std::optional<V>& c = cell_for_writing();
        if (!c) {
            c.emplace(make());
            scope().add_use(scope().in_hand());
        }
        return *c;
    }
    void clear() {
        const slot s = reading();
        if (holds(s)) drop(s);
    }

    void grow_to(std::size_t slots) override { cells_.resize(slots); }
    bool holds(slot s) const override { return s < cells_.size() && cells_[s]; }
    void save(slot s, std::string& out) const override {
        if (expires()) codec<timestamp>::encode(expiry_.of(s), out);
        encode(*cells_[s], out);
    }
    void load(slot s, byte_reader& in) override {
        if (expires()) expiry_.touch(s, codec<timestamp>::decode(in));
        if (!cells_[s]) scope().add_use(s);
        cells_[s] = decode<V>(in);
    }
    void drop(slot s) override {
        cells_[s].reset();
        if (expires()) expiry_.clear(s);
        scope().drop_use(s);
    }
    std::vector<layout> layouts() const override { return layouts_of<V>(); }
    void sweep(timestamp limit) override {
        expiry_.sweep(limit, [&](slot s) -> std::optional<timestamp> {
            if (!cells_[s]) return std::nullopt;
            if (expiry_.of(s) > limit) return expiry_.of(s);
            scope().announce(s);
            drop(s);
            return std::nullopt;
        });
    }
    void expire(slot s, timestamp limit) override {
        if (holds(s) && expiry_.of(s) <= limit) drop(s);
    }
    timestamp next_expiry(slot s) const override { return expiry_.of(s); }

private:
    std::optional<V>& cell_for_writing() {
        const slot s = writing();
        if (expires()) [[unlikely]] {
            if (cells_[s] && expiry_.of(s) <= now()) drop(s);
            expiry_.touch(s, fresh_until());
        }
        return cells_[s];
    }

    std::vector<std::optional<V>> cells_;
    slot_expiry expiry_;
};

}  // namespace detail

/// One value per key, or none: a missing value differs from a default one. Made by `state_setup::value`.
///
/// All members work on the key in hand, and throw `error` where there is none, or if the handle was not declared.
/// Thread safety: unsafe; one subtask owns it.
/// Complexity: O(1), without a search.
/// Lifetime: pointers and references to the value hold until the end of the callback, or until it is set or cleared.
/// Checkpointed state: the value, by key group.
template <class V>
class value_state {
public:
    value_state() = default;
    explicit value_state(detail::value_column<V>& column) : column_(&column) {}

    /// The value, or null if there is none.
    const V* get() const { return column().find(); }
    bool has_value() const { return get() != nullptr; }
    V value_or(V otherwise) const {
        const V* value = get();
        return value ? *value : std::move(otherwise);
    }
    void set(V value) { column().set(std::move(value)); }
    /// The value to be changed in place, V() if there was none. Counts as a write.
    V& get_or_create() {
        return column().get_or_make([] { return V(); });
    }
    void clear() { column().clear(); }

private:
    detail::value_column<V>& column() const { return detail::declared(column_, "value_state"); }

    detail::value_column<V>* column_ = nullptr;
};

}  // namespace runnel
