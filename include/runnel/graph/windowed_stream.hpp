#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/graph/checks.hpp"
#include "runnel/graph/fwd.hpp"
#include "runnel/graph/origin.hpp"
#include "runnel/window/aggregate.hpp"
#include "runnel/window/assigners.hpp"
#include "runnel/window/local_window_operator.hpp"
#include "runnel/window/record_list.hpp"
#include "runnel/window/window_function.hpp"
#include "runnel/window/window_operator.hpp"

namespace runnel {

namespace detail {

template <class T, class KeyFn>
plan::placement by_key_edges(KeyFn key);

/// The checks of what is given to `window`, with texts of our own.
template <class Spec>
constexpr void check_window_spec() {
    static_assert(is_window_spec<Spec>, "window: needs tumbling(...), sliding(...), session(...) or another window");
    static_assert(!is_window_spec<Spec> || lateness_chosen<Spec>,
                  "window: say what happens to late records: add .drop_late(), or .lateness(duration)");
    static_assert(!lateness_chosen<Spec> || contents_chosen<Spec>,
                  "window: it can fire more than once; say what it gives then: add .accumulating() (all its records, "
                  "each time), or .discarding() (what is new)");
}

/// Sets what a window's node says of itself.
template <class Spec>
void describe_window(plan::node& n, const Spec& spec) {
    using windows = typename Spec::windows_type;
    using firing = typename Spec::firing_type;
    bool by_event_time = !never_late<windows>;
    if constexpr (!has_own_trigger<firing>)
        by_event_time |= !is_processing_time<windows> && spec.firing().early.what == firing_rule::kind::event_time;
    n.needs_event_time = by_event_time;
    n.can_retry = false;
    n.detail = spec.text();
    if (all_time<windows> && !firing::discards && !has_own_trigger<firing>)
        n.detail += "; warning: what it holds is never purged, so that its memory only grows with its keys and records";
    n.problems = spec.problems();
}

/// The key function of windows without a key.
struct no_key_of {
    template <class T>
    no_key operator()(const T&) const noexcept {
        return {};
    }
};

/// True if windows without a key can be summed up by slice in each subtask first: unless single records are needed.
template <class Spec, class Agg>
inline constexpr bool two_stage = sliced_windows<typename Spec::windows_type> && !Spec::firing_type::has_panes &&
                                  !Spec::has_side && !changes_contents<Agg>;

template <class F, class K, class V>
inline constexpr bool window_function = requires {
    requires std::invocable<const F&, const K&, const window&, V&&> &&
                 !std::is_void_v<std::invoke_result_t<const F&, const K&, const window&, V&&>>;
};

template <class E, class T>
inline constexpr bool evictor_function = std::invocable<const E&, std::vector<timed<T>>&, const window&>;

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

/// A stream cut into windows, by key or without, waiting to be told what to make of each.
/// Thread safety: as `stream`.
template <class K, class T, class KeyFn, class Spec, class Evictor>
class windowed_stream {
    static constexpr bool has_key = !std::is_same_v<K, no_key>;
    static constexpr bool has_evictor = !std::is_same_v<Evictor, detail::no_evictor>;

public:
    windowed_stream(detail::shared_graph graph, std::vector<detail::origin> from, KeyFn key, Spec spec,
                    Evictor evictor = {})
        : graph_(std::move(graph)),
          from_(std::move(from)),
          key_(std::move(key)),
          spec_(std::move(spec)),
          evictor_(std::move(evictor)) {}

    /// One result per key and window when the window closes, and again for each late record that it still accepts.
    ///
    /// Order: windows by end, between keys free. Checkpointed state: the accumulators of the open windows.
    /// Errors: `.on_error(...)` behind it leaves out a record at which the key function, the aggregate's `add`, a gap
    /// function or a trigger throws: its window is then as before, provided that an `add` that throws has changed
    /// nothing (those built in keep to that, see also `combine`; what a user's `add` had done by then stays). And a
    /// result that can't be made, since `merge`, `result` or the window function throws: its dead letter has no value,
    /// but key and window, and the window is as if it had fired. Each counts once in `skipped`. There is no retry(...):
    /// what is computed from the same records fails again.
    template <class Agg>
    auto aggregate(const Agg& agg) const {
        if constexpr (check_aggregate<Agg>()) return add_window(bind_aggregate<T>(agg));
        else return stream<windowed<K, int>>(graph_, from_);
    }

