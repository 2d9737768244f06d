#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "runnel/core/error.hpp"
#include "runnel/operators/failed_key.hpp"
#include "runnel/operators/operator.hpp"
#include "runnel/operators/process_context.hpp"
#include "runnel/state/keyed_state.hpp"
#include "runnel/state/state_setup.hpp"

namespace runnel::detail {

/// Records that are held back until event time has reached them: here, none.
struct no_held_records {
    /// The time of the first, if that is not after `until`; null if there is none.
    const timestamp* next(timestamp) const noexcept { return nullptr; }
    /// Calls `f(record, key, time)` for it.
    template <class F>
    void first(F) const noexcept {}
    /// Removes it.
    void pop() const noexcept {}
};

/// What all operators that run a process function share: its state, its timers, and when they are called.
///
/// A copy is a new one with the same function.
/// Thread safety: unsafe; one subtask owns it.
template <class K, class Fn>
class process_core {
public:
    using out_type = typename Fn::output_type;
    using side_tuple = typename side_types_of<Fn>::type;
    using context_type = process_context_of<Fn>;
    static constexpr bool has_timers =
        requires(Fn& fn, const timer_event& e, context_type& c) { fn.on_timer(e, c); };

    explicit process_core(Fn fn) : fn_(std::move(fn)) {}
    process_core(const process_core& other) : fn_(other.fn_) {}
    process_core(process_core&&) = default;
    process_core& operator=(process_core) = delete;

    template <class... Ls>
    void open(const operator_context& context, std::tuple<output<Ls>*...> sides) {
        subtask_ = context.subtask;
        if (context.keeps_failed()) failures_ = context.failures;
        state_ = std::make_unique<keyed_state<K>>();
        if constexpr (requires(Fn& fn, state_setup& s) { fn.open(s); }) {
            state_setup setup(*state_);
            fn_.open(setup);
        }
        if (!has_timers && (!state_->event_timers().timers().empty() || !state_->processing_timers().timers().empty()))
            throw error("the process function declares a timer, but has no on_timer(const timer_event&, "
                        "process_context<Out>&) that could be called. Add it.");
        state_->open(context.key_groups, context.mine, context.clock);
        if (context.state) state_->keep_in(*context.state, context.name, context.subtask);
        context_.sides_ = sides;
        context_.scope_ = state_.get();
        context_.key_type_ = &typeid(K);
    }

    keyed_state<K>& state() noexcept { return *state_; }
    const keyed_state<K>& state() const noexcept { return *state_; }
    Fn& function() noexcept { return fn_; }
    timestamp watermark() const noexcept { return watermark_; }
    /// The watermark that counts for `key`.
    timestamp watermark_of(const K& key) const { return state_->watermark_of(key, watermark_); }

    /// True if a record that fails may be left out or come again, so that those before it have to be done by then.
    bool keeps_failed() const noexcept { return failures_ != nullptr; }
    bool ready(output<out_type>& out) {
        return out.ready() && std::apply([](auto*... side) { return (side->ready() && ...); }, context_.sides_);
    }

    /// Calls `f(function, context)` for a record of `key`; then the timers that it set for a time that has passed. If
    /// one of these fails and is to be called again it answers `blocked`; the record is done.
    template <class F>
    progress process(const K& key, std::uint64_t hash, timestamp t, output<out_type>& out, F f) {
        const timestamp w = watermark_of(key);
        state_->enter_key(key, hash, std::max(w, t));
        begin(key, t, w, out);
        const auto before = emitted(out);
        try {
            f(fn_, context_);
        } catch (...) {
            // The record may be left out or come again: what was emitted for it is withdrawn.
            state_->leave();
            withdraw(out, before);
            throw;
        }
        state_->leave();
        if (state_->processing_timers().take_due_now()) [[unlikely]] return fire_due(out);
        return progress::done;
    }

    /// Goes on with such timers. To be called before the next record or watermark.
    progress finish_due(output<out_type>& out) { return is_due_ ? fire_due(out) : progress::done; }

