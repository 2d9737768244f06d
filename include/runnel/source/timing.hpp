#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "runnel/core/batch.hpp"
#include "runnel/core/timestamp.hpp"
#include "runnel/core/watermark.hpp"
#include "runnel/source/alignment.hpp"
#include "runnel/source/watermarks.hpp"

namespace runnel {

/// Event time as the source itself gives it with each record.
struct time_of_source {};

/// Where a record's event time comes from, and how watermarks follow.
template <class Extractor, class Generator>
struct event_timing {
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

/// How far a split is in event time, and the source with it.
struct split_advance {
    std::size_t split;
    /// The generator's value: what has been promised of this split.
    timestamp& value;
    watermark_merger& merged;
    /// The watermark that has been sent.
    timestamp forwarded;
};

/// Takes the records of one split into event time, whatever their type, extractor and generator.
/// Thread safety: unsafe; one subtask owns it.
class split_timing {
public:
    virtual ~split_timing() = default;
    /// The same for another split, as it was made.
    virtual std::unique_ptr<split_timing> copy() const = 0;
    /// Fills in the times of the records of `b` from index `from` on. Those that have none are taken out, after a call
    /// of `without_time`.
    virtual void extract(batch_base& b, std::size_t from, const std::function<void()>& without_time) = 0;
    /// Runs the generator over the records of `b` from `from` on, and widens `bounded` by their times. Returns the
    /// index of the first record that stands at or below a watermark which has not been sent yet, or the size.
    virtual std::size_t advance(batch_base& b, std::size_t from, const split_advance& at, batch_base& bounded) = 0;
    /// The generator's value when processing time has come to `now`, if it cares.
    virtual timestamp on_tick(timestamp now) = 0;
};

namespace detail {

/// See `split_timing`.
template <class T, class Extractor, class Generator>
class typed_split_timing final : public split_timing {
    using timing = event_timing<Extractor, Generator>;

public:
    explicit typed_split_timing(timing t) : timing_(std::move(t)) {}

    std::unique_ptr<split_timing> copy() const override { return std::make_unique<typed_split_timing>(timing_); }

    void extract(batch_base& any, std::size_t from, const std::function<void()>& without_time) override {
        auto& b = static_cast<batch<T>&>(any);
        if constexpr (std::is_same_v<Extractor, time_of_source>) {
            (void)b, (void)from, (void)without_time;
        } else if constexpr (timing::template always_gives_time<T>) {
            const T* const values = std::as_const(b).values();
            timestamp* const times = b.times();
            for (std::size_t k = from, n = b.size(); k < n; ++k) {
                // What a source has lent comes from memory, and this is the first look at it: a sixth of a window job.
                __builtin_prefetch(reinterpret_cast<const char*>(values + k) + 2048);
                times[k] = timing_.time_of(values[k]);
            }
        } else {
            std::size_t to = from;
            for (std::size_t k = from; k < b.size(); ++k) {
                const std::optional<timestamp> t = timing_.time_of(std::as_const(b).value(k));
                if (!t) [[unlikely]] {
                    without_time();
                    continue;
                }
                if (to != k) [[unlikely]] b.value(to) = std::move(b.value(k));
                b.times()[to++] = *t;
            }
            b.truncate(to);
        }
    }

    std::size_t advance(batch_base& b, std::size_t from, const split_advance& at, batch_base& bounded) override {
        auto& generator = timing_.generator;
        if constexpr (requires { requires Generator::follows_largest_time; }) {
            // Records in order keep every promise that is made among them.
            const timestamp* const times = b.times() + from;
            const std::size_t n = b.size() - from;
            if (n != 0 && times[0] > std::max(at.value, at.merged.current()) && ascending(times, n)) {
                at.value = std::max(at.value, generator.on_record(times[n - 1]));
                at.merged.watermark(at.split, at.value);
                bounded.widen(times[0], times[n - 1]);
                return b.size();
            }
        }
        timestamp value = at.value;
        timestamp merged = at.merged.current();
        timestamp low = timestamp::max();
        timestamp high = timestamp::min();
        const std::size_t size = b.size();
        std::size_t k = from;
        for (; k < size; ++k) {
            const timestamp t = b.time(k);
            if (t <= std::max(value, merged)) [[unlikely]] {
                at.merged.watermark(at.split, value);
                merged = at.merged.current();
                if (t <= merged && merged > at.forwarded) break;
            }
            timestamp said;
            if constexpr (requires { generator.on_record(t); }) said = generator.on_record(t);
            else said = generator.on_record(std::as_const(static_cast<batch<T>&>(b)).value(k), t);
            value = std::max(value, said);
            low = std::min(low, t);
            high = std::max(high, t);
        }
        at.value = value;
        if (k == size) at.merged.watermark(at.split, value);
        if (k != from) bounded.widen(low, high);
        return k;
    }

    timestamp on_tick([[maybe_unused]] timestamp now) override {
        if constexpr (requires { timing_.generator.on_tick(now); }) return timing_.generator.on_tick(now);
        else return timestamp::min();
    }

private:
    static bool ascending(const timestamp* times, std::size_t n) noexcept {
        bool falls = false;
        for (std::size_t k = 1; k < n; ++k) falls |= times[k] < times[k - 1];
        return !falls;
    }

    timing timing_;
};

}  // namespace detail

/// How the splits of a source advance in event time; without `each`, not at all: the only watermark is that at the end.
struct source_timing {
    std::shared_ptr<const split_timing> each = nullptr;
    /// Times come from the source itself.
    bool takes_times = false;
    /// Generators are asked as processing time goes by.
    bool ticks = false;
    duration idle{0};
    std::optional<alignment_group> aligned_in = std::nullopt;
    duration max_drift{0};
};

template <class T, class Extractor, class Generator>
source_timing timing_of(event_timing<Extractor, Generator> t) {
    source_timing made;
    made.takes_times = std::is_same_v<Extractor, time_of_source>;
    made.ticks = requires(Generator& g, timestamp now) { g.on_tick(now); };
    made.idle = t.idle;
    made.aligned_in = t.aligned_in;
    made.max_drift = t.max_drift;
    made.each = std::make_shared<detail::typed_split_timing<T, Extractor, Generator>>(std::move(t));
    return made;
}

}  // namespace runnel
