#pragma once

#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/graph/checks.hpp"
#include "runnel/graph/fwd.hpp"
#include "runnel/graph/origin.hpp"
#include "runnel/operators/process.hpp"
#include "runnel/operators/process_in_order.hpp"

namespace runnel {

namespace detail {

template <class T, class KeyFn>
by_key_function by_key_edges(KeyFn key);

/// Adds a node that runs a process function.
template <class Op>
plan::node_id add_process(plan::graph& graph, const std::vector<origin>& from, std::string kind, Op op,
                          const by_key_function& by_key) {
    return add_node(graph, from, operator_node(std::move(kind), std::move(op)), by_key);
}

}  // namespace detail

/// A keyed stream whose records are processed in order of event time, waiting for the function.
/// Thread safety: as `stream`.
template <class K, class T, class KeyFn, class Late>
class ordered_keyed_stream {
    static constexpr bool has_late_output = !std::is_void_v<Late>;
    using late_type = std::conditional_t<has_late_output, Late, std::nullptr_t>;

public:
    ordered_keyed_stream(detail::shared_graph graph, std::vector<detail::origin> from, KeyFn key, late_type late)
        : graph_(std::move(graph)), from_(std::move(from)), key_(std::move(key)), late_(std::move(late)) {}

    /// As `keyed_stream::process`.
    template <class Fn>
    auto process(Fn fn) const {
        constexpr bool fits = detail::process_function<Fn, T>;
        static_assert(fits,
                      "process: needs a copyable class with output_type and on_record(const T&, "
                      "process_context<Out>&), Out being its output_type; see operators/process.hpp");
        if constexpr (fits) {
            using op = ordered_process_operator<K, T, KeyFn, Fn, has_late_output>;
            const plan::node_id id = detail::add_process(*graph_, from_, "process in order", op(key_, std::move(fn)),
                                                         detail::by_key_edges<T>(key_));
            if constexpr (has_late_output) {
                constexpr std::size_t port = std::tuple_size_v<typename op::side_types>;
                late_.attach([graph = graph_, id] { return stream<late_record<T>>(graph, {{id, port}}); });
            }
            return detail::streams_of<Fn>(graph_, id);
        } else {
            return stream<T>(graph_, from_);
        }
    }

private:
    detail::shared_graph graph_;
    std::vector<detail::origin> from_;
    KeyFn key_;
    late_type late_;
};

/// Two keyed streams whose keys are of one type, waiting for the function that gets the records of both.
/// Thread safety: as `stream`.
template <class K, class T, class KeyFn, class U, class SecondKeyFn>
class connected_stream {
public:
    connected_stream(detail::shared_graph graph, std::vector<detail::origin> from, KeyFn key,
                     std::vector<detail::origin> second, SecondKeyFn second_key)
        : graph_(std::move(graph)),
          from_(std::move(from)),
          key_(std::move(key)),
          second_(std::move(second)),
          second_key_(std::move(second_key)) {}

    /// Runs a process function with `on_record` for the first stream and `on_second` for the second; states and timers
    /// are shared. Gives a stream, or with side outputs a tuple of streams; see operators/process.hpp.
    ///
    /// Order: kept per key and stream, none between the two. Event time is the lower one of the two.
    template <class Fn>
    auto process(Fn fn) const {
        constexpr bool fits = detail::process_function<Fn, T> && detail::second_function<Fn, U>;
        static_assert(fits,
                      "process: needs a copyable class with output_type, on_record(const T&, process_context<Out>&) "
                      "for the first stream and on_second(const U&, process_context<Out>&) for the second");
        if constexpr (fits) {
            using op = connected_process_operator<K, T, KeyFn, U, SecondKeyFn, Fn>;
            const plan::node_id id =
                detail::add_process(*graph_, from_, "process of two", op(key_, second_key_, std::move(fn)),
                                    detail::by_key_edges<T>(key_));
            for (const detail::origin& o : second_)
                graph_->edges.push_back({o.node, o.port, id, 1, detail::by_key_edges<U>(second_key_)});
            return detail::streams_of<Fn>(graph_, id);
        } else {
            return stream<T>(graph_, from_);
        }
    }

private:
    detail::shared_graph graph_;
    std::vector<detail::origin> from_;
    KeyFn key_;
    std::vector<detail::origin> second_;
    SecondKeyFn second_key_;
};

}  // namespace runnel
