#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/core/error.hpp"
#include "runnel/graph/checks.hpp"
#include "runnel/graph/fwd.hpp"
#include "runnel/operators/operator_stage.hpp"
#include "runnel/plan/graph.hpp"

namespace runnel::detail {

/// The graph that a pipeline and all its streams write to.
using shared_graph = std::shared_ptr<plan::graph>;

/// An output of a node, and how its records find their subtask: where the records of a stream come from. A merged
/// stream has several.
struct origin {
    plan::node_id node;
    std::size_t port;
    plan::placement place{};
};

/// The same outputs, their records placed in another way.
std::vector<origin> placed(std::vector<origin> from, const plan::placement& place);

/// Has input `port` of node `id` fed by `from`.
void add_edges(plan::graph& graph, const std::vector<origin>& from, plan::node_id id, std::size_t port = 0);

/// Adds a node that is fed by `from`.
plan::node_id add_node(plan::graph& graph, const std::vector<origin>& from, plan::node n);
/// The same, with the records placed in another way.
plan::node_id add_node(plan::graph& graph, std::vector<origin> from, plan::node n, const plan::placement& place);

/// A node that runs `op`.
template <class Op>
plan::node operator_node(std::string kind, Op op) {
    plan::node n;
    n.kind = std::move(kind);
    constexpr bool takes = takes_records<Op>;
    constexpr bool copies = std::is_copy_constructible_v<Op>;
    static_assert(takes, "an operator must have on_record(In&&, timestamp, output<Out>&), or process(batch<In>&, "
                         "output<Out>&) returning progress");
    static_assert(copies,
                  "an operator and its functions must be copyable, since each subtask works on a copy of its own");
    n.stateful = stateful_operator<Op>;
    if constexpr (requires { Op::needs_event_time; }) n.needs_event_time = Op::needs_event_time;
    if constexpr (requires { std::string(op.text()); }) n.detail = op.text();
    if constexpr (requires { std::vector<std::string>(op.problems()); }) n.problems = op.problems();
    n.outputs.push_back(&plan::record_type_of<typename Op::output_type>());
    using sides = typename side_types_of<Op>::type;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (n.outputs.push_back(&plan::record_type_of<std::tuple_element_t<I, sides>>()), ...);
    }(std::make_index_sequence<std::tuple_size_v<sides>>());
    if constexpr (takes && copies)
        n.make_stage = [op = std::move(op)](const std::function<void()>&) -> std::unique_ptr<stage> {
            return std::make_unique<operator_stage<Op>>(op);
        };
    return n;
}

/// The operator that a stream comes out of. Errors: `graph_error` if it is none: a merged stream, a rebalanced one.
plan::node_id only_operator(const std::vector<origin>& from, const std::string& what);

void rename(plan::graph& graph, plan::node_id id, const std::string& name);

/// What becomes of failures in node `id`, and in one that does a part of its work.
void set_on_error(plan::graph& graph, plan::node_id id, on_error policy);

/// The stream, or the tuple of streams, that comes out of node `id`, which runs an Op.
template <class Op>
auto streams_of(const shared_graph& graph, plan::node_id id) {
    using sides = typename side_types_of<Op>::type;
    if constexpr (std::tuple_size_v<sides> == 0) {
        return stream<typename Op::output_type>(graph, {{id, 0}});
    } else {
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return std::tuple(stream<typename Op::output_type>(graph, {{id, 0}}),
                              stream<std::tuple_element_t<I, sides>>(graph, {{id, I + 1}})...);
        }(std::make_index_sequence<std::tuple_size_v<sides>>());
    }
}

}  // namespace runnel::detail

namespace runnel {

template <class T>
class dead_letter_output;

/// A sink in a pipeline that is being written.
class sink_node {
public:
    sink_node(detail::shared_graph graph, plan::node_id id) : graph_(std::move(graph)), id_(id) {}
    /// What happens to a record that cannot be written: `fail` (default) ends the job, `skip` leaves it out and counts
    /// it; a `dead_letter_output<T>` gets it.
    sink_node on_error(runnel::on_error policy) const {
        graph_->nodes[id_].on_failure.what = policy;
        return *this;
    }
    template <class T>
    sink_node on_error(const dead_letter_output<T>& letters) const {
        letters.attach(graph_, id_);
        return *this;
    }
    /// A write that fails is tried again up to `n` times, the first time after `backoff`, then after twice that, ...
    sink_node retry(std::size_t n, duration backoff) const {
        graph_->nodes[id_].on_failure.retries = n;
        graph_->nodes[id_].on_failure.backoff = backoff;
        return *this;
    }
    /// Names the sink, for messages and metrics.
    sink_node named(const std::string& name) const {
        detail::rename(*graph_, id_, name);
        return *this;
    }
    /// Runs the sink in `n` subtasks, if it can.
    sink_node with_parallelism(std::size_t n) const {
        graph_->nodes[id_].parallelism = n;
        return *this;
    }

private:
    detail::shared_graph graph_;
    plan::node_id id_;
};

}  // namespace runnel
