#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <ranges>
#include <type_traits>

#include "runnel/operators/operator.hpp"
#include "runnel/operators/process_context.hpp"
#include "runnel/sink/sink.hpp"
#include "runnel/source/source.hpp"
#include "runnel/window/aggregate.hpp"

/// What functions given to streams must look like. Each is checked at the public entry, with a text of our own, and
/// the body behind it is not instantiated when the check fails. Variables, not concepts: of a concept the compiler
/// would add to our text its own notes on how it came to its answer, three times as long.
namespace runnel::detail {

template <class F, class T>
inline constexpr bool map_function =
    requires { requires std::invocable<F&, T&&> && !std::is_void_v<std::invoke_result_t<F&, T&&>>; };

template <class F, class T>
inline constexpr bool predicate_function = requires {
    requires std::invocable<F&, const T&> && std::convertible_to<std::invoke_result_t<F&, const T&>, bool>;
};

template <class F, class T>
inline constexpr bool peek_function = std::invocable<F&, const T&>;

template <class F, class T>
inline constexpr bool flat_map_function = requires {
    requires std::invocable<F&, T&&> &&
                 std::ranges::input_range<std::remove_reference_t<std::invoke_result_t<F&, T&&>>&>;
};

template <class F, class T>
inline constexpr bool key_function = requires {
    requires std::invocable<const F&, const T&> && !std::is_void_v<std::invoke_result_t<const F&, const T&>>;
};

template <class F, class T>
inline constexpr bool partition_function = requires {
    requires std::invocable<F&, const T&, std::size_t> &&
                 std::is_integral_v<std::remove_cvref_t<std::invoke_result_t<F&, const T&, std::size_t>>>;
};

template <class F, class T>
inline constexpr bool reduce_function = requires {
    requires std::invocable<F&, const T&, const T&> &&
                 std::convertible_to<std::invoke_result_t<F&, const T&, const T&>, T>;
};

/// The record type of a class derived from source<U>; void for others.
template <class U>
U read_by(const source<U>*);
void read_by(const void*);
template <class S>
using source_type_of = decltype(read_by(static_cast<const S*>(nullptr)));

/// The record type of a class derived from sink<U>; void for others.
template <class U>
U sunk_by(const sink<U>*);
void sunk_by(const void*);
template <class S>
using sink_type_of = decltype(sunk_by(static_cast<const S*>(nullptr)));

template <class S, class T>
inline constexpr bool sink_recipe = requires(const S& recipe) {
    { recipe.template bind<T>() } -> std::convertible_to<std::shared_ptr<sink<T>>>;
};

template <class Op>
inline constexpr bool operator_class = requires {
    typename Op::input_type;
    typename Op::output_type;
};

template <class Op>
inline constexpr bool takes_records = batch_operator<Op> || record_operator<Op>;

template <class Fn, class T>
inline constexpr bool process_function = requires(Fn& fn, const T& record, process_context_of<Fn>& context) {
    fn.on_record(record, context);
};

template <class Fn, class U>
inline constexpr bool second_function = requires(Fn& fn, const U& record, process_context_of<Fn>& context) {
    fn.on_second(record, context);
};

template <class Fn, class U>
inline constexpr bool broadcast_function = requires(Fn& fn, const U& record, broadcast_context_of<Fn>& context) {
    fn.on_broadcast(record, context);
};

template <class Agg, class T>
inline constexpr bool aggregate_argument = requires { requires aggregate_recipe_for<Agg, T> || aggregate_for<Agg, T>; };

template <class G, class T>
inline constexpr bool watermark_generator =
    requires(G& g, timestamp t) { { g.on_record(t) } -> std::same_as<timestamp>; } ||
    requires(G& g, const T& value, timestamp t) { { g.on_record(value, t) } -> std::same_as<timestamp>; };

}  // namespace runnel::detail
