#pragma once

#include <type_traits>
#include <utility>

#include "runnel/window/count_window_operator.hpp"
#include "runnel/window/processing_time_operator.hpp"
#include "runnel/window/session_window_operator.hpp"
#include "runnel/window/slice_window_operator.hpp"
#include "runnel/window/trigger_window_operator.hpp"

namespace runnel {

namespace detail {

/// The fastest operator that can do what a window spec asks for.
template <class K, class T, class KeyFn, class Spec, class Agg>
auto choose_window_operator(KeyFn key, const Spec& spec, Agg agg) {
    using windows = typename Spec::windows_type;
    using firing = typename Spec::firing_type;
    constexpr bool each_by_itself = firing::has_panes || changes_contents<Agg>;
    if constexpr (is_processing_time<windows>) {
        const window_spec inner(spec.windows().windows, duration::zero(), no_side(), spec.firing());
        auto op = choose_window_operator<K, T>(std::move(key), inner, std::move(agg));
        return processing_time_operator<decltype(op)>(std::move(op));
    } else if constexpr (std::is_same_v<windows, count_windows>) {
        static_assert(!each_by_itself, "count(n) fires whenever its records have come: it has neither triggers nor "
                                       "evictors. Use global() with a trigger");
        return count_window_operator<K, T, KeyFn, Spec, Agg>(std::move(key), spec, std::move(agg));
    } else if constexpr (sliced_windows<windows> && !each_by_itself) {
        return slice_window_operator<K, T, KeyFn, Spec, Agg>(std::move(key), spec, std::move(agg));
    } else if constexpr (std::is_same_v<windows, session_windows> && !each_by_itself) {
        return session_window_operator<K, T, KeyFn, Spec, Agg>(std::move(key), spec, std::move(agg));
    } else {
        return trigger_window_operator<K, T, KeyFn, Spec, Agg>(std::move(key), spec, std::move(agg));
    }
}

}  // namespace detail

/// The operator that aggregates records of type T, keyed by `key`, over the windows of `spec`.
/// `aggregate` is an aggregate or a recipe for one (`count()`, `sum(f)`, ...).
template <class K, class T, class KeyFn, class Spec, class Recipe>
auto make_window_operator(KeyFn key, const Spec& spec, const Recipe& aggregate) {
    static_assert(lateness_chosen<Spec>,
                  "a window says what happens to late records: add .drop_late() or .lateness(d)");
    static_assert(contents_chosen<Spec>,
                  "a window that fires more than once says what it gives: add .accumulating() or .discarding()");
    return detail::choose_window_operator<K, T>(std::move(key), spec, bind_aggregate<T>(aggregate));
}

}  // namespace runnel
