#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runnel/core/timestamp.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/source/source.hpp"

namespace runnel {

/// One tick of a `ticker`: its number, from 0 on, and when it was due.
struct tick {
    std::uint64_t number = 0;
    timestamp time;
    friend auto operator<=>(const tick&, const tick&) = default;
    friend bool operator==(const tick&, const tick&) = default;
};

/// Ticks by the job's clock. See `ticker`.
class ticker_source final : public source<tick> {
public:
    ticker_source(duration interval, std::uint64_t count) : interval_(interval), count_(count) {}

    std::string name() const override;
    std::vector<std::string> problems() const override;
    std::vector<std::string> splits() override { return {"0"}; }
    std::unique_ptr<split_reader<tick>> open(const std::string& id, const std::string* position,
                                             const reader_context& context) override;

private:
    duration interval_;
    std::uint64_t count_;
};

/// A `tick` every `interval` of the job's clock, the first after one interval; ends after `count` of them.
///
/// A tick has its due time as event time: `p.from(ticker(1s)).event_time(monotonous())`. None is left out: after a
/// stall those that are overdue come at once, each with its own time.
/// Checkpointed state: number and time. After a restore the numbers go on, and the next tick is due after one interval:
/// the time in between has none.
inline ticker_source ticker(duration interval, std::uint64_t count = unbounded) { return {interval, count}; }

}  // namespace runnel
