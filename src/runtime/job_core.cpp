#include "job_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <thread>

#include "runnel/core/error.hpp"
#include "runnel/exchange/sender.hpp"
#include "runnel/exchange/tee.hpp"
#include "runnel/runtime/pool_executor.hpp"
#include "runnel/state/key_group.hpp"

namespace runnel::detail {

namespace {

constexpr std::size_t smallest_capacity = 2;
constexpr std::size_t smallest_batch = 16;
constexpr std::size_t bad_records_kept = 16;
constexpr std::size_t raw_bytes_kept = 200;

std::string text_of(const std::exception_ptr& e) {
    try {
        std::rethrow_exception(e);
    } catch (const std::exception& known) {
        return known.what();
    } catch (...) {
        return "an exception that is not a std::exception";
    }
}

/// What one subtask has done in an operator that is `first` in its chain, or is not.
subtask_status status_of(const subtask& s, const operator_metrics& m, bool first, timestamp now) {
    subtask_status status;
    status.records_in = m.records_in.get();
    status.records_out = m.records_out.get();
    status.late_dropped = m.late_dropped.get();
    status.skipped = m.skipped.get();
    status.bytes = m.bytes.get();
    status.keys = m.keys.get();
    status.watermark = timestamp(m.watermark.get());
    status.busy = s.metrics.busy.at(now);
    status.blocked = s.metrics.blocked.at(now);
    status.idle = s.metrics.idle.at(now);
    if (first) status.queue_fill = s.metrics.queue_fill.get();
    const std::int64_t held = s.metrics.held_by.get();
    if (held >= 0 && static_cast<std::size_t>(held) < s.inputs.size()) {
        status.held_by = s.inputs[static_cast<std::size_t>(held)];
        status.held_since = timestamp(s.metrics.held_since.get());
    }
    return status;
}

}  // namespace

job_core::job_core(plan::graph graph, const job_options& options) : graph_(std::move(graph)), options_(options) {
    std::vector<std::string> problems = graph_.validate(options_.parallelism, options_.key_groups);
    if (options_.batch_size == 0) problems.push_back("batch_size is 0. Use at least 1; 256 to 1,024 suit most jobs.");
    if (options_.channel_capacity == 0) problems.push_back("channel_capacity is 0. Use at least 1.");
    if (options_.key_groups == 0 || options_.key_groups > 32768)
        problems.push_back("key_groups must be 1 to 32,768; the default is 128.");
    if (!options_.checkpoints.folder.empty()) {
        for (std::string& p : graph_.validate_for_checkpoints(options_.checkpoints.interval))
            problems.push_back(std::move(p));
        if (options_.checkpoints.files == nullptr) problems.push_back("checkpoints.files is null. Leave it as it is.");
    } else {
        for (std::string& p : graph_.validate_without_checkpoints()) problems.push_back(std::move(p));
        if (options_.restart.what != restart_strategy::kind::none)
            problems.push_back("a restart strategy needs checkpoints to go on from. Give a folder for them, or leave "
                               "the strategy out.");
    }
    if (!problems.empty()) throw graph_error(std::move(problems));
    graph_.settle_parallelism(options_.parallelism);
    size_channels();
    if (options_.clock == nullptr) own_clock_ = std::make_unique<real_clock>();
    clock_ = options_.clock ? options_.clock : own_clock_.get();
    watched_ = std::make_shared<watched_job>(*this);
}

job_core::~job_core() {
    if (was_started_) {
        cancel();
        try {
            wait();
        } catch (...) {
            // Whoever cares has asked wait() before; a destructor can only see to it that nothing runs on.
        }
    }
    if (was_started_) watched_->leave();
    coordinator_.reset();
    own_executor_.reset();  // Joins: no thread is inside a subtask any more.
    clear();
}

/// Fits the channels into the memory budget: fewer slots first, then smaller batches.
void job_core::size_channels() {
    std::size_t& capacity = options_.channel_capacity;
    std::size_t& batch = options_.batch_size;
    auto reserved = [&] {
        std::size_t bytes = 0;
        for (const plan::edge& e : graph_.edges) {
            if (graph_.is_chained(e, options_.parallelism)) continue;
            const std::size_t from = graph_.parallelism_of(e.from, options_.parallelism);
            const std::size_t to = graph_.parallelism_of(e.to, options_.parallelism);
            const std::size_t channels = e.place.is_forward() ? from : from * to;
            // In the ring, and one at each end; columns that grow have a power of two.
            bytes += channels * (capacity + 2) * std::bit_ceil(batch) * graph_.nodes[e.from].outputs[e.from_port]->size;
        }
        return bytes;
    };
    while (reserved() > options_.memory_budget && capacity > smallest_capacity) capacity /= 2;
    while (reserved() > options_.memory_budget && batch > smallest_batch) batch = std::max(smallest_batch, batch / 2);
    memory_reserved_ = reserved();
    if (memory_reserved_ > options_.memory_budget)
        throw graph_error({fmt::format("the memory budget of {} bytes is too small: the channels of this graph need at "
                                       "least {}. Raise memory_budget, or lower the parallelism.",
                                       options_.memory_budget, memory_reserved_)});
}

void job_core::start() {
    if (!options_.checkpoints.folder.empty() || !options_.restore.empty()) {
        coordinator_ = std::make_unique<checkpoint_coordinator>(*this, graph_, options_, *clock_);
        coordinator_->recover_sinks();
    }
    started_ = clock_->now();
    run_all();
}

/// Throws before anything runs.
void job_core::run_all() {
    std::lock_guard structure(structure_);
    build();
    std::size_t count = 0;
    std::vector<std::size_t> sources;
    for (const task& t : tasks_)
        for (const auto& s : t.subtasks) {
            if (s->source) sources.push_back(s->number);
            ++count;
        }
    {
        std::lock_guard lock(mutex_);
        live_ = count;
    }
    // Everything is opened before anything runs: by one thread, so sources and sinks need no locks for it. Readers are
    // begun even if something could not be opened: when they are gone, whoever feeds them learns of the end.
    for (task& t : tasks_) {
        for (auto& s : t.subtasks) {
            try {
                if (s->is_open) s->source->begin();
            } catch (...) {
                fail(std::current_exception(), s->name, s->index);
            }
        }
    }
    if (coordinator_) coordinator_->begin(count, std::move(sources));
    was_started_ = true;
    for (task& t : tasks_)
        for (auto& s : t.subtasks) s->start();
}

void job_core::restart() noexcept {
    try {
        {
            std::lock_guard structure(structure_);
            if (!tasks_.empty()) last_operators_ = operators_after(clock_->now() - started_);
            clear();
            std::lock_guard lock(mutex_);
            if (state_ != job_state::failed || cancelled_) throw error("the job was cancelled");
            state_ = job_state::running;
            failure_ = nullptr;
            // Under the lock: a cancel that comes now stops what is about to run.
            stopping_.store(false, std::memory_order_relaxed);
        }
        // Sinks may wait for long for what they write to: meanwhile the job can be asked, and cancelled.
        coordinator_->recover_sinks();
        run_all();
    } catch (...) {
        {
            std::lock_guard structure(structure_);
            clear();
        }
        fail(std::current_exception(), "restart", 0);
        coordinator_->all_ended();
    }
}

void job_core::clear() noexcept {
    tasks_.clear();
    links_.clear();
    metrics_.clear();
}

void job_core::build() {
    const std::size_t p = options_.parallelism;
    task_of_node_.resize(graph_.nodes.size());
    metrics_.resize(graph_.nodes.size());
    for (plan::node_id id = 0; id < graph_.nodes.size(); ++id) {
        const auto inputs = graph_.inputs_of(id);
        if (inputs.size() == 1 && graph_.is_chained(*inputs[0], p)) {
            task_of_node_[id] = task_of_node_[inputs[0]->from];
        } else {
            task_of_node_[id] = tasks_.size();
            tasks_.emplace_back();
        }
        tasks_[task_of_node_[id]].nodes.push_back(id);
        for (std::size_t i = 0; i < graph_.parallelism_of(id, p); ++i) {
            metrics_[id].push_back(std::make_unique<operator_metrics>());
            if (graph_.nodes[id].is_sink) metrics_[id].back()->latency = std::make_unique<duration_histogram>();
        }
    }

    std::size_t subtasks = 0;
    for (const task& t : tasks_) subtasks += graph_.parallelism_of(t.nodes[0], p);
    // Once: whoever waits for the job may look at it while the job is started again.
    if (executor_ == nullptr) executor_ = options_.executor;
    if (executor_ == nullptr) {
        const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
        own_executor_ =
            std::make_unique<pool_executor>(options_.threads ? options_.threads : std::min(cores, subtasks));
        executor_ = own_executor_.get();
    }

    std::size_t number = 0;
    for (task& t : tasks_)
        for (std::size_t i = 0; i < graph_.parallelism_of(t.nodes[0], p); ++i)
            t.subtasks.push_back(std::make_unique<subtask>(*this, *executor_, *clock_, graph_.nodes[t.nodes[0]].name, i,
                                                           number++, options_.flush_interval));
    for (const plan::edge& e : graph_.edges) {
        if (graph_.is_chained(e, p)) continue;
        const std::size_t from = graph_.parallelism_of(e.from, p);
        const std::size_t to = graph_.parallelism_of(e.to, p);
        for (std::size_t i = 0; i < from; ++i)
            for (std::size_t k = 0; k < to; ++k) {
                if (!graph_.connects(e, i, k, p)) continue;
                auto through = std::make_unique<channel>(options_.channel_capacity);
                subtask& producer = *tasks_[task_of_node_[e.from]].subtasks[i];
                through->connect(producer, *tasks_[task_of_node_[e.to]].subtasks[k], &producer.origin);
                links_.push_back({&e, i, k, std::move(through)});
            }
    }
    for (std::size_t t = 0; t < tasks_.size(); ++t)
        for (std::size_t i = 0; i < tasks_[t].subtasks.size(); ++i) {
            build_subtask(t, i);
            tasks_[t].subtasks[i]->built();
        }
}

void job_core::build_subtask(std::size_t task_index, std::size_t index) {
    task& t = tasks_[task_index];
    subtask& s = *t.subtasks[index];
    const std::size_t parallelism = t.subtasks.size();
    std::vector<stage*> stage_of_node(graph_.nodes.size(), nullptr);
    for (plan::node_id id : t.nodes) {
        const plan::node& n = graph_.nodes[id];
        if (n.make_source) {
            s.source = n.make_source(n.timing);
            s.source->set_policy(n.on_failure);
            s.source_node = id;
            s.reads = true;
        } else {
            s.stages.push_back(n.make_stage([&s] { s.wake(); }));
            s.stages.back()->set_policy(n.on_failure);
            stage_of_node[id] = s.stages.back().get();
            s.stage_nodes.push_back(id);
        }
    }
    for (plan::node_id id : t.nodes) wire_outputs(s, id, index, stage_of_node);

    const plan::node_id head = t.nodes[0];
    if (!s.source) {
        s.gate = std::make_unique<gate>();
        for (const link& l : links_) {
            if (l.of->to != head || l.to != index) continue;
            s.gate->add(*l.through, stage_of_node[head]->input(l.of->to_port));
            s.inputs.push_back(fmt::format("{}[{}]", graph_.nodes[l.of->from].name, l.from));
        }
        s.gate->connect(stage_of_node[head]->input(0));
        s.gate->note_origin(s.origin);
        if (coordinator_) s.gate->listen(&s);
    }
    try {
        for (plan::node_id id : t.nodes) {
            const plan::node& n = graph_.nodes[id];
            operator_metrics& m = *metrics_[id][index];
            if (m.latency) s.sinks.push_back({&m});
            if (stage_of_node[id] != nullptr) {
                stage_of_node[id]->open({n.name, index, parallelism, options_.key_groups,
                                         range_of(index, parallelism, options_.key_groups), clock_, &m,
                                         [&s] { s.wake(); },
                                         [this](const failure_details& f) {
                                             show_bad(f.where.empty() ? f.operator_name : f.where, f.error, {});
                                         },
                                         nullptr,
                                         options_.checkpoints.folder.empty() ? "" : graph_.name + "/" + n.name,
                                         &options_.checkpoints.on_step,
                                         options_.state.get(),
                                         [this, id](std::string_view why, std::string_view value) {
                                             keep(late_records_, graph_.nodes[id].name, why, value);
                                         }});
            } else {
                auto bad = [this, id, &m](std::string_view where, std::string_view why, std::string_view raw) {
                    report_bad(id, where, why, raw, m);
                };
                s.source->open({n.name, index, parallelism, clock_, [&s] { s.wake(); }, bad, &m, n.at_most_once});
                s.is_open = true;
                s.inputs = s.source->split_ids();
            }
            load(s, id, index, parallelism, stage_of_node[id]);
        }
    } catch (...) {
        fail(std::current_exception(), s.name, index);
    }
}

/// Hands an operator the state that was saved under its name, if there is any.
void job_core::load(subtask& s, plan::node_id id, std::size_t index, std::size_t parallelism, stage* of_node) {
    const checkpoint* from = coordinator_ ? coordinator_->restored() : nullptr;
    if (from == nullptr) return;
    const plan::node& n = graph_.nodes[id];
    for (const saved_operator& o : from->operators) {
        if (o.name != n.name) continue;
        snapshot_reader reader(o.state, range_of(index, parallelism, options_.key_groups));
        try {
            if (of_node != nullptr) of_node->load(reader);
            else s.source->load(reader);
        } catch (...) {
            rethrow_with_place(n.name, index, timestamp::min());
        }
    }
}

void job_core::wire_outputs(subtask& s, plan::node_id id, std::size_t index, std::vector<stage*>& stage_of_node) {
    const plan::node& n = graph_.nodes[id];
    for (std::size_t port = 0; port < n.outputs.size(); ++port) {
        std::vector<receiver_base*> to;
        for (const plan::edge* e : graph_.outputs_of(id, port)) {
            if (graph_.is_chained(*e, options_.parallelism)) {
                to.push_back(&stage_of_node[e->to]->input(e->to_port));
                continue;
            }
            std::vector<channel*> channels;
            for (const link& l : links_)
                if (l.of == e && l.from == index) channels.push_back(l.through.get());
            s.links.push_back(e->place.is_forward()
                                  ? std::make_unique<forward_sender>(*channels.at(0), options_.batch_size)
                                  : e->place.make(std::move(channels), options_.batch_size, options_.key_groups));
            to.push_back(s.links.back().get());
        }
        if (to.empty()) continue;
        if (to.size() > 1) {
            s.links.push_back(std::make_unique<tee>(to));
            to = {s.links.back().get()};
        }
        if (s.source && stage_of_node[id] == nullptr) s.source->connect(port, *to[0], options_.batch_size);
        else stage_of_node[id]->connect(port, *to[0], options_.batch_size);
    }
}

void job_core::wait() {
    std::unique_lock lock(mutex_);
    const auto is_over = [this] { return over_ && handing_over_ == 0; };
    while (!is_over()) {
        lock.unlock();
        const bool helped = executor_->help();
        lock.lock();
        if (!helped) done_.wait(lock, is_over);
    }
    if (failure_) std::rethrow_exception(failure_);
}

void job_core::cancel() {
    {
        std::lock_guard lock(mutex_);
        if (over_) return;
        // One that waits for being restarted has failed; it is not started again.
        if (state_ == job_state::running) state_ = job_state::cancelled;
        cancelled_ = true;
    }
    stop_all();
    if (coordinator_) coordinator_->wake();
}

void job_core::drain() {
    draining_.store(true, std::memory_order_relaxed);
    std::lock_guard structure(structure_);
    for (task& t : tasks_)
        for (auto& s : t.subtasks) s->wake();
}

bool job_core::is_done() const {
    std::lock_guard lock(mutex_);
    return over_;
}

bool job_core::has_failed() const {
    std::lock_guard lock(mutex_);
    return state_ == job_state::failed;
}

bool job_core::is_cancelled() const {
    std::lock_guard lock(mutex_);
    return cancelled_;
}

checkpoint_coordinator& job_core::needed_coordinator() {
    if (!coordinator_)
        throw error("the job makes no checkpoints. Give it a folder for them: .checkpoints = {.folder = ...}");
    return *coordinator_;
}

void job_core::wake_sources() noexcept {
    std::lock_guard structure(structure_);
    for (task& t : tasks_)
        for (auto& s : t.subtasks)
            if (s->reads) s->wake();
}

void job_core::fail(std::exception_ptr cause, const std::string& operator_name, std::size_t subtask_index) noexcept {
    try {
        try {
            std::rethrow_exception(cause);
        } catch (...) {
            rethrow_with_place(operator_name, subtask_index, timestamp::min());
        }
    } catch (...) {
        cause = std::current_exception();
    }
    {
        std::lock_guard lock(mutex_);
        if (state_ == job_state::running) {
            state_ = job_state::failed;
            failure_ = cause;
            last_failure_ = cause;
        }
    }
    stop_all();
}

void job_core::stop_all() noexcept {
    stopping_.store(true, std::memory_order_relaxed);
    std::lock_guard structure(structure_);
    for (task& t : tasks_)
        for (auto& s : t.subtasks) s->wake();
}

void job_core::subtask_done() noexcept {
    {
        std::lock_guard lock(mutex_);
        if (--live_ != 0) return;
        if (coordinator_) ++handing_over_;
    }
    if (!coordinator_) return over();
    coordinator_->all_ended();
    std::lock_guard lock(mutex_);
    --handing_over_;
    done_.notify_all();  // Under the lock, as in over().
}

void job_core::over() noexcept {
    std::lock_guard lock(mutex_);
    ended_ = clock_->now();
    if (state_ == job_state::running) state_ = job_state::finished;
    over_ = true;
    done_.notify_all();  // Under the lock: whoever waits may destroy this object right after.
}

void job_core::report_bad(plan::node_id id, std::string_view where, std::string_view why, std::string_view raw,
                          operator_metrics& metrics) {
    if (graph_.nodes[id].on_failure.what == on_error::fail) throw decode_error(fmt::format("{}: {}", where, why));
    metrics.skipped.add(1);
    show_bad(where, why, raw);
}

void job_core::show_bad(std::string_view where, std::string_view why, std::string_view raw) {
    keep(bad_records_, where, why, raw);
}

void job_core::keep(std::deque<bad_record>& in, std::string_view where, std::string_view why, std::string_view raw) {
    std::lock_guard lock(mutex_);
    if (in.size() == bad_records_kept) in.pop_front();
    in.push_back({std::string(where), std::string(why), std::string(raw.substr(0, raw_bytes_kept))});
}

job_status job_core::status() const {
    job_status status;
    status.name = graph_.name;
    status.memory_budget = options_.memory_budget;
    status.memory_reserved = memory_reserved_;
    std::optional<timestamp> ended;
    {
        std::lock_guard lock(mutex_);
        status.state = state_;
        if (over_) ended = ended_;
        // Whether the strategy allows it once more is known when all subtasks have ended, a moment later.
        else if (state_ == job_state::failed && !cancelled_ && options_.restart.what != restart_strategy::kind::none)
            status.state = job_state::restarting;
        if (last_failure_) status.failure = text_of(last_failure_);
        status.bad_records.assign(bad_records_.begin(), bad_records_.end());
        status.late_records.assign(late_records_.begin(), late_records_.end());
    }
    // A job that is over asks no clock: the host's may be gone before the job is.
    status.at = ended ? *ended : clock_->now();
    status.running_for = status.at - started_;
    if (coordinator_) status.checkpoints = coordinator_->status();
    std::lock_guard structure(structure_);
    if (tasks_.empty() && status.state == job_state::running) status.state = job_state::restarting;
    status.operators = tasks_.empty() ? last_operators_ : operators_after(status.running_for);
    for (plan::node_id id = 0; id < status.operators.size(); ++id) {
        if (!graph_.nodes[id].condition) continue;
        source_condition c = graph_.nodes[id].condition();
        status.operators[id].trouble = std::move(c.trouble);
        status.operators[id].lag = c.lag;
        status.operators[id].lag_by_split = std::move(c.lag_by_split);
    }
    return status;
}

/// What all operators have done since the start, `lifetime` ago. With structure_, while there are subtasks.
std::vector<operator_status> job_core::operators_after(duration lifetime) const {
    const double time = std::max<double>(1.0, static_cast<double>(lifetime.count()));
    std::vector<operator_status> operators;
    for (plan::node_id id = 0; id < metrics_.size(); ++id) {
        const plan::node& n = graph_.nodes[id];
        const task& t = tasks_[task_of_node_[id]];
        operator_status o;
        o.name = n.name;
        o.kind = n.kind;
        o.detail = n.detail;
        o.is_chained = t.nodes[0] != id;
        for (const plan::edge* e : graph_.inputs_of(id)) o.inputs.push_back(e->from);
        o.parallelism = t.subtasks.size();
        o.watermark = timestamp::max();
        o.has_event_time = graph_.has_event_time(id);
        // What holds the whole operator back holds back the lowest of its subtasks.
        timestamp lowest = timestamp::max();
        for (std::size_t i = 0; i < t.subtasks.size(); ++i) {
            subtask_status s = status_of(*t.subtasks[i], *metrics_[id][i], !o.is_chained, started_ + lifetime);
            if (!o.has_event_time) s.held_by.clear(), s.held_since = timestamp::min();
            if (metrics_[id][i]->latency) o.latency += metrics_[id][i]->latency->read();
            o.records_in += s.records_in;
            o.records_out += s.records_out;
            o.late_dropped += s.late_dropped;
            o.skipped += s.skipped;
            if (s.bytes >= 0) o.bytes = std::max<std::int64_t>(o.bytes, 0) + s.bytes;
            if (s.keys >= 0) o.keys = std::max<std::int64_t>(o.keys, 0) + s.keys;
            o.watermark = std::min(o.watermark, s.watermark);
            o.busy += static_cast<double>(s.busy.count());
            o.blocked += static_cast<double>(s.blocked.count());
            o.idle += static_cast<double>(s.idle.count());
            o.queue_fill = std::max(o.queue_fill, s.queue_fill);
            if (s.held_since != timestamp::min() && s.watermark < lowest) {
                lowest = s.watermark;
                o.held_by = s.held_by;
                o.held_since = s.held_since;
            }
            o.subtasks.push_back(s);
        }
        const double all = time * static_cast<double>(t.subtasks.size());
        o.busy /= all;
        o.blocked /= all;
        o.idle /= all;
        operators.push_back(std::move(o));
    }
    return operators;
}

}  // namespace runnel::detail
