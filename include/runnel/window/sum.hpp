#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <type_traits>

#include "runnel/codec/codec.hpp"
#include "runnel/codec/layout.hpp"
#include "runnel/window/aggregate.hpp"

namespace runnel {

/// A sum of doubles with the rounding errors of all its additions kept beside it.
///
/// Source: A. Neumaier, Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen, 1974. The error of
/// the result is about one unit in the last place plus n^2 * 2^-106 times the sum of the magnitudes, where plain
/// summation has n * 2^-53 times that; so different orders agree to the last place or two unless terms cancel.
/// Needs IEEE arithmetic: not to be compiled with -ffast-math.
class compensated_sum {
public:
    void add(double x) noexcept {
        const double sum = sum_ + x;
        lost_ += std::fabs(sum_) >= std::fabs(x) ? (sum_ - sum) + x : (x - sum) + sum_;
        sum_ = sum;
    }
    void add(const compensated_sum& other) noexcept {
        add(other.sum_);
        lost_ += other.lost_;
    }
    /// The sum; infinities and NaN come out as in plain summation.
    double value() const noexcept { return std::isfinite(sum_) ? sum_ + lost_ : sum_; }

private:
    friend struct codec<compensated_sum>;
    double sum_ = 0;
    double lost_ = 0;
    static auto layout(layout_builder& to) { return to.of<double, double>(layout_kind::tuple); }
};

template <>
struct codec<compensated_sum> {
    static void encode(const compensated_sum& s, std::string& out) {
        codec<double>::encode(s.sum_, out);
        codec<double>::encode(s.lost_, out);
    }
    static compensated_sum decode(byte_reader& in) {
        compensated_sum s;
        s.sum_ = codec<double>::decode(in);
        s.lost_ = codec<double>::decode(in);
        return s;
    }
};

namespace detail {

/// Integers sum up in 64 bits of their own signedness, floating point in a compensated double.
template <class V>
struct sum_of {
    static_assert(std::is_arithmetic_v<V>, "sum and mean want numbers: give them a field or function that yields one");
    static constexpr bool is_exact = std::is_integral_v<V>;
    using number = std::conditional_t<!is_exact, double,
                                      std::conditional_t<std::is_signed_v<V>, std::int64_t, std::uint64_t>>;
    using state = std::conditional_t<is_exact, number, compensated_sum>;

    static void add(state& s, number x) {
        if constexpr (is_exact) {
            number total;
            if (__builtin_add_overflow(s, x, &total)) [[unlikely]] overflow();
            s = total;
        } else {
            s.add(x);
        }
    }
    static void merge(state& s, const state& other) {
        if constexpr (is_exact)
            add(s, other);
        else
            s.add(other);
    }
    static number value(const state& s) noexcept {
        if constexpr (is_exact)
            return s;
        else
            return s.value();
    }

private:
    [[noreturn, gnu::cold, gnu::noinline]] static void overflow() {
        throw std::overflow_error(std::is_signed_v<V>
                                      ? "a sum of integers left the range of std::int64_t: sum up a double instead"
                                      : "a sum of integers left the range of std::uint64_t: sum up a double instead");
    }
};

}  // namespace detail

namespace detail {

/// A sum of 64-bit integers that can't overflow.
struct wide_sum {
    __extension__ using wide = __int128;
    wide value = 0;
};

}  // namespace detail

template <>
struct codec<detail::wide_sum> {
    static void encode(const detail::wide_sum& s, std::string& out) {
        codec<std::uint64_t>::encode(static_cast<std::uint64_t>(s.value), out);
        codec<std::int64_t>::encode(static_cast<std::int64_t>(s.value >> 64), out);
    }
    static detail::wide_sum decode(byte_reader& in) {
        const auto low = codec<std::uint64_t>::decode(in);
        return {detail::wide_sum::wide(codec<std::int64_t>::decode(in)) * (detail::wide_sum::wide(1) << 64) + low};
    }
    static auto layout(layout_builder& to) { return to.of<std::uint64_t, std::int64_t>(layout_kind::tuple); }
};

/// Sum of a field of records of type T; see `sum`.
template <class T, class F>
class sum_aggregate {
    using sums = detail::sum_of<detail::field_of<F, T>>;

public:
    static constexpr bool creates_default = true;
    explicit sum_aggregate(F field) : field_(std::move(field)) {}
    typename sums::state create() const noexcept { return {}; }
    void add(typename sums::state& s, const T& record) const { sums::add(s, std::invoke(field_, record)); }
    void merge(typename sums::state& s, const typename sums::state& other) const { sums::merge(s, other); }
    typename sums::number result(const typename sums::state& s) const noexcept { return sums::value(s); }

private:
    [[no_unique_address]] F field_;
};

/// Sum of an integer field of records of type T that stops at the limits of 64 bits; see `sum_recipe::saturating`.
template <class T, class F>
class saturating_sum_aggregate {
    static_assert(std::is_integral_v<detail::field_of<F, T>>, "saturating is for sums of integers: leave it out");
    using number = typename detail::sum_of<detail::field_of<F, T>>::number;
    using limits = std::numeric_limits<number>;

public:
    static constexpr bool creates_default = true;
    explicit saturating_sum_aggregate(F field) : field_(std::move(field)) {}
    detail::wide_sum create() const noexcept { return {}; }
    void add(detail::wide_sum& s, const T& record) const { s.value += std::invoke(field_, record); }
    void merge(detail::wide_sum& s, const detail::wide_sum& other) const noexcept { s.value += other.value; }
    number result(const detail::wide_sum& s) const noexcept {
        if (s.value < limits::min()) return limits::min();
        return s.value > limits::max() ? limits::max() : static_cast<number>(s.value);
    }

private:
    [[no_unique_address]] F field_;
};

template <class F>
struct saturating_sum_recipe {
    template <class T>
        requires detail::field_function<F, T>
    saturating_sum_aggregate<T, F> bind() const {
        return saturating_sum_aggregate<T, F>(field);
    }
    [[no_unique_address]] F field;
};

template <class F>
struct sum_recipe {
    template <class T>
        requires detail::field_function<F, T>
    sum_aggregate<T, F> bind() const {
        return sum_aggregate<T, F>(field);
    }
    /// Gives the limit that it passed where the sum of integers leaves the range of 64 bits: no error. The sum is kept
    /// in 128 bits, so only where it ends counts, not what it passed through; in any order the result is the same.
    constexpr saturating_sum_recipe<F> saturating() const { return {field}; }
    [[no_unique_address]] F field;
};

/// Sums up `field` (a member pointer or function of the record), or the records themselves if they are numbers.
/// The result is a std::int64_t, std::uint64_t or double.
/// Errors: std::overflow_error, from whichever addition leaves the range of 64 bits; an integer sum never wraps. Which
/// addition that is depends on the order of the records; `sum(f).saturating()` never throws.
template <class F = detail::whole_record>
constexpr sum_recipe<F> sum(F field = {}) {
    return {std::move(field)};
}

}  // namespace runnel
