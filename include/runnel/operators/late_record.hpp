#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include "runnel/codec/display.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// Why a record came too late.
enum class late_reason : unsigned char {
    window_cleared,   ///< The watermark has passed the end plus lateness of all its windows.
    session_cleared,  ///< The same for the session it would have opened, or joined.
    out_of_order,     ///< Records are processed in order of time, and the watermark has passed this one's.
};

/// A sentence for people.
constexpr std::string_view to_string(late_reason reason) noexcept {
    switch (reason) {
        case late_reason::window_cleared: return "all windows of the record's time were cleared before it came";
        case late_reason::session_cleared: return "the record's session was cleared before it came";
        case late_reason::out_of_order: return "later records may have been processed before it came";
    }
    return "unknown reason";
}

/// A record that came too late to be processed.
template <class T>
struct late_record {
    T value;
    timestamp time;
    timestamp watermark;  ///< The operator's watermark when the record came.
    late_reason reason;
    friend bool operator==(const late_record&, const late_record&) = default;
};

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
