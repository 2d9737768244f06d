#pragma once

#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/exchange/partitioners.hpp"
#include "runnel/exchange/sender.hpp"
#include "runnel/graph/broadcast_stream.hpp"
#include "runnel/graph/checks.hpp"
#include "runnel/graph/connected_stream.hpp"
#include "runnel/graph/fwd.hpp"
#include "runnel/graph/ordered_keyed_stream.hpp"
#include "runnel/graph/origin.hpp"
#include "runnel/graph/windowed_stream.hpp"
#include "runnel/operators/async_operator.hpp"
#include "runnel/operators/reduce.hpp"
#include "runnel/state/key_group.hpp"

namespace runnel {

namespace detail {

/// The user's key function, as operators and partitioners call it: refuses keys that equal nothing.
template <class F, class T>
struct key_of {
    F f;
    decltype(auto) operator()(const T& record) const {
        using K = std::remove_cvref_t<std::invoke_result_t<const F&, const T&>>;
        if constexpr (std::is_floating_point_v<K>) {
            const K key = std::invoke(f, record);
            if (is_unusable_key(key))
                throw error("key_by: the key of the record is NaN, which equals no key. Filter such records out.");
            return key;
        } else {
            return std::invoke(f, record);
        }
    }
};

/// The key group of a record.
template <class KeyFn, class T>
struct group_of_record {
    KeyFn key_of;
    std::size_t groups;
    std::size_t operator()(const T& record) const { return key_group_of(key_of(record), groups); }
};

/// Edges that bring all records of a key to the subtask that owns its key group.
template <class T, class KeyFn>
plan::placement by_key_edges(KeyFn key) {
    return {plan::placement::rule::by_key,
            [key = std::move(key)](std::vector<channel*> to, std::size_t batch_size,
                                   std::size_t groups) -> std::unique_ptr<receiver_base> {
                using partitioner = by_key_group<T, group_of_record<KeyFn, T>>;
                return std::make_unique<sender<T, partitioner>>(std::move(to), partitioner{{key, groups}, groups},
                                                                batch_size);
            }};
}

}  // namespace detail

/// A stream grouped by key: what follows works per key.
/// Thread safety: as `stream`.
template <class K, class T, class KeyFn>
class keyed_stream {
public:
    using key_type = K;
    using value_type = T;

    keyed_stream(detail::shared_graph graph, std::vector<detail::origin> from, KeyFn key)
        : graph_(std::move(graph)), from_(std::move(from)), key_(std::move(key)) {}

    /// Groups the records of each key by time: `tumbling(10s).drop_late()`, `sliding(1min, 10s).lateness(5s)`,
    /// `session(30s).drop_late()`, ... Needs event time, unless the windows go by count or processing time.
    template <class Spec>
    auto window(Spec spec) const {
        detail::check_window_spec<Spec>();
        return windowed_stream<K, T, KeyFn, Spec>(graph_, from_, key_, std::move(spec));
    }

    /// Keeps one record per key: `f(kept, next)`, both const T&, gives the new one, which is emitted. The first record
    /// of a key passes as it is.
    template <class F>
    stream<T> reduce(F f) const {
        static_assert(detail::reduce_function<F, T>,
                      "reduce: the function must take two records, the kept and the next, both as const T&, and return "
                      "a record");
        if constexpr (detail::reduce_function<F, T>)
            return then(reduce_operator<K, T, KeyFn, F>(key_, std::move(f)), "reduce");
        else return stream<T>(graph_, from_);
    }

