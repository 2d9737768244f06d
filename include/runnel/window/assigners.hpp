#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/core/error.hpp"
#include "runnel/core/timestamp.hpp"
#include "runnel/window/cumulative_slicing.hpp"
#include "runnel/window/slicing.hpp"
#include "runnel/window/window.hpp"
#include "runnel/window/window_spec.hpp"

namespace runnel {

/// Windows of one size, one after the other. Made by `tumbling`.
struct tumbling_windows {
    duration size;
    duration offset;
    void check(std::vector<std::string>& problems) const;
    std::string text() const;
    detail::slicing slices(duration lateness) const noexcept { return {size, size, offset, lateness}; }
};

/// Windows of one size that start every `slide`. Made by `sliding`.
struct sliding_windows {
    duration size;
    duration slide;
    duration offset;
    void check(std::vector<std::string>& problems) const;
    std::string text() const;
    detail::slicing slices(duration lateness) const noexcept { return {size, slide, offset, lateness}; }
};

/// Windows that begin together and end one `step` after the other. Made by `cumulative`.
struct cumulative_windows {
    duration max_size;
    duration step;
    duration offset;
    void check(std::vector<std::string>& problems) const;
    std::string text() const;
    detail::cumulative_slicing slices(duration lateness) const noexcept { return {max_size, step, offset, lateness}; }
};

/// Windows per key that last as long as its records come less than, or exactly, `gap` apart. Made by `session`.
struct session_windows {
    static constexpr bool merges = true;
    duration gap;
    void check(std::vector<std::string>& problems) const;
    std::string text() const;
    /// What a record opens.
    template <class T>
    window opened(const T&, timestamp t) const noexcept {
        return {t, t + gap};
    }
};

/// Sessions whose gap is a function of each record. Made by `session`.
template <class GapFn>
struct dynamic_session_windows {
    static constexpr bool merges = true;
    GapFn gap_of;
    void check(std::vector<std::string>&) const {}
    std::string text() const { return "session(gap of record)"; }
    /// Errors: `error` for a gap that is not above zero.
    template <class T>
    window opened(const T& record, timestamp t) const {
        const duration gap = std::invoke(gap_of, record);
        if (gap <= duration::zero())
            throw error("session: the gap of the record is " + detail::duration_text(gap) +
                        "; it must be larger than zero. Have the function return a positive duration for each record");
        return {t, t + gap};
    }
};

/// One window for all time. Made by `global`.
struct global_windows {
    static constexpr bool never_late = true;
    static constexpr bool is_global = true;
    void check(std::vector<std::string>&) const {}
    std::string text() const { return "global"; }
    std::vector<window> windows_of(timestamp) const { return {{timestamp::min(), timestamp::max()}}; }
};

/// Windows of `size` records of a key, a new one for every `slide` of them. Made by `count`.
struct count_windows {
    static constexpr bool never_late = true;
    std::int64_t size;
    std::int64_t slide;
    void check(std::vector<std::string>& problems) const;
    std::string text() const;
};

/// Windows that a class of the user's chooses. Made by `windows_of`.
template <class Assigner>
struct own_windows {
    Assigner assigner;
    void check(std::vector<std::string>&) const {}
    std::string text() const {
        if constexpr (requires { { assigner.text() } -> std::convertible_to<std::string>; }) return assigner.text();
        else return "own windows";
    }
    /// Errors: `error` for a window that ends before it starts.
    auto windows_of(timestamp t) const {
        auto all = assigner.windows_of(t);
        for (const window& w : all)
            if (w.end <= w.start)
                throw error("windows_of: a record of " + to_string(t) + " was given the window [" + to_string(w.start) +
                            ", " + to_string(w.end) + "), which is empty. Its end must lie behind its start");
        return all;
    }
};

/// Windows [offset + k * size, offset + (k + 1) * size) for all whole k: each record lies in one.
inline undecided_window_spec<tumbling_windows> tumbling(duration size, duration offset = duration::zero()) {
    return undecided_window_spec(tumbling_windows{size, offset});
}

/// Windows [offset + k * slide, offset + k * slide + size) for all whole k: each record lies in about size / slide
/// of them; with a slide larger than the size, records between windows lie in none.
inline undecided_window_spec<sliding_windows> sliding(duration size, duration slide,
                                                      duration offset = duration::zero()) {
    return undecided_window_spec(sliding_windows{size, slide, offset});
}

/// Windows [s, s + step), [s, s + 2 * step), ..., [s, s + max_size) for s = offset + k * max_size, for all whole k: a
/// total so far, every step. `max_size` is a whole multiple of `step`.
inline undecided_window_spec<cumulative_windows> cumulative(duration max_size, duration step,
                                                            duration offset = duration::zero()) {
    return undecided_window_spec(cumulative_windows{max_size, step, offset});
}

/// Windows per key: each record opens [t, t + gap), and windows that overlap or touch become one.
inline undecided_window_spec<session_windows> session(duration gap) {
    return undecided_window_spec(session_windows{gap});
}

/// The same with a gap of each record's own: `gap_of_record(record)`, a function or member pointer that gives a
/// duration.
template <class GapFn>
    requires(!std::is_convertible_v<GapFn, duration>)
undecided_window_spec<dynamic_session_windows<GapFn>> session(GapFn gap_of_record) {
    return undecided_window_spec(dynamic_session_windows<GapFn>{std::move(gap_of_record)});
}

/// One window per key, for all time: it fires at the end of the input, and before that as `early(...)` or a trigger
/// of your own says. No record is late for it. Memory: what it holds stays, unless it is `discarding()` or the trigger
/// purges.
inline window_spec<global_windows> global() { return {global_windows{}, duration::zero()}; }

/// Windows of `n` records of a key, in order of arrival; what is left at the end of the input does not fire. (With
/// `global().early(every_records(n)).discarding()` it does.) No record is late for them, and no event time is needed.
inline window_spec<count_windows> count(std::int64_t n) { return {count_windows{n, n}, duration::zero()}; }

/// After every `slide` records of a key, a window of the last `n`, or of all if there are fewer yet.
inline window_spec<count_windows> count(std::int64_t n, std::int64_t slide) {
    return {count_windows{n, slide}, duration::zero()};
}

/// Windows of your own: `assigner.windows_of(t)`, const, gives all windows of a record of time t, as a range of
/// `runnel::window`. If it has a `text()`, that says which windows they are: state is loaded into windows of the same
/// text only.
template <class Assigner>
undecided_window_spec<own_windows<Assigner>> windows_of(Assigner assigner) {
    return undecided_window_spec(own_windows<Assigner>{std::move(assigner)});
}

}  // namespace runnel
