#pragma once

#include <cstdint>

#include "runnel/window/sum.hpp"

namespace runnel {

namespace detail {

template <class Sum>
struct mean_state {
    Sum sum{};
    std::uint64_t count = 0;
};

}  // namespace detail

template <class Sum>
    requires encodable<Sum>
struct codec<detail::mean_state<Sum>> {
    static void encode(const detail::mean_state<Sum>& m, std::string& out) {
        codec<Sum>::encode(m.sum, out);
        codec<std::uint64_t>::encode(m.count, out);
    }
    static detail::mean_state<Sum> decode(byte_reader& in) {
        auto sum = codec<Sum>::decode(in);
        return {sum, codec<std::uint64_t>::decode(in)};
    }
    static auto layout(layout_builder& to) { return to.of<Sum, std::uint64_t>(layout_kind::tuple); }
};

/// Arithmetic mean of a field of records of type T; see `mean`.
template <class T, class F>
class mean_aggregate {
    using sums = detail::sum_of<detail::field_of<F, T>>;
    using state = detail::mean_state<typename sums::state>;

public:
    static constexpr bool creates_default = true;
    explicit mean_aggregate(F field) : field_(std::move(field)) {}
    state create() const noexcept { return {}; }
    void add(state& m, const T& record) const {
        sums::add(m.sum, std::invoke(field_, record));
        ++m.count;
    }
    void merge(state& m, const state& other) const {
        sums::merge(m.sum, other.sum);
        m.count += other.count;
    }
    double result(const state& m) const noexcept {
        return static_cast<double>(sums::value(m.sum)) / static_cast<double>(m.count);
    }

private:
    [[no_unique_address]] F field_;
};

template <class F>
struct mean_recipe {
    template <class T>
        requires detail::field_function<F, T>
    mean_aggregate<T, F> bind() const {
        return mean_aggregate<T, F>(field);
    }
    [[no_unique_address]] F field;
};

/// Mean of `field` (a member pointer or function of the record), or of the records themselves, as a double.
/// Integers are summed up exactly, floating point compensated. Errors: as `sum`.
template <class F = detail::whole_record>
constexpr mean_recipe<F> mean(F field = {}) {
    return {std::move(field)};
}

}  // namespace runnel
