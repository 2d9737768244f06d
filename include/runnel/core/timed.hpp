#pragma once

#include "runnel/core/timestamp.hpp"

namespace runnel {

/// A value together with its event time.
template <class T>
struct timed {
    T value;
    timestamp time;

    friend auto operator<=>(const timed&, const timed&) = default;
    friend bool operator==(const timed&, const timed&) = default;
};

template <class T>
timed(T, timestamp) -> timed<T>;

}  // namespace runnel
