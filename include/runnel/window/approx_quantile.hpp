#pragma once

#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/core/error.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/t_digest.hpp"

namespace runnel {

/// About the quantiles of a field of records of type T; see `approx_quantile` and `approx_quantiles`.
/// Shares: double, or std::vector<double>.
template <class T, class F, class Shares>
class approx_quantile_aggregate {
    static_assert(std::is_arithmetic_v<detail::field_of<F, T>>,
                  "approx_quantile wants numbers: give it a field or function that yields one");

public:
    static constexpr bool creates_default = true;
    approx_quantile_aggregate(Shares shares, F field) : shares_(std::move(shares)), field_(std::move(field)) {}
    t_digest create() const noexcept { return {}; }
    void add(t_digest& digest, const T& record) const { digest.add(static_cast<double>(std::invoke(field_, record))); }
    void merge(t_digest& digest, const t_digest& other) const { digest.merge(other); }
    Shares result(const t_digest& digest) const {
        if constexpr (std::is_same_v<Shares, double>) return digest.quantile(shares_);
        else return digest.quantiles(shares_);
    }

private:
    Shares shares_;
    [[no_unique_address]] F field_;
};

template <class F, class Shares>
struct approx_quantile_recipe {
    template <class T>
        requires detail::field_function<F, T>
    approx_quantile_aggregate<T, F, Shares> bind() const {
        return {shares, field};
    }
    Shares shares;
    [[no_unique_address]] F field;
};

namespace detail {

inline void check_share(double q) {
    if (!(q >= 0 && q <= 1))
        throw error("approx_quantile: " + std::to_string(q) + " is no share of the records. Use a number from 0 to 1; "
                    "0.5 is the median");
}

}  // namespace detail

/// About the value of `field` (a member pointer or function of the record), or of the records themselves, below which
/// a share q of the records lies, as a double: `approx_quantile(0.99, &request::millis)`. Exact up to 1,000 records
/// per key and window; for more, how far off: see `t_digest`. NaN is left out.
/// Errors: `error` if q isn't from 0 to 1.
template <class F = detail::whole_record>
approx_quantile_recipe<F, double> approx_quantile(double q, F field = {}) {
    detail::check_share(q);
    return {q, std::move(field)};
}

/// Several quantiles at once, as a std::vector<double> in the order of `qs`: `approx_quantiles({0.5, 0.99}, f)`. Else
/// as `approx_quantile`.
template <class F = detail::whole_record>
approx_quantile_recipe<F, std::vector<double>> approx_quantiles(std::vector<double> qs, F field = {}) {
    for (double q : qs) detail::check_share(q);
    return {std::move(qs), std::move(field)};
}

}  // namespace runnel
