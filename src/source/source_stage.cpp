#include "runnel/source/source_stage.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "runnel/codec/codec.hpp"
#include "runnel/core/error.hpp"

namespace runnel {
namespace {

/// A generator that is asked as processing time goes by is asked at least this often.
constexpr duration tick_interval = std::chrono::milliseconds(200);

}  // namespace

std::vector<split_position> positions_in(const std::vector<std::string>& saved_splits) {
    std::vector<split_position> positions;
    for (const std::string& bytes : saved_splits) {
        byte_reader in(bytes);
        // See source_stage_base::save.
        std::string id = codec<std::string>::decode(in);
        (void)codec<bool>::decode(in);
        (void)codec<std::int64_t>::decode(in);
        const bool started = codec<bool>::decode(in);
        std::string position = codec<std::string>::decode(in);
        if (started) positions.push_back({std::move(id), std::move(position)});
    }
    return positions;
}

struct source_stage_base::split {
    split(std::string name, const split_timing* t) : id(std::move(name)), timing(t ? t->copy() : nullptr) {}
    std::string id;
    std::unique_ptr<split_reader_base> reader;
    /// Null without event time.
    std::unique_ptr<split_timing> timing;
    /// The generator's value: what has been promised of this split.
    timestamp value = timestamp::min();
    timestamp last_record = timestamp::min();
    /// Had nothing to read; not to be polled in this run, and then not before `until` unless woken.
    bool resting = false;
    timestamp until = timestamp::max();
    /// The reader itself says that it is idle.
    bool idle_by_itself = false;
    /// Its place in the alignment group, if there is one, and whether it is too far ahead to be read.
    std::unique_ptr<detail::alignment_member> aligned;
    bool held = false;
    /// Where to go on reading, if `restored` or closed.
    std::string position;
    bool restored = false;
    void close() {
        if (!reader) return;
        position = reader->position();
        restored = true;
        reader.reset();
        aligned.reset();
    }
};

source_stage_base::source_stage_base(std::shared_ptr<source_base> from, source_timing timing)
    : from_(std::move(from)), timing_(std::move(timing)) {}
source_stage_base::~source_stage_base() = default;

void source_stage_base::attach(output_base& out, batch_base& held) {
    out_ = &out;
    held_ = &held;
    outputs_.add(out);
}

void source_stage_base::set_policy(const failure_policy& policy) {
    if (!policy.dead_letters) return;
    dead_letters_ = policy.dead_letters();
    outputs_.add(dead_letters_->out());
}
void source_stage_base::connect(std::size_t port, receiver_base& next, std::size_t batch_size) {
    outputs_[port].connect(next, batch_size);
}

void source_stage_base::open(const source_context& context) {
    context_ = context;
    reader_context_ = {context.wake, context.bad_record, context.clock, timing_.takes_times, context.at_most_once};
    if (context.metrics != nullptr) reader_context_.bytes = &context.metrics->bytes;
    if (dead_letters_)
        reader_context_.bad_record = [this](std::string_view where, std::string_view why, std::string_view raw) {
            refuse(where, why, raw);
        };
    guarded([&] {
        all_splits_ = from_->splits();
        watch_ = from_->watch(all_splits_.size(), reader_context_);
    });
    for (std::size_t i = context.subtask; i < all_splits_.size(); i += context.parallelism)
        splits_.emplace_back(all_splits_[i], timing_.each.get());
    begin_event_time(timestamp::min());
    for (split& s : splits_) s.last_record = context.clock->now();
}

void source_stage_base::begin() {
    for (std::size_t i = 0; i < splits_.size(); ++i)
        if (!merger_.is_finished(i)) open_reader(splits_[i], goes_on_ && !splits_[i].restored);
}

void source_stage_base::begin_event_time(timestamp at) {
    merger_ = watermark_merger(splits_.size(), at);
    if (watch_) merger_.expect_more();
}

void source_stage_base::open_reader(split& s, bool appeared) {
    reader_context_.appeared = appeared;
    guarded([&] { s.reader = from_->open_any(s.id, s.restored ? &s.position : nullptr, reader_context_); });
    if (timing_.aligned_in) s.aligned = timing_.aligned_in->join(s.value, timing_.max_drift, context_.wake);
}

void source_stage_base::take_new_splits() {
    std::vector<std::string> ids;
    guarded([&] { ids = watch_->appeared(); });
    for (std::string& id : ids) {
        all_splits_.push_back(std::move(id));
        if ((all_splits_.size() - 1) % context_.parallelism != context_.subtask) continue;
        splits_.emplace_back(all_splits_.back(), timing_.each.get());
        splits_.back().last_record = context_.clock->now();
        merger_.add_input();
        open_reader(splits_.back(), true);
    }
}

void source_stage_base::woken() {
    for (split& s : splits_) s.resting = false;
    if (watch_ && !draining_) take_new_splits();
    if (end_ || !timing_.ticks) return;
    const timestamp now = context_.clock->now();
    for (std::size_t i = 0; i < splits_.size(); ++i) {
        splits_[i].value = std::max(splits_[i].value, splits_[i].timing->on_tick(now));
        merger_.watermark(i, splits_[i].value);
    }
}

source_stage_base::outcome source_stage_base::step() {
    if (settle() == progress::blocked) return {state::blocked, timestamp::max()};
    if (done_) return {state::finished, timestamp::max()};
    if (merger_.is_finished() || draining_) {
        end_ = true;
        return {state::progressed, timestamp::max()};
    }
    return read();
}

progress source_stage_base::flush() {
    const bool sent = complete() == progress::done && send_all() == progress::done;
    return noting_blocked(sent ? outputs_.flush() : progress::blocked);
}
progress source_stage_base::settle() { return noting_blocked(complete()); }
progress source_stage_base::barrier(checkpoint_id id) {
    const bool sent = complete() == progress::done && send_all() == progress::done;
    return noting_blocked(sent ? outputs_.forward_barrier(id) : progress::blocked);
}

// Local state "splits": per split its id, whether it has finished, its watermark, the reader's position.
void source_stage_base::save(snapshot_writer& to) const {
    for (std::size_t i = 0; i < splits_.size(); ++i) {
        std::string& bytes = to.local(splits_state);
        codec<std::string>::encode(splits_[i].id, bytes);
        codec<bool>::encode(merger_.is_finished(i), bytes);
        codec<std::int64_t>::encode(splits_[i].value.ns(), bytes);
        const bool started = splits_[i].reader != nullptr;
        codec<bool>::encode(started || splits_[i].restored, bytes);
        codec<std::string>::encode(started ? splits_[i].reader->position() : splits_[i].position, bytes);
    }
    if (!splits_.empty()) codec<std::int64_t>::encode(merger_.current().ns(), to.local("watermark"));
}

void source_stage_base::load(snapshot_reader& from) {
    timestamp at = timestamp::max();
    from.local("watermark", [&](std::string_view bytes) {
        byte_reader in(bytes);
        at = std::min(at, timestamp(codec<std::int64_t>::decode(in)));
    });
    if (at == timestamp::max()) at = timestamp::min();
    begin_event_time(at);
    forwarded_ = at;
    from.local(splits_state, [&](std::string_view bytes) {
        goes_on_ = true;
        byte_reader in(bytes);
        const std::string id = codec<std::string>::decode(in);
        const bool finished = codec<bool>::decode(in);
        // Of a split that is gone nothing is missing if it had been read to its end.
        if (!finished && std::find(all_splits_.begin(), all_splits_.end(), id) == all_splits_.end())
            throw error(context_.name + ": split \"" + id + "\" had not been read to its end when the state was "
                        "saved, and is not there any more. Bring it back, or start without this state.");
        for (std::size_t i = 0; i < splits_.size(); ++i) {
            if (splits_[i].id != id) continue;
            splits_[i].value = timestamp(codec<std::int64_t>::decode(in));
            splits_[i].restored = codec<bool>::decode(in);
            splits_[i].position = codec<std::string>::decode(in);
            merger_.watermark(i, splits_[i].value);
            if (finished) merger_.finish(i);
        }
    });
}

std::vector<std::string> source_stage_base::split_ids() const {
    std::vector<std::string> ids;
    for (const split& s : splits_) ids.push_back(s.id);
    return ids;
}
std::optional<std::size_t> source_stage_base::held_by() const {
    return is_timed() && !done_ ? merger_.held_by() : std::nullopt;
}

template <class F>
void source_stage_base::guarded(F f) {
    try {
        f();
    } catch (...) {
        detail::rethrow_with_place(context_.name, context_.subtask, timestamp::min());
    }
}

/// A record cannot be used: throws if the job is to fail, else has it counted and sent to the dead letters.
void source_stage_base::refuse(std::string_view where, std::string_view why, std::string_view raw) {
    context_.bad_record(where, why, raw);
    const std::string bytes(raw);
    failure_details details{std::string(why), context_.name, context_.subtask, std::string(where), {}};
    details.time = timestamp::min();
    // It has no time that is known; sent as one that is not late.
    dead_letters_->take(raw.data() ? &bytes : nullptr, std::move(details), merger_.current() + duration(1));
}

/// Time spent blocked by a slow consumer is not the splits' silence.
progress source_stage_base::noting_blocked(progress p) {
    if (!idles() || (p == progress::done && blocked_since_ == timestamp::max())) return p;
    const timestamp now = context_.clock->now();
    if (blocked_since_ != timestamp::max())
        for (split& s : splits_) s.last_record = s.last_record + (now - blocked_since_);
    blocked_since_ = p == progress::blocked ? now : timestamp::max();
    return p;
}

/// Completes whatever is under way: what was refused; the watermark before a record that breaks its promise, then
/// that record and those behind it; at the end the last watermark; a full batch.
progress source_stage_base::complete() {
    if (sending_ && send_all() == progress::blocked) return progress::blocked;
    while (held_->remaining() != 0) {
        if (send_all() == progress::blocked) return progress::blocked;
        admit_held();
    }
    if (end_ && !done_) {
        if (send_all() == progress::blocked) return progress::blocked;
        if (outputs_.forward_watermark(timestamp::max()) == progress::blocked) return progress::blocked;
        done_ = true;
        watch_.reset();
        for (split& s : splits_) s.close();
        update_metrics(timestamp::max());
    }
    return out_->gathered().size() >= out_->batch_size() ? send_all() : progress::done;
}

/// Sends the gathered records, then the watermark if it has risen, then idleness if that has changed.
progress source_stage_base::send_all() {
    sending_ = true;
    // Records of a split that woke and has ended since need it, too.
    if (idle_sent_ && (!merger_.is_idle() || !out_->gathered().empty())) {
        if (outputs_.announce(activity::active) == progress::blocked) return progress::blocked;
        idle_sent_ = false;
    }
    if (out_->send() == progress::blocked) return progress::blocked;
    if (dead_letters_ && dead_letters_->out().send() == progress::blocked) return progress::blocked;
    if (is_timed() && rising_ == timestamp::min() && !merger_.is_finished()) rising_ = merger_.current();
    if (rising_ > forwarded_) {
        if (outputs_.forward_watermark(rising_) == progress::blocked) return progress::blocked;
        forwarded_ = rising_;
    }
    rising_ = timestamp::min();
    if (merger_.is_idle() && !idle_sent_) {
        if (outputs_.forward_activity(activity::idle) == progress::blocked) return progress::blocked;
        idle_sent_ = true;
    }
    sending_ = false;
    update_metrics(forwarded_);
    return progress::done;
}

source_stage_base::outcome source_stage_base::read() {
    batch_base& gathered = out_->gathered();
    for (std::size_t tried = 0; tried < splits_.size(); ++tried) {
        const std::size_t i = next_split_;
        next_split_ = i + 1 == splits_.size() ? 0 : i + 1;
        split& s = splits_[i];
        if (s.resting || merger_.is_finished(i) || is_held(i)) continue;
        const std::size_t before = gathered.size();
        poll_result r;
        guarded([&] { r = s.reader->poll_any(gathered, out_->batch_size() - before); });
        const bool any = gathered.size() > before;
        if (idles()) {
            const timestamp now = context_.clock->now();
            if (any) s.last_record = now;
            else if (s.last_record + timing_.idle <= now) merger_.idle(i);
        }
        if (any) admit(i, before);
        if (any && r.what == poll_result::kind::idle) r = poll_result::more();  // It may say so again without.
        if (is_timed()) note_idle_by_itself(i, r.what == poll_result::kind::idle);
        s.resting = r.what != poll_result::kind::more && r.what != poll_result::kind::finished;
        s.until = r.what == poll_result::kind::until ? r.at : timestamp::max();
        if (r.what == poll_result::kind::finished) {
            s.close();
            if (held_->remaining() == 0) merger_.finish(i);
            else finish_after_held_ = true;
        }
        const bool settled = held_->remaining() == 0 && gathered.size() < out_->batch_size();
        if (!s.resting || !settled) return {state::progressed, timestamp::max()};
    }
    return rest();
}

/// True if the split is too far ahead of the others to be read in this run. That is not silence.
bool source_stage_base::is_held(std::size_t i) {
    split& s = splits_[i];
    if (!s.aligned) return false;
    const bool was_held = s.held;
    s.held = !s.aligned->may_read(s.value, merger_.is_idle(i));
    if (idles() && (was_held || s.held)) s.last_record = context_.clock->now();
    if (s.held) {
        s.resting = true;
        s.until = timestamp::max();
    }
    return s.held;
}

void source_stage_base::note_idle_by_itself(std::size_t i, bool idle) {
    split& s = splits_[i];
    if (idle) {
        merger_.idle(i);
    } else if (s.idle_by_itself) {
        // It takes part again from where event time is by now.
        merger_.wake(i);
        s.value = std::max(s.value, merger_.current());
        merger_.watermark(i, s.value);
        s.last_record = context_.clock->now();
    }
    s.idle_by_itself = idle;
}

/// Nothing to read: finds the earliest time at which to look again.
source_stage_base::outcome source_stage_base::rest() {
    timestamp until = timestamp::max();
    for (std::size_t i = 0; i < splits_.size(); ++i) {
        if (merger_.is_finished(i)) continue;
        split& s = splits_[i];
        if (s.aligned) s.aligned->report(s.value, merger_.is_idle(i));
        until = std::min(until, s.until);
        if (idles() && !s.held && !merger_.is_idle(i)) until = std::min(until, s.last_record + timing_.idle);
    }
    if (timing_.ticks) until = std::min(until, context_.clock->now() + tick_interval);
    return {state::waiting, until};
}

/// Takes the records from index `from` of the current batch into event time. Those from the first one on that
/// needs a watermark sent ahead of it are held back.
void source_stage_base::admit(std::size_t i, std::size_t from) {
    batch_base& b = out_->gathered();
    if (!is_timed()) {
        b.widen(timestamp::min(), timestamp::max());  // Whatever times the source has put in.
        return;
    }
    merger_.wake(i);
    split& s = splits_[i];
    s.timing->extract(b, from, [&] {
        guarded([&] { reader_context_.bad_record(context_.name + " " + s.id, "the record has no event time", {}); });
    });
    const std::size_t stop = s.timing->advance(b, from, advance_of(i), b);
    if (stop == b.size()) return;
    b.move_to(*held_, stop, b.size());
    held_split_ = i;
    b.truncate(stop);
}

/// Goes on with what was held back, up to the next record that needs a watermark ahead of it.
void source_stage_base::admit_held() {
    batch_base& b = out_->gathered();
    const std::size_t from = held_->cursor();
    const std::size_t stop = splits_[held_split_].timing->advance(*held_, from, advance_of(held_split_), b);
    held_->move_to(b, from, stop);
    held_->consume_until(stop);
    if (held_->remaining() != 0) return;
    held_->reuse();
    if (finish_after_held_) merger_.finish(held_split_);
    finish_after_held_ = false;
}

split_advance source_stage_base::advance_of(std::size_t i) { return {i, splits_[i].value, merger_, forwarded_}; }

void source_stage_base::update_metrics(timestamp w) {
    if (!context_.metrics) return;
    context_.metrics->records_out.set(out_->count());
    context_.metrics->watermark.set(w.ns());
}

}  // namespace runnel
