#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>

#include "runnel/operators/operator.hpp"
#include "runnel/operators/process_core.hpp"

namespace runnel {

// A process function is a copyable class of the user's own, of which each subtask runs a copy:
//
//   using output_type = Out;
//   using side_types = std::tuple<L...>;                                     left out: none
//   void open(state_setup&);                                                 declares states and timers; if any
//   void on_record(const T&, process_context<Out, L...>&);
//   void on_timer(const timer_event&, process_context<Out, L...>&);          if it has timers
//   void on_second(const U&, process_context<Out, L...>&);                   if it has a second input: a.connect(b)
//   void on_broadcast(const U&, broadcast_context<Out, L...>&);              if that is a broadcast stream
//   static constexpr bool needs_event_time = true;                           has a graph without it refused
//
// Each call is for one key; states and timers are those of that key.

/// Runs a process function on the records of each key, in the order in which they arrive.
///
/// Order: kept per key. Timers by event time are called when the watermark reaches them, before it is sent on, in
/// order of time. Watermarks come between batches: behind which record a timer is called is not fixed, unless the
/// stream is put `in_event_time_order()`.
/// Late records: processed like others; `context.time()` and `context.watermark()` tell.
/// Checkpointed state: what the function has declared, timers, watermark; by key group.
/// Thread safety: unsafe; one subtask owns it.
/// Complexity: one search of a hash table per record, none per access to state; O(log timers) per timer.
template <class K, class T, class KeyFn, class Fn>
class process_operator {
public:
    using input_type = T;
    using output_type = typename Fn::output_type;
    using side_types = typename side_types_of<Fn>::type;
    static constexpr bool needs_event_time = requires { requires Fn::needs_event_time; };

    process_operator(KeyFn key, Fn fn) : key_(std::move(key)), core_(std::move(fn)) {}

    template <class... Ls>
        requires(sizeof...(Ls) == std::tuple_size_v<side_types>)
    void open(const operator_context& context, output<Ls>&... sides) {
        core_.open(context, std::tuple<output<Ls>*...>(&sides...));
    }

    progress process(batch<T>& in, output<output_type>& out) {
        constexpr std::size_t block = 64;
        const batch<T>& records = in;
        std::uint64_t hashes[block];
        if (core_.finish_due(out) == progress::blocked) return progress::blocked;
        while (!in.empty()) {
            // Hashes first, so that the searches of a block wait for memory at the same time.
            const std::size_t first = in.cursor();
            const std::size_t n = core_.keeps_failed() ? 1 : std::min(block, in.remaining());
            const auto find = core_.state().searches();
            for (std::size_t i = 0; i != n; ++i) {
                in.consume_until(first + i);  // Names the record if its key can't be used.
                find.fetch(hashes[i] = core_.state().hash(key_(records.value(first + i))));
            }
            for (std::size_t i = 0; i != n; ++i) (void)find.look_and_fetch(hashes[i]);
            for (std::size_t i = 0; i != n; ++i) {
                in.consume_until(first + i);
                if (!core_.ready(out)) return progress::blocked;
                const T& record = records.value(first + i);
                const K& key = key_(record);
                const progress p = core_.process(key, hashes[i], records.time(first + i), out,
                                                 [&](Fn& fn, auto& context) { fn.on_record(record, context); });
                if (p == progress::blocked) [[unlikely]] {
                    in.consume_until(first + i + 1);
                    return progress::blocked;
                }
            }
            in.consume_until(first + n);
        }
        return progress::done;
    }

    progress advance(timestamp w, output<output_type>& out) {
        detail::no_held_records none;
        return core_.advance(w, out, none);
    }
    progress tick(timestamp now, output<output_type>& out) { return core_.tick(now, out); }
    timestamp next_tick() const { return core_.next_tick(); }
    void save(snapshot_writer& to) const { core_.save(to); }
    void load(snapshot_reader& from) { core_.load(from); }

    /// Keys that hold state or have a timer now.
    std::size_t live_keys() const noexcept { return core_.state().live_keys(); }
    Fn& function() noexcept { return core_.function(); }

protected:
    detail::process_core<K, Fn>& core() noexcept { return core_; }

private:
    KeyFn key_;
    detail::process_core<K, Fn> core_;
};

/// The same with a second input: `on_second` gets its records, with the states and timers of their keys. The watermark
/// is the lower one of both inputs.
///
/// Order: kept per key and input, none between the two.
template <class K, class T, class KeyFn, class U, class SecondKeyFn, class Fn>
class connected_process_operator : public process_operator<K, T, KeyFn, Fn> {
    using base = process_operator<K, T, KeyFn, Fn>;

public:
    using second_type = U;

    connected_process_operator(KeyFn key, SecondKeyFn second_key, Fn fn)
        : base(std::move(key), std::move(fn)), second_key_(std::move(second_key)) {}

    void on_second(U&& record, timestamp t, output<typename base::output_type>& out) {
        const K& key = second_key_(std::as_const(record));
        // A timer that it set and that is to be called again comes before the next record, or with the next tick.
        (void)this->core().process(key, this->core().state().hash(key), t, out,
                                   [&](Fn& fn, auto& context) { fn.on_second(std::as_const(record), context); });
    }

private:
    SecondKeyFn second_key_;
};

/// The same with a second input that comes to all subtasks: `on_broadcast` gets its records, and writes broadcast
/// state.
///
/// Order: kept per key, and of the broadcast records of one upstream subtask; none between the two inputs.
template <class K, class T, class KeyFn, class U, class Fn>
class broadcast_process_operator : public process_operator<K, T, KeyFn, Fn> {
    using base = process_operator<K, T, KeyFn, Fn>;

public:
    using second_type = U;
    using base::base;

    void on_second(U&& record, timestamp t, output<typename base::output_type>& out) {
        this->core().process_broadcast(
            t, out, [&](Fn& fn, auto& context) { fn.on_broadcast(std::as_const(record), context); });
    }
};

}  // namespace runnel
