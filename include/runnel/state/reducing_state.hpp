#pragma once

#include <functional>
#include <utility>

#include "runnel/state/value_state.hpp"

namespace runnel {

/// One value per key that takes in others by a function: `kept = f(kept, next)`. Made by `state_setup::reducing`.
///
/// As `value_state`; adding counts as a write.
/// Thread safety: unsafe; one subtask owns it.
template <class V>
class reducing_state {
public:
    using function = std::function<V(const V&, const V&)>;

    reducing_state() = default;
    reducing_state(detail::value_column<V>& column, function f) : column_(&column), f_(std::move(f)) {}

    /// What has been added so far, or null if there is nothing.
    const V* get() const { return column().find(); }
    /// The first one is kept as it is.
    void add(const V& next) {
        bool first = false;
        V& kept = column().get_or_make([&] {
            first = true;
            return next;
        });
        if (!first) kept = f_(std::as_const(kept), next);
    }
    void clear() { column().clear(); }

private:
    detail::value_column<V>& column() const { return detail::declared(column_, "reducing_state"); }

    detail::value_column<V>* column_ = nullptr;
    function f_;
};

}  // namespace runnel
