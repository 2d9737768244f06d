#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/graph/checks.hpp"
#include "runnel/graph/fwd.hpp"
#include "runnel/graph/origin.hpp"
#include "runnel/operators/process_in_order.hpp"

namespace runnel {

namespace detail {

template <class T, class KeyFn>
plan::placement by_key_edges(KeyFn key);

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
            const plan::node_id id =
                detail::add_node(*graph_, from_, detail::operator_node("process in order", op(key_, std::move(fn))),
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

}  // namespace runnel
