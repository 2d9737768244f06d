#pragma once

#include <type_traits>

#include "runnel/window/session_window_operator.hpp"
#include "runnel/window/slice_window_operator.hpp"

namespace runnel {

/// The operator that aggregates records of type T, keyed by `key`, over the windows of `spec`.
/// `aggregate` is an aggregate or a recipe for one (`count()`, `sum(f)`, ...).
template <class K, class T, class KeyFn, class Spec, class Recipe>
auto make_window_operator(KeyFn key, const Spec& spec, const Recipe& aggregate) {
    static_assert(lateness_chosen<Spec>,
                  "a window says what happens to late records: add .drop_late() or .lateness(d)");
    using agg = bound_aggregate<T, Recipe>;
    using op = std::conditional_t<std::is_same_v<typename Spec::windows_type, session_windows>,
                                  session_window_operator<K, T, KeyFn, Spec, agg>,
                                  slice_window_operator<K, T, KeyFn, Spec, agg>>;
    return op(std::move(key), spec, bind_aggregate<T>(aggregate));
}

}  // namespace runnel
