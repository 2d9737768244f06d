#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/state/state_column.hpp"

namespace runnel {

namespace detail {

template <class V>
class list_column final : public state_column {
    static_assert(!std::is_same_v<V, bool>, "list_state: elements can't be bool. Use unsigned char");

public:
    using state_column::state_column;

    /// The elements that have not expired, as a pair of pointers.
    std::pair<const V*, const V*> elements() {
        const slot s = reading();
        if (s >= key_scope::no_slot) return {nullptr, nullptr};
        cell& c = cells_[s];
        std::size_t first = c.head;
        if (expires()) [[unlikely]] {
            first = c.first_after(now());
            if (refreshed_by_reading())
                for (std::size_t i = first; i < c.until.size(); ++i) c.until[i] = std::max(c.until[i], fresh_until());
        }
        return {c.values.data() + first, c.values.data() + c.values.size()};
    }
    void add(V&& value) {
        const slot s = writing();
        add_at(s, std::move(value), expires() ? fresh_until() : timestamp::max());
    }
    void set(std::vector<V>&& values) {
        clear();
        for (V& v : values) add(std::move(v));
    }
    void clear() {
        const slot s = reading();
        if (holds(s)) drop(s);
    }

    void grow_to(std::size_t slots) override { cells_.resize(slots); }
    bool holds(slot s) const override { return s < cells_.size() && cells_[s].size() != 0; }
    void save(slot s, std::string& out) const override {
        const cell& c = cells_[s];
        codec<std::uint64_t>::encode(c.size(), out);
        for (std::size_t i = c.head; i < c.values.size(); ++i) {
            if (expires()) codec<timestamp>::encode(c.until[i], out);
            encode(c.values[i], out);
        }
    }
    void load(slot s, byte_reader& in) override {
        for (auto n = codec<std::uint64_t>::decode(in); n != 0; --n) {
            const timestamp until = expires() ? codec<timestamp>::decode(in) : timestamp::max();
            add_at(s, decode<V>(in), until);
        }
    }
    void drop(slot s) override {
        cells_[s] = cell();
        if (expires()) expiry_.clear(s);
        scope().drop_use(s);
    }
    std::vector<layout> layouts() const override { return layouts_of<V>(); }
    void sweep(timestamp limit) override {
        expiry_.sweep(limit, [&](slot s) -> std::optional<timestamp> {
            expire(s, limit);
            if (!holds(s)) return std::nullopt;
            return next_expiry(s);
        });
    }
    void expire(slot s, timestamp limit) override {
        if (!holds(s)) return;
        scope().announce(s);
        cell& c = cells_[s];
        c.drop_before(c.first_after(limit));
        if (c.size() == 0) drop(s);
    }
    timestamp next_expiry(slot s) const override { return cells_[s].until[cells_[s].head]; }

private:
    /// Elements before `head` are gone.
    struct cell {
        std::vector<V> values;
        std::vector<timestamp> until;  ///< Rises. Empty if the state doesn't expire.
        std::size_t head = 0;

        std::size_t size() const noexcept { return values.size() - head; }
        std::size_t first_after(timestamp t) const {
            const auto begin = until.begin() + static_cast<std::ptrdiff_t>(head);
            return static_cast<std::size_t>(std::upper_bound(begin, until.end(), t) - until.begin());
        }
        void drop_before(std::size_t i) {
            head = i;
            if (head < values.size() / 2) return;
            const auto gone = static_cast<std::ptrdiff_t>(head);
            values.erase(values.begin(), values.begin() + gone);
            until.erase(until.begin(), until.begin() + gone);
            head = 0;
        }
    };

    void add_at(slot s, V&& value, timestamp until) {
        cell& c = cells_[s];
        const bool was_empty = c.size() == 0;
        if (expires()) [[unlikely]] {
            if (!was_empty) until = std::max(until, c.until.back());
            c.until.push_back(until);
            expiry_.touch(s, until);
        }
        c.values.push_back(std::move(value));
        if (was_empty) scope().add_use(s);
    }

    std::vector<cell> cells_;
    slot_expiry expiry_;
};

}  // namespace detail

/// A list per key, in the order in which elements were added; none is an empty one. Made by `state_setup::list`.
///
///     for (const order& o : orders.elements()) ...
///
/// All members work on the key in hand, and throw `error` where there is none, or if the handle was not declared.
/// Thread safety: unsafe; one subtask owns it.
/// Complexity: add O(1); elements O(1), with a time to live O(log n).
/// Lifetime: elements stay where they are until the list is changed, or the callback ends.
/// Checkpointed state: the elements, by key group.
template <class V>
class list_state {
public:
    /// The elements, to be iterated.
    class range {
    public:
        range(const V* begin, const V* end) : begin_(begin), end_(end) {}
        const V* begin() const noexcept { return begin_; }
        const V* end() const noexcept { return end_; }
        std::size_t size() const noexcept { return static_cast<std::size_t>(end_ - begin_); }
        bool empty() const noexcept { return begin_ == end_; }
        const V& operator[](std::size_t i) const noexcept { return begin_[i]; }

    private:
        const V* begin_;
        const V* end_;
    };

    list_state() = default;
    explicit list_state(detail::list_column<V>& column) : column_(&column) {}

    range elements() const {
        const auto [begin, end] = column().elements();
        return {begin, end};
    }
    std::size_t size() const { return elements().size(); }
    bool empty() const { return elements().empty(); }
    void add(V value) { column().add(std::move(value)); }
    /// Replaces the whole list.
    void set(std::vector<V> values) { column().set(std::move(values)); }
    void clear() { column().clear(); }

private:
    detail::list_column<V>& column() const { return detail::declared(column_, "list_state"); }

    detail::list_column<V>* column_ = nullptr;
};

}  // namespace runnel
