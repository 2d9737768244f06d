#pragma once

#include <cstdint>
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

/// Where an operator's late records go: to the late output if there is one, else into a count.
/// Thread safety: unsafe.
template <class T>
class late_output {
public:
    void open(const operator_context& context, output<late_record<T>>* side) noexcept {
        metrics_ = context.metrics;
        side_ = side;
    }
    bool ready() { return side_ == nullptr || side_->ready(); }
    void take(T&& value, timestamp t, timestamp watermark, late_reason reason) {
        if (side_)
            side_->emit({std::move(value), t, watermark, reason}, t);
        else if (metrics_)
            metrics_->late_dropped.add(records_in(value));
    }

private:
    operator_metrics* metrics_ = nullptr;
    output<late_record<T>>* side_ = nullptr;
};

}  // namespace runnel::detail
