#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "runnel/core/timestamp.hpp"
#include "runnel/source/generator.hpp"

namespace runnel {

/// What `random_events` makes.
struct random_event {
    std::uint64_t key;
    timestamp at;
    std::int64_t value;  ///< 0 .. 999
    /// The truth: true if the event is behind the watermark of `bounded_out_of_orderness(disorder)`, false if not.
    bool late;

    friend bool operator==(const random_event&, const random_event&) = default;
};

/// What the random events are like. All is a function of the seed and the event's number.
struct random_event_options {
    std::uint64_t count = 1'000'000;
    /// Keys are 0 .. keys - 1.
    std::uint64_t keys = 1'000;
    /// Exponent of Zipf's law: key k comes with weight 1 / (k + 1)^skew; 0: all alike. Costs some 50 ns an event.
    double skew = 0;
    /// Event i happens at start + i * step.
    timestamp start{std::chrono::seconds(1'700'000'000)};
    duration step = std::chrono::milliseconds(1);
    /// An event's time is set back by a random length up to this.
    duration disorder{0};
    /// Share of events that are set back further, beyond the promise; none among the first 256.
    double late_share = 0;
    /// By how much at most late events miss the promise, beyond 512 steps.
    duration late_by = std::chrono::seconds(10);
    std::uint64_t seed = 1;
    /// Events per second of the clock; 0: as fast as they are taken.
    double rate = 0;
    /// At most 16.
    std::size_t splits = 1;
};

/// Makes event number i on its own: the oracle of `random_events`. Thread safety: safe.
class random_event_maker {
public:
    explicit random_event_maker(const random_event_options& options);
    random_event operator()(std::uint64_t i) const noexcept;

private:
    std::uint64_t zipf(std::uint64_t& random) const noexcept;
    double integral(double x) const noexcept;
    double inverse_integral(double y) const noexcept;

    random_event_options options_;
    std::uint64_t late_below_;
    double first_ = 0;
    double last_ = 0;
    double shortcut_ = 0;
};

/// See `random_events`.
class random_event_source final : public generator_source<random_event_maker> {
public:
    explicit random_event_source(const random_event_options& options);
    std::string name() const override { return "random_events"; }
    std::vector<std::string> problems() const override;

private:
    random_event_options options_;
};

/// Synthetic events with skewed keys, bounded disorder and a known share of late ones; the same for the same options.
/// Example: `p.from(runnel::random_events({.keys = 100, .skew = 1.1, .disorder = 2s, .late_share = 0.01}))`
inline random_event_source random_events(const random_event_options& options = {}) {
    return random_event_source(options);
}

}  // namespace runnel
