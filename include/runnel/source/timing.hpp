#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include "runnel/core/timestamp.hpp"
#include "runnel/source/alignment.hpp"
#include "runnel/source/watermarks.hpp"

namespace runnel {

/// No event time: records carry none, and the only watermark is the one at the end.
struct no_event_time {
    static constexpr bool enabled = false;
    duration idle{0};
};

/// Event time as the source itself gives it with each record.
struct time_of_source {};

/// Where a record's event time comes from, and how watermarks follow.
template <class Extractor, class Generator>
struct event_timing {
    static constexpr bool enabled = true;
    Extractor extractor;
    Generator generator;
    duration idle{0};
    std::optional<alignment_group> aligned_in = std::nullopt;
    duration max_drift{0};

    /// False if a record may have no time.
    template <class T>
    static constexpr bool always_gives_time =
        !std::is_same_v<std::remove_cvref_t<std::invoke_result_t<Extractor&, const T&>>, std::optional<timestamp>>;

    /// The time of a record, as a timestamp or, if it may have none, a std::optional<timestamp>.
    template <class T>
    auto time_of(const T& record) {
        if constexpr (always_gives_time<T>)
            return timestamp(std::invoke(extractor, record));
        else
            return std::optional<timestamp>(std::invoke(extractor, record));
    }
};

/// What an extractor may return: timestamp, std::optional<timestamp>, or a std::chrono time_point of the system clock.
template <class F, class T>
concept time_extractor = std::is_invocable_v<F&, const T&> &&
    (std::is_same_v<std::remove_cvref_t<std::invoke_result_t<F&, const T&>>, timestamp> ||
     std::is_same_v<std::remove_cvref_t<std::invoke_result_t<F&, const T&>>, std::optional<timestamp>> ||
     std::is_convertible_v<std::invoke_result_t<F&, const T&>, std::chrono::system_clock::time_point>);

}  // namespace runnel
