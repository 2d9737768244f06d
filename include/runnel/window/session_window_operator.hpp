#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/operators/operator.hpp"
#include "runnel/state/batch_update.hpp"
#include "runnel/state/frozen_table.hpp"
#include "runnel/state/table.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/assigners.hpp"
#include "runnel/window/by_value.hpp"
#include "runnel/window/event_calendar.hpp"
#include "runnel/window/failures.hpp"
#include "runnel/operators/late_output.hpp"
#include "runnel/window/saved_state.hpp"
#include "runnel/window/session_list.hpp"
#include "runnel/window/window.hpp"
#include "runnel/window/window_function.hpp"
#include "runnel/window/window_key.hpp"

namespace runnel {

/// Aggregates the records of each key over sessions: stretches of time without a pause longer than the gap.
///
/// A record opens [t, t + gap); sessions of a key that overlap or touch are merged. The merged session is what
/// lateness is judged by: if it has been cleared, the record is late and changes nothing. A session fires when the
/// watermark reaches its end: a tick later than other windows, since a record at the end still joins it.
/// Order: sessions fire in order of their end; between keys free. A result has the time end - 1 ns.
/// Late records: one that joins a session that has fired and is kept makes it fire again, at once and in full, or,
/// if the session is longer now than the watermark reaches, when that is complete; later ones go to the late output.
/// Errors: records and results that fail may be left out, see failures.hpp.
/// Checkpointed state: "sessions", by key group: key, its sessions with their accumulators.
/// Complexity: O(1) per record that joins the newest session of its key; O(log keys) per session.
/// Thread safety: unsafe; one subtask owns it.
template <class K, class T, class KeyFn, class Spec, class Agg>
class session_window_operator {
    using accumulator = accumulator_of<Agg>;
    using session = detail::session_of<accumulator>;
    using key_function = detail::window_key<K, T, KeyFn>;
    using key_type = typename key_function::type;

public:
    using input_type = T;
    using output_type = windowed<K, detail::finished_of<Agg, K>>;
    using side_types = std::conditional_t<Spec::has_side, std::tuple<late_record<T>>, std::tuple<>>;

    session_window_operator(KeyFn key, const Spec& spec, Agg aggregate)
        : key_(std::move(key)),
          agg_(std::move(aggregate)),
          gap_(spec.windows().gap),
          lateness_(spec.lateness()),
          windows_text_(spec.windows().text()),
          events_(gap_ / buckets_per_gap) {}
    /// Copies what the operator is made of, not what it has seen.
    session_window_operator(const session_window_operator& other)
        : key_(other.key_),
          agg_(other.agg_),
          gap_(other.gap_),
          lateness_(other.lateness_),
          windows_text_(other.windows_text_),
          events_(gap_ / buckets_per_gap) {}
    session_window_operator(session_window_operator&&) = default;
    session_window_operator& operator=(session_window_operator&&) = delete;

    void open(const operator_context& context)
        requires(!Spec::has_side)
    {
        open_with(context, nullptr);
    }
    void open(const operator_context& context, output<late_record<T>>& late)
        requires(Spec::has_side)
    {
        open_with(context, &late);
    }

    progress process(batch<T>& in, output<output_type>& out) {
        if (restored_.ahead_of(watermark_)) return add_behind(in, in.size(), out);
        if (in.min_time() > watermark_) {
            add_ahead(in, in.size());
            return progress::done;
        }
        while (!in.empty()) {
            const bool ahead = in.time(in.cursor()) > watermark_;
            std::size_t end = in.cursor() + 1;
            while (end != in.size() && (in.time(end) > watermark_) == ahead) ++end;
            if (ahead)
                add_ahead(in, end);
            else if (add_behind(in, end, out) == progress::blocked)
                return progress::blocked;
        }
        return progress::done;
    }

    progress advance(timestamp w, output<output_type>& out) {
        if (w <= watermark_) return progress::done;
        while (const event* next = events_.first(w, [this](auto& opened) { refresh(opened); })) {
            const timestamp at = next->at;
            const std::uint64_t hash = keys_.hash(next->key);
            entry* e = keys_.find(next->key, hash);
            if (!e || e->scheduled != at) {
                events_.pop();
                continue;
            }
            if (!out.ready()) return progress::blocked;
            bool given = true;
            if (const session* s = e->sessions.due(at); s && restored_.of(next->key, watermark_) < at)
                given = emit(next->key, *s, out);
            keys_.announce(next->key, hash);
            e->sessions.drop_cleared(at, lateness_);
            if (e->sessions.empty()) {
                keys_.erase(next->key, hash);
                events_.pop();
            } else {
                e->scheduled = e->sessions.next_event(at, lateness_);
                events_.put_off(e->scheduled);
            }
            if (!given && !detail::can_leave_out(context_)) return progress::blocked;
        }
        watermark_ = w;
        return progress::done;
    }

