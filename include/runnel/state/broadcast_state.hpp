#pragma once

#include <concepts>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

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

public:
    using broadcast_column::broadcast_column;

    std::map<K2, V> elements;

    void save(snapshot_writer& to, const std::string& name) const override {
        if constexpr (encodable<std::map<K2, V>>) {
            codec<std::map<K2, V>>::encode(elements, to.local(name));
            save_layout<std::map<K2, V>>(to, name);
        } else {
            fail_no_codec(declared(), "saved");
        }
    }
    void load(const snapshot_reader& from, const std::string& name, byte_reader& in) override {
        if constexpr (encodable<std::map<K2, V>>) elements = saved_values<std::map<K2, V>>(from, name).decode(in);
        else fail_no_codec(declared(), "loaded");
    }
};

}  // namespace detail

/// A map that every subtask has a copy of, iterated in order of its keys: written by what comes over a broadcast
/// stream, read where keyed records are processed. Made by `state_setup::broadcast`.
///
/// Writing is `broadcast_context`'s, so that nothing else can make the copies differ.
/// Thread safety: unsafe; one subtask owns it.
/// Complexity: O(log n) for an element.
/// Lifetime: an element stays where it is until a broadcast record erases it.
/// Checkpointed state: each subtask saves its copy; after a restore each subtask begins with one.
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
    std::map<K2, V>& map() const { return detail::declared(of_, "broadcast_state").elements; }

    detail::broadcast_map<K2, V>* of_ = nullptr;
};

}  // namespace runnel
