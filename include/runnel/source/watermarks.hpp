#pragma once

#include <algorithm>
#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/core/timestamp.hpp"
#include "runnel/source/alignment.hpp"

namespace runnel {

/// How event time advances in a split: a strategy makes one generator per split.
///
/// A generator has `timestamp on_record(const T& value, timestamp t)` or `timestamp on_record(timestamp t)`, which
/// returns its value after that record: a promise that no later record has a time at or below it. It may have
/// `timestamp on_tick(timestamp now)`, asked as processing time goes by. Values that fall are taken as unchanged.
/// It may have `static constexpr bool follows_largest_time = true`, if `on_record(t)` depends on the largest time so
/// far alone and lies below it: then it is asked only once for a run of records whose times do not fall.
/// Generators of your own type: `strategy(g)` copies `g` for every split.
template <class Generator>
struct watermark_strategy {
    Generator generator;
    duration idle{0};

    /// A split without records for `d` of processing time no longer holds back the others. Off unless asked for,
    /// since results then depend on the wall clock. Time spent blocked by a slow consumer does not count.
    watermark_strategy idle_after(duration d) const {
        watermark_strategy s = *this;
        s.idle = d;
        s.idle_asked = true;
        return s;
    }
    /// A split is not read while its watermark is ahead of the slowest active split of `group` by more than
    /// `max_drift`. Looked at once a batch, so that one batch may go beyond. Idle and finished splits don't count; one
    /// that has had no record yet is the slowest. Being held is not silence: it makes no split idle.
    watermark_strategy align(alignment_group group, duration max_drift) const {
        watermark_strategy s = *this;
        s.aligned_in = std::move(group);
        s.max_drift = max_drift;
        return s;
    }
    std::vector<std::string> problems() const {
        std::vector<std::string> found;
        if (max_drift < duration::zero()) found.push_back("align needs a drift that is not negative");
        if (idle_asked && idle <= duration::zero()) found.push_back("idle_after needs a duration above zero");
        if constexpr (requires { generator.problem(); })
            if (std::string p = generator.problem(); !p.empty()) found.push_back(std::move(p));
        return found;
    }
    bool idle_asked = false;
    std::optional<alignment_group> aligned_in = std::nullopt;
    duration max_drift{0};
};

/// Follows the largest time so far at a fixed distance. O(1).
struct bounded_generator {
    duration bound{0};
    timestamp value = timestamp::min();

    static constexpr bool follows_largest_time = true;
    timestamp on_record(timestamp t) noexcept {
        value = std::max(value, (t - bound).previous());
        return value;
    }
    std::string problem() const {
        return bound < duration::zero() ? "bounded_out_of_orderness needs a bound that is not negative" : "";
    }
};

/// Times never fall within a split: watermark = largest time - 1 tick. A record with the largest time again is in
/// order.
inline watermark_strategy<bounded_generator> monotonous() { return {}; }

/// A record is at most `bound` behind the largest time before it: watermark = largest time - bound - 1 tick.
inline watermark_strategy<bounded_generator> bounded_out_of_orderness(duration bound) { return {{bound}}; }

/// Records themselves say how far event time is: `f(record)` or `f(record, time)` returns
/// `std::optional<timestamp>`, the watermark after this record, or nothing.
template <class F>
struct punctuated_generator {
    F f;
    timestamp value = timestamp::min();

    template <class T>
        requires std::is_invocable_r_v<std::optional<timestamp>, F&, const T&> ||
                 std::is_invocable_r_v<std::optional<timestamp>, F&, const T&, timestamp>
    timestamp on_record(const T& record, timestamp t) {
        std::optional<timestamp> w;
        if constexpr (std::invocable<F&, const T&, timestamp>)
            w = std::invoke(f, record, t);
        else
            w = std::invoke(f, record);
        if (w) value = std::max(value, *w);
        return value;
    }
};

template <class F>
watermark_strategy<punctuated_generator<F>> punctuated(F f) {
    return {{std::move(f)}};
}

/// A generator type of the user's own; see `watermark_strategy`.
template <class Generator>
watermark_strategy<Generator> strategy(Generator g) {
    return {std::move(g)};
}

}  // namespace runnel
