#include "runnel/plan/graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "../codec/json_text.hpp"

namespace runnel::plan {

node_id graph::add(node n) {
    if (n.name.empty()) {
        std::string base = n.kind;
        std::replace(base.begin(), base.end(), ' ', '_');
        base.erase(std::remove(base.begin(), base.end(), ','), base.end());
        n.name = fmt::format("{}_{}", base, nodes.size() + 1);
    }
    nodes.push_back(std::move(n));
    return nodes.size() - 1;
}

std::vector<const edge*> graph::inputs_of(node_id id) const {
    std::vector<const edge*> found;
    for (const edge& e : edges)
        if (e.to == id) found.push_back(&e);
    return found;
}

std::vector<const edge*> graph::outputs_of(node_id id, std::size_t port) const {
    std::vector<const edge*> found;
    for (const edge& e : edges)
        if (e.from == id && e.from_port == port) found.push_back(&e);
    return found;
}

bool graph::has_event_time(node_id id) const {
    // From the front, each node once: paths can be many more than nodes.
    std::vector<bool> has(id + 1);
    for (node_id i = 0; i <= id; ++i) {
        const auto inputs = inputs_of(i);
        const bool all = std::all_of(inputs.begin(), inputs.end(), [&](const edge* e) { return has[e->from]; });
        has[i] = nodes[i].make_source ? nodes[i].gives_event_time : !inputs.empty() && all;
    }
    return has[id];
}

std::size_t graph::parallelism_of(node_id id, std::size_t job_parallelism) const {
    std::vector<std::size_t> of(id + 1);
    for (node_id i = 0; i <= id; ++i) {
        const node& n = nodes[i];
        std::size_t wanted = n.parallelism.value_or(job_parallelism);
        if (!n.parallelism && n.split_count) {
            // A subtask without a split would only keep the others' event time waiting for its end.
            try {
                wanted = std::min(wanted, std::max<std::size_t>(1, n.split_count()));
            } catch (const std::exception&) {
                wanted = 1;  // The source will say what is wrong when it is opened.
            }
        } else if (!n.parallelism) {
            const auto inputs = inputs_of(i);
            const bool placed = std::any_of(inputs.begin(), inputs.end(),
                                            [](const edge* e) { return !e->place.is_forward(); });
            if (!inputs.empty() && !placed) {
                wanted = 1;
                for (const edge* e : inputs) wanted = std::max(wanted, of[e->from]);
            }
        }
        of[i] = std::min(wanted, n.max_parallelism);
    }
    return of[id];
}

void graph::settle_parallelism(std::size_t job_parallelism) {
    for (node_id id = 0; id < nodes.size(); ++id) nodes[id].parallelism = parallelism_of(id, job_parallelism);
}

bool graph::connects(const edge& e, std::size_t i, std::size_t k, std::size_t job_parallelism) const {
    return !e.place.is_forward() || k == i % parallelism_of(e.to, job_parallelism);
}

bool graph::is_chained(const edge& e, std::size_t job_parallelism) const {
    const std::size_t from = parallelism_of(e.from, job_parallelism);
    const std::size_t to = parallelism_of(e.to, job_parallelism);
    return from == to && (e.place.is_forward() || from == 1) && inputs_of(e.to).size() == 1;
}

namespace {

/// What is wrong with the parallelism that the user has given to an operator.
std::vector<std::string> problems_of_parallelism(const graph& g, node_id id, std::size_t job_parallelism,
                                                 std::size_t key_groups) {
    std::vector<std::string> problems;
    const node& n = g.nodes[id];
    const std::size_t wanted = *n.parallelism;
    if (wanted > n.max_parallelism)
        problems.push_back(
            fmt::format("its parallelism is {}, but it can run in {} at most.", wanted, n.max_parallelism));
    if (n.split_count) {
        try {
            const std::size_t splits = std::max<std::size_t>(1, n.split_count());
            if (wanted > splits)
                problems.push_back(fmt::format("its parallelism is {}, but it has {} to read in parallel. Use at most "
                                               "{}, and .rebalance() behind it to use more subtasks.",
                                               wanted, splits == 1 ? "1 split" : fmt::format("{} splits", splits),
                                               splits));
        } catch (const std::exception&) {
            // The source will say what is wrong when it is opened.
        }
    }
    const auto inputs = g.inputs_of(id);
    std::size_t feeding = 0;
    bool placed = inputs.empty();
    bool keyed = false;
    for (const edge* e : inputs) {
        placed |= !e->place.is_forward();
        keyed |= e->place.by == placement::rule::by_key;
        feeding = std::max(feeding, g.parallelism_of(e->from, job_parallelism));
    }
    if (keyed && key_groups != 0 && wanted > key_groups)
        problems.push_back(fmt::format("its parallelism is {}, but there are only {} key groups to share. Use at most "
                                       "{}, or more key_groups.",
                                       wanted, key_groups, key_groups));
    if (!placed && feeding < wanted)
        problems.push_back(fmt::format("its parallelism is {}, but its records come from {} subtask{}, so that {} "
                                       "would have nothing to do. Write .rebalance() before it.",
                                       wanted, feeding, feeding == 1 ? "" : "s", wanted - feeding));
    return problems;
}

}  // namespace

std::vector<std::string> graph::validate(std::size_t job_parallelism, std::size_t key_groups) const {
    std::vector<std::string> problems;
    auto add = [&](const node& n, std::string_view what) {
        problems.push_back(fmt::format("operator '{}' ({}): {}", n.name, n.kind, what));
    };
    if (job_parallelism == 0) problems.push_back("the parallelism of the job is 0. Use at least 1.");
    if (nodes.empty()) problems.push_back("the pipeline is empty. Begin with from(source) and end with to(sink).");
    else if (std::none_of(nodes.begin(), nodes.end(), [](const node& n) { return n.is_sink; }))
        problems.push_back("the pipeline has no sink. End each stream with .to(sink).");

    std::map<std::string, std::size_t> names;
    for (const node& n : nodes) ++names[n.name];
    for (const auto& [name, count] : names)
        if (count > 1)
            problems.push_back(fmt::format("{} operators are named '{}'. Give each a name of its own.", count, name));

    for (node_id id = 0; id < nodes.size(); ++id) {
        const node& n = nodes[id];
        for (const std::string& p : n.problems) add(n, p);
        if (n.parallelism == std::size_t{0}) add(n, "its parallelism is 0. Use at least 1.");
        if (n.parallelism > std::size_t{0})
            for (const std::string& p : problems_of_parallelism(*this, id, job_parallelism, key_groups)) add(n, p);
        const failure_policy& failure = n.on_failure;
        if (n.make_source && failure.retries != 0) add(n, "a source cannot retry. Leave retry(...) out.");
        if (failure.retries != 0 && !n.can_retry)
            add(n, "it cannot retry: what its aggregate is given a second time fails a second time. Say on_error(...), "
                   "and do before it what may succeed later.");
        if (failure.retries != 0 && failure.backoff < duration::zero())
            add(n, "the backoff of its retries is below zero.");
        if (failure.dead_letters && outputs_of(id, n.outputs.size() - 1).empty())
            add(n, "its dead letters go nowhere. Continue with the stream() of its dead_letter_output.");
        if (!failure.gives_up())
            for (const edge* e : inputs_of(id))
                if (!nodes[e->from].outputs[e->from_port]->can_be_copied)
                    add(n, "records that fail cannot be kept, since they cannot be copied. Make the type copyable, or "
                           "leave on_error(...) and retry(...) out.");
        if (n.needs_event_time && !has_event_time(id))
            add(n, "it needs event time, but its input has none. Call .event_time(...) at every source that feeds it.");
        if (!n.is_sink && !n.outputs.empty() && outputs_of(id, 0).empty())
            add(n, "its output goes nowhere. Add .to(sink), or .to(null_sink()) if that is meant.");
        for (std::size_t port = 0; port < n.outputs.size(); ++port)
            if (outputs_of(id, port).size() > 1 && !n.outputs[port]->can_be_copied)
                add(n, "its records go to several places, but cannot be copied. Make the type copyable.");
    }
    return problems;
}

std::vector<std::string> graph::validate_for_checkpoints(duration interval) const {
    using seconds = std::chrono::duration<double>;
    std::vector<std::string> problems;
    std::string unnamed;
    for (const node& n : nodes) {
        if (!n.named && (n.stateful || n.make_source || n.commit))
            unnamed += fmt::format("{}'{}' ({})", unnamed.empty() ? "" : ", ", n.name, n.kind);
        if (interval >= n.longest_transaction)
            problems.push_back(fmt::format("operator '{}' ({}): its results are in a transaction from one checkpoint "
                                           "to the next, and the target gives up those that last longer than {} s; "
                                           "but there is a checkpoint each {} s only. Make them more often, or set the "
                                           "target to wait longer.",
                                           n.name, n.detail, seconds(n.longest_transaction).count(),
                                           seconds(interval).count()));
        if (!n.replayable && !n.at_most_once)
            problems.push_back(fmt::format("operator '{}' ({}): what it has read cannot be read again, so a crash "
                                           "would lose it. Read from a log or a file, or accept it with "
                                           ".at_most_once().",
                                           n.name, n.detail));
    }
    if (!unnamed.empty())
        problems.push_back("saved state is found by the operator's name, but these have none of their own: " + unnamed +
                           ". Give each one with .named(\"...\").");
    std::string transactional;
    bool several = false;
    for (const node& n : nodes) {
        if (!n.commit) continue;
        several = !transactional.empty();
        transactional += fmt::format("{}'{}' ({})", several ? ", " : "", n.name, n.detail);
    }
    for (const node& n : nodes)
        if (n.is_at && several) {
            problems.push_back(fmt::format("operator '{}' ({}): it rolls back to the checkpoint before, and of the "
                                           "transactional sinks {} another may have shown by then what comes again. "
                                           "Let it write ahead, or give it a job of its own.",
                                           n.name, n.detail, transactional));
            break;
        }
    return problems;
}

std::vector<std::string> graph::validate_without_checkpoints() const {
    std::vector<std::string> problems;
    for (const node& n : nodes)
        if (n.needs_checkpoints)
            problems.push_back(fmt::format("operator '{}' ({}): its output cannot be exactly once in a job without "
                                           "checkpoints. Give the job a folder for them: .checkpoints = {{.folder = "
                                           "...}}; or ask for output at least once.",
                                           n.name, n.detail));
    return problems;
}

namespace {

std::string how(const graph& g, const edge& e, std::size_t job_parallelism) {
    if (g.is_chained(e, job_parallelism)) return "chained";
    if (!e.place.is_forward()) return std::string(e.place.text());
    const std::size_t from = g.parallelism_of(e.from, job_parallelism);
    const std::size_t to = g.parallelism_of(e.to, job_parallelism);
    return from > to ? "gathered" : "forward";
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        out += c;
    }
    return out + '"';
}

}  // namespace

