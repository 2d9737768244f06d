#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>

#include "runnel/codec/codec.hpp"
#include "runnel/codec/describe.hpp"
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

/// Stands for the key where there is none: `window_all`.
struct no_key {
    friend bool operator==(no_key, no_key) = default;
#if __has_include(<boost/describe/class.hpp>)
    BOOST_DESCRIBE_CLASS(no_key, (), (), (), ())
#endif
};

template <>
struct codec<no_key> {
    static void encode(no_key, std::string& out) { out += '\0'; }
    static no_key decode(byte_reader& in) { return in.take(1), no_key(); }
};

/// What a window gives for one key: the finished value of the records with `start <= time < end`.
/// As a record its time is `end` - 1 ns, the last time inside the window; `timestamp::max()` for the global window.
template <class K, class R>
struct windowed {
    K key;
    timestamp start;
    timestamp end;
    R value;
    friend bool operator==(const windowed&, const windowed&) = default;
#if __has_include(<boost/describe/class.hpp>)
    BOOST_DESCRIBE_CLASS(windowed, (), (key, start, end, value), (), ())
#endif
};

/// Whether a result came before its window was complete, then, or as a correction.
enum class pane_timing : unsigned char {
    early,    ///< Before the watermark had completed the window.
    on_time,  ///< The first one since then: exactly one for each window of a key.
    late,     ///< With records that came after that.
};
#if __has_include(<boost/describe/class.hpp>)
BOOST_DESCRIBE_ENUM(pane_timing, early, on_time, late)
#endif

constexpr std::string_view to_string(pane_timing timing) noexcept {
    switch (timing) {
        case pane_timing::early: return "early";
        case pane_timing::on_time: return "on time";
        case pane_timing::late: return "late";
    }
    return "unknown timing";
}

/// Which of the results of a window one is.
struct pane {
    std::uint64_t index;  ///< From 0; a session goes on from the highest of those that it was merged from.
    pane_timing timing;
    friend bool operator==(const pane&, const pane&) = default;
#if __has_include(<boost/describe/class.hpp>)
    BOOST_DESCRIBE_CLASS(pane, (), (index, timing), (), ())
#endif
};

/// What a window that may fire more than once gives for one key, each time. As a record its time is that of `windowed`.
template <class K, class R>
struct paned {
    K key;
    timestamp start;
    timestamp end;
    R value;
    runnel::pane pane;
    friend bool operator==(const paned&, const paned&) = default;
#if __has_include(<boost/describe/class.hpp>)
    BOOST_DESCRIBE_CLASS(paned, (), (key, start, end, value, pane), (), ())
#endif
};

namespace detail {

template <class Result>
std::string result_text(const Result& result) {
    std::string text;
    string_stream to(text);
    if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(result.key)>, no_key>) {
        display(to, result.key);
        text += ' ';
    }
    text += '[' + to_string(result.start) + ", " + to_string(result.end) + ") ";
    display(to, result.value);
    return text;
}

}  // namespace detail

/// "key [start, end) value", times in ISO 8601, key and value as `display` writes them.
template <class K, class R>
std::ostream& operator<<(std::ostream& out, const windowed<K, R>& result) {
    return out << detail::result_text(result);
}

/// "key [start, end) value, pane 2 late".
template <class K, class R>
std::ostream& operator<<(std::ostream& out, const paned<K, R>& result) {
    return out << detail::result_text(result) << ", pane " << result.pane.index << ' ' << to_string(result.pane.timing);
}

}  // namespace runnel
