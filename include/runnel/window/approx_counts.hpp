#pragma once

#include <functional>
#include <utility>

#include "runnel/window/aggregate.hpp"
#include "runnel/window/count_min.hpp"

namespace runnel {

/// About how often each value of a field of records of type T came; see `approx_counts`.
template <class T, class F>
class approx_counts_aggregate {
    using sketch = count_min<detail::field_of<F, T>>;

public:
    approx_counts_aggregate(F field, const count_min_options& options) : field_(std::move(field)), empty_(options) {}
    sketch create() const { return empty_; }
    void add(sketch& counts, const T& record) const { counts.add(std::invoke(field_, record)); }
    void merge(sketch& counts, const sketch& other) const { counts.merge(other); }
    sketch result(const sketch& counts) const { return counts; }

private:
    [[no_unique_address]] F field_;
    sketch empty_;
};

template <class F>
struct approx_counts_recipe {
    template <class T>
        requires detail::field_function<F, T>
    approx_counts_aggregate<T, F> bind() const {
        return {field, options};
    }
    [[no_unique_address]] F field;
    count_min_options options;
};

/// About how often each value of `field`, a member pointer or function of the record, came: a `count_min`, to be
/// asked by `estimate(value)`. Estimates are never too low, and, but for a share `delta` of the values, at most
/// `epsilon` times the number of records too high. Memory per key and window: see `count_min_options`; far less for few
/// values. The values need a codec.
/// Errors: `error` if an option is out of range.
template <class F = detail::whole_record>
approx_counts_recipe<F> approx_counts(F field = {}, const count_min_options& options = {}) {
    static_cast<void>(detail::count_min_table(options));
    return {std::move(field), options};
}

}  // namespace runnel
