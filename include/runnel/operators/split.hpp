#pragma once

#include <functional>
#include <tuple>
#include <utility>

#include "runnel/operators/operator.hpp"

namespace runnel {

/// Sends records for which the predicate is true to the main output, the others to the side output.
///
/// Order: kept within each output. Checkpointed state: none.
template <class T, class Predicate>
class split_operator {
public:
    using input_type = T;
    using output_type = T;
    using side_types = std::tuple<T>;

    explicit split_operator(Predicate predicate) : predicate_(std::move(predicate)) {}

    void open(const operator_context&, output<T>& rest) { rest_ = &rest; }
    void on_record(T&& value, timestamp t, output<T>& out) {
        (std::invoke(predicate_, std::as_const(value)) ? out : *rest_).emit(std::move(value), t);
    }

private:
    Predicate predicate_;
    output<T>* rest_ = nullptr;
};

}  // namespace runnel
