#pragma once

#include <concepts>
#include <functional>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "runnel/core/error.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// The state that an aggregate keeps per key and slice of time.
template <class Agg>
using accumulator_of = std::remove_cvref_t<decltype(std::declval<const Agg&>().create())>;

/// What an aggregate gives in the end.
template <class Agg>
using result_of = std::remove_cvref_t<decltype(std::declval<const Agg&>().result(
    std::declval<const accumulator_of<Agg>&>()))>;

/// An aggregate that takes records of type T without their times.
template <class Agg, class T>
concept adds_records =
    requires(const Agg& agg, accumulator_of<Agg>& a, const T& record) { agg.add(a, record); };

/// An aggregate that takes records of type T together with their times.
template <class Agg, class T>
concept adds_timed_records =
    requires(const Agg& agg, accumulator_of<Agg>& a, const T& record, timestamp t) { agg.add(a, record, t); };

/// Takes one record of time t into an accumulator, whichever kind of `add` the aggregate has.
template <class Agg, class A, class T>
void add_record(const Agg& agg, A& a, const T& record, [[maybe_unused]] timestamp t) {
    if constexpr (adds_timed_records<Agg, T>)
        agg.add(a, record, t);
    else
        agg.add(a, record);
}

/// An aggregate of records of type T: with an accumulator type A of its own choice,
///   A create() const;                     an empty one
///   void add(A&, const T&) const;         takes in one record; or, if it wants to know the record's time,
///   void add(A&, const T&, timestamp) const;
///   void merge(A&, const A&) const;       takes in another accumulator, whose records lie later in time
///   R result(const A&) const;             the finished value; the accumulator stays as it is. That of an empty one is
///                                         only asked for if a window is `discarding()` or a trigger purges it
/// `merge` is associative: accumulators of single records, merged in any grouping, give what adding one record
/// after the other gives. A is default-initialisable and copyable, and has a codec if it is to be saved.
/// An aggregate whose `create()` gives `A{}` may say so by `static constexpr bool creates_default = true`.
template <class Agg, class T>
concept aggregate_for = requires(const Agg& agg, accumulator_of<Agg>& a, const accumulator_of<Agg>& b) {
    requires adds_records<Agg, T> || adds_timed_records<Agg, T>;
    agg.merge(a, b);
    agg.result(b);
    requires std::default_initializable<accumulator_of<Agg>> && std::copyable<accumulator_of<Agg>>;
};

/// An aggregate whose types are fixed only when the record type T is known; `bind<T>()` gives the aggregate.
template <class Recipe, class T>
concept aggregate_recipe_for = requires(const Recipe& recipe) { recipe.template bind<T>(); };

/// The aggregate for records of type T that a user's argument of `aggregate(...)` stands for.
template <class T, class Recipe>
auto bind_aggregate(const Recipe& recipe) {
    if constexpr (aggregate_recipe_for<Recipe, T>) {
        return recipe.template bind<T>();
    } else {
        static_assert(aggregate_for<Recipe, T>,
                      "an aggregate has create() -> A, add(A&, const T&) or add(A&, const T&, timestamp), "
                      "merge(A&, const A&) and result(const A&), all const, where T is the stream's record type; A is "
                      "default-initialisable and copyable");
        return recipe;
    }
}

template <class T, class Recipe>
using bound_aggregate = decltype(bind_aggregate<T>(std::declval<const Recipe&>()));

namespace detail {

/// An accumulator as a table makes it is as good as one that `create()` makes.
template <class Agg>
concept creates_default = requires { requires Agg::creates_default; };

/// What the aggregates of a field take, if the user names no field: the record itself.
struct whole_record {
    template <class T>
    const T& operator()(const T& record) const noexcept {
        return record;
    }
};

/// The value, or, of no records, what stands for that: NaN, or a value-initialised V.
template <class V>
V value_or_nothing(const std::optional<V>& value) {
    if (value) return *value;
    if constexpr (std::is_floating_point_v<V>)
        return std::numeric_limits<V>::quiet_NaN();
    else if constexpr (std::default_initializable<V>)
        return V();
    else
        throw error("a window without records has no such value, and its type has no default. Leave discarding() out, "
                    "or give the type a default constructor");
}

/// Type of the field that F takes from a T.
template <class F, class T>
using field_of = std::remove_cvref_t<std::invoke_result_t<const F&, const T&>>;

template <class F, class T>
concept field_function = std::invocable<const F&, const T&>;

}  // namespace detail

}  // namespace runnel
