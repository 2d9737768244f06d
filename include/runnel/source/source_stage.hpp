#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/codec/codec.hpp"
#include "runnel/core/clock.hpp"
#include "runnel/core/error.hpp"
#include "runnel/core/failure.hpp"
#include "runnel/core/metrics.hpp"
#include "runnel/core/output.hpp"
#include "runnel/core/watermark.hpp"
#include "runnel/source/source.hpp"
#include "runnel/source/timing.hpp"

namespace runnel {

/// What a source instance learns when it is opened. Valid as long as the instance lives.
struct source_context {
    std::string name;
    std::size_t subtask = 0;
    std::size_t parallelism = 1;
    const runnel::clock* clock = nullptr;
    std::function<void()> wake;
    std::function<void(std::string_view where, std::string_view why, std::string_view raw)> bad_record;
    operator_metrics* metrics = nullptr;
    bool at_most_once = false;
};

/// One subtask of a source, whatever its types: reads its splits in turn and sends records and watermarks.
///
/// Split number i belongs to subtask i mod parallelism.
/// Thread safety: unsafe; one subtask owns it.
class source_stage_base {
public:
    enum class state : unsigned char { progressed, blocked, waiting, finished };
    struct outcome {
        state what;
        timestamp until = timestamp::max();  ///< When `waiting`: to be called again at this processing time.
    };

    virtual ~source_stage_base() = default;
    /// What becomes of what cannot be used. Before `connect`; port 1 is then the one for dead letters, if there is one.
    virtual void set_policy(const failure_policy& policy) = 0;
    virtual void connect(std::size_t port, receiver_base& next, std::size_t batch_size) = 0;
    virtual void open(const source_context& context) = 0;
    /// Opens the readers, after `open` and, if there is something to restore, `load`.
    virtual void begin() = 0;
    /// There may be something to read again: called before the first `step` of each run.
    virtual void woken() = 0;
    /// Does a bounded amount of reading, or repeats what was blocked.
    virtual outcome step() = 0;
    virtual progress flush() = 0;
    /// Repeats what was blocked: after `done` no call to the operators is under way.
    virtual progress settle() = 0;
    /// Sends what has been read, then barrier `id`. `save` then gives the state that goes with it.
    virtual progress barrier(checkpoint_id id) = 0;
    /// Reads no further: the next steps send what is there and end the stream.
    virtual void drain() = 0;
    /// After a `flush` that is done: what has been read has been sent.
    virtual void save(snapshot_writer& to) const = 0;
    virtual void load(snapshot_reader& from) = 0;
    /// Ids of this subtask's splits, and which of them holds event time back.
    virtual std::vector<std::string> split_ids() const = 0;
    virtual std::optional<std::size_t> held_by() const = 0;
    virtual timestamp watermark() const = 0;
};

/// See `source_stage_base`. `Timing` is `no_event_time` or `event_timing<...>`.
///
/// A generator acts as if it spoke after every record: before a record at or below the current watermark, what
/// came before is sent, and then that watermark. So which records are late does not depend on batches.
template <class T, class Timing>
class source_stage final : public source_stage_base {
public:
    source_stage(std::shared_ptr<source<T>> from, Timing timing)
        : from_(std::move(from)), timing_(std::move(timing)), merger_(0) {}

    void set_policy(const failure_policy& policy) override {
        if (policy.dead_letters) dead_letters_ = policy.dead_letters();
    }
    void connect(std::size_t port, receiver_base& next, std::size_t batch_size) override {
        if (port == 1) return dead_letters_->connect(next, batch_size);
        next_ = static_cast<receiver<T>*>(&next);
        out_.connect(*next_, batch_size);
    }

    void open(const source_context& context) override {
        context_ = context;
        reader_context_ = {context.wake, context.bad_record, context.clock, takes_times, context.at_most_once};
        if (dead_letters_)
            reader_context_.bad_record = [this](std::string_view where, std::string_view why, std::string_view raw) {
                refuse(where, why, raw);
            };
        guarded([&] { all_splits_ = from_->splits(); });
        for (std::size_t i = context.subtask; i < all_splits_.size(); i += context.parallelism)
            splits_.push_back(split(all_splits_[i], timing_));
        merger_ = watermark_merger(splits_.size());
        for (split& s : splits_) s.last_record = context.clock->now();
    }