    /// A session that ends at w + 1 fires at w + 1, with a result of time w.
    timestamp output_watermark(timestamp w) const noexcept { return w == timestamp::max() ? w : w.previous(); }

    void save(snapshot_writer& to) const {
        detail::save_gradually(
            to, keys_, [groups = context_.key_groups, mine = context_.mine](snapshot_writer& into, auto& keys) {
                detail::keyed_entries entries(groups);
                keys.consume([&](const K& key, const entry& e) {
                    std::string& bytes = entries.next(key);
                    codec<K>::encode(key, bytes);
                    codec<std::uint64_t>::encode(e.sessions.size(), bytes);
                    e.sessions.for_each([&](const session& s) {
                        codec<timestamp>::encode(s.start, bytes);
                        codec<timestamp>::encode(s.end, bytes);
                        detail::encode_accumulator(s.value, bytes);
                    });
                });
                entries.write(into, "sessions", mine);
            });
        restored_.save(to, context_.mine, watermark_);
        to.local("windows") = windows_text_;
        detail::save_window_layouts<K, accumulator>(to);
    }
    void load(snapshot_reader& from) {
        detail::check_windows(from, windows_text_);
        const detail::saved_accumulators<K, accumulator> accumulators(from);
        watermark_ = detail::keyed_entries::read(from, "sessions", restored_, [&](byte_reader& in) {
            const K key = codec<K>::decode(in);
            entry& e = keys_.get_or_create(key, keys_.hash(key));
            for (auto n = codec<std::uint64_t>::decode(in); n != 0; --n) {
                const timestamp start = codec<timestamp>::decode(in);
                const timestamp end = codec<timestamp>::decode(in);
                e.sessions.append({start, end, accumulators.decode(in)});
            }
        });
        keys_.for_each([&](const K& key, entry& e) { schedule(key, e, e.sessions.next_event(watermark_, lateness_)); });
    }

    /// Nothing is to be done at a watermark below.
    timestamp next_due() const noexcept { return events_.earliest(); }
    /// The highest watermark that loaded state had seen.
    timestamp loaded_watermark() const noexcept { return restored_.highest(); }

    /// Keys that have a session now.
    std::size_t live_keys() const noexcept { return keys_.size(); }

private:
    static constexpr int buckets_per_gap = 16;

    static constexpr timestamp not_scheduled = timestamp::min();

    struct entry {
        /// When this key is next looked at: never after one of its sessions is due, or cleared. Not saved.
        timestamp scheduled = not_scheduled;
        detail::session_list<accumulator> sessions;
    };
    using event = typename detail::event_calendar<K>::event;

    void open_with(const operator_context& context, output<late_record<T>>* late) {
        context_ = context;
        late_.open(context, late);
        restored_.set_groups(context.key_groups);
    }

    /// Takes records later than the watermark: their sessions are neither complete nor cleared.
    void add_ahead(batch<T>& in, std::size_t end) {
        const T* records = in.values();
        const timestamp* times = in.times();
        std::size_t at = in.cursor(), made = end;
        for (std::size_t first = at; first != end;) {
            try {
                update_batch(
                    keys_, first, end,
                    [records, &at, key = detail::by_value_if_small(key_)](std::size_t i) -> key_type {
                        at = i;
                        return (*key)(records[i]);
                    },
                    [&](entry& e, std::size_t i, bool created) {
                        if (created) made = i;
                        const timestamp t = times[i];
                        session& newest = e.sessions.newest();
                        if (newest.start <= t && t <= newest.end) [[likely]] {
                            // It has not fired, or t would lie behind its end: so the key is scheduled early enough.
                            add_record(agg_, newest.value, records[i], t);
                            newest.end = std::max(newest.end, t + gap_);
                        } else {
                            session& s = join(e, records[i], t);
                            schedule(key_(records[i]), e, detail::session_due_at(s.end));
                        }
                    });
                first = end;
            } catch (...) {
                in.consume_until(at);  // names the record in hand
                if (made == at) {
                    key_type key = key_(records[at]);
                    keys_.erase(key, keys_.hash(key));
                }
                detail::leave_out_record(context_, records[at], times[at]);
                first = at + 1;
            }
        }
        in.consume_until(end);
    }

