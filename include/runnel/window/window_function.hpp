#pragma once

#include <functional>
#include <type_traits>
#include <utility>

#include "runnel/window/aggregate.hpp"
#include "runnel/window/window.hpp"

namespace runnel::detail {

/// An aggregate with a function of the user's behind it: `f(key, window, value)` makes the final value.
template <class Agg, class F>
class aggregate_then {
    using accumulator = accumulator_of<Agg>;

public:
    static constexpr bool creates_default = detail::creates_default<Agg>;

    aggregate_then(Agg agg, F f) : agg_(std::move(agg)), f_(std::move(f)) {}

    accumulator create() const { return agg_.create(); }
    template <class T>
    void add(accumulator& a, const T& record, timestamp t) const {
        add_record(agg_, a, record, t);
    }
    void merge(accumulator& a, const accumulator& later) const { agg_.merge(a, later); }
    auto result(const accumulator& a) const { return agg_.result(a); }

    template <class K>
    auto finish(const K& key, const window& span, result_of<Agg>&& value) const {
        return std::invoke(f_, key, span, std::move(value));
    }
    void before_firing(accumulator& a, const window& span) const
        requires requires(const Agg& agg) { agg.before_firing(a, span); }
    {
        agg_.before_firing(a, span);
    }

private:
    [[no_unique_address]] Agg agg_;
    [[no_unique_address]] F f_;
};

/// The value that a window of `key` gives, `value` being what the aggregate gave.
template <class Agg, class K>
decltype(auto) finish(const Agg& agg, const K& key, const window& span, result_of<Agg>&& value) {
    if constexpr (requires { agg.finish(key, span, std::move(value)); })
        return agg.finish(key, span, std::move(value));
    else
        return std::move(value);
}

template <class Agg, class K>
using finished_of = std::remove_cvref_t<decltype(finish(std::declval<const Agg&>(), std::declval<const K&>(),
                                                        std::declval<const window&>(),
                                                        std::declval<result_of<Agg>>()))>;

/// An aggregate that changes what a window holds whenever that fires: it needs windows that are kept each by itself.
template <class Agg>
concept changes_contents = requires(const Agg& agg, accumulator_of<Agg>& a, const window& span) {
    agg.before_firing(a, span);
};

}  // namespace runnel::detail
