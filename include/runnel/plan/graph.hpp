#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <typeindex>
#include <typeinfo>
#include <vector>

#include "runnel/operators/stage.hpp"
#include "runnel/plan/placement.hpp"
#include "runnel/sink/sink.hpp"
#include "runnel/source/source_stage.hpp"

/// The graph without its types: what the runtime executes and what `describe()` shows.
namespace runnel::plan {

/// What is known of the records of one type.
struct record_type {
    std::type_index type;
    std::size_t size;  ///< Bytes of a record in a batch, its time included; what it points to is not.
    bool can_be_copied;
};

template <class T>
const record_type& record_type_of() {
    static const record_type type{typeid(T), sizeof(T) + sizeof(timestamp), std::is_copy_constructible_v<T>};
    return type;
}

using node_id = std::size_t;

/// One operator as written by the user, or a run of fused ones.
struct node {
    std::string kind;  ///< "source", "map, filter", "window", "sink", ...
    std::string name;  ///< Unique; given by the user or made from kind and number.
    bool named = false;
    /// If set by the user. Otherwise a source has the job's, but no more than it has splits; an operator whose records
    /// are placed anew (by key, rebalance, ...) has the job's; any other that of its input.
    std::optional<std::size_t> parallelism;
    std::size_t max_parallelism = static_cast<std::size_t>(-1);
    bool gives_event_time = false;  ///< A source that sets it.
    bool needs_event_time = false;
    bool stateful = false;
    bool is_sink = false;
    /// The node that does a part of this one's work and is named after it.
    std::optional<std::size_t> first_stage;
    std::string detail;  ///< Parameters in words, for `describe()`.
    std::vector<std::string> problems;
    std::vector<const record_type*> outputs;  ///< Port 0 is the main output.
    /// For sources: how many splits there are now.
    std::function<std::size_t()> split_count;
    source_timing timing = {};
    /// Exactly one of the two is set. `wake` has the instance called again after it answered `blocked`.
    std::function<std::unique_ptr<source_stage_base>(const source_timing&)> make_source;
    std::function<std::unique_ptr<stage>(std::function<void()> wake)> make_stage;
    /// What becomes of records that cannot be decoded or processed. Its output for dead letters, if it has one, is the
    /// last of `outputs`.
    failure_policy on_failure;
    /// False if what fails would fail again, whenever it is tried.
    bool can_retry = true;
    /// For sources: false if what was read cannot be read again; true if the user accepts that a crash loses it.
    bool replayable = true;
    bool at_most_once = false;
    /// See `source::passed`; with the state that the subtasks have saved.
    std::function<void(const std::vector<std::string>& saved_splits)> passed = {};
    /// Of sources, and of sinks, which have no lag.
    std::function<source_condition()> condition = {};
    /// For transactional sinks; see `sink::commit` and `sink::recover`.
    using commit_function = std::function<void(checkpoint_id, const std::string&, const std::vector<std::string>&)>;
    commit_function commit = {};
    commit_function recover = {};
    /// For the one that rolls back; see `sink`.
    std::function<bool(checkpoint_id, const std::string&, const std::vector<std::string>&)> is_at = {};
    std::function<void(const std::vector<std::string>&)> postpone = {};
    duration longest_transaction = duration::max();
    bool needs_checkpoints = false;  ///< See `sink::needs_checkpoints`.
};

/// A node that reads `from`, whose records have type `records`; `make_source` is left to who knows the type.
node source_node(std::shared_ptr<source_base> from, const record_type& records);
/// A node that writes to `to`.
node sink_node(std::shared_ptr<sink_base> to);

/// Records of one output that go to one input.
struct edge {
    node_id from;
    std::size_t from_port;
    node_id to;
    std::size_t to_port = 0;
    placement place{};
};

/// Nodes in the order in which they were written, so that every edge leads from a lower to a higher id.
struct graph {
    std::string name;
    std::vector<node> nodes;
    std::vector<edge> edges;

    node_id add(node n);
    std::vector<const edge*> inputs_of(node_id id) const;
    std::vector<const edge*> outputs_of(node_id id, std::size_t port) const;
    bool has_event_time(node_id id) const;
    /// Subtasks of a node in a job of the given parallelism.
    std::size_t parallelism_of(node_id id, std::size_t job_parallelism) const;
    /// Fixes it for all nodes: from here on it is the same even if a source's splits become more or fewer.
    void settle_parallelism(std::size_t job_parallelism);
    /// True if there is a channel from subtask `i` of the one end to subtask `k` of the other.
    bool connects(const edge& e, std::size_t i, std::size_t k, std::size_t job_parallelism) const;
    /// True if both ends of `e` run in the same subtask, one calling the other, without a channel.
    bool is_chained(const edge& e, std::size_t job_parallelism) const;
    /// All problems, in words; empty if the graph can run.
    std::vector<std::string> validate(std::size_t job_parallelism, std::size_t key_groups = 128) const;
    /// What keeps the graph from being saved and restored, each `interval` (0: when asked for), in words.
    std::vector<std::string> validate_for_checkpoints(duration interval) const;
    /// What the graph cannot promise if it is never saved, in words.
    std::vector<std::string> validate_without_checkpoints() const;
    /// One line per operator: what it is, what feeds it and how.
    std::string describe(std::size_t job_parallelism = 1) const;
    /// The same for programs: one JSON object, {"pipeline", "parallelism", "operators": [{"id", "name", "kind",
    /// "detail", "parallelism", "inputs": [{"from", "output", "input", "placed"}]}]}; "from" is the id of the operator
    /// that feeds it, "output" and "input" are ports, 0 the main one.
    std::string describe_json(std::size_t job_parallelism = 1) const;
    /// The same in Graphviz's DOT language.
    std::string dot(std::size_t job_parallelism = 1) const;
};

}  // namespace runnel::plan
