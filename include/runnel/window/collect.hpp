#pragma once

#include <algorithm>
#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/core/timed.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/timed_list.hpp"

namespace runnel {

namespace detail {

template <class F>
inline constexpr bool is_vector = false;
template <class... Ts>
inline constexpr bool is_vector<std::vector<Ts...>> = true;

}  // namespace detail

/// All values of a field of records of type T; see `collect`.
template <class T, class F>
class collect_aggregate {
    using value_type = detail::field_of<F, T>;
    using state = detail::timed_list<value_type>;

public:
    static constexpr bool creates_default = true;
    explicit collect_aggregate(F field) : field_(std::move(field)) {}
    state create() const noexcept { return {}; }
    void add(state& all, const T& record, timestamp t) const { all.push_back({std::invoke(field_, record), t}); }
    void merge(state& all, const state& other) const { all.append(other); }
    std::vector<value_type> result(const state& all) const {
        std::vector<const timed<value_type>*> order;
        order.reserve(all.size());
        all.for_each([&](const timed<value_type>& each) { order.push_back(&each); });
        const auto earlier = [](const auto* a, const auto* b) { return a->time < b->time; };
        if (!std::is_sorted(order.begin(), order.end(), earlier))
            std::stable_sort(order.begin(), order.end(), earlier);
        std::vector<value_type> values;
        values.reserve(order.size());
        for (const auto* each : order) values.push_back(each->value);
        return values;
    }

private:
    [[no_unique_address]] F field_;
};

template <class F>
struct collect_recipe {
    template <class T>
        requires detail::field_function<F, T>
    collect_aggregate<T, F> bind() const {
        return collect_aggregate<T, F>(field);
    }
    [[no_unique_address]] F field;
};

/// All values of `field`, a member pointer or function of the record, or the records themselves: a std::vector in
/// order of time, those with equal times in order of arrival. The window keeps them all until it is cleared.
/// Complexity: O(1) per record; O(n log n) per result if records came out of order, else O(n).
template <class F = detail::whole_record>
    requires(!detail::is_vector<F>)
constexpr collect_recipe<F> collect(F field = {}) {
    return {std::move(field)};
}

}  // namespace runnel
