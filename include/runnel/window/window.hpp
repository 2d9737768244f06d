#pragma once

#include <ostream>
#include <string_view>
#include <tuple>
#include <type_traits>

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

namespace detail {

template <class T>
void print_value(std::ostream& out, const T& value) {
    if constexpr (std::is_same_v<T, timestamp>) {
        out << to_string(value);
    } else if constexpr (requires { out << value; }) {
        out << value;
    } else if constexpr (requires { std::tuple_size<T>::value; }) {
        out << '(';
        std::apply(
            [&](const auto&... parts) {
                [[maybe_unused]] const char* separator = "";
                ((out << separator, print_value(out, parts), separator = ", "), ...);
            },
            value);
        out << ')';
    } else if constexpr (requires { value.begin() != value.end(); }) {
        out << '[';
        const char* separator = "";
        for (const auto& part : value) {
            out << separator;
            print_value(out, part);
            separator = ", ";
        }
        out << ']';
    } else if constexpr (requires { *value, value.has_value(); }) {
        if (value.has_value())
            print_value(out, *value);
        else
            out << "none";
    } else {
        out << '?';
    }
}

}  // namespace detail

/// "key [start, end) value", times in ISO 8601; parts of the value that can't be printed show as "?".
template <class K, class R>
std::ostream& operator<<(std::ostream& out, const windowed<K, R>& result) {
    detail::print_value(out, result.key);
    out << " [" << to_string(result.start) << ", " << to_string(result.end) << ") ";
    detail::print_value(out, result.value);
    return out;
}

/// "value at time, behind watermark: reason".
template <class T>
std::ostream& operator<<(std::ostream& out, const late_record<T>& late) {
    detail::print_value(out, late.value);
    return out << " at " << to_string(late.time) << ", watermark " << to_string(late.watermark) << ": "
               << to_string(late.reason);
}

}  // namespace runnel
