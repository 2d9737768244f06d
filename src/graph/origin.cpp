#include "runnel/graph/origin.hpp"

#include <utility>

namespace runnel::detail {

std::vector<origin> placed(std::vector<origin> from, const plan::placement& place) {
    for (origin& o : from) o.place = place;
    return from;
}

void add_edges(plan::graph& graph, const std::vector<origin>& from, plan::node_id id, std::size_t port) {
    for (const origin& o : from) graph.edges.push_back({o.node, o.port, id, port, o.place});
}

plan::node_id add_node(plan::graph& graph, const std::vector<origin>& from, plan::node n) {
    const plan::node_id id = graph.add(std::move(n));
    add_edges(graph, from, id);
    return id;
}

plan::node_id add_node(plan::graph& graph, std::vector<origin> from, plan::node n,
                              const plan::placement& place) {
    return add_node(graph, placed(std::move(from), place), std::move(n));
}

plan::node_id only_operator(const std::vector<origin>& from, const std::string& what) {
    if (from.size() != 1)
        throw graph_error({what + " is given to a merged stream, which is no operator. Say it for what comes before or "
                                  "after."});
    if (!from[0].place.is_forward())
        throw graph_error({what + " is given to a stream behind " + std::string(from[0].place.text()) +
                           ", which is no operator. Say it for what comes before or after."});
    return from[0].node;
}

void rename(plan::graph& graph, plan::node_id id, const std::string& name) {
    graph.nodes[id].name = name;
    graph.nodes[id].named = true;
    if (graph.nodes[id].first_stage) rename(graph, *graph.nodes[id].first_stage, name + ", first stage");
}

void set_on_error(plan::graph& graph, plan::node_id id, on_error policy) {
    graph.nodes[id].on_failure.what = policy;
    if (graph.nodes[id].first_stage) set_on_error(graph, *graph.nodes[id].first_stage, policy);
}

}  // namespace runnel::detail
