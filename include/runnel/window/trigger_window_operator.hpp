#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/operators/late_output.hpp"
#include "runnel/operators/operator.hpp"
#include "runnel/state/batch_update.hpp"
#include "runnel/state/frozen_table.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/assigners.hpp"
#include "runnel/window/failures.hpp"
#include "runnel/window/kept_keys.hpp"
#include "runnel/window/kept_window.hpp"
#include "runnel/window/own_trigger.hpp"
#include "runnel/window/saved_state.hpp"
#include "runnel/window/session_list.hpp"
#include "runnel/window/slicing.hpp"
#include "runnel/window/staged_records.hpp"
#include "runnel/window/trigger_memory.hpp"
#include "runnel/window/triggers.hpp"
#include "runnel/window/window.hpp"
#include "runnel/window/window_function.hpp"
#include "runnel/window/window_key.hpp"
#include "runnel/window/window_kinds.hpp"

namespace runnel {

/// Aggregates the records of each key over windows of any kind, each kept by itself, so that it can fire early, late,
/// in differences or by a trigger of the user's. (What needs none of these is left to faster operators.)
///
/// Order: what is due in event time happens in order of time, for one key in order of the windows' ends. A result has
/// the time end - 1 ns, that of the global window `timestamp::max()`.
/// Late records: those that come when all their windows are cleared go to the late output; a session is judged after
/// merging.
/// Errors: records and results that fail may be left out, see failures.hpp.
/// Checkpointed state: "panes", by key group: key, its windows with their contents; "staged", by key group: records
/// that wait for an early result.
/// Complexity: O(windows of the record) aggregate steps per record; if windows on a grid fire early by event time, per
/// key and slice.
/// Thread safety: unsafe; one subtask owns it.
template <class K, class T, class KeyFn, class Spec, class Agg>
class trigger_window_operator {
    using windows = typename Spec::windows_type;
    using firing = typename Spec::firing_type;
    using accumulator = accumulator_of<Agg>;
    using state = typename detail::trigger_memory_in<firing>::state;
    using memory = typename detail::trigger_memory_in<firing>::type;
    using kept = detail::kept_window<accumulator, memory>;
    using key_function = detail::window_key<K, T, KeyFn>;
    using value_type = detail::finished_of<Agg, K>;
    static constexpr bool merging = detail::merging_windows<windows>;
    static constexpr bool own = has_own_trigger<firing>;
    static constexpr bool stages = detail::sliced_windows<windows> && !own;
    using grid_type = decltype(detail::grid_of(std::declval<const windows&>(), duration()));
    using staging = typename detail::staging<K, T, Agg, grid_type, stages>::type;

public:
    using input_type = T;
    using output_type = std::conditional_t<firing::has_panes, paned<K, value_type>, windowed<K, value_type>>;
    using side_types = std::conditional_t<Spec::has_side, std::tuple<late_record<T>>, std::tuple<>>;

    trigger_window_operator(KeyFn key, const Spec& spec, Agg aggregate)
        : key_(std::move(key)),
          agg_(std::move(aggregate)),
          windows_(spec.windows()),
          firing_(spec.firing()),
          lateness_(spec.lateness()),
          grid_(detail::grid_of(windows_, lateness_)),
          windows_text_(spec.windows().text()),
          staged_(grid_, firing_) {}
    /// Copies what the operator is made of, not what it has seen.
    trigger_window_operator(const trigger_window_operator& other)
        : key_(other.key_),
          agg_(other.agg_),
          windows_(other.windows_),
          firing_(other.firing_),
          lateness_(other.lateness_),
          grid_(other.grid_),
          windows_text_(other.windows_text_),
          staged_(grid_, firing_) {}
    trigger_window_operator(trigger_window_operator&&) = default;
    trigger_window_operator& operator=(trigger_window_operator&&) = delete;

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
        if (context_.clock) now_ = std::max(now_, context_.clock->now());
        for (;;) {
            if constexpr (stages)
                if (!restored_.ahead_of(watermark_))
                    without_window_ += staged_.take(in, key_, agg_, watermark_, [this, &in](std::size_t i) {
                        detail::leave_out_record(context_, std::as_const(in).value(i), in.time(i));
                    });
            if (in.empty()) return progress::done;
            if (!out.ready() || !late_.ready() || !detail::can_leave_out(context_)) return progress::blocked;
            take(in, in.cursor(), out);
            in.consume_until(in.cursor() + 1);
        }
    }