    /// Calls `f(function, context)` for a broadcast record.
    template <class F>
    void process_broadcast(timestamp t, output<out_type>& out, F f) {
        broadcast_context_of<Fn> context;
        context.out_ = &out;
        context.sides_ = context_.sides_;
        context.time_ = t;
        context.watermark_ = watermark_;
        f(fn_, context);
    }

    /// Event time has reached w: calls the timers due, each behind the held records that are not later.
    template <class Held>
    progress advance(timestamp w, output<out_type>& out, Held& held) {
        if (finish_due(out) == progress::blocked) return progress::blocked;
        std::vector<timer_queue::entry> aside;
        const progress p = reach(w, out, held, aside);
        for (const timer_queue::entry& e : aside) state_->event_timers().put_back(e);
        if (p == progress::blocked || (w == timestamp::max() && end(out) == progress::blocked))
            return progress::blocked;
        watermark_ = w;
        state_->sweep(ttl_clock::event, w);
        return progress::done;
    }

    progress tick(timestamp now, output<out_type>& out) {
        timer_queue& timers = state_->processing_timers();
        for (const timer_queue::entry* e; (e = timers.next()) && e->time <= now;) {
            if (!ready(out) || fire(timers, *e, out) == progress::blocked) return progress::blocked;
            if (timers.take_due_now()) now = std::max(now, state_->processing_time());
        }
        state_->sweep(ttl_clock::processing, now);
        return progress::done;
    }
    timestamp next_tick() const {
        const timer_queue::entry* e = state_->processing_timers().next();
        return e ? e->time : timestamp::max();
    }

    void save(snapshot_writer& to) const { state_->save(to, watermark_); }
    void load(snapshot_reader& from) { watermark_ = state_->load(from, subtask_); }

private:
    static constexpr bool in_order(const no_held_records&) { return false; }
    template <class Held>
    static constexpr bool in_order(const Held&) {
        return true;
    }

    /// How much the outputs hold.
    auto emitted(output<out_type>& out) const {
        return std::apply(
            [&](auto*... side) {
                return std::array<std::size_t, 1 + sizeof...(side)>{out.current().size(), side->current().size()...};
            },
            context_.sides_);
    }
    /// Takes away what has been emitted since.
    template <class Sizes>
    void withdraw(output<out_type>& out, const Sizes& before) noexcept {
        out.current().truncate(before[0]);
        std::apply([&, i = std::size_t{1}](auto*... side) mutable {
            (side->current().truncate(before[i++]), ...);
        }, context_.sides_);
    }

    void begin(const K& key, timestamp t, timestamp w, output<out_type>& out) noexcept {
        context_.out_ = &out;
        context_.time_ = t;
        context_.watermark_ = w;
        context_.key_ = &key;
    }

    /// Calls the timers and takes the held records up to w; `aside` gets timers whose keys are ahead since a restore.
    template <class Held>
    progress reach(timestamp w, output<out_type>& out, Held& held, std::vector<timer_queue::entry>& aside) {
        timer_queue& timers = state_->event_timers();
        for (;;) {
            const timer_queue::entry* e = timers.next();
            if (e && e->time > w) e = nullptr;
            const timestamp* record = held.next(w);
            if (!e && !record) return progress::done;
            const bool record_first = record && (!e || *record <= e->time);
            if (!record_first && state_->restored().ahead_of(w) &&
                state_->watermark_of(state_->key_of(e->of), w) > w) {
                aside.push_back(timers.put_aside());
                continue;
            }
            if (!ready(out)) return progress::blocked;
            if (record_first) {
                watermark_ = std::max(watermark_, record->previous());
                if (process_held(out, held) == progress::blocked) return progress::blocked;
            } else {
                if (in_order(held)) watermark_ = std::max(watermark_, e->time);
                if (fire(timers, *e, out, in_order(held) ? watermark_ : w) == progress::blocked ||
                    (state_->processing_timers().take_due_now() && fire_due(out) == progress::blocked))
                    return progress::blocked;
            }
            if (failures_ && !failures_->ready()) return progress::blocked;
        }
    }

