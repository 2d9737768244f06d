#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "runnel/core/timestamp.hpp"
#include "runnel/testing/value_text.hpp"

namespace runnel::testing {

/// One thing that comes to an operator: a record, a signal, or a step of the clock.
template <class T>
struct event {
    enum class kind : unsigned char { record, watermark, idle, active, clock };
    kind what;
    timestamp time;  ///< Of the record; of the watermark; of the clock.
    std::optional<T> value{};
};

template <class T>
std::string text_of(const event<T>& e) {
    switch (e.what) {
        case event<T>::kind::record: return "record " + text_of(*e.value) + " at " + to_string(e.time);
        case event<T>::kind::watermark: return "watermark " + to_string(e.time);
        case event<T>::kind::idle: return "idle";
        case event<T>::kind::active: return "active";
        case event<T>::kind::clock: return "clock " + to_string(e.time);
    }
    return "?";
}

/// What comes to an operator, in order:
///
///     auto s = script<int>().record(1, timestamp(1s)).watermark(timestamp(5s)).record(2, timestamp(3s)).end();
///
/// Thread safety: distinct objects: safe, shared objects: safe for const members.
template <class T>
class script {
public:
    script& record(T value, timestamp t) { return add({event<T>::kind::record, t, std::move(value)}); }
    /// Must be higher than the watermark before.
    script& watermark(timestamp w) { return add({event<T>::kind::watermark, w}); }
    script& idle() { return add({event<T>::kind::idle, timestamp::min()}); }
    script& active() { return add({event<T>::kind::active, timestamp::min()}); }
    /// Processing time goes forward to `t`; it is 0 at first.
    script& clock_at(timestamp t) { return add({event<T>::kind::clock, t}); }
    /// The end of the input: the watermark `timestamp::max()`.
    script& end() { return watermark(timestamp::max()); }

    const std::vector<event<T>>& events() const noexcept { return events_; }
    std::size_t size() const noexcept { return events_.size(); }

private:
    script& add(event<T> e) {
        events_.push_back(std::move(e));
        return *this;
    }
    std::vector<event<T>> events_;
};

/// How `random_script` makes its events.
struct random_script_options {
    std::size_t records = 300;
    timestamp start{0};
    /// Event time goes forward by up to this much a record.
    duration step = std::chrono::milliseconds(100);
    /// Records are up to this far behind the newest.
    duration disorder = std::chrono::seconds(2);
    /// How far watermarks are behind the newest record: less than the disorder makes some records late.
    duration watermark_delay = std::chrono::seconds(1);
    unsigned watermark_percent = 5;   ///< Chance of a watermark after a record.
    unsigned idle_percent = 1;        ///< Chance of going idle, and active again at the next record.
    unsigned clock_percent = 0;       ///< Chance of a step of the clock after a record.
    duration clock_step = std::chrono::seconds(2);  ///< The largest such step.
    bool end = true;
};

/// Records made by `make(random engine)` with times out of order, some of them late, watermarks, idle times and, if
/// asked for, steps of the clock among them. The same seed gives the same script on every machine, as far as `make`
/// does.
template <class T, class Make>
script<T> random_script(std::uint64_t seed, Make make, const random_script_options& options = {}) {
    std::mt19937_64 random(seed);
    // Not std::uniform_int_distribution: libraries differ in it.
    auto up_to = [&](duration d) {
        return duration(static_cast<std::int64_t>(random() % (static_cast<std::uint64_t>(d.count()) + 1)));
    };
    script<T> s;
    timestamp newest = options.start;
    timestamp watermark = timestamp::min();
    timestamp clock{0};
    for (std::size_t i = 0; i < options.records; ++i) {
        newest = newest + up_to(options.step);
        s.record(make(random), newest - up_to(options.disorder));
        if (random() % 100 < options.watermark_percent && newest - options.watermark_delay > watermark)
            s.watermark(watermark = newest - options.watermark_delay);
        if (random() % 100 < options.idle_percent) s.idle().active();
        if (options.clock_percent != 0 && random() % 100 < options.clock_percent)
            s.clock_at(clock = clock + up_to(options.clock_step));
    }
    return options.end ? std::move(s.end()) : std::move(s);
}

}  // namespace runnel::testing