    progress advance(timestamp w, output<output_type>& out) {
        if (w <= watermark_) return progress::done;
        if (w == timestamp::max()) {
            ended_ = true;
            if (tick_until(timestamp::max(), out) == progress::blocked) return progress::blocked;
        }
        if constexpr (stages)
            if (release_until(w, out) == progress::blocked) return progress::blocked;
        if (run_until(w, out) == progress::blocked) return progress::blocked;
        watermark_ = w;
        return progress::done;
    }

    /// A session that ends at w + 1 fires at w + 1, with a result of time w.
    timestamp output_watermark(timestamp w) const noexcept {
        return !merging || w == timestamp::max() ? w : w.previous();
    }

    progress tick(timestamp now, output<output_type>& out) {
        now_ = std::max(now_, now);
        return tick_until(now_, out);
    }
    timestamp next_tick() const noexcept { return keys_.next_tick(); }

    /// Nothing is to be done at a watermark below.
    timestamp next_due() const noexcept {
        if constexpr (stages) return std::min(keys_.next_event(), staged_.next_due());
        else return keys_.next_event();
    }
    /// The highest watermark that loaded state had seen.
    timestamp loaded_watermark() const noexcept { return restored_.highest(); }

    void save(snapshot_writer& to) const {
        detail::save_gradually(
            to, keys_.all(), [groups = context_.key_groups, mine = context_.mine](snapshot_writer& into, auto& keys) {
                detail::keyed_entries entries(groups);
                keys.consume([&](const K& key, const entry& e) {
                    std::string& bytes = entries.next(key);
                    codec<K>::encode(key, bytes);
                    codec<std::uint64_t>::encode(e.windows.size(), bytes);
                    for (const kept& x : e.windows) x.encode(bytes);
                });
                entries.write(into, "panes", mine);
            });
        restored_.save(to, context_.mine, watermark_);
        if constexpr (stages) staged_.save(to, "staged", context_.key_groups, context_.mine);
        to.local("windows") = windows_text_;
        detail::save_window_layouts<K, accumulator>(to);
        memory::save_layout(to);
    }
    void load(snapshot_reader& from) {
        detail::check_windows(from, windows_text_);
        const detail::saved_accumulators<K, accumulator> accumulators(from);
        const auto triggers = memory::conversion_of(from);
        watermark_ = detail::keyed_entries::read(from, "panes", restored_, [&](byte_reader& in) {
            const K key = codec<K>::decode(in);
            entry& e = keys_.all().get_or_create(key, keys_.all().hash(key));
            for (auto n = codec<std::uint64_t>::decode(in); n != 0; --n) {
                e.windows.push_back(kept::decode(in, accumulators, triggers.get()));
                schedule(key, e, *(e.windows.end() - 1));
            }
        });
        if constexpr (stages)
            detail::keyed_entries::read(from, "staged", restored_, [&](byte_reader& in) {
                const timestamp t = codec<timestamp>::decode(in);
                const timestamp point = codec<timestamp>::decode(in);
                const K key = codec<K>::decode(in);
                const accumulator value = accumulators.decode(in);
                entry& e = keys_.all().get_or_create(key, keys_.all().hash(key));
                const auto take = [&](kept& x) {
                    x.add_to_piece(point, agg_, [&](accumulator& a) { agg_.merge(a, value); });
                };
                for_each_window(t, [&](const window& span) {
                    try {
                        schedule(key, e, change(e, span, restored_.of(key, watermark_), take));
                    } catch (...) {
                        detail::leave_out_result(context_, key, span, span.end.previous());
                    }
                });
                if (e.windows.empty()) keys_.plan_event(key, e, timestamp::min());  // To be forgotten.
            });
    }