    void begin() override {
        for (std::size_t i = 0; i < splits_.size(); ++i) {
            split& s = splits_[i];
            if (merger_.is_finished(i)) continue;
            guarded([&] { s.reader = from_->open(s.id, s.restored ? &s.position : nullptr, reader_context_); });
            if constexpr (Timing::enabled)
                if (timing_.aligned_in) s.aligned = timing_.aligned_in->join(s.value, timing_.max_drift, context_.wake);
        }
    }

    void woken() override {
        for (split& s : splits_) s.resting = false;
        if (end_) return;
        if constexpr (ticks) {
            const timestamp now = context_.clock->now();
            for (std::size_t i = 0; i < splits_.size(); ++i) {
                splits_[i].value = std::max(splits_[i].value, splits_[i].timing.generator.on_tick(now));
                merger_.watermark(i, splits_[i].value);
            }
        }
    }

    outcome step() override {
        if (settle() == progress::blocked) return {state::blocked, timestamp::max()};
        if (done_) return {state::finished, timestamp::max()};
        if (merger_.is_finished() || draining_) {
            end_ = true;
            return {state::progressed, timestamp::max()};
        }
        return read();
    }

    progress flush() override {
        const bool sent = complete() == progress::done && send_all() == progress::done;
        return noting_blocked(sent ? to_both([&] { return out_.flush(); },
                                             [](dead_letter_port& d) { return d.flush(); })
                                   : progress::blocked);
    }
    progress settle() override { return noting_blocked(complete()); }
    progress barrier(checkpoint_id id) override {
        const bool sent = complete() == progress::done && send_all() == progress::done;
        return noting_blocked(sent ? to_both([&] { return next_->on_barrier(id); },
                                             [&](dead_letter_port& d) { return d.forward_barrier(id); })
                                   : progress::blocked);
    }
    void drain() override { draining_ = true; }