std::string graph::describe(std::size_t job_parallelism) const {
    std::string out = fmt::format("pipeline '{}'\n", name);
    for (node_id id = 0; id < nodes.size(); ++id) {
        const node& n = nodes[id];
        out += fmt::format("  {}: {}", n.name, n.kind);
        if (!n.detail.empty()) out += fmt::format(" ({})", n.detail);
        out += fmt::format(" x{}", parallelism_of(id, job_parallelism));
        for (const edge* e : inputs_of(id)) {
            out += fmt::format("{} {}", e == inputs_of(id).front() ? " <-" : ",", nodes[e->from].name);
            if (e->from_port != 0) out += fmt::format(" side output {}", e->from_port);
            out += fmt::format(" [{}]", how(*this, *e, job_parallelism));
        }
        out += '\n';
    }
    return out;
}

std::string graph::describe_json(std::size_t job_parallelism) const {
    std::string out = "{\"pipeline\":";
    detail::append_json_string(out, name);
    out += fmt::format(",\"parallelism\":{},\"operators\":[", job_parallelism);
    for (node_id id = 0; id < nodes.size(); ++id) {
        const node& n = nodes[id];
        out += fmt::format("{}{{\"id\":{},\"name\":", id == 0 ? "" : ",", id);
        detail::append_json_string(out, n.name);
        out += ",\"kind\":";
        detail::append_json_string(out, n.kind);
        out += ",\"detail\":";
        detail::append_json_string(out, n.detail);
        out += fmt::format(",\"parallelism\":{},\"inputs\":[", parallelism_of(id, job_parallelism));
        const auto inputs = inputs_of(id);
        for (const edge* e : inputs) {
            out += fmt::format("{}{{\"from\":{},\"output\":{},\"input\":{},\"placed\":", e == inputs.front() ? "" : ",",
                               e->from, e->from_port, e->to_port);
            detail::append_json_string(out, how(*this, *e, job_parallelism));
            out += '}';
        }
        out += "]}";
    }
    return out + "]}";
}

std::string graph::dot(std::size_t job_parallelism) const {
    std::string out = fmt::format("digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n", quoted(name));
    for (node_id id = 0; id < nodes.size(); ++id)
        out += fmt::format("  n{} [label={}];\n", id,
                           quoted(fmt::format("{}\n{} x{}", nodes[id].name, nodes[id].kind,
                                              parallelism_of(id, job_parallelism))));
    for (const edge& e : edges)
        out += fmt::format("  n{} -> n{} [label={}];\n", e.from, e.to, quoted(how(*this, e, job_parallelism)));
    return out + "}\n";
}

}  // namespace runnel::plan
