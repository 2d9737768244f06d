#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "runnel/codec/codec.hpp"
#include "runnel/codec/layout.hpp"
#include "runnel/window/aggregate.hpp"

namespace runnel {

namespace detail {

/// Several accumulators side by side. Unlike std::tuple it stays trivially copyable if they are.
template <class... As>
struct combined {};
template <class A, class... Rest>
struct combined<A, Rest...> {
    A first{};
    [[no_unique_address]] combined<Rest...> rest{};
};

}  // namespace detail

template <class... As>
    requires(encodable<As> && ...)
struct codec<detail::combined<As...>> {
    static void encode(const detail::combined<As...>& all, std::string& out) {
        if constexpr (sizeof...(As) != 0) {
            codec<std::remove_cvref_t<decltype(all.first)>>::encode(all.first, out);
            codec<std::remove_cvref_t<decltype(all.rest)>>::encode(all.rest, out);
        }
    }
    static detail::combined<As...> decode([[maybe_unused]] byte_reader& in) {
        detail::combined<As...> all;
        if constexpr (sizeof...(As) != 0) {
            all.first = codec<decltype(all.first)>::decode(in);
            all.rest = codec<decltype(all.rest)>::decode(in);
        }
        return all;
    }
    static auto layout(layout_builder& to) { return to.of<As...>(layout_kind::tuple); }
};

/// Several aggregates in one pass; see `combine`.
template <class Result, class... Aggs>
class combined_aggregate {
    using state = detail::combined<accumulator_of<Aggs>...>;

public:
    static constexpr bool creates_default = (detail::creates_default<Aggs> && ...);
    explicit combined_aggregate(Aggs... aggregates) : aggregates_(std::move(aggregates)...) {}
    state create() const { return create_from<0>(); }
    template <class T>
        requires(adds_records<Aggs, T> && ...)
    void add(state& all, const T& record) const {
        change([&](const auto& agg, auto& a) { agg.add(a, record); }, all);
    }
    template <class T>
        requires(aggregate_for<Aggs, T> && ...) && (adds_timed_records<Aggs, T> || ...)
    void add(state& all, const T& record, timestamp t) const {
        change([&](const auto& agg, auto& a) { add_record(agg, a, record, t); }, all);
    }
    void merge(state& all, const state& other) const {
        change([&](const auto& agg, auto& a, const auto& b) { agg.merge(a, b); }, all, other);
    }
    Result result(const state& all) const {
        return result_from(all);
    }

private:
    template <std::size_t I>
    auto create_from() const {
        if constexpr (I == sizeof...(Aggs))
            return detail::combined<>{};
        else
            return join(std::get<I>(aggregates_).create(), create_from<I + 1>());
    }
    template <class A, class... Rest>
    static detail::combined<A, Rest...> join(A first, detail::combined<Rest...> rest) {
        return {std::move(first), std::move(rest)};
    }
    /// A state that is changed in a copy, which takes its place when nothing can throw any more.
    template <class A>
    static constexpr bool is_small = std::is_trivially_copyable_v<A> && sizeof(A) <= 32;

    /// Has `f(aggregate, state, others...)` change each state: the small ones first.
    template <class F, class... Others>
    void change(F f, state& all, const Others&... others) const {
        change_small<0>(f, all, [&] { change_large<0>(f, all, others...); }, others...);
    }
    template <std::size_t I, class F, class State, class Then, class... Others>
    void change_small(F f, State& state, Then then, const Others&... others) const {
        if constexpr (I == sizeof...(Aggs)) {
            then();
        } else if constexpr (is_small<std::remove_cvref_t<decltype(state.first)>>) {
            auto next = state.first;
            f(std::get<I>(aggregates_), next, others.first...);
            change_small<I + 1>(f, state.rest, then, others.rest...);
            state.first = next;
        } else {
            change_small<I + 1>(f, state.rest, then, others.rest...);
        }
    }
    template <std::size_t I, class F, class State, class... Others>
    void change_large(F f, State& state, const Others&... others) const {
        if constexpr (I != sizeof...(Aggs)) {
            if constexpr (!is_small<std::remove_cvref_t<decltype(state.first)>>)
                f(std::get<I>(aggregates_), state.first, others.first...);
            change_large<I + 1>(f, state.rest, others.rest...);
        }
    }
    template <class State, class... Results>
    Result result_from(const State& state, Results&&... results) const {
        constexpr std::size_t i = sizeof...(Results);
        if constexpr (i == sizeof...(Aggs))
            return Result{std::forward<Results>(results)...};
        else
            return result_from(state.rest, std::forward<Results>(results)...,
                               std::get<i>(aggregates_).result(state.first));
    }

    [[no_unique_address]] std::tuple<Aggs...> aggregates_;
};

template <class Result, class... Recipes>
class combine_recipe {
    template <class... Aggs>
    using result_type =
        typename std::conditional_t<std::is_void_v<Result>, std::type_identity<std::tuple<result_of<Aggs>...>>,
                                    std::type_identity<Result>>::type;

public:
    constexpr explicit combine_recipe(Recipes... recipes) : recipes_(std::move(recipes)...) {}
    template <class T>
    auto bind() const {
        return std::apply([](const auto&... recipe) { return together(bind_aggregate<T>(recipe)...); }, recipes_);
    }

private:
    template <class... Aggs>
    static combined_aggregate<result_type<Aggs...>, Aggs...> together(Aggs... aggs) {
        return combined_aggregate<result_type<Aggs...>, Aggs...>(std::move(aggs)...);
    }
    std::tuple<Recipes...> recipes_;
};

/// Runs several aggregates in one pass over the records: `combine(count(), sum(&trade::amount))`.
/// The result is a std::tuple of theirs, or, as in `combine<totals>(...)`, the user's struct made by
/// `totals{first result, second result, ...}`.
/// Errors: what the aggregates throw. All are then as before; but of several whose states are no small plain values
/// (collect, top, distinct_count, sketches) those before the one that threw have taken the record.
template <class Result = void, class... Recipes>
constexpr combine_recipe<Result, Recipes...> combine(Recipes... recipes) {
    static_assert(sizeof...(Recipes) != 0, "combine wants at least one aggregate");
    return combine_recipe<Result, Recipes...>(std::move(recipes)...);
}

}  // namespace runnel
