#pragma once

#include <functional>
#include <utility>

#include "runnel/window/aggregate.hpp"
#include "runnel/window/min_max.hpp"
#include "runnel/window/picked_record.hpp"

namespace runnel {

/// The record whose field is least or greatest; see `min_by` and `max_by`.
template <class T, class F, bool Greatest>
class best_by_aggregate {
    using value_type = detail::field_of<F, T>;
    using state = detail::picked_record<T>;
    static_assert(detail::ordered_field<value_type>, "min_by and max_by want a field that can be compared by <");

public:
    static constexpr bool creates_default = true;
    explicit best_by_aggregate(F field) : field_(std::move(field)) {}
    state create() const noexcept { return {}; }
    void add(state& best, const T& record, timestamp t) const {
        if (best.record && !better(record, t, best)) return;
        best.record = record;
        best.time = t;
    }
    void merge(state& best, const state& other) const {
        if (other.record) add(best, *other.record, other.time);
    }
    T result(const state& best) const { return detail::value_or_nothing(best.record); }

private:
    bool better(const T& record, timestamp t, const state& best) const {
        const detail::best_first<Greatest> before;
        auto&& a = std::invoke(field_, record);
        auto&& b = std::invoke(field_, *best.record);
        if (before(a, b)) return true;
        return t < best.time && !before(b, a);
    }
    [[no_unique_address]] F field_;
};

template <class F, bool Greatest>
struct best_by_recipe {
    template <class T>
        requires detail::field_function<F, T>
    best_by_aggregate<T, F, Greatest> bind() const {
        return best_by_aggregate<T, F, Greatest>(field);
    }
    [[no_unique_address]] F field;
};

/// The record whose `field`, a member pointer or function of the record, is least by <: all of it. Of records that <
/// can't tell apart the one with the earliest time, and of several with that time the one that came first.
/// NaN counts only if there is nothing else; -0.0 is less than 0.0.
template <class F>
constexpr best_by_recipe<F, false> min_by(F field) {
    return {std::move(field)};
}

/// The record whose `field`, a member pointer or function of the record, is greatest by <: all of it. Of records that
/// < can't tell apart the one with the earliest time, and of several with that time the one that came first.
/// NaN counts only if there is nothing else; -0.0 is less than 0.0.
template <class F>
constexpr best_by_recipe<F, true> max_by(F field) {
    return {std::move(field)};
}

}  // namespace runnel