    /// Records so far that had no window at all.
    std::uint64_t without_window() const noexcept { return without_window_; }
    /// Keys that have a window now; those whose records are all held back until a result have none yet.
    std::size_t live_keys() const noexcept { return keys_.all().size(); }

private:
    using kept_keys = detail::kept_keys<K, accumulator, memory>;
    using entry = typename kept_keys::entry;
    using outcome = detail::look_outcome;

    void open_with(const operator_context& context, output<late_record<T>>* late) {
        context_ = context;
        late_.open(context, late);
        restored_.set_groups(context.key_groups);
    }

    timestamp due(const kept& x) const noexcept {
        if constexpr (detail::all_time<windows>) return timestamp::max();
        else if constexpr (merging) return detail::session_due_at(x.end);
        else return detail::due_at(x.end);
    }
    timestamp cleared(const kept& x) const noexcept {
        if constexpr (merging) return detail::session_cleared_at(x.end, lateness_);
        else return detail::cleared_at(x.end, lateness_);
    }
    bool is_late_for(const window& x, timestamp w) const noexcept {
        return w != timestamp::min() && detail::cleared_at(x.end, lateness_) <= w;
    }
    /// The watermark at which something is next to be done for a window.
    timestamp next_event(const kept& x) const noexcept {
        timestamp next = x.closed ? std::min(x.fire_at, cleared(x)) : due(x);
        if (!x.closed && !x.pieces.empty()) next = std::min(next, x.pieces.front().point.previous());
        return std::min(next, x.trigger.next_event());
    }
    timestamp next_tick_of(const kept& x) const noexcept { return std::min(x.tick_at, x.trigger.next_tick()); }

    // Records

    /// Throws: what something throws at the record. It is left out of those of its windows that can't take it.
    void take(batch<T>& in, std::size_t i, output<output_type>& out) {
        const T& record = std::as_const(in).value(i);
        const timestamp t = in.time(i);
        const K key = key_(record);
        const std::uint64_t hash = keys_.all().hash(key);
        const timestamp w = restored_.of(key, watermark_);
        bool has_window = false, taken = false;
        std::exception_ptr failure;
        const auto take_into = [&](const window& span) {
            has_window = true;
            if constexpr (merging) {
                const entry* e = keys_.all().find(key, hash);
                if (is_late_for(e ? detail::merged_with(e->windows, span) : span, w)) return;
            } else {
                if (is_late_for(span, w)) return;
            }
            taken = true;
            entry& e = keys_.all().get_or_create(key, hash);
            try {
                schedule(key, e, change(e, span, w, [&](kept& x) { add(x, key, record, t, w, out); }));
            } catch (...) {
                if (e.windows.empty()) keys_.all().erase(key, hash);
                if (!failure) failure = std::current_exception();
            }
        };
        if constexpr (merging) {
            take_into(windows_.opened(record, t));
        } else if constexpr (detail::sliced_windows<windows>) {
            for_each_window(t, take_into);
        } else {
            for (const window& span : windows_.windows_of(t)) take_into(span);
        }
        if (!has_window)
            ++without_window_;
        else if (!taken)
            late_.take(in.take(i), t, w, merging ? late_reason::session_cleared : late_reason::window_cleared);
        if (failure) std::rethrow_exception(failure);
    }

    /// Calls `f(window)` for the windows on the grid that contain t, in order of their ends.
    template <class F>
    void for_each_window(timestamp t, F f) const {
        const auto last = grid_.last_window(t);
        for (auto at = grid_.first_window(t); at <= last; at = grid_.next(at))
            f(window{grid_.start(at), grid_.end(at)});
    }

