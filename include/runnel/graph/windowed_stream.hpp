#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/graph/checks.hpp"
#include "runnel/graph/fwd.hpp"
#include "runnel/graph/origin.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/assigners.hpp"
#include "runnel/window/window_operator.hpp"

namespace runnel {

namespace detail {

template <class T, class KeyFn>
plan::placement by_key_edges(KeyFn key);

}  // namespace detail

/// The place where late records go: `.late_to(late)` of a window, `.in_event_time_order(late)` before a function.
///
/// A handle: make it, give it to one of them, and use `stream()` after that has got its aggregate or its function.
/// Thread safety: distinct objects: safe, shared objects: unsafe.
template <class T>
class late_output {
public:
    /// The late records, each with its time, the watermark it came behind, and the reason.
    runnel::stream<late_record<T>> stream() const {
        if (!*from_)
            throw graph_error({"late_output: nothing sends its late records here yet. Give it to a window by "
                               ".late_to(...), or to .in_event_time_order(...), and call stream() after "
                               ".aggregate(...) or .process(...)."});
        return (*from_)();
    }
    /// Has `from` called for the stream; used by the streams.
    void attach(std::function<runnel::stream<late_record<T>>()> from) const {
        if (*from_)
            throw graph_error({"late_output: it is used twice. Make one late_output for each use, and merge."});
        *from_ = std::move(from);
    }

private:
    std::shared_ptr<std::function<runnel::stream<late_record<T>>()>> from_ =
        std::make_shared<std::function<runnel::stream<late_record<T>>()>>();
};

/// A keyed stream cut into windows, waiting to be told what to make of each.
/// Thread safety: as `stream`.
template <class K, class T, class KeyFn, class Spec>
class windowed_stream {
public:
    windowed_stream(detail::shared_graph graph, std::vector<detail::origin> from, KeyFn key, Spec spec)
        : graph_(std::move(graph)), from_(std::move(from)), key_(std::move(key)), spec_(std::move(spec)) {}

    /// One result per key and window when the window closes, and again for each late record that it still accepts.
    ///
    /// Order: windows by end, between keys free. Checkpointed state: the accumulators of the open windows.
    template <class Agg>
    auto aggregate(const Agg& agg) const {
        constexpr bool fits = detail::aggregate_argument<Agg, T>;
        static_assert(fits,
                      "aggregate: needs count(), sum(f), ..., or an aggregate of your own: create() -> A, add(A&, "
                      "const T&), merge(A&, const A&) and result(const A&), all const; A default-initialisable and "
                      "copyable");
        constexpr bool late_fits = !Spec::has_side || std::is_same_v<typename Spec::side_type, late_output<T>>;
        static_assert(late_fits, "late_to: needs a late_output<T>, T being the stream's record type");
        if constexpr (fits && late_fits) return add_window(agg);
        else return stream<windowed<K, int>>(graph_, from_);
    }

private:
    template <class Agg>
    stream<windowed<K, result_of<bound_aggregate<T, Agg>>>> add_window(const Agg& agg) const {
        auto op = make_window_operator<K, T>(key_, spec_, bind_aggregate<T>(agg));
        using Op = decltype(op);
        plan::node n = detail::operator_node("window", std::move(op));
        n.needs_event_time = true;
        n.detail = spec_.text();
        n.problems = spec_.problems();
        const plan::node_id id = detail::add_node(*graph_, from_, std::move(n), detail::by_key_edges<T>(key_));
        if constexpr (Spec::has_side)
            spec_.side().attach([graph = graph_, id] { return stream<late_record<T>>(graph, {{id, 1}}); });
        return stream<typename Op::output_type>(graph_, {{id, 0}});
    }

    detail::shared_graph graph_;
    std::vector<detail::origin> from_;
    KeyFn key_;
    Spec spec_;
};

}  // namespace runnel
