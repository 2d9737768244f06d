#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <type_traits>

#include "runnel/codec/codec.hpp"
#include "runnel/codec/layout.hpp"
#include "runnel/window/aggregate.hpp"

namespace runnel {

/// Number, mean and sum of squared distances from the mean, of numbers that came one by one or in groups.
///
/// Source: T. Chan, G. Golub, R. LeVeque, Updating formulae and a pairwise algorithm for computing sample variances,
/// 1979. Nothing large is subtracted from something large, so a variance that is small beside the mean keeps its
/// places: the relative error is about n * 2^-53 * (1 + |mean| / deviation); different orders agree within that. Equal
/// numbers have the variance 0 exactly.
class moments {
public:
    void add(double x) noexcept {
        ++count_;
        const double distance = x - mean_;
        mean_ += distance / static_cast<double>(count_);
        squares_ += distance * (x - mean_);
    }
    void add(const moments& other) noexcept {
        if (other.count_ == 0) return;
        if (count_ == 0) {
            *this = other;
            return;
        }
        const auto mine = static_cast<double>(count_), theirs = static_cast<double>(other.count_);
        const double distance = other.mean_ - mean_, share = theirs / (mine + theirs);
        mean_ += distance * share;
        squares_ += other.squares_ + distance * distance * mine * share;
        count_ += other.count_;
    }
    std::uint64_t count() const noexcept { return count_; }
    /// Infinities and NaN among the numbers make it NaN, and so does having none.
    double population_variance() const noexcept { return over(static_cast<double>(count_)); }
    /// NaN for fewer than two numbers.
    double sample_variance() const noexcept { return over(static_cast<double>(count_) - 1); }

private:
    friend struct codec<moments>;
    double over(double n) const noexcept {
        return n > 0 ? squares_ / n : std::numeric_limits<double>::quiet_NaN();
    }

    std::uint64_t count_ = 0;
    double mean_ = 0;
    double squares_ = 0;
    static auto layout(layout_builder& to) { return to.of<std::uint64_t, double, double>(layout_kind::tuple); }
};

template <>
struct codec<moments> {
    static void encode(const moments& m, std::string& out) {
        codec<std::uint64_t>::encode(m.count_, out);
        codec<double>::encode(m.mean_, out);
        codec<double>::encode(m.squares_, out);
    }
    static moments decode(byte_reader& in) {
        moments m;
        m.count_ = codec<std::uint64_t>::decode(in);
        m.mean_ = codec<double>::decode(in);
        m.squares_ = codec<double>::decode(in);
        return m;
    }
};

/// Variance of a field of records of type T; see `variance` and `population_variance`.
template <class T, class F, bool Sample>
class variance_aggregate {
    static_assert(std::is_arithmetic_v<detail::field_of<F, T>>,
                  "variance wants numbers: give it a field or function that yields one");

public:
    static constexpr bool creates_default = true;
    explicit variance_aggregate(F field) : field_(std::move(field)) {}
    moments create() const noexcept { return {}; }
    void add(moments& m, const T& record) const { m.add(static_cast<double>(std::invoke(field_, record))); }
    void merge(moments& m, const moments& other) const noexcept { m.add(other); }
    double result(const moments& m) const noexcept { return Sample ? m.sample_variance() : m.population_variance(); }

private:
    [[no_unique_address]] F field_;
};

template <class F, bool Sample>
struct variance_recipe {
    template <class T>
        requires detail::field_function<F, T>
    variance_aggregate<T, F, Sample> bind() const {
        return variance_aggregate<T, F, Sample>(field);
    }
    [[no_unique_address]] F field;
};

/// Sample variance (divided by n - 1) of `field`, a member pointer or function of the record, or of the records
/// themselves; NaN for a single record. Its error: see `moments`.
template <class F = detail::whole_record>
constexpr variance_recipe<F, true> variance(F field = {}) {
    return {std::move(field)};
}

/// Population variance (divided by n) of `field`, a member pointer or function of the record, or of the records
/// themselves; 0 for a single record. Its error: see `moments`.
template <class F = detail::whole_record>
constexpr variance_recipe<F, false> population_variance(F field = {}) {
    return {std::move(field)};
}

}  // namespace runnel