    /// Takes records that may be late, or make a session fire again.
    progress add_behind(batch<T>& in, std::size_t end, output<output_type>& out) {
        for (std::size_t i = in.cursor(); i != end; in.consume_until(++i)) {
            const T& record = std::as_const(in).value(i);
            key_type key = key_(record);
            const timestamp w = restored_.of(key, watermark_);
            const window opened{in.time(i), in.time(i) + gap_};
            const std::uint64_t hash = keys_.hash(key);
            entry* e = keys_.find(key, hash);
            const window merged = e ? e->sessions.merged(opened) : opened;
            if (w != timestamp::min() && detail::cleared_at(merged.end, lateness_) <= w) {
                if (!late_.ready()) return progress::blocked;
                late_.take(in.take(i), in.time(i), w, late_reason::session_cleared);
                continue;
            }
            if (!out.ready()) return progress::blocked;
            if (e) keys_.announce(key, hash);
            else e = &keys_.get_or_create(key, hash);
            const session* joined = nullptr;
            try {
                joined = &join(*e, record, in.time(i));
            } catch (...) {
                if (e->sessions.empty()) keys_.erase(key, hash);
                throw;
            }
            const session& s = *joined;
            const bool complete = detail::session_due_at(s.end) <= w;
            if (complete) (void)emit(key, s, out);
            schedule(key, *e, complete ? detail::session_cleared_at(s.end, lateness_) : detail::session_due_at(s.end));
        }
        return progress::done;
    }

    session& join(entry& e, const T& record, timestamp t) {
        return e.sessions.join({t, t + gap_}, agg_, context_.keeps_failed(),
                               [&](accumulator& a) { add_record(agg_, a, record, t); });
    }

    /// Sees to it that the key is looked at when `at` comes.
    void schedule(const K& key, entry& e, timestamp at) {
        if (e.scheduled != not_scheduled && e.scheduled <= at) return;
        e.scheduled = at;
        events_.push(at, key);
    }

    /// Brings events up to date: most sessions have gone on since their event was set.
    void refresh(std::vector<event>& events) {
        constexpr std::size_t block = 64;
        const auto find = keys_.searches();
        std::uint64_t hashes[block];
        typename decltype(keys_)::finder::guess guesses[block];
        std::size_t kept = 0;
        for (std::size_t first = 0; first < events.size(); first += block) {
            const std::size_t n = std::min(block, events.size() - first);
            for (std::size_t i = 0; i != n; ++i) find.fetch(hashes[i] = keys_.hash(events[first + i].key));
            for (std::size_t i = 0; i != n; ++i) guesses[i] = find.look_and_fetch(hashes[i]);
            for (std::size_t i = 0; i != n; ++i) {
                event& e = events[first + i];
                entry* of = find(e.key, hashes[i], guesses[i]);
                if (!of || of->scheduled != e.at) continue;
                e.at = of->scheduled = of->sessions.next_event(e.at.previous(), lateness_);
                if (kept != first + i) events[kept] = std::move(e);
                ++kept;
            }
        }
        events.erase(events.begin() + static_cast<std::ptrdiff_t>(kept), events.end());
    }

    /// False if the result is left out.
    bool emit(const K& key, const session& s, output<output_type>& out) {
        const window span{s.start, s.end};
        try {
            out.emit({key, s.start, s.end, detail::finish(agg_, key, span, agg_.result(s.value))}, s.end.previous());
            return true;
        } catch (...) {
            detail::leave_out_result(context_, key, span, s.end.previous());
            return false;
        }
    }

    key_function key_;
    [[no_unique_address]] Agg agg_;
    duration gap_;
    duration lateness_;
    std::string windows_text_;

    operator_context context_;
    detail::late_output<T> late_;
    timestamp watermark_ = timestamp::min();
    detail::group_watermarks restored_;
    table<K, entry> keys_;
    detail::event_calendar<K> events_;  // one for each key at its `scheduled`, and overtaken ones
};

}  // namespace runnel
