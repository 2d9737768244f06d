#pragma once

#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/graph/checks.hpp"
#include "runnel/graph/fwd.hpp"
#include "runnel/graph/origin.hpp"
#include "runnel/graph/windowed_stream.hpp"
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
    /// `session(30s).drop_late()`, ... Needs event time.
    template <class Spec>
    auto window(Spec spec) const {
        static_assert(is_window_spec<Spec>, "window: needs tumbling(...), sliding(...) or session(...)");
        static_assert(!is_window_spec<Spec> || lateness_chosen<Spec>,
                      "window: say what happens to late records: add .drop_late(), or .lateness(duration)");
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
    detail::shared_graph graph_;
    std::vector<detail::origin> from_;
    KeyFn key_;
};

}  // namespace runnel
