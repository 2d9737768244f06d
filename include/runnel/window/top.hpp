#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/window/min_max.hpp"

namespace runnel {

namespace detail {

/// The best values so far, the best one first.
template <class V>
struct top_state {
    std::vector<V> values;
};

}  // namespace detail

template <class V>
    requires encodable<V>
struct codec<detail::top_state<V>> {
    static void encode(const detail::top_state<V>& top, std::string& out) {
        codec<std::vector<V>>::encode(top.values, out);
    }
    static detail::top_state<V> decode(byte_reader& in) { return {codec<std::vector<V>>::decode(in)}; }
    static auto layout(layout_builder& to) { return to.add<std::vector<V>>(); }
};

/// The n largest or smallest values of a field of records of type T; see `top` and `bottom`.
template <class T, class F, bool Greatest>
class top_aggregate {
    using value_type = detail::field_of<F, T>;
    using state = detail::top_state<value_type>;
    static_assert(detail::ordered_field<value_type>, "top and bottom want a field that can be compared by <");

public:
    static constexpr bool creates_default = true;
    top_aggregate(std::size_t n, F field) : n_(n), field_(std::move(field)) {}
    state create() const noexcept { return {}; }
    void add(state& top, const T& record) const { take(top.values, std::invoke(field_, record)); }
    void merge(state& top, const state& other) const {
        for (const value_type& value : other.values)
            if (!take(top.values, value)) break;
    }
    std::vector<value_type> result(const state& top) const { return top.values; }

private:
    static constexpr detail::best_first<Greatest> before{};
    template <class V>
    bool take(std::vector<value_type>& top, V&& value) const {
        if (top.size() >= n_) {
            if (n_ == 0 || !before(value, top.back())) return false;
            top.pop_back();
        }
        const auto place = std::upper_bound(top.begin(), top.end(), value, before);
        top.insert(place, std::forward<V>(value));
        return true;
    }

    std::size_t n_;
    [[no_unique_address]] F field_;
};

template <class F, bool Greatest>
struct top_recipe {
    template <class T>
        requires detail::field_function<F, T>
    top_aggregate<T, F, Greatest> bind() const {
        return top_aggregate<T, F, Greatest>(n, field);
    }
    std::size_t n;
    [[no_unique_address]] F field;
};

/// The `n` largest values of `field` (a member pointer or function of the record), or of the records themselves:
/// a std::vector in descending order; equal values count each; NaN comes last.
///
/// To see more of the records than the number, let the function give a tuple: it is compared member by member, so
/// the members behind the number also say which of equal numbers wins, whatever the order of arrival:
/// `top(3, [](const bid& b) { return std::tuple(b.price, b.auction); })`.
/// Complexity: O(log n) comparisons and O(n) moves for a record that enters, one comparison for one that doesn't.
template <class F = detail::whole_record>
constexpr top_recipe<F, true> top(std::size_t n, F field = {}) {
    return {n, std::move(field)};
}

/// The `n` smallest values of `field` (a member pointer or function of the record), or of the records themselves:
/// a std::vector in ascending order; equal values count each; NaN comes last. Else as `top`.
template <class F = detail::whole_record>
constexpr top_recipe<F, false> bottom(std::size_t n, F field = {}) {
    return {n, std::move(field)};
}

}  // namespace runnel
