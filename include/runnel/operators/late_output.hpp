#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "runnel/operators/late_record.hpp"
#include "runnel/operators/operator.hpp"

namespace runnel {

/// How many records of the input a record stands for: one, unless it says otherwise.
template <class T>
constexpr std::uint64_t records_in(const T&) noexcept {
    return 1;
}

}  // namespace runnel

namespace runnel::detail {

/// Where an operator's late records go: to the late output if there is one, else into a count. Of the latter some are
/// shown: the first, second, fourth, eighth ...
/// Thread safety: unsafe.
template <class T>
class late_output {
public:
    void open(const operator_context& context, output<late_record<T>>* side) {
        metrics_ = context.metrics;
        show_ = context.show_late;
        side_ = side;
    }
    bool ready() { return side_ == nullptr || side_->ready(); }
    void take(T&& value, timestamp t, timestamp watermark, late_reason reason) {
        if (side_) {
            side_->emit({std::move(value), t, watermark, reason}, t);
        } else if (metrics_) {
            using runnel::records_in;
            metrics_->late_dropped.add(records_in(value));
            if (show_ && std::has_single_bit(++dropped_)) show(value, t, watermark, reason);
        }
    }

private:
    [[gnu::cold, gnu::noinline]] void show(const T& value, timestamp t, timestamp watermark, late_reason reason) const {
        std::string text;
        if constexpr (displayable<T>) {
            string_stream to(text);
            display(to, value);
        }
        show_("late at " + to_string(t) + ", watermark " + to_string(watermark) + ": " + std::string(to_string(reason)),
              text);
    }

    std::function<void(std::string_view why, std::string_view value)> show_;
    std::uint64_t dropped_ = 0;
    operator_metrics* metrics_ = nullptr;
    output<late_record<T>>* side_ = nullptr;
};

}  // namespace runnel::detail