    /// Has `f(kept&)` change the window for `span`, made if there is none; returns it. Throws what something throws,
    /// and then the windows are as before.
    template <class F>
    kept& change(entry& e, const window& span, timestamp w, F f) {
        const auto make = [&] {
            kept made{span.start, span.end, agg_.create(), {}};
            made.closed = due(made) <= w;
            return made;
        };
        if constexpr (merging) {
            return e.windows.change_joined(
                span, context_.keeps_failed(), make,
                [&](kept* first, kept* last, const window& merged) { join(first, last, merged, w); }, f);
        } else {
            return e.windows.change(span, make, f);
        }
    }

    /// Makes the session `span` of those from `first` to `last`; it is the first one.
    void join(kept* first, kept* last, const window& span, timestamp w) {
        bool was_closed = false, was_on_time = false;
        for (auto x = first; x != last; ++x)
            if (x->span() == span) was_closed = x->closed, was_on_time = x->on_time;
        const timestamp fire_at = was_closed ? first->fire_at : timestamp::max();
        for (auto x = first + 1; x != last; ++x) {
            if constexpr (own)
                if constexpr (requires { firing_.trigger.on_merge(first->trigger.state, x->trigger.state); })
                    firing_.trigger.on_merge(first->trigger.state, x->trigger.state);
            first->merge(std::move(*x), agg_);
        }
        first->start = span.start;
        first->end = span.end;
        first->closed = was_closed || due(*first) <= w;
        first->on_time = was_on_time;
        first->fire_at = fire_at;
        if (first->closed) first->take_pieces(timestamp::max(), agg_);
    }

    void add(kept& x, const K& key, const T& record, timestamp t, timestamp w, output<output_type>& out) {
        if constexpr (own) {
            std::optional<memory> before;
            if (context_.keeps_failed()) before = x.trigger;
            trigger_result answer;
            try {
                answer = ask(x, key, [&](auto& context) { return firing_.trigger.on_record(record, t, context); });
                add_record(agg_, x.value, record, t);
            } catch (...) {
                if (before) x.trigger = std::move(*before);
                throw;
            }
            ++x.since;
            obey(answer, x, key, out);
        } else {
            using kind = firing_rule::kind;
            const firing_rule& rule = x.closed ? firing_.late : firing_.early;
            if (!x.closed && rule.what == kind::event_time)
                // Not part of what fires for a point that its time, or the watermark, has reached.
                x.add_to_piece(detail::multiple_after(std::max(detail::wide(t.ns()), detail::wide(w.ns()) + 1),
                                                      rule.period),
                               agg_, [&](accumulator& a) { add_record(agg_, a, record, t); });
            else
                add_record(agg_, x.value, record, t);
            ++x.since;
            if (rule.what == kind::records && x.since >= static_cast<std::uint64_t>(rule.records))
                fire(x, key, out);
            else if (rule.what == kind::processing_time && x.tick_at == timestamp::max())
                x.tick_at = detail::multiple_after(now_.ns(), rule.period);
            else if (x.closed && rule.what == kind::event_time && x.fire_at == timestamp::max())
                x.fire_at = detail::multiple_after(detail::wide(w.ns()) + 1, rule.period).previous();
        }
    }

    // Firing

    /// Gives the window's result; `prepare()` is a part of that.
    template <class Prepare>
    void fire(kept& x, const K& key, output<output_type>& out, Prepare prepare) {
        const window span = x.span();
        const pane which{x.fired++,
                         !x.closed ? pane_timing::early : x.on_time ? pane_timing::late : pane_timing::on_time};
        x.on_time = x.closed;
        x.since = 0;
        x.fire_at = x.tick_at = timestamp::max();
        const timestamp at = time_of_result(x);
        try {
            prepare();
            if constexpr (detail::changes_contents<Agg>) agg_.before_firing(x.value, span);
            value_type value = detail::finish(agg_, key, span, agg_.result(x.value));
            if constexpr (firing::has_panes)
                out.emit({key, x.start, x.end, std::move(value), which}, at);
            else
                out.emit({key, x.start, x.end, std::move(value)}, at);
        } catch (...) {
            detail::leave_out_result(context_, key, span, at);
        }
        if constexpr (firing::discards) x.value = agg_.create();
    }