    /// The same, with `f(key, window, value)` making the value of each result from what the aggregate gave.
    template <class Agg, class F>
    auto aggregate(const Agg& agg, F f) const {
        if constexpr (check_aggregate<Agg>()) {
            using bound = bound_aggregate<T, Agg>;
            constexpr bool f_fits = detail::window_function<F, K, result_of<bound>>;
            static_assert(f_fits,
                          "aggregate: the window function must take (const K& key, const window&, V value), V being "
                          "what the aggregate gives, and return the value of the result");
            if constexpr (f_fits)
                return add_window(detail::aggregate_then<bound, F>(bind_aggregate<T>(agg), std::move(f)));
            else return stream<windowed<K, int>>(graph_, from_);
        } else {
            return stream<windowed<K, int>>(graph_, from_);
        }
    }

    /// `f(key, window, records)` makes the value of each result from all records of the window, a
    /// std::vector<timed<T>> in order of time (equal times in order of arrival).
    ///
    /// Memory: the records themselves, until their windows are cleared; an aggregate needs far less.
    template <class F>
    auto process_window(F f) const {
        constexpr bool f_fits = detail::window_function<F, K, std::vector<timed<T>>>;
        static_assert(f_fits,
                      "process_window: the function must take (const K& key, const window&, const "
                      "std::vector<timed<T>>& records), T being the stream's record type, and return the value of the "
                      "result");
        if constexpr (f_fits && check_late_output()) {
            using records = detail::keep_records<T, Evictor>;
            return add_window(detail::aggregate_then<records, F>(records(evictor_), std::move(f)));
        } else {
            return stream<windowed<K, int>>(graph_, from_);
        }
    }

    /// Before a window fires, `e(records, window)` removes the records that it shall give no more: `keep_last(n)`,
    /// `keep_recent(d)`, or a function of your own that takes a std::vector<timed<T>>& in order of time. To be followed
    /// by `process_window`.
    template <class E>
    auto evict(E e) const {
        constexpr bool fits = detail::evictor_function<E, T>;
        static_assert(fits,
                      "evict: the evictor must take (std::vector<timed<T>>& records, const window&), T being the "
                      "stream's record type");
        static_assert(!has_evictor, "evict: this window already has an evictor");
        return windowed_stream<K, T, KeyFn, Spec, E>(graph_, from_, key_, spec_, std::move(e));
    }

private:
    static constexpr bool check_late_output() {
        constexpr bool late_fits = !Spec::has_side || std::is_same_v<typename Spec::side_type, late_output<T>>;
        static_assert(late_fits, "late_to: needs a late_output<T>, T being the stream's record type");
        return late_fits;
    }
    template <class Agg>
    static constexpr bool check_aggregate() {
        constexpr bool fits = detail::aggregate_argument<Agg, T>;
        static_assert(fits,
                      "aggregate: needs count(), sum(f), ..., or an aggregate of your own: create() -> A, add(A&, "
                      "const T&), merge(A&, const A&) and result(const A&), all const; A default-initialisable and "
                      "copyable");
        static_assert(!has_evictor,
                      "evict: an aggregate keeps no records that could be evicted. Use process_window(f) behind evict");
        return fits && !has_evictor && check_late_output();
    }

    template <class Agg>
    auto add_window(const Agg& agg) const {
        if constexpr (!has_key && detail::two_stage<Spec, Agg>) {
            plan::node n =
                detail::operator_node("window, first stage", local_window_operator<T, Spec, Agg>(spec_, agg));
            detail::describe_window(n, spec_);
            const plan::node_id id = detail::add_node(*graph_, from_, std::move(n));
            using sum = detail::slice_sum<accumulator_of<Agg>>;
            return add_node<sum>({{id, 0}}, detail::merge_slice_sums<Agg>(agg), id);
        } else {
            std::optional<plan::node_id> first_stage;
            if constexpr (requires { Agg::is_second_stage; }) first_stage = from_.front().node;
            return add_node<T>(from_, agg, first_stage);
        }
    }

    template <class In, class Agg>
    auto add_node(const std::vector<detail::origin>& from, const Agg& agg,
                  std::optional<plan::node_id> first_stage) const {
        auto op = make_window_operator<K, In>(key_, spec_, agg);
        using Op = decltype(op);
        plan::node n = detail::operator_node("window", std::move(op));
        detail::describe_window(n, spec_);
        n.first_stage = first_stage;
        if constexpr (!has_key) n.parallelism = n.max_parallelism = 1;
        const auto add = [&](const auto&... place) {
            return detail::add_node(*graph_, from, std::move(n), place...);
        };
        plan::node_id id;
        if constexpr (has_key) id = add(detail::by_key_edges<In>(key_));
        else id = add();
        if constexpr (Spec::has_side)
            spec_.side().attach([graph = graph_, id] { return stream<late_record<T>>(graph, {{id, 1}}); });
        return stream<typename Op::output_type>(graph_, {{id, 0}});
    }

    detail::shared_graph graph_;
    std::vector<detail::origin> from_;
    KeyFn key_;
    Spec spec_;
    [[no_unique_address]] Evictor evictor_;
};

}  // namespace runnel
