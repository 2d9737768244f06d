#pragma once

#include <memory>
#include <string>
#include <typeindex>
#include <typeinfo>
#include <utility>
#include <vector>

#include "runnel/core/error.hpp"
#include "runnel/core/failure.hpp"
#include "runnel/graph/fwd.hpp"
#include "runnel/graph/origin.hpp"

namespace runnel {

/// The place where an operator sends the records that it could not process: `.on_error(letters)`.
///
/// A handle: make it, give it to one source (T = std::string: the bytes as they came), operator or sink (T = its input
/// record), and use `stream()` after that. The letters travel as all records do: they are delivered with the same
/// guarantee as results, and a slow end of theirs holds up the operator.
/// Thread safety: distinct objects: safe, shared objects: unsafe.
template <class T>
class dead_letter_output {
public:
    /// The records that failed, each with the text of the error and its place; a record's time is kept.
    runnel::stream<dead_letter<T>> stream() const {
        if (!place_->graph)
            throw graph_error({"dead_letter_output: nothing sends its failed records here yet. Give it to a source, an "
                               "operator or a sink by .on_error(...), and call stream() after that."});
        return runnel::stream<dead_letter<T>>(place_->graph, place_->from);
    }

    /// Makes it the output of node `id`; used by `on_error`. Throws: graph_error if it has one already, or if the
    /// node's input is of another type.
    void attach(const detail::shared_graph& graph, plan::node_id id) const {
        plan::node& n = graph->nodes[id];
        if (place_->graph)
            throw graph_error({"dead_letter_output: it is used by two operators. Make one for each, and merge."});
        if (n.on_failure.dead_letters)
            throw graph_error({"operator '" + n.name + "' has two outputs for dead letters. Give it one."});
        // Of an operator in two stages the first one takes the records.
        const auto inputs = graph->inputs_of(n.first_stage.value_or(id));
        const std::type_index given =
            inputs.empty() ? typeid(std::string) : graph->nodes[inputs[0]->from].outputs[inputs[0]->from_port]->type;
        if (given != typeid(T))
            throw graph_error({"operator '" + n.name + "': its dead letters are not of the type that the "
                               "dead_letter_output has. Use dead_letter_output<T>, T being the record type that goes "
                               "into the operator (std::string for a source)."});
        *place_ = {graph, {}};
        add_output(id, !n.first_stage);
        if (n.first_stage) add_output(*n.first_stage, true);
    }

private:
    struct place {
        detail::shared_graph graph;
        std::vector<detail::origin> from{};
    };
    void add_output(plan::node_id id, bool with_values) const {
        plan::node& n = place_->graph->nodes[id];
        n.on_failure.what = on_error::skip;
        n.on_failure.with_values = with_values;
        n.on_failure.dead_letters = [] {
            return std::unique_ptr<dead_letter_port>(std::make_unique<typed_dead_letter_port<T>>());
        };
        n.outputs.push_back(&plan::record_type_of<dead_letter<T>>());
        place_->from.push_back({id, n.outputs.size() - 1});
    }
    std::shared_ptr<place> place_ = std::make_shared<place>();
};

}  // namespace runnel