    /// Runs a process function: a class of the user's own that gets each record with the state and the timers of its
    /// key, in the order in which the records arrive. Gives a stream, or with side outputs a tuple of streams.
    ///
    ///     struct fraud {
    ///         using output_type = alert;
    ///         runnel::value_state<bool> small;
    ///         runnel::event_timer forget;
    ///         void open(runnel::state_setup& s) {
    ///             small = s.value<bool>("small");
    ///             forget = s.event_timer("forget");
    ///         }
    ///         void on_record(const tx& t, runnel::process_context<alert>& c) {
    ///             if (t.amount > 500 && small.has_value()) c.emit({t.card});
    ///             small.clear();
    ///             if (t.amount >= 1) return;
    ///             small.set(true);
    ///             forget.set(c.time() + 1min);
    ///         }
    ///         void on_timer(const runnel::timer_event&, runnel::process_context<alert>&) { small.clear(); }
    ///     };
    ///     transactions.key_by(&tx::card).process(fraud{}).to(...);
    ///
    /// See operators/process.hpp for all that such a class can have.
    template <class Fn>
    auto process(Fn fn) const {
        constexpr bool fits = detail::process_function<Fn, T>;
        static_assert(fits,
                      "process: needs a copyable class with output_type and on_record(const T&, "
                      "process_context<Out>&), Out being its output_type; see operators/process.hpp");
        if constexpr (fits) {
            using op = process_operator<K, T, KeyFn, Fn>;
            const plan::node_id id =
                detail::add_node(*graph_, from_, detail::operator_node("process", op(key_, std::move(fn))),
                                 detail::by_key_edges<T>(key_));
            return detail::streams_of<Fn>(graph_, id);
        } else {
            return stream<T>(graph_, from_);
        }
    }

    /// Has the process function that follows get the records in order of event time: each is held until the watermark
    /// has reached its time, so results don't depend on the order of arrival. Late ones are counted. Needs event time.
    ordered_keyed_stream<K, T, KeyFn, void> in_event_time_order() const { return {graph_, from_, key_, nullptr}; }
    /// The same, with a place for the late ones.
    ordered_keyed_stream<K, T, KeyFn, late_output<T>> in_event_time_order(const late_output<T>& late) const {
        return {graph_, from_, key_, late};
    }

    /// Brings a second stream, keyed by the same type, to the same place: `process` then takes a function that gets
    /// the records of both.
    template <class U, class SecondKeyFn>
    auto connect(const keyed_stream<K, U, SecondKeyFn>& second) const {
        if (second.graph_ != graph_)
            throw graph_error({"connect: the two streams belong to different pipelines. Connect streams of one "
                               "pipeline."});
        return connected_stream<K, T, KeyFn, U, SecondKeyFn>(graph_, from_, key_, second.from_, second.key_);
    }

    /// Brings a stream of which every subtask gets all records, `rules.broadcast()`, to this one: `process` then takes
    /// a function that gets the records of both.
    template <class U>
    auto connect(const broadcast_stream<U>& second) const {
        if (second.graph() != graph_)
            throw graph_error({"connect: the two streams belong to different pipelines. Connect streams of one "
                               "pipeline."});
        return broadcast_connected_stream<K, T, KeyFn, U>(graph_, from_, key_, second.origins());
    }

    /// `stream::async_map` with the records of a key asked one after the other: a record waits until the one before it
    /// has been answered. So answers keep their order per key, ordered or not.
    template <class R = void, class F>
    auto async_map(F f, async_options options = {}) const {
        using result = detail::async_result<R, F>;
        constexpr bool fits = detail::async_function<F, T, result>;
        static_assert(fits,
                      "async_map: the function must take the stream's record as const T& and a runnel::completion<R>, "
                      "R being the new record; if its second parameter is auto, name R: async_map<R>(f)");
        if constexpr (fits)
            return then(async_operator<T, result, F, KeyFn>(std::move(f), options, key_), "async_map");
        else return stream<T>(graph_, from_);
    }

    /// Runs an operator of the user's own where all records of a key meet in one subtask, in order; see operator.hpp.
    template <class Op>
    auto then(Op op, std::string kind = "operator") const {
        static_assert(detail::operator_class<Op>, "then: the operator must name its input_type and its output_type");
        if constexpr (detail::operator_class<Op>) {
            static_assert(std::is_same_v<typename Op::input_type, T>,
                          "then: the operator's input_type is not the stream's record type");
            return detail::streams_of<Op>(
                graph_, detail::add_node(*graph_, from_, detail::operator_node(std::move(kind), std::move(op)),
                                         detail::by_key_edges<T>(key_)));
        } else {
            return stream<T>(graph_, from_);
        }
    }

private:
    template <class, class, class>
    friend class keyed_stream;

    detail::shared_graph graph_;
    std::vector<detail::origin> from_;
    KeyFn key_;
};

}  // namespace runnel
