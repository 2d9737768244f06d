#pragma once

#include <concepts>
#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "runnel/codec/binary.hpp"
#include "runnel/state/frozen_map.hpp"
#include "runnel/state/frozen_table.hpp"
#include "runnel/state/saved_layout.hpp"
#include "runnel/state/state_column.hpp"

namespace runnel {

namespace detail {

/// State that belongs to no key, erased. A copy in every subtask.
class broadcast_column {
public:
    explicit broadcast_column(state_declaration declared) : declared_(std::move(declared)) {}
    broadcast_column(const broadcast_column&) = delete;
    broadcast_column& operator=(const broadcast_column&) = delete;
    virtual ~broadcast_column() = default;
    const state_declaration& declared() const noexcept { return declared_; }
    /// Under `name`.
    virtual void save(snapshot_writer& to, const std::string& name) const = 0;
    virtual void load(const snapshot_reader& from, const std::string& name, byte_reader& in) = 0;

private:
    state_declaration declared_;
};

template <class K2, class V>
class broadcast_map final : public broadcast_column {
    static_assert(std::totally_ordered<K2>, "broadcast_state: its key needs the operators < and ==");

    using map = std::map<K2, V>;
    /// A codec of the user's own for this map knows only whole ones.
    static constexpr bool is_gradual() {
        if constexpr (encodable<map>) return std::derived_from<codec<map>, map_codec<map, true>>;
        else return false;
    }

public:
    using broadcast_column::broadcast_column;
    ~broadcast_map() override { unfreeze(); }

    const map& elements() const noexcept { return elements_; }
    void put(const K2& key, V&& value) {
        announce(key);
        elements_.insert_or_assign(key, std::move(value));
    }
    void erase(const K2& key) {
        announce(key);
        elements_.erase(key);
    }
    void clear() noexcept {
        unfreeze();
        elements_.clear();
    }

    void save(snapshot_writer& to, const std::string& name) const override {
        if constexpr (encodable<map>) {
            unfreeze();
            if constexpr (is_gradual())
                save_gradually(to, std::make_shared<frozen_map<K2, V>>(elements_, frozen_),
                               [name](snapshot_writer& into, auto& frozen) { frozen.write(into.local(name)); });
            else
                codec<map>::encode(elements_, to.local(name));
            save_layout<map>(to, name);
        } else {
            fail_no_codec(declared(), "saved");
        }
    }
    void load(const snapshot_reader& from, const std::string& name, byte_reader& in) override {
        if constexpr (encodable<map>) elements_ = saved_values<map>(from, name).decode(in);
        else fail_no_codec(declared(), "loaded");
    }

private:
    void announce(const K2& key) noexcept {
        if constexpr (is_gradual())
            if (frozen_) [[unlikely]] frozen_->before_change(key);
        (void)key;
    }
    void unfreeze() const noexcept {
        if constexpr (is_gradual())
            if (frozen_) (void)frozen_->step(std::numeric_limits<std::size_t>::max());
    }

    map elements_;
    mutable frozen_map<K2, V>* frozen_ = nullptr;
};

}  // namespace detail

/// A map that every subtask has a copy of, iterated in order of its keys: written by what comes over a broadcast
/// stream, read where keyed records are processed. Made by `state_setup::broadcast`.
///
/// Writing is `broadcast_context`'s, so that nothing else can make the copies differ.
/// Thread safety: unsafe; one subtask owns it.
/// Complexity: O(log n) for an element.
/// Lifetime: an element stays where it is until a broadcast record erases it.
/// Checkpointed state: each subtask saves its copy, encoded little by little while it is used; after a restore each
/// subtask begins with one.
template <class K2, class V>
class broadcast_state {
public:
    broadcast_state() = default;
    explicit broadcast_state(detail::broadcast_map<K2, V>& of) : of_(&of) {}

    /// The value of `key`, or null if there is none.
    const V* get(const K2& key) const {
        const auto it = map().find(key);
        return it == map().end() ? nullptr : &it->second;
    }
    bool contains(const K2& key) const { return get(key) != nullptr; }
    /// Calls `f(const K2&, const V&)` for each element.
    template <class F>
    void for_each(F f) const {
        for (const auto& [key, value] : map()) f(key, value);
    }
    std::size_t size() const { return map().size(); }
    bool empty() const { return map().empty(); }

private:
    template <class Out, class... Sides>
    friend class broadcast_context;
    const std::map<K2, V>& map() const { return column().elements(); }
    detail::broadcast_map<K2, V>& column() const { return detail::declared(of_, "broadcast_state"); }

    detail::broadcast_map<K2, V>* of_ = nullptr;
};

}  // namespace runnel