    // Local state "splits": per split its id, whether it has finished, its watermark, the reader's position.
    void save(snapshot_writer& to) const override {
        for (std::size_t i = 0; i < splits_.size(); ++i) {
            std::string& bytes = to.local("splits");
            codec<std::string>::encode(splits_[i].id, bytes);
            codec<bool>::encode(merger_.is_finished(i), bytes);
            codec<std::int64_t>::encode(splits_[i].value.ns(), bytes);
            const bool started = splits_[i].reader != nullptr;
            codec<bool>::encode(started || splits_[i].restored, bytes);
            codec<std::string>::encode(started ? splits_[i].reader->position() : splits_[i].position, bytes);
        }
        if (!splits_.empty()) codec<std::int64_t>::encode(merger_.current().ns(), to.local("watermark"));
    }
    void load(snapshot_reader& from) override {
        timestamp at = timestamp::max();
        from.local("watermark", [&](std::string_view bytes) {
            byte_reader in(bytes);
            at = std::min(at, timestamp(codec<std::int64_t>::decode(in)));
        });
        if (at == timestamp::max()) at = timestamp::min();
        merger_ = watermark_merger(splits_.size(), at);
        forwarded_ = at;
        from.local("splits", [&](std::string_view bytes) {
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

    std::vector<std::string> split_ids() const override {
        std::vector<std::string> ids;
        for (const split& s : splits_) ids.push_back(s.id);
        return ids;
    }
    std::optional<std::size_t> held_by() const override {
        return Timing::enabled && !done_ ? merger_.held_by() : std::nullopt;
    }
    timestamp watermark() const override { return done_ ? timestamp::max() : merger_.current(); }

private:
    struct split {
        split(std::string name, const Timing& t) : id(std::move(name)), timing(t) {}
        std::string id;
        std::unique_ptr<split_reader<T>> reader;
        Timing timing;
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

    /// A generator with on_tick is asked at least this often.
    static constexpr duration tick_interval = std::chrono::milliseconds(200);
    static constexpr bool takes_times =
        requires(Timing & t) { requires std::is_same_v<decltype(t.extractor), time_of_source>; };
    static constexpr bool ticks = requires(Timing & t, timestamp now) { t.generator.on_tick(now); };
    bool idles() const noexcept { return timing_.idle > duration::zero(); }

    template <class F>
    void guarded(F f) {
        try {
            f();
        } catch (...) {
            detail::rethrow_with_place(context_.name, context_.subtask, timestamp::min());
        }
    }

    /// A record cannot be used: throws if the job is to fail, else has it counted and sent to the dead letters.
    void refuse(std::string_view where, std::string_view why, std::string_view raw) {
        context_.bad_record(where, why, raw);
        const std::string bytes(raw);
        failure_details details{std::string(why), context_.name, context_.subtask, std::string(where), {}};
        details.time = timestamp::min();
        // It has no time that is known; sent as one that is not late.
        dead_letters_->take(raw.data() ? &bytes : nullptr, std::move(details), merger_.current() + duration(1));
    }

    /// Does one thing to the main output, then another to the one for dead letters, over as many calls as it takes.
    template <class Main, class Dead>
    progress to_both(Main main, Dead dead) {
        if (!main_done_ && main() == progress::blocked) return progress::blocked;
        main_done_ = true;
        if (dead_letters_ && dead(*dead_letters_) == progress::blocked) return progress::blocked;
        main_done_ = false;
        return progress::done;
    }
    progress send_watermark(timestamp w) {
        return to_both([&] { return next_->on_watermark(w); },
                       [&](dead_letter_port& d) { return d.forward_watermark(w); });
    }
    progress send_activity(activity a) {
        return to_both([&] { return next_->on_activity(a); },
                       [&](dead_letter_port& d) { return d.forward_activity(a); });
    }

    /// Time spent blocked by a slow consumer is not the splits' silence.
    progress noting_blocked(progress p) {
        if (!idles() || (p == progress::done && blocked_since_ == timestamp::max())) return p;
        const timestamp now = context_.clock->now();
        if (blocked_since_ != timestamp::max())
            for (split& s : splits_) s.last_record = s.last_record + (now - blocked_since_);
        blocked_since_ = p == progress::blocked ? now : timestamp::max();
        return p;
    }

    /// Completes whatever is under way: what was refused; the watermark before a record that breaks its promise, then
    /// that record and those behind it; at the end the last watermark; a full batch.
    progress complete() {
        if (sending_ && send_all() == progress::blocked) return progress::blocked;
        while (held_.remaining() != 0) {
            if (send_all() == progress::blocked) return progress::blocked;
            admit_held();
        }
        if (end_ && !done_) {
            if (send_all() == progress::blocked) return progress::blocked;
            if (send_watermark(timestamp::max()) == progress::blocked) return progress::blocked;
            done_ = true;
            for (split& s : splits_) s.close();
            update_metrics(timestamp::max());
        }
        return out_.current().size() >= out_.batch_size() ? send_all() : progress::done;
    }

    /// Sends the gathered records, then the watermark if it has risen, then idleness if that has changed.
    progress send_all() {
        sending_ = true;
        // Records of a split that woke and has ended since need it, too.
        if (idle_sent_ && (!merger_.is_idle() || !out_.current().empty())) {
            if (send_activity(activity::active) == progress::blocked) return progress::blocked;
            idle_sent_ = false;
        }
        if (out_.send() == progress::blocked) return progress::blocked;
        if (dead_letters_ && dead_letters_->send() == progress::blocked) return progress::blocked;
        if (Timing::enabled && rising_ == timestamp::min() && !merger_.is_finished()) rising_ = merger_.current();
        if (rising_ > forwarded_) {
            if (send_watermark(rising_) == progress::blocked) return progress::blocked;
            forwarded_ = rising_;
        }
        rising_ = timestamp::min();
        if (merger_.is_idle() && !idle_sent_) {
            if (send_activity(activity::idle) == progress::blocked) return progress::blocked;
            idle_sent_ = true;
        }
        sending_ = false;
        update_metrics(forwarded_);
        return progress::done;
    }

    outcome read() {
        for (std::size_t tried = 0; tried < splits_.size(); ++tried) {
            const std::size_t i = next_split_;
            next_split_ = i + 1 == splits_.size() ? 0 : i + 1;
            split& s = splits_[i];
            if (s.resting || merger_.is_finished(i) || is_held(i)) continue;
            const std::size_t before = out_.current().size();
            poll_result r;
            guarded([&] { r = s.reader->poll(out_.current(), out_.batch_size() - before); });
            const bool any = out_.current().size() > before;
            if (idles()) {
                const timestamp now = context_.clock->now();
                if (any) s.last_record = now;
                else if (s.last_record + timing_.idle <= now) merger_.idle(i);
            }
            if (any) admit(i, before);
            if (any && r.what == poll_result::kind::idle) r = poll_result::more();  // It may say so again without.
            if (Timing::enabled) note_idle_by_itself(i, r.what == poll_result::kind::idle);
            s.resting = r.what != poll_result::kind::more && r.what != poll_result::kind::finished;
            s.until = r.what == poll_result::kind::until ? r.at : timestamp::max();
            if (r.what == poll_result::kind::finished) {
                s.close();
                if (held_.remaining() == 0) merger_.finish(i);
                else finish_after_held_ = true;
            }
            const bool settled = held_.remaining() == 0 && out_.current().size() < out_.batch_size();
            if (!s.resting || !settled) return {state::progressed, timestamp::max()};
        }
        return rest();
    }

    /// True if the split is too far ahead of the others to be read in this run. That is not silence.
    bool is_held(std::size_t i) {
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

    void note_idle_by_itself(std::size_t i, bool idle) {
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
    outcome rest() {
        timestamp until = timestamp::max();
        for (std::size_t i = 0; i < splits_.size(); ++i) {
            if (merger_.is_finished(i)) continue;
            split& s = splits_[i];
            if (s.aligned) s.aligned->report(s.value, merger_.is_idle(i));
            until = std::min(until, s.until);
            if (idles() && !s.held && !merger_.is_idle(i)) until = std::min(until, s.last_record + timing_.idle);
        }
        if constexpr (ticks) until = std::min(until, context_.clock->now() + tick_interval);
        return {state::waiting, until};
    }

    /// Takes the records from index `from` of the current batch into event time. Those from the first one on that
    /// needs a watermark sent ahead of it are held back.
    void admit(std::size_t i, std::size_t from) {
        batch<T>& b = out_.current();
        if constexpr (!Timing::enabled) {
            b.widen(timestamp::min(), timestamp::max());  // Whatever times the source has put in.
            (void)i, (void)from;
        } else {
            merger_.wake(i);
            extract_times(splits_[i], b, from);
            const std::size_t stop = advance_time(i, b, from, b);
            if (stop == b.size()) return;
            for (std::size_t k = stop; k < b.size(); ++k) held_.append_raw(b.take(k), b.time(k));
            held_split_ = i;
            b.truncate(stop);
        }
    }

    /// Goes on with what was held back, up to the next record that needs a watermark ahead of it.
    void admit_held() {
        if constexpr (Timing::enabled) {
            const std::size_t from = held_.cursor();
            const std::size_t stop = advance_time(held_split_, held_, from, out_.current());
            for (std::size_t k = from; k < stop; ++k)
                out_.current().append_raw(held_.take(k), held_.time(k));
            held_.consume_until(stop);
        }
        if (held_.remaining() != 0) return;
        held_.clear();
        if (finish_after_held_) merger_.finish(held_split_);
        finish_after_held_ = false;
    }

    void extract_times(split& s, batch<T>& b, std::size_t from) {
        if constexpr (std::is_same_v<decltype(s.timing.extractor), time_of_source>) {
            (void)s, (void)b, (void)from;
        } else if constexpr (Timing::template always_gives_time<T>) {
            const T* const values = std::as_const(b).values();
            timestamp* const times = b.times();
            for (std::size_t k = from, n = b.size(); k < n; ++k) {
                // What a source has lent comes from memory, and this is the first look at it: a sixth of a window job.
                __builtin_prefetch(reinterpret_cast<const char*>(values + k) + 2048);
                times[k] = s.timing.time_of(values[k]);
            }
        } else {
            std::size_t to = from;
            for (std::size_t k = from; k < b.size(); ++k) {
                const std::optional<timestamp> t = s.timing.time_of(std::as_const(b).value(k));
                if (!t) [[unlikely]] {
                    guarded([&] {
                        reader_context_.bad_record(context_.name + " " + s.id, "the record has no event time", {});
                    });
                    continue;
                }
                if (to != k) [[unlikely]] b.value(to) = std::move(b.value(k));
                b.times()[to++] = *t;
            }
            b.truncate(to);
        }
    }

    /// Runs the generator of split i over the records of `b` from `from` on; returns the index of the first record
    /// that stands at or below a watermark which has not been sent yet, or the size.
    std::size_t advance_time(std::size_t i, batch<T>& b, std::size_t from, batch<T>& bounded) {
        auto& generator = splits_[i].timing.generator;
        if constexpr (requires { requires std::remove_cvref_t<decltype(generator)>::follows_largest_time; }) {
            // Records in order keep every promise that is made among them.
            const timestamp* const times = b.times() + from;
            const std::size_t n = b.size() - from;
            if (n != 0 && times[0] > std::max(splits_[i].value, merger_.current()) && ascending(times, n)) {
                splits_[i].value = std::max(splits_[i].value, generator.on_record(times[n - 1]));
                merger_.watermark(i, splits_[i].value);
                bounded.widen(times[0], times[n - 1]);
                return b.size();
            }
        }
        timestamp value = splits_[i].value;
        timestamp merged = merger_.current();
        timestamp low = timestamp::max();
        timestamp high = timestamp::min();
        const std::size_t size = b.size();
        std::size_t k = from;
        for (; k < size; ++k) {
            const timestamp t = b.time(k);
            if (t <= std::max(value, merged)) [[unlikely]] {
                merger_.watermark(i, value);
                merged = merger_.current();
                if (t <= merged && merged > forwarded_) break;
            }
            timestamp said;
            if constexpr (requires { generator.on_record(t); }) said = generator.on_record(t);
            else said = generator.on_record(std::as_const(b).value(k), t);
            value = std::max(value, said);
            low = std::min(low, t);
            high = std::max(high, t);
        }
        splits_[i].value = value;
        if (k == size) merger_.watermark(i, value);
        if (k != from) bounded.widen(low, high);
        return k;
    }

    static bool ascending(const timestamp* times, std::size_t n) noexcept {
        bool falls = false;
        for (std::size_t k = 1; k < n; ++k) falls |= times[k] < times[k - 1];
        return !falls;
    }

    void update_metrics(timestamp w) {
        if (!context_.metrics) return;
        context_.metrics->records_out.set(out_.count());
        context_.metrics->watermark.set(w.ns());
    }

    std::shared_ptr<source<T>> from_;
    Timing timing_;
    source_context context_;
    reader_context reader_context_;
    /// Ids of the splits of all subtasks.
    std::vector<std::string> all_splits_;
    std::vector<split> splits_;
    watermark_merger merger_;
    receiver<T>* next_ = nullptr;
    output<T> out_;
    /// Records that wait for a watermark to be sent ahead of them, and their split.
    batch<T> held_;
    std::size_t held_split_ = 0;
    bool finish_after_held_ = false;
    std::size_t next_split_ = 0;
    timestamp forwarded_ = timestamp::min();
    /// `send_all` is under way and must be repeated while it is refused, with the same watermark.
    bool sending_ = false;
    timestamp rising_ = timestamp::min();
    bool idle_sent_ = false;
    timestamp blocked_since_ = timestamp::max();
    bool draining_ = false;
    bool end_ = false;
    bool done_ = false;
    /// Null if there are none.
    std::unique_ptr<dead_letter_port> dead_letters_;
    bool main_done_ = false;
};

}  // namespace runnel
