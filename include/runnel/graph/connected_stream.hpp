#pragma once

#include <utility>
#include <vector>

#include "runnel/graph/checks.hpp"
#include "runnel/graph/fwd.hpp"
#include "runnel/graph/origin.hpp"
#include "runnel/operators/process.hpp"

namespace runnel {

namespace detail {

template <class T, class KeyFn>
plan::placement by_key_edges(KeyFn key);

}  // namespace detail

/// Two keyed streams whose keys are of one type, waiting for the function that gets the records of both.
/// Thread safety: as `stream`.
template <class K, class T, class KeyFn, class U, class SecondKeyFn>
class connected_stream {
public:
    connected_stream(detail::shared_graph graph, std::vector<detail::origin> from, KeyFn key,
                     std::vector<detail::origin> second, SecondKeyFn second_key)
        : graph_(std::move(graph)),
          from_(std::move(from)),
          key_(std::move(key)),
          second_(std::move(second)),
          second_key_(std::move(second_key)) {}

    /// Runs a process function with `on_record` for the first stream and `on_second` for the second; states and timers
    /// are shared. Gives a stream, or with side outputs a tuple of streams; see operators/process.hpp.
    ///
    /// Order: kept per key and stream, none between the two. Event time is the lower one of the two.
    template <class Fn>
    auto process(Fn fn) const {
        constexpr bool fits = detail::process_function<Fn, T> && detail::second_function<Fn, U>;
        static_assert(fits,
                      "process: needs a copyable class with output_type, on_record(const T&, process_context<Out>&) "
                      "for the first stream and on_second(const U&, process_context<Out>&) for the second");
        if constexpr (fits) {
            using op = connected_process_operator<K, T, KeyFn, U, SecondKeyFn, Fn>;
            const plan::node_id id = detail::add_node(
                *graph_, from_, detail::operator_node("process of two", op(key_, second_key_, std::move(fn))),
                detail::by_key_edges<T>(key_));
            detail::add_edges(*graph_, detail::placed(second_, detail::by_key_edges<U>(second_key_)), id, 1);
            return detail::streams_of<Fn>(graph_, id);
        } else {
            return stream<T>(graph_, from_);
        }
    }

private:
    detail::shared_graph graph_;
    std::vector<detail::origin> from_;
    KeyFn key_;
    std::vector<detail::origin> second_;
    SecondKeyFn second_key_;
};

/// A keyed stream and a broadcast one, waiting for the function that gets the records of both.
/// Thread safety: as `stream`.
template <class K, class T, class KeyFn, class U>
class broadcast_connected_stream {
public:
    broadcast_connected_stream(detail::shared_graph graph, std::vector<detail::origin> from, KeyFn key,
                               std::vector<detail::origin> broadcast)
        : graph_(std::move(graph)), from_(std::move(from)), key_(std::move(key)), broadcast_(std::move(broadcast)) {}

    /// Runs a process function with `on_record` for the keyed stream, and `on_broadcast` for the other one, called in
    /// every subtask: what it writes to `broadcast_state`, the keyed side reads. See operators/process.hpp.
    ///
    /// Order: kept per key, and of the broadcast records of one upstream subtask; none between the two. Event time is
    /// the lower one of the two.
    template <class Fn>
    auto process(Fn fn) const {
        constexpr bool fits = detail::process_function<Fn, T> && detail::broadcast_function<Fn, U>;
        static_assert(fits,
                      "process: needs a copyable class with output_type, on_record(const T&, process_context<Out>&) "
                      "for the keyed stream and on_broadcast(const U&, broadcast_context<Out>&) for the other");
        if constexpr (fits) {
            using op = broadcast_process_operator<K, T, KeyFn, U, Fn>;
            const plan::node_id id = detail::add_node(
                *graph_, from_, detail::operator_node("process with broadcast", op(key_, std::move(fn))),
                detail::by_key_edges<T>(key_));
            detail::add_edges(*graph_, broadcast_, id, 1);
            return detail::streams_of<Fn>(graph_, id);
        } else {
            return stream<T>(graph_, from_);
        }
    }

private:
    detail::shared_graph graph_;
    std::vector<detail::origin> from_;
    KeyFn key_;
    std::vector<detail::origin> broadcast_;
};

}  // namespace runnel
