#pragma once

#include <ostream>
#include <string>

#include "runnel/codec/display.hpp"
#include "runnel/core/timestamp.hpp"
#include "runnel/operators/late_record.hpp"

namespace runnel {

/// A stretch of event time: the times t with start <= t < end.
struct window {
    timestamp start;
    timestamp end;
    bool contains(timestamp t) const noexcept { return start <= t && t < end; }
    friend auto operator<=>(const window&, const window&) = default;
};

/// What a window gives for one key: the finished value of the records with `start <= time < end`.
/// As a record its time is `end` - 1 ns, the last time inside the window.
template <class K, class R>
struct windowed {
    K key;
    timestamp start;
    timestamp end;
    R value;
    friend bool operator==(const windowed&, const windowed&) = default;
};

/// "key [start, end) value", times in ISO 8601, key and value as `display` writes them.
template <class K, class R>
std::ostream& operator<<(std::ostream& out, const windowed<K, R>& result) {
    std::string text;
    string_stream to(text);
    display(to, result.key);
    text += " [" + to_string(result.start) + ", " + to_string(result.end) + ") ";
    display(to, result.value);
    return out << text;
}

}  // namespace runnel
