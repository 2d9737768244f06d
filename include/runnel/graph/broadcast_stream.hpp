#pragma once

#include <utility>
#include <vector>

#include "runnel/graph/fwd.hpp"
#include "runnel/graph/origin.hpp"

namespace runnel {

/// A stream of which every subtask gets all records: the second input of what reads it, and nothing by itself, since
/// its records are as many times as there are subtasks.
/// Thread safety: as `stream`.
template <class T>
class broadcast_stream {
public:
    using value_type = T;

    broadcast_stream(detail::shared_graph graph, std::vector<detail::origin> from)
        : graph_(std::move(graph)), from_(std::move(from)) {}

    /// For who feeds an operator with it: the graph, and the outputs, placed already.
    const detail::shared_graph& graph() const noexcept { return graph_; }
    const std::vector<detail::origin>& origins() const noexcept { return from_; }

private:
    detail::shared_graph graph_;
    std::vector<detail::origin> from_;
};

}  // namespace runnel
