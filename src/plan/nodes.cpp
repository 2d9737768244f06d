#include <utility>

#include "runnel/plan/graph.hpp"
#include "runnel/sink/sink_stage.hpp"

namespace runnel::plan {

node source_node(std::shared_ptr<source_base> from, const record_type& records) {
    if (!from) throw graph_error({"from: the pointer to the source is null"});
    node n;
    n.kind = "source";
    n.detail = from->name();
    n.problems = from->problems();
    n.replayable = from->is_replayable();
    n.outputs.push_back(&records);
    n.split_count = [from] { return from->splits().size(); };
    n.passed = [from](const std::vector<std::string>& saved) { from->passed(positions_in(saved)); };
    n.condition = [from] { return from->condition(); };
    return n;
}

node sink_node(std::shared_ptr<sink_base> to) {
    node n;
    n.kind = "sink";
    n.detail = to->name();
    n.is_sink = true;
    n.max_parallelism = to->max_parallelism();
    n.problems = to->problems();
    n.needs_checkpoints = to->needs_checkpoints();
    n.condition = [to] { return source_condition{.trouble = to->trouble(), .lag = {}}; };
    if (to->is_transactional()) {
        n.commit = [to](checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) {
            to->commit(id, owner, prepared);
        };
        n.recover = [to](checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) {
            to->recover(id, owner, prepared);
        };
    }
    if (to->rolls_back()) {
        n.longest_transaction = to->longest_transaction();
        n.is_at = [to](checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) {
            return to->is_at(id, owner, prepared);
        };
        n.postpone = [to](const std::vector<std::string>& prepared) { to->postpone(prepared); };
    }
    n.make_stage = [to](std::function<void()> wake) -> std::unique_ptr<stage> {
        return std::make_unique<sink_stage>(to, std::move(wake));
    };
    return n;
}

}  // namespace runnel::plan