    void fire(kept& x, const K& key, output<output_type>& out) {
        fire(x, key, out, [] {});
    }
    /// With what has waited for points up to `point`.
    void fire(kept& x, const K& key, output<output_type>& out, timestamp point) {
        fire(x, key, out, [&] { x.take_pieces(point, agg_); });
    }

    static timestamp time_of_result(const kept& x) noexcept {
        return detail::all_time<windows> ? timestamp::max() : x.end.previous();
    }

    /// What the user's trigger says.
    template <class Call>
    trigger_result ask(kept& x, const K& key, Call call) {
        detail::trigger_times unwanted;
        trigger_context<state> context(x.trigger.state, x.span(), restored_.of(key, watermark_), now_,
                                       x.trigger.event_times, ended_ ? unwanted : x.trigger.processing_times);
        return call(context);
    }
    /// Asks the user's trigger at a time, and does what it says.
    void act(kept& x, const K& key, output<output_type>& out, timestamp t, time_kind kind) {
        trigger_result answer = trigger_result::proceed;
        try {
            answer = ask(x, key, [&](auto& context) { return firing_.trigger.on_time(t, kind, context); });
        } catch (...) {
            detail::leave_out_result(context_, key, x.span(), time_of_result(x));
        }
        obey(answer, x, key, out);
    }
    void obey(trigger_result answer, kept& x, const K& key, output<output_type>& out) {
        if (answer == trigger_result::fire || answer == trigger_result::fire_and_purge) fire(x, key, out);
        if (answer == trigger_result::purge || answer == trigger_result::fire_and_purge) {
            x.value = agg_.create();
            x.since = 0;
        }
    }

    /// Hands the records of slices that watermark w has passed over to their windows, which fire early with them.
    progress release_until(timestamp w, output<output_type>& out) {
        while (!staged_.empty() && staged_.next_due() <= w) {
            const timestamp at = staged_.next_due();
            const timestamp point = staged_.point();
            if (run_until(at.previous(), out) == progress::blocked) return progress::blocked;
            released_.clear();
            for_each_window(staged_.first_time(), [this](const window& span) { released_.push_back(span); });
            for (;;) {
                if (!out.ready() || !detail::can_leave_out(context_)) return progress::blocked;
                const std::size_t room = (out.batch_size() - out.current().size()) / released_.size();
                const auto slots = staged_.next_keys(std::max<std::size_t>(1, room));
                if (slots.empty()) break;
                update_batch(
                    keys_.all(), 0, slots.size(), [&](std::size_t i) -> const K& { return staged_.key_at(slots[i]); },
                    [&](entry& e, std::size_t i, bool) {
                        release(staged_.key_at(slots[i]), e, staged_.value_at(slots[i]), at, point, out);
                    });
                staged_.handed_over(slots.back());
            }
            staged_.drop_first();
        }
        return progress::done;
    }
    /// Hands records of one key over, at watermark `at`: they are part of what fires for `point`.
    void release(const K& key, entry& e, const accumulator& records, timestamp at, timestamp point,
                 output<output_type>& out) {
        const auto take = [&](kept& x) {
            if (x.end <= point) {
                agg_.merge(x.value, records);  // It fires no more before its end.
            } else if (point.previous() == at && !(e.is_scheduled && e.scheduled <= at) &&
                       out.current().size() < out.batch_size()) {
                fire(x, key, out, [&] { agg_.merge(x.value, records); });
            } else {
                // It fires later, or something else is due for this key now, or there is no room: all in its turn.
                x.add_to_piece(point, agg_, [&](accumulator& a) { agg_.merge(a, records); });
            }
        };
        for (const window& span : released_) {
            try {
                plan_event(key, e, change(e, span, watermark_, take));
            } catch (...) {
                detail::leave_out_result(context_, key, span, span.end.previous());
            }
        }
        if (e.windows.empty()) keys_.plan_event(key, e, at);  // To be forgotten.
    }

