#pragma once

#include <cmath>
#include <optional>
#include <type_traits>

#include "runnel/codec/binary.hpp"
#include "runnel/window/aggregate.hpp"

namespace runnel {

namespace detail {

/// A strict order in which no two different numbers are equivalent, so that "the least" doesn't depend on the order
/// of arrival: -0.0 comes before 0.0.
struct field_less {
    template <class V>
    bool operator()(const V& a, const V& b) const {
        if constexpr (std::is_floating_point_v<V>) {
            if (a == b) return std::signbit(a) && !std::signbit(b);
        }
        return a < b;
    }
};

/// Whether one value comes before another when the greatest, or the least, comes first; NaN comes last.
template <bool Greatest>
struct best_first {
    template <class V>
    bool operator()(const V& a, const V& b) const {
        if constexpr (std::is_floating_point_v<V>) {
            if (std::isnan(a) || std::isnan(b)) return std::isnan(b) && !std::isnan(a);
        }
        return Greatest ? field_less()(b, a) : field_less()(a, b);
    }
};

/// The better of the values seen, if any was. A wrapper of its own, so that its codec is at hand.
template <class V>
struct best_state {
    std::optional<V> value;
};

template <class V>
concept ordered_field = requires(const V& a, const V& b) {
    { a < b } -> std::convertible_to<bool>;
};

}  // namespace detail

template <class V>
    requires encodable<V>
struct codec<detail::best_state<V>> {
    static void encode(const detail::best_state<V>& b, std::string& out) {
        codec<std::optional<V>>::encode(b.value, out);
    }
    static detail::best_state<V> decode(byte_reader& in) { return {codec<std::optional<V>>::decode(in)}; }
    static auto layout(layout_builder& to) { return to.add<std::optional<V>>(); }
};

/// Least or greatest value of a field of records of type T; see `min` and `max`.
template <class T, class F, bool Greatest>
class best_aggregate {
    using value_type = detail::field_of<F, T>;
    using state = detail::best_state<value_type>;
    static_assert(detail::ordered_field<value_type>, "min and max want a field that can be compared by <");

public:
    static constexpr bool creates_default = true;
    explicit best_aggregate(F field) : field_(std::move(field)) {}
    state create() const noexcept { return {}; }
    void add(state& best, const T& record) const { take(best, std::invoke(field_, record)); }
    void merge(state& best, const state& other) const {
        if (other.value) take(best, *other.value);
    }
    value_type result(const state& best) const { return detail::value_or_nothing(best.value); }

private:
    template <class V>
    static void take(state& best, V&& value) {
        if (!best.value || detail::best_first<Greatest>()(value, *best.value)) best.value = std::forward<V>(value);
    }
    [[no_unique_address]] F field_;
};

template <class F, bool Greatest>
struct best_recipe {
    template <class T>
        requires detail::field_function<F, T>
    best_aggregate<T, F, Greatest> bind() const {
        return best_aggregate<T, F, Greatest>(field);
    }
    [[no_unique_address]] F field;
};

/// Least value of `field` (a member pointer or function of the record), or of the records themselves, by <.
/// NaN counts only if there is nothing else; -0.0 is less than 0.0. Of values that < can't tell apart, any.
template <class F = detail::whole_record>
constexpr best_recipe<F, false> min(F field = {}) {
    return {std::move(field)};
}

/// Greatest value of `field` (a member pointer or function of the record), or of the records themselves, by <.
/// NaN counts only if there is nothing else; -0.0 is less than 0.0. Of values that < can't tell apart, any.
template <class F = detail::whole_record>
constexpr best_recipe<F, true> max(F field = {}) {
    return {std::move(field)};
}

}  // namespace runnel
