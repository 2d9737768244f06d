#include "checkpoint_coordinator.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "job_core.hpp"
#include "runnel/core/error.hpp"
#include "runnel/runtime/pool_executor.hpp"

namespace runnel::detail {

namespace {

constexpr const char* prepared_name = "prepared";
constexpr const char* began_from_name = "began from";
constexpr const char* drained_name = "drained";

std::string name_of(const checkpoint& savepoint) {
    return fmt::format("{}/{}/{}", savepoint.job, savepoint.id, savepoint.taken.ns());
}

/// Encodes what has been left for later. Precondition: its steps are done.
void write_deferred(subtask_state& state) {
    for (saved_stage& s : state) {
        snapshot_writer to(s.snapshot);
        for (auto& write : std::exchange(s.deferred, {}).writes) write(to);
    }
}

/// A `checkpoint_error` with the text that `f()` gives; or why there can be none.
template <class F>
std::exception_ptr error_of(F f) noexcept {
    try {
        return std::make_exception_ptr(checkpoint_error(f()));
    } catch (...) {
        return std::current_exception();
    }
}

bool is_empty(const operator_snapshot& s) {
    return s.keyed.empty() && s.local.empty() &&
           std::all_of(s.pieces.begin(), s.pieces.end(), [](const auto& p) { return p->names().empty(); });
}

}  // namespace

checkpoint_coordinator::checkpoint_coordinator(job_core& job, const plan::graph& graph, const job_options& options,
                                               runnel::clock& clock)
    : job_(job), graph_(graph), options_(options), clock_(clock) {
    if (!options_.checkpoints.folder.empty()) 
        store_.emplace(*options_.checkpoints.files, options_.checkpoints.folder, options_.checkpoints.on_step);
    restore();
    executor_ = options_.checkpoints.executor;
    if (executor_ == nullptr) {
        own_executor_ = std::make_unique<pool_executor>(1);
        executor_ = own_executor_.get();
    }
}

checkpoint_coordinator::~checkpoint_coordinator() {
    if (call_ != 0) clock_.cancel(call_);
    own_executor_.reset();
}

/// A checkpoint of the job's own folder.
checkpoint checkpoint_coordinator::stored(checkpoint_id id) const {
    checkpoint c = options_.state ? store_->open(id) : store_->read(id);
    if (c.job != graph_.name)
        throw checkpoint_error(fmt::format("folder \"{}\" holds checkpoints of the job '{}', not of '{}'. Give "
                                           "each job a folder of its own.",
                                           options_.checkpoints.folder, c.job, graph_.name));
    return c;
}

/// Finds the newest checkpoint: that in the job's own folder, else the savepoint that is to be begun from.
void checkpoint_coordinator::restore() {
    restored_.reset();
    const std::optional<checkpoint_id> newest = store_ ? store_->newest() : std::nullopt;
    if (newest) {
        restored_ = stored(*newest);
        last_ = std::max(last_, *newest);
        const auto from = restored_->extra.find(began_from_name);
        began_from_ = from == restored_->extra.end() ? "" : from->second;
    }
    std::optional<checkpoint> savepoint;
    if (!options_.restore.empty()) {
        file_system& files = *options_.checkpoints.files;
        savepoint = options_.state ? open_savepoint(files, options_.restore) : read_savepoint(files, options_.restore);
        if (restored_ && began_from_ != name_of(*savepoint))
            throw checkpoint_error(fmt::format("folder \"{}\" holds checkpoints that have not come of the savepoint "
                                               "\"{}\". Leave out restore to go on from the newest of them, or give an "
                                               "empty folder.",
                                               options_.checkpoints.folder, options_.restore));
        if (!restored_) {
            began_from_ = name_of(*savepoint);
            restored_ = std::move(savepoint);
            last_ = std::max(last_, restored_->id);
        }
    }
    if (newest) go_back_if_asked(*newest, std::move(savepoint));
    if (restored_) check_restored();
}

/// A sink that rolls back may not have shown the results of the newest checkpoint: then that is given up for the one
/// before, or for what the job has begun from. If the sink is at none of them, `recover_sinks` has it say so.
void checkpoint_coordinator::go_back_if_asked(checkpoint_id newest, std::optional<checkpoint> savepoint) {
    const auto found = std::find_if(graph_.nodes.begin(), graph_.nodes.end(), [](const auto& n) { return n.is_at; });
    if (found == graph_.nodes.end()) return;
    const auto node = static_cast<plan::node_id>(found - graph_.nodes.begin());
    const auto is_at = [&] {
        try {
            return found->is_at(restored_ ? restored_->id : 0, owner(node), prepared_for(node));
        } catch (...) {
            rethrow_with_place(found->name, 0, timestamp::min());
        }
    };
    if (is_at()) return;
    std::optional<checkpoint> before = std::move(savepoint);
    std::optional<checkpoint_id> id;
    for (const checkpoint_info& c : store_->list())
        if (c.id < newest) id = c.id;
    if (id) before = stored(*id);
    std::swap(restored_, before);
    if (!is_at()) return std::swap(restored_, before);
    // It is all that is left then: found to be whole, and to fit.
    if (restored_) check_restored();
    if (!restored_) began_from_.clear();
    tell(checkpoint_step::set_aside, newest);
    store_->remove(newest);
}

/// What the restored checkpoint holds of a sink.
std::vector<std::string> checkpoint_coordinator::prepared_for(plan::node_id node) const {
    if (restored_)
        for (const saved_operator& o : restored_->operators)
            if (o.name == graph_.nodes[node].name)
                if (auto at = o.state.local.find(prepared_name); at != o.state.local.end()) return at->second;
    return {};
}

void checkpoint_coordinator::check_restored() const {
    if (restored_->key_groups != options_.key_groups)
        throw checkpoint_error(fmt::format("the state was saved with {} key groups, and the job has {}. Their number "
                                           "is fixed for the life of the state: set key_groups to {}.",
                                           restored_->key_groups, options_.key_groups, restored_->key_groups));
    // All its windows are closed: whatever came would be late.
    if (restored_->extra.contains(drained_name))
        throw checkpoint_error("the job was drained, which closed its windows, so it cannot go on reading. Give it a "
                               "new folder to begin anew; to go on later, end it with stop_with_savepoint.");
    if (options_.allow_dropped_state) return;
    std::string dropped;
    for (const saved_operator& o : restored_->operators) {
        const auto is_it = [&](const plan::node& n) { return n.name == o.name; };
        if (!is_empty(o.state) && std::none_of(graph_.nodes.begin(), graph_.nodes.end(), is_it))
            dropped += fmt::format("{}'{}' ({})", dropped.empty() ? "" : ", ", o.name, o.kind);
    }
    if (!dropped.empty())
        throw checkpoint_error("there is saved state of operators that the graph does not have: " + dropped +
                    ". Give them their names back, or set allow_dropped_state to lose that state.");
}

std::string checkpoint_coordinator::owner(plan::node_id id) const { return graph_.name + "/" + graph_.nodes[id].name; }

void checkpoint_coordinator::recover_sinks() {
    for (plan::node_id id = 0; id < graph_.nodes.size(); ++id) {
        const plan::node& n = graph_.nodes[id];
        if (!n.recover) continue;
        try {
            tell(checkpoint_step::recover, restored_ ? restored_->id : 0);
            n.recover(restored_ ? restored_->id : 0, owner(id), prepared_for(id));
        } catch (...) {
            rethrow_with_place(n.name, 0, timestamp::min());
        }
    }
}

void checkpoint_coordinator::begin(std::size_t subtasks, std::vector<std::size_t> sources) {
    std::lock_guard lock(mutex_);
    subtasks_ = subtasks;
    sources_ = std::move(sources);
    begun_ = clock_.now();
    // What a restored job holds in encoded form is not needed any more.
    restored_.reset();
    plan_next(begun_ + options_.checkpoints.interval);
    call_at(next_at_);
}

/// The next checkpoint begins at `t`, unless all are asked for.
void checkpoint_coordinator::plan_next(timestamp t) {
    next_at_ = store_ && options_.checkpoints.interval > duration::zero() ? t : timestamp::max();
}

void checkpoint_coordinator::wake() noexcept {
    if (state_.notify()) executor_->submit(*this);
}

void checkpoint_coordinator::run() noexcept {
    state_.begin_run();
    bool is_over = false;
    try {
        is_over = step();
    } catch (...) {
        job_.fail(std::current_exception(), "checkpoints", 0);
        state_.requeue();
        executor_->submit(*this);
        return;
    }
    if (is_over) return job_.over();  // The state stays "running": nothing submits this again. May destroy the job.
    if (state_.end_run()) executor_->submit(*this);
}

/// Does what is to be done; true if the job is over.
bool checkpoint_coordinator::step() {
    std::unique_lock lock(mutex_);
    if (all_ended_) {
        lock.unlock();
        return end();
    }
    if (job_.is_stopping()) {
        drop("the job has failed, or was cancelled");
        return false;
    }
    const timestamp now = clock_.now();
    if (pending_ && saved_by_all()) {
        lock.unlock();
        complete();
        lock.lock();
    } else if (pending_ && now - pending_->begun >= options_.checkpoints.timeout && any_source_left()) {
        failed("it has taken longer than the timeout");
    }
    const bool triggers = !pending_ && (!requests_.empty() || now >= next_at_) && any_source_left();
    if (triggers) trigger();
    call_at(pending_ ? pending_->begun + options_.checkpoints.timeout : next_at_);
    lock.unlock();
    if (triggers) {
        tell(checkpoint_step::ask, last_);
        job_.wake_sources();
    }
    return false;
}

/// Barriers come from sources; when all have ended, their subtasks' last states make a checkpoint in the end.
bool checkpoint_coordinator::any_source_left() const {
    return std::any_of(sources_.begin(), sources_.end(), [this](std::size_t s) { return !ended_.contains(s); });
}

bool checkpoint_coordinator::saved_by_all() const {
    std::size_t missing = subtasks_ - pending_->states.size();
    for (const auto& [subtask, state] : ended_) missing -= pending_->states.contains(subtask) ? 0 : 1;
    return missing == 0;
}

void checkpoint_coordinator::trigger() {
    pending_ = pending();
    pending_->id = ++last_;
    pending_->begun = clock_.now();
    // Who reads the state again and again does not keep the job from its checkpoints, nor these the reader: they take
    // turns.
    const bool reads = !requests_.empty() && requests_.front()->what == request::kind::reading;
    const bool is_due = pending_->begun >= next_at_;
    read_last_ = reads && !(is_due && read_last_);
    if (!requests_.empty() && (!reads || read_last_)) {
        pending_->on_request = requests_.front();
        requests_.pop_front();
        if (pending_->on_request->stop) stop_at_.store(pending_->id, std::memory_order_relaxed);
    }
    asked_.store(pending_->id, std::memory_order_relaxed);
}

void checkpoint_coordinator::passed(std::size_t subtask, checkpoint_id id, subtask_state state) {
    std::lock_guard lock(mutex_);
    if (pending_ && pending_->id == id) {
        pending_->states[subtask] = std::move(state);
        if (saved_by_all()) wake();
        return;
    }
    carry(state);  // It has been given up.
}

/// What the sinks have prepared for a checkpoint that fails becomes part of the next.
void checkpoint_coordinator::carry(subtask_state& state) {
    prepared_results prepared;
    for (auto& [node, saved, deferred] : state)
        if (auto at = saved.local.find(prepared_name); at != saved.local.end() && graph_.nodes[node].commit)
            for (std::string& p : at->second) prepared[node].push_back(std::move(p));
    carry(std::move(prepared));
}

void checkpoint_coordinator::carry(prepared_results prepared) {
    for (auto& [node, parts] : prepared) {
        if (graph_.nodes[node].postpone) graph_.nodes[node].postpone(parts);
        for (std::string& p : parts) carried_[node].push_back(std::move(p));
    }
}

void checkpoint_coordinator::finished(std::size_t subtask, subtask_state state) {
    write_deferred(state);
    std::lock_guard lock(mutex_);
    ended_[subtask] = std::move(state);
    if (pending_ && saved_by_all()) wake();
}

void checkpoint_coordinator::all_ended() {
    {
        std::lock_guard lock(mutex_);
        all_ended_ = true;
    }
    wake();
}

/// What the subtasks have saved, in one. Takes the sinks' prepared results into `prepared`, too.
checkpoint checkpoint_coordinator::assemble(checkpoint_id id, bool is_savepoint, prepared_results& prepared) {
    checkpoint c;
    c.id = id;
    c.job = graph_.name;
    c.key_groups = options_.key_groups;
    c.taken = clock_.now();
    c.is_savepoint = is_savepoint;
    if (!began_from_.empty()) c.extra[began_from_name] = began_from_;
    std::vector<operator_snapshot> merged(graph_.nodes.size());
    // First what is older.
    for (auto& [node, results] : std::exchange(carried_, {})) merged[node].local[prepared_name] = std::move(results);
    if (pending_)
        for (auto& [subtask, state] : pending_->states)
            for (auto& [node, saved, deferred] : std::exchange(state, {})) merged[node].add(std::move(saved));
    for (auto& [subtask, state] : ended_)
        if (!pending_ || !pending_->states.contains(subtask))
            for (auto& [node, saved, deferred] : state) {
                merged[node].add(operator_snapshot(saved));
                // Prepared once, so part of one checkpoint; carried on if that fails.
                if (graph_.nodes[node].commit) saved.local.erase(prepared_name);
            }
    for (plan::node_id node = 0; node < graph_.nodes.size(); ++node) {
        if (is_empty(merged[node])) continue;
        if (graph_.nodes[node].commit)
            if (auto at = merged[node].local.find(prepared_name); at != merged[node].local.end())
                prepared[node] = at->second;
        c.operators.push_back({graph_.nodes[node].name, graph_.nodes[node].kind,
                               graph_.parallelism_of(node, options_.parallelism), std::move(merged[node])});
    }
    return c;
}

/// All subtasks have saved: writes it, and has the sinks commit. Without the lock.
void checkpoint_coordinator::complete() {
    prepared_results prepared;
    std::shared_ptr<request> on_request;
    checkpoint c;
    timestamp begun;
    try {
        // All have saved, so these change no more.
        tell(checkpoint_step::assemble, pending_->id);
        for (auto& [subtask, state] : pending_->states) write_deferred(state);
    } catch (const std::exception& e) {
        std::lock_guard lock(mutex_);
        return failed(e.what());
    }
    {
        std::lock_guard lock(mutex_);
        on_request = pending_->on_request;
        begun = pending_->begun;
        c = assemble(pending_->id, on_request && on_request->what != request::kind::checkpoint, prepared);
    }
    std::exception_ptr failure;
    std::string why;
    try {
        write(c, on_request.get());
        // Whoever reads it may do so when the stores of the job are gone.
        if (on_request && on_request->what == request::kind::reading)
            for (saved_operator& o : c.operators) o.state.gather();
    } catch (const std::exception& e) {
        failure = std::current_exception();
        why = e.what();
    }
    if (failure) {
        std::lock_guard lock(mutex_);
        carry(std::move(prepared));
        return failed(why);
    }
    // A savepoint is the user's: a crash goes back to the checkpoint before it, so its results can't be shown yet.
    if (on_request && !is_for_recovery(*on_request)) {
        std::lock_guard lock(mutex_);
        carry(std::move(prepared));
    } else {
        commit(c, prepared);
        prune(c.id);
    }
    tell(checkpoint_step::acknowledge, c.id);
    std::lock_guard lock(mutex_);
    pending_.reset();
    if (!on_request || on_request->what != request::kind::reading) {
        failures_ = 0;
        count(c, clock_.now() - begun);
        plan_next(std::max(begun + options_.checkpoints.interval, clock_.now() + options_.checkpoints.min_pause));
    }
    if (!on_request) return;
    on_request->made = std::move(c);
    answer(on_request, nullptr);
}

void checkpoint_coordinator::write(const checkpoint& c, const request* on_request) {
    if (on_request && on_request->what == request::kind::savepoint)
        write_savepoint(*options_.checkpoints.files, on_request->folder, c, options_.checkpoints.on_step);
    // What the job stops at is what its folder goes on from, too: the results are about to be shown.
    if (store_ && (!on_request || is_for_recovery(*on_request))) store_->write(c);
}

/// It is the job's: what it goes back to after a crash. Of a sink that rolls back, results are in no savepoint: they
/// are shown with it, or could never be.
bool checkpoint_coordinator::is_for_recovery(const request& r) const noexcept {
    if (r.what != request::kind::savepoint) return r.what == request::kind::checkpoint;
    return r.stop || std::any_of(graph_.nodes.begin(), graph_.nodes.end(), [](const auto& n) { return !!n.is_at; });
}

/// The checkpoint is durable: has the sinks make its results visible, and tells the sources.
void checkpoint_coordinator::commit(const checkpoint& c, const prepared_results& prepared) {
    const auto at = [&](plan::node_id id, auto call) {
        try {
            call(graph_.nodes[id]);
        } catch (...) {
            rethrow_with_place(graph_.nodes[id].name, 0, timestamp::min());
        }
    };
    for (const auto& of_node : prepared)
        at(of_node.first, [&](const plan::node& n) {
            tell(checkpoint_step::commit, c.id);
            n.commit(c.id, owner(of_node.first), of_node.second);
        });
    for (plan::node_id id = 0; id < graph_.nodes.size(); ++id) {
        if (!graph_.nodes[id].passed) continue;
        for (const saved_operator& o : c.operators)
            if (o.name == graph_.nodes[id].name)
                if (const auto splits = o.state.local.find(splits_state); splits != o.state.local.end())
                    at(id, [&](const plan::node& n) { n.passed(splits->second); });
    }
}

/// Gives the pending checkpoint up, if there is one. With the lock.
void checkpoint_coordinator::give_up(const std::string& why) {
    if (!pending_) return;
    for (auto& [subtask, state] : pending_->states) carry(state);
    drop(why.c_str());
}

/// The same for a job that does not go on, so that nothing is part of a later checkpoint. With the lock.
void checkpoint_coordinator::drop(const char* why) noexcept {
    if (!pending_) return;
    if (pending_->on_request) answer(pending_->on_request, error_of([&] { return why; }));
    pending_.reset();
}

/// Removes older checkpoints. One that cannot be removed is no reason to end a job: the next time goes on.
void checkpoint_coordinator::prune(checkpoint_id newest) {
    if (!store_) return;
    try {
        tell(checkpoint_step::trim, newest);
        store_->prune(std::max<std::size_t>(1, options_.checkpoints.keep));
    } catch (const io_error&) {
    }
}

/// The pending checkpoint has failed. With the lock. Throws if that is one failure too many.
void checkpoint_coordinator::failed(const std::string& why) {
    const std::string what = fmt::format("checkpoint {} failed: {}", pending_->id, why);
    const bool stopping = stop_at_.load(std::memory_order_relaxed) == pending_->id;
    if (pending_->on_request && !is_for_recovery(*pending_->on_request)) return give_up(what);
    ++status_.failed;
    status_.last_failure = what;
    give_up(what);
    plan_next(clock_.now() + std::max(options_.checkpoints.interval, options_.checkpoints.min_pause));
    // Subtasks have ended at its barrier.
    if (stopping || ++failures_ > options_.checkpoints.tolerated_failures) throw checkpoint_error(what);
}

/// No subtask runs any more: makes the last checkpoint, or starts the job again; true if it is over.
bool checkpoint_coordinator::end() {
    const bool stopped = stop_at_.load(std::memory_order_relaxed) != 0;
    if (!job_.is_stopping() && pending_ && (stopped || pending_->on_request)) complete();
    if (!job_.is_stopping() && !stopped && store_) make_last();
    std::unique_lock lock(mutex_);
    drop("the job has ended before the checkpoint was complete");
    if (job_.has_failed()) {
        const timestamp now = clock_.now();
        bool goes_on = !job_.is_cancelled() && (restart_at_ != timestamp::max() || restarts(now));
        if (goes_on && now < restart_at_) {
            try {
                call_at(restart_at_);
                return false;
            } catch (...) {
                goes_on = false;  // Nobody would call.
            }
        }
        if (!goes_on) {
            refuse_all("the job has failed");
            call_at(timestamp::max());
            return over_ = true;
        }
        restart_at_ = timestamp::max();
        ++status_.restarts;
        // A sink that is asked may wait for long for what it writes to: meanwhile the job can be asked, and cancelled.
        lock.unlock();
        restore();
        lock.lock();
        all_ended_ = false;
        ended_.clear();
        carried_.clear();
        asked_.store(0, std::memory_order_relaxed);
        stop_at_.store(0, std::memory_order_relaxed);
        lock.unlock();
        job_.restart();
        return false;
    }
    refuse_all("the job has ended");
    call_at(timestamp::max());
    return over_ = true;
}

/// Whether the job shall be started again; `restart_at_` is when.
bool checkpoint_coordinator::restarts(timestamp now) noexcept {
    const restart_strategy& s = options_.restart;
    using kind = restart_strategy::kind;
    switch (s.what) {
        case kind::none: return false;
        case kind::fixed_delay:
            if (++restarts_ > s.restarts) return false;
            restart_at_ = now + s.delay;
            return true;
        case kind::exponential_delay: {
            if (now - begun_ >= s.window) restarts_ = 0;
            duration delay = s.delay;
            for (std::size_t i = 0; i < restarts_ && delay < s.max_delay; ++i) delay *= 2;
            ++restarts_;
            restart_at_ = now + std::min(delay, s.max_delay);
            return true;
        }
        case kind::failure_rate:
            try {
                failed_at_.push_back(now);
            } catch (...) {
                return false;  // It could not be counted.
            }
            while (now - failed_at_.front() > s.window) failed_at_.pop_front();
            if (failed_at_.size() > s.restarts) return false;
            restart_at_ = now + s.delay;
            return true;
    }
    return false;
}

/// The input has ended: what was prepared at the end is committed by a checkpoint of its own.
void checkpoint_coordinator::make_last() {
    prepared_results prepared;
    checkpoint c;
    {
        std::lock_guard lock(mutex_);
        give_up("");  // One that is under way becomes part of this one; nobody has asked for it.
        c = assemble(++last_, false, prepared);
        if (job_.is_draining()) c.extra[drained_name] = "";
    }
    write(c, nullptr);
    commit(c, prepared);
    prune(c.id);
    tell(checkpoint_step::acknowledge, c.id);
    std::lock_guard lock(mutex_);
    count(c, clock_.now() - c.taken);
    std::erase_if(requests_, [&](const std::shared_ptr<request>& r) {
        if (r->what != request::kind::checkpoint) return false;
        r->made.id = c.id;
        answer(r, nullptr);
        return true;
    });
}

void checkpoint_coordinator::count(const checkpoint& c, duration took) noexcept {
    ++status_.completed;
    status_.newest = c.id;
    status_.took = took;
    status_.completed_at = clock_.now();
    status_.durations.record(took);
    try {
        // As it was written: not all of it need be in memory. A savepoint is not the store's.
        const checkpoint_info info = store_ ? store_->written() : checkpoint_info();
        if (info.id != c.id) return;
        std::map<std::string, std::uint64_t> by_operator;
        for (const saved_operator_info& o : info.operators)
            for (const saved_state_info& state : o.states) by_operator[o.name] += state.bytes;
        status_.bytes = info.bytes;
        status_.bytes_by_operator = std::move(by_operator);
    } catch (...) {
        // The checkpoint is there; without memory it is told of less.
    }
}

checkpoint_status checkpoint_coordinator::status() {
    std::lock_guard lock(mutex_);
    return status_;
}

void checkpoint_coordinator::answer(const std::shared_ptr<request>& r, std::exception_ptr failure) noexcept {
    r->failure = std::move(failure);
    r->done = true;
    answered_.notify_all();
}

void checkpoint_coordinator::refuse_all(const char* why) noexcept {
    for (const auto& r : requests_)
        answer(r, error_of([&] { return fmt::format("there is no {}: {}.", word_for(*r), why); }));
    requests_.clear();
}

const char* checkpoint_coordinator::word_for(const request& r) {
    switch (r.what) {
        case request::kind::checkpoint: return "checkpoint";
        case request::kind::savepoint: return "savepoint";
        case request::kind::reading: break;
    }
    return "state to be read";
}

void checkpoint_coordinator::ask(std::shared_ptr<request> r) {
    {
        std::lock_guard lock(mutex_);
        if (over_) throw checkpoint_error(fmt::format("there is no {} of a job that has ended.", word_for(*r)));
        requests_.push_back(r);
    }
    wake();
    std::unique_lock lock(mutex_);
    while (!r->done) {
        lock.unlock();
        const bool helped = executor_->help();
        lock.lock();
        if (!helped) answered_.wait(lock, [&] { return r->done; });
    }
    if (r->failure) std::rethrow_exception(r->failure);
}

checkpoint_id checkpoint_coordinator::make_checkpoint() {
    if (!store_)
        throw checkpoint_error("the job makes no checkpoints. Give it a folder for them: .checkpoints = {.folder = "
                               "...}");
    auto r = std::make_shared<request>();
    ask(r);
    return r->made.id;
}

void checkpoint_coordinator::make_savepoint(const std::string& folder, bool stop) {
    // Found out before the job has stopped for it.
    file_system& files = *options_.checkpoints.files;
    if (folder.empty()) throw checkpoint_error("a savepoint needs a folder, and none is named.");
    if (files.is_directory(folder) && !files.list(folder).empty())
        throw checkpoint_error("there is something in the folder \"" + folder +
                               "\". Name a new one for the savepoint.");
    auto r = std::make_shared<request>();
    r->what = request::kind::savepoint;
    r->folder = folder;
    r->stop = stop;
    ask(std::move(r));
}

checkpoint checkpoint_coordinator::read_state() {
    auto r = std::make_shared<request>();
    r->what = request::kind::reading;
    ask(r);
    return std::move(r->made);
}

void checkpoint_coordinator::call_at(timestamp t) {
    if (call_ != 0) clock_.cancel(call_);
    call_ = t == timestamp::max() ? 0 : clock_.call_at(t, [this] { wake(); });
}

}  // namespace runnel::detail
