#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include "runnel/codec/display.hpp"
#include "runnel/core/timestamp.hpp"

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

/// Why a record found no window any more.
enum class late_reason : unsigned char {
    window_cleared,   ///< The watermark has passed the end plus lateness of all its windows.
    session_cleared,  ///< The same for the session it would have opened, or joined.
};

/// A sentence for people.
constexpr std::string_view to_string(late_reason reason) noexcept {
    switch (reason) {
        case late_reason::window_cleared: return "all windows of the record's time were cleared before it came";
        case late_reason::session_cleared: return "the record's session was cleared before it came";
    }
    return "unknown reason";
}

/// A record that came after its windows were cleared.
template <class T>
struct late_record {
    T value;
    timestamp time;
    timestamp watermark;  ///< The operator's watermark when the record came.
    late_reason reason;
    friend bool operator==(const late_record&, const late_record&) = default;
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

/// "value at time, watermark w: reason".
template <class T>
std::ostream& operator<<(std::ostream& out, const late_record<T>& late) {
    std::string text;
    string_stream to(text);
    display(to, late.value);
    text += " at " + to_string(late.time) + ", watermark " + to_string(late.watermark) + ": ";
    text += to_string(late.reason);
    return out << text;
}

}  // namespace runnel
