#pragma once

#include "runnel/core/timestamp.hpp"

namespace runnel::detail {

template <class Windows>
concept merging_windows = requires { requires Windows::merges; };
template <class Windows>
concept sliced_windows = requires(const Windows& windows) { windows.slices(duration()); };
template <class Windows>
concept all_time = requires { requires Windows::is_global; };

/// How windows of the clock or the calendar lie in time; nothing for others.
template <class Windows>
auto grid_of(const Windows& windows, duration lateness) {
    struct none {};
    if constexpr (sliced_windows<Windows>) return windows.slices(lateness);
    else return none();
}

}  // namespace runnel::detail
