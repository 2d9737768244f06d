#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/state/key_group.hpp"
#include "runnel/state/table.hpp"
#include "runnel/window/aggregate.hpp"

namespace runnel {

namespace detail {

/// A set of values. Those that equal nothing, as NaN does, are one element together.
template <class V>
struct distinct_state {
    table<V, std::monostate> values;
    bool has_unequal = false;

    void insert(const V& value) {
        if (is_unusable_key(value)) has_unequal = true;
        else values.get_or_create(value, values.hash(value));
    }
};

}  // namespace detail

template <class V>
    requires encodable<V>
struct codec<detail::distinct_state<V>> {
    static void encode(const detail::distinct_state<V>& set, std::string& out) {
        std::vector<std::string> elements;
        elements.reserve(set.values.size());
        set.values.for_each([&](const V& v, std::monostate) { codec<V>::encode(v, elements.emplace_back()); });
        detail::append_sorted(elements, out);
        codec<bool>::encode(set.has_unequal, out);
    }
    static detail::distinct_state<V> decode(byte_reader& in) {
        detail::distinct_state<V> set;
        const std::size_t n = in.take_size();
        for (std::size_t i = 0; i != n; ++i) set.insert(codec<V>::decode(in));
        if (set.values.size() != n) detail::fail_double_key();
        set.has_unequal = codec<bool>::decode(in);
        return set;
    }
    static auto layout(layout_builder& to) {
        return to.make(layout_kind::tuple, {to.of<V>(layout_kind::set), to.add<bool>()});
    }
};

/// Number of different values of a field of records of type T; see `distinct_count`.
template <class T, class F>
class distinct_aggregate {
    using value_type = detail::field_of<F, T>;
    using state = detail::distinct_state<value_type>;

public:
    static constexpr bool creates_default = true;
    explicit distinct_aggregate(F field) : field_(std::move(field)) {}
    state create() const noexcept { return {}; }
    void add(state& set, const T& record) const {
        set.insert(std::invoke(field_, record));
    }
    void merge(state& set, const state& other) const {
        other.values.for_each([&](const value_type& v, std::monostate) { set.insert(v); });
        set.has_unequal |= other.has_unequal;
    }
    std::uint64_t result(const state& set) const noexcept { return set.values.size() + set.has_unequal; }

private:
    [[no_unique_address]] F field_;
};

template <class F>
struct distinct_recipe {
    template <class T>
        requires detail::field_function<F, T>
    distinct_aggregate<T, F> bind() const {
        return distinct_aggregate<T, F>(field);
    }
    [[no_unique_address]] F field;
};

/// Number of different values of `field`, a member pointer or function of the record, or of different records, as
/// std::uint64_t: exact. The values need == and a codec; the window keeps each once, where `approx_distinct` needs a
/// fixed amount. -0.0 equals 0.0; values that equal nothing, as NaN does, count as one together.
/// Complexity: O(1) per record, O(values) per merge.
template <class F = detail::whole_record>
constexpr distinct_recipe<F> distinct_count(F field = {}) {
    return {std::move(field)};
}

}  // namespace runnel