    /// Does what is due by `at` in event time.
    outcome run_events(const K& key, entry& e, kept& x, timestamp at, output<output_type>& out) {
        while (next_event(x) <= at) {
            if (!out.ready()) return outcome::blocked;
            if (!x.closed && due(x) <= std::min(at, x.trigger.next_event())) {
                x.closed = true;
                if constexpr (own) act(x, key, out, x.end.previous(), time_kind::event);
                else fire(x, key, out, timestamp::max());
                plan_tick(key, e, x);
            } else if (x.trigger.has_event_by(at)) {
                if constexpr (own) act(x, key, out, x.trigger.event_times.take_first(), time_kind::event);
                plan_tick(key, e, x);
            } else if (!x.closed) {
                fire(x, key, out, x.pieces.front().point);
            } else if (x.fire_at <= at && x.fire_at < cleared(x)) {
                fire(x, key, out);
            } else {
                if (!own && x.since != 0) fire(x, key, out);
                if constexpr (own) {
                    trigger_context<state> context(x.trigger.state, x.span(), at, now_, x.trigger.event_times,
                                                   x.trigger.processing_times);
                    if constexpr (requires { firing_.trigger.clear(context); }) {
                        try {
                            firing_.trigger.clear(context);
                        } catch (...) {
                            detail::leave_out_result(context_, key, x.span(), time_of_result(x));
                        }
                    }
                }
                return outcome::cleared;
            }
        }
        return outcome::kept;
    }

    progress run_until(timestamp w, output<output_type>& out) {
        const auto next_of = [this](const kept& x) { return next_event(x); };
        const auto run = [&](const K& key, entry& e, kept& x, timestamp at) {
            return run_events(key, e, x, at, out);
        };
        return keys_.run_events(w, [this] { return detail::can_leave_out(context_); }, next_of, run);
    }

    /// Does what is due by `at` in processing time.
    outcome run_ticks(const K& key, entry& e, kept& x, timestamp at, output<output_type>& out) {
        while (next_tick_of(x) <= at && next_tick_of(x) != timestamp::max()) {
            if (!out.ready()) return outcome::blocked;
            if constexpr (own) {
                act(x, key, out, x.trigger.processing_times.take_first(), time_kind::processing);
                plan_event(key, e, x);
            } else {
                fire(x, key, out);
            }
        }
        return outcome::kept;
    }

    progress tick_until(timestamp now, output<output_type>& out) {
        const auto next_of = [this](const kept& x) { return next_tick_of(x); };
        const auto run = [&](const K& key, entry& e, kept& x, timestamp at) {
            return run_ticks(key, e, x, at, out);
        };
        return keys_.run_ticks(now, [this] { return detail::can_leave_out(context_); }, next_of, run);
    }

    /// Sees to it that a key is looked at when something is due for one of its windows.
    void schedule(const K& key, entry& e, const kept& x) {
        plan_event(key, e, x);
        plan_tick(key, e, x);
    }
    void plan_event(const K& key, entry& e, const kept& x) { keys_.plan_event(key, e, next_event(x)); }
    void plan_tick(const K& key, entry& e, const kept& x) { keys_.plan_tick(key, e, next_tick_of(x)); }

    key_function key_;
    [[no_unique_address]] Agg agg_;
    windows windows_;
    firing firing_;
    duration lateness_;
    [[no_unique_address]] grid_type grid_;
    std::string windows_text_;
    [[no_unique_address]] staging staged_;
    std::vector<window> released_;  // those of the slice that is handed over

    operator_context context_;
    detail::late_output<T> late_;
    timestamp watermark_ = timestamp::min();
    timestamp now_ = timestamp::min();
    bool ended_ = false;
    detail::group_watermarks restored_;
    kept_keys keys_;
    std::uint64_t without_window_ = 0;
};

}  // namespace runnel