    /// Takes the first held record. `blocked`: it has failed and is to be tried again, or a timer that it set is.
    template <class Held>
    progress process_held(output<out_type>& out, Held& held) {
        progress p = progress::done;
        bool again = false;
        held.first([&](const auto& value, const K& key, timestamp t) {
            try {
                p = process(key, state_->hash(key), t, out, [&](Fn& fn, context_type& c) { fn.on_record(value, c); });
                if (failures_ && p == progress::done) failures_->succeeded();
            } catch (...) {
                if (!failures_) throw;
                again = failures_->failed(&value, t) == recovery::verdict::wait;
            }
        });
        if (again) return progress::blocked;
        held.pop();
        return p;
    }

    /// The end of the input: calls the processing-time timers that are pending; what they set is dropped.
    progress end(output<out_type>& out) {
        timer_queue& timers = state_->processing_timers();
        timers.close();
        state_->event_timers().close();
        while (const timer_queue::entry* e = timers.next()) {
            if (!ready(out) || fire(timers, *e, out, timestamp::max()) == progress::blocked) return progress::blocked;
            if (failures_ && !failures_->ready()) return progress::blocked;
        }
        return progress::done;
    }

    /// Calls processing-time timers that were set for a time that had passed, as a part of what set them.
    progress fire_due(output<out_type>& out) {
        timer_queue& timers = state_->processing_timers();
        is_due_ = true;
        do {
            const timestamp now = state_->processing_time();
            for (const timer_queue::entry* e; (e = timers.next()) && e->time <= now;)
                if (fire(timers, *e, out) == progress::blocked) return progress::blocked;
        } while (timers.take_due_now());
        is_due_ = false;
        return progress::done;
    }

    progress fire(timer_queue& timers, const timer_queue::entry& e, output<out_type>& out) {
        return fire(timers, e, out, watermark_);
    }
    /// `shown`: the watermark that the function is shown. `blocked`: it has failed, and is to be called again.
    progress fire(timer_queue& timers, timer_queue::entry e, output<out_type>& out, timestamp shown) {
        if constexpr (has_timers) {
            const K& key = state_->key_of(e.of);
            const timestamp w = watermark_of(key);
            const bool by_event_time = &timers == &state_->event_timers();
            state_->enter_slot(e.of, by_event_time ? std::max(w, e.time) : w);
            // Many keys end with their timer: where they are found is fetched from memory meanwhile.
            const auto find = state_->searches();
            const std::uint64_t hash = state_->hash(key);
            find.fetch(hash);
            timers.take();
            (void)find.look_and_fetch(hash);
            begin(key, e.time, std::max(w, shown), out);
            const auto before = emitted(out);
            try {
                fn_.on_timer(timer_event{e.time, timer_handle(timers, e.timer)}, context_);
            } catch (...) {
                if (!failures_) throw;
                withdraw(out, before);
                return timer_failed(timers, e);
            }
            state_->leave();
            if (failures_) failures_->succeeded();
        }
        return progress::done;
    }
    /// Inside a catch block, with the timer's key in hand.
    progress timer_failed(timer_queue& timers, const timer_queue::entry& e) {
        const std::string where =
            key_text(state_->key_of(e.of)) + ", timer '" + timers.timers()[e.timer].name + "'";
        const bool again = failures_->failed(nullptr, e.time, where) == recovery::verdict::wait;
        if (again) timers.add(e.of, e.timer, e.time);
        state_->leave();
        return again ? progress::blocked : progress::done;
    }

    Fn fn_;
    std::unique_ptr<keyed_state<K>> state_;
    context_type context_;
    timestamp watermark_ = timestamp::min();
    std::size_t subtask_ = 0;
    recovery* failures_ = nullptr;  ///< Null if each failure ends the job.
    bool is_due_ = false;           ///< Timers that were set for a time that had passed are still to be called.
};

}  // namespace runnel::detail
