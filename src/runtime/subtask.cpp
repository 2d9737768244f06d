#include "subtask.hpp"

#include <algorithm>
#include <utility>

#include "job_core.hpp"

namespace runnel::detail {

namespace {

/// Steps (about a batch each) between two looks at the executor's other work and at the clock.
constexpr int steps_per_run = 16;

/// Does a part of what is left to be copied; true when there was nothing left.
bool copy_step(subtask_state& state) {
    for (saved_stage& s : state)
        if (!s.deferred.steps.empty()) {
            if (s.deferred.steps.back()()) s.deferred.steps.pop_back();
            return false;
        }
    return true;
}

}  // namespace

subtask::subtask(job_core& job, executor& on, runnel::clock& clock, std::string task_name, std::size_t subtask_index,
                 std::size_t subtask_number, duration flush_interval)
    : name(std::move(task_name)),
      index(subtask_index),
      number(subtask_number),
      job_(job),
      executor_(on),
      clock_(clock),
      flush_interval_(flush_interval),
      last_flush_(clock.now()),
      accounted_until_(last_flush_) {
    metrics.held_by.set(-1);
    // Counts as running until the start: what wakes it while it is being built is noted, and no thread comes near.
    (void)state_.notify();
    state_.begin_run();
}

void subtask::built() {
    for (const auto& s : stages)
        if (s->ticks()) ticking_.push_back(s.get());
}

void subtask::start() noexcept {
    state_.requeue();
    executor_.submit(*this);
}

subtask::~subtask() {
    if (pending_call_ != 0) clock_.cancel(pending_call_);
}

void subtask::wake() noexcept {
    if (state_.notify()) executor_.submit(*this);
}

void subtask::run() noexcept {
    state_.begin_run();
    const timestamp begin = clock_.now();
    account(begin, last_ == result::more ? metrics.busy : waits_as(last_));
    // What has been refused left the source before.
    if (reads && last_ != result::blocked) origin = begin;
    result r = result::finished;
    try {
        if (!job_.is_stopping()) {
            r = work();
            if (r == result::finished && job_.coordinator()) {
                copy_all();
                if (!stopped_) {
                    job_.coordinator()->tell(checkpoint_step::save, 0);
                    subtask_state last = saved();
                    while (!copy_step(last)) continue;
                    job_.coordinator()->finished(number, std::move(last));
                }
            }
            // Nothing can be done but to go on copying: that must not wait for whoever has no room.
            if (r == result::blocked && copy_some()) r = result::more;
        }
        // A stage may be waiting for time rather than for room.
        if (r == result::blocked) call_at(std::min(resumes_at(), next_tick() > begin ? next_tick() : timestamp::max()));
    } catch (...) {
        job_.fail(std::current_exception(), name, index);
        r = result::finished;
    }
    const timestamp end = clock_.now();
    account(end, metrics.busy);
    note_watermark(end);
    sample_latency(end);
    last_ = r;
    // From here on nothing of this object may be touched once another run can have begun.
    switch (r) {
        case result::more:
            state_.requeue();
            executor_.submit(*this);
            break;
        case result::waiting:
        case result::blocked:
            waits_as(r).goes_on_from(end);
            if (state_.end_run()) executor_.submit(*this);
            break;
        case result::finished:
            // The state stays "running": no wake can submit this subtask again.
            release();
            job_.subtask_done();
            break;
    }
}

subtask::result subtask::work() {
    if (sending_ != 0 && send_barrier() == progress::blocked) return result::blocked;
    if (job_.is_draining() && !draining_) {
        draining_ = true;
        if (source) source->drain();
    }
    const timestamp now = accounted_until_;
    if (now - last_flush_ >= flush_interval_) flushing_ = true;
    if (flushing_ && !in_tick_) {
        if ((source ? source->flush() : gate->flush()) == progress::blocked) return result::blocked;
        flushing_ = false;
        last_flush_ = now;
    }
    if (!ticking_.empty() && tick(now) == progress::blocked) return result::blocked;
    if (source && job_.coordinator() && job_.coordinator()->asked() > asked_) {
        if (source->settle() == progress::blocked) return result::blocked;
        asked_ = job_.coordinator()->asked();
        // One that has come to its end counts as having sent it.
        if (source->watermark() != timestamp::max()) sending_ = asked_;
        if (sending_ != 0 && send_barrier() == progress::blocked) return result::blocked;
    }
    if (stopped_) return result::finished;
    return source ? from_source() : from_gate();
}

progress subtask::send_barrier() {
    job_.coordinator()->tell(checkpoint_step::send_barrier, sending_);
    if (source->barrier(sending_) == progress::blocked) return progress::blocked;
    barrier_passed(std::exchange(sending_, 0));
    return progress::done;
}

void subtask::barrier_arrived(checkpoint_id id) { job_.coordinator()->tell(checkpoint_step::take_barrier, id); }

void subtask::barrier_aligned(checkpoint_id id) { job_.coordinator()->tell(checkpoint_step::align, id); }

void subtask::barrier_passed(checkpoint_id id) {
    copy_all();
    job_.coordinator()->tell(checkpoint_step::save, id);
    stopped_ = job_.coordinator()->stops_at(id);
    copying_ = saved();
    copied_for_ = id;
    if (stopped_) copy_all();
    else copy_some();
}

/// Copies a part of the state of the last barrier; false if there was nothing to do. When all is copied, hands it over.
bool subtask::copy_some() {
    if (copied_for_ == 0) return false;
    if (!copy_step(copying_)) return true;
    job_.coordinator()->tell(checkpoint_step::hand_over, copied_for_);
    job_.coordinator()->passed(number, std::exchange(copied_for_, 0), std::exchange(copying_, {}));
    return true;
}

void subtask::copy_all() {
    while (copy_some()) continue;
}

/// The state of all operators: nothing behind the barrier, or behind the end, has come to them.
subtask_state subtask::saved() const {
    subtask_state state;
    const auto add = [&](plan::node_id node, const auto& from) {
        saved_stage& s = state.emplace_back(saved_stage{node, {}, {}});
        snapshot_writer writer(s.snapshot, &s.deferred);
        from.save(writer);
    };
    if (source) add(source_node, *source);
    for (std::size_t i = 0; i < stages.size(); ++i) add(stage_nodes[i], *stages[i]);
    return state;
}

progress subtask::tick(timestamp now) {
    if (!in_tick_ && (source ? source->settle() : gate->settle()) == progress::blocked) return progress::blocked;
    in_tick_ = true;
    for (; tick_step_ < ticking_.size(); ++tick_step_)
        if (ticking_[tick_step_]->tick(now) == progress::blocked) return progress::blocked;
    tick_step_ = 0;
    in_tick_ = false;
    return progress::done;
}

timestamp subtask::next_tick() const {
    timestamp next = timestamp::max();
    for (const stage* s : ticking_) next = std::min(next, s->next_tick());
    return next;
}

/// When a stage that has answered `blocked` wants to be called again; `max` if it waits for others.
timestamp subtask::resumes_at() const {
    timestamp at = timestamp::max();
    for (const auto& s : stages) at = std::min(at, s->resumes_at());
    return at;
}

subtask::result subtask::from_source() {
    using state = source_stage_base::state;
    source->woken();
    for (int i = 0; i < steps_per_run; ++i) {
        copy_some();
        const auto [what, until] = source->step();
        switch (what) {
            case state::progressed: break;
            case state::blocked: return result::blocked;
            case state::finished: return result::finished;
            case state::waiting:
                flushing_ = true;
                if (source->flush() == progress::blocked) return result::blocked;
                flushing_ = false;
                if (copy_some()) return result::more;
                call_at(std::min(until, next_tick()));
                return result::waiting;
        }
    }
    return result::more;
}

subtask::result subtask::from_gate() {
    for (int i = 0; i < steps_per_run; ++i) {
        copy_some();
        const gate::state what = gate->step();
        if (stopped_) return result::finished;
        switch (what) {
            case gate::state::progressed: break;
            case gate::state::blocked: return result::blocked;
            case gate::state::finished: return result::finished;
            case gate::state::empty:
                flushing_ = true;
                if (gate->flush() == progress::blocked) return result::blocked;
                flushing_ = false;
                if (copy_some()) return result::more;
                call_at(next_tick());
                return result::waiting;
        }
    }
    return result::more;
}

spent_time& subtask::waits_as(result r) noexcept { return r == result::blocked ? metrics.blocked : metrics.idle; }

void subtask::account(timestamp now, spent_time& share) {
    share.add(now - accounted_until_);
    accounted_until_ = now;
}

void subtask::note_watermark(timestamp now) {
    if (!source && !gate) return;
    if (gate) metrics.queue_fill.set(gate->fill());
    const std::optional<std::size_t> held = source ? source->held_by() : gate->held_by();
    metrics.held_by.set(held ? static_cast<std::int64_t>(*held) : -1);
    const timestamp w = source ? source->watermark() : gate->watermark();
    if (w != last_watermark_ || metrics.held_since.get() == 0) metrics.held_since.set(now.ns());
    last_watermark_ = w;
}

/// The last record of the run has been written at its end, or shortly before.
void subtask::sample_latency(timestamp now) {
    for (sampled_sink& s : sinks) {
        const std::uint64_t n = s.metrics->records_in.get();
        if (n == s.seen) continue;
        s.seen = n;
        if (origin != timestamp::min()) s.metrics->latency->record(now - origin);
    }
}

void subtask::call_at(timestamp t) {
    if (pending_at_ == t && t > accounted_until_) return;  // Still to come.
    if (pending_call_ != 0) clock_.cancel(pending_call_);
    pending_call_ = 0;
    pending_at_ = t;
    if (t == timestamp::max()) return;
    pending_call_ = clock_.call_at(t, [this] { wake(); });
}

/// Gives back what the subtask holds, on the thread that ran it last: files, sockets, state.
void subtask::release() noexcept {
    if (pending_call_ != 0) clock_.cancel(pending_call_);
    pending_call_ = 0;
    copying_.clear();  // Before what it is copied from.
    source.reset();
    gate.reset();
    stages.clear();
    links.clear();
}

}  // namespace runnel::detail
