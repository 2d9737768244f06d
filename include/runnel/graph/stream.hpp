#pragma once

#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/graph/broadcast_stream.hpp"
#include "runnel/graph/checks.hpp"
#include "runnel/graph/dead_letter_output.hpp"
#include "runnel/graph/fwd.hpp"
#include "runnel/graph/keyed_stream.hpp"
#include "runnel/graph/origin.hpp"
#include "runnel/graph/placements.hpp"
#include "runnel/operators/async_operator.hpp"
#include "runnel/operators/kernel.hpp"
#include "runnel/operators/split.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel {

/// A stream of records of type T in a pipeline that is being written.
///
/// Stateless steps written one behind the other in one expression are fused into one pass over each batch. A stream
/// that is kept in a variable and used from there stands for itself: its steps run once, for all its uses.
/// Thread safety: distinct objects: safe if of different pipelines, shared objects: unsafe.
template <class T, class Chain>
class stream {
    static constexpr std::size_t step_count = std::tuple_size_v<typename Chain::steps>;

public:
    using value_type = T;

    stream(detail::shared_graph graph, std::vector<detail::origin> from, typename Chain::steps steps = {},
           std::vector<std::string> names = {})
        : graph_(std::move(graph)),
          from_(std::move(from)),
          steps_(std::move(steps)),
          names_(std::move(names)),
          lowered_(std::make_shared<std::vector<detail::origin>>()) {}

    /// Replaces each record by `f(record)`. `f` takes T, const T& or T&&. Time and order stay.
    template <class F>
    auto map(F f) && {
        static_assert(detail::map_function<F, T>,
                      "map: the function must take the stream's record (T, const T& or T&&) and return the new record");
        if constexpr (detail::map_function<F, T>) return std::move(*this).with(map_step<F>{std::move(f)});
        else return std::move(*this);
    }
    template <class F>
    auto map(F f) const& {
        return materialized().map(std::move(f));
    }

    /// Keeps the records for which `f(record)` is true. `f` takes const T&.
    template <class F>
    auto filter(F f) && {
        static_assert(detail::predicate_function<F, T>,
                      "filter: the function must take the stream's record as const T& and return bool");
        if constexpr (detail::predicate_function<F, T>) return std::move(*this).with(filter_step<F>{std::move(f)});
        else return std::move(*this);
    }
    template <class F>
    auto filter(F f) const& {
        return materialized().filter(std::move(f));
    }

    /// Replaces each record by the elements of the range that `f(record)` returns, in their order, at its time.
    template <class F>
    auto flat_map(F f) && {
        static_assert(detail::flat_map_function<F, T>,
                      "flat_map: the function must take the stream's record (T, const T& or T&&) and return a range, "
                      "such as std::vector<U>");
        if constexpr (detail::flat_map_function<F, T>) return std::move(*this).with(flat_map_step<F>{std::move(f)});
        else return std::move(*this);
    }
    template <class F>
    auto flat_map(F f) const& {
        return materialized().flat_map(std::move(f));
    }

    /// Shows each record to `f` (const T&) and passes it on.
    template <class F>
    auto peek(F f) && {
        static_assert(detail::peek_function<F, T>, "peek: the function must take the stream's record as const T&");
        if constexpr (detail::peek_function<F, T>) return std::move(*this).with(peek_step<F>{std::move(f)});
        else return std::move(*this);
    }
    template <class F>
    auto peek(F f) const& {
        return materialized().peek(std::move(f));
    }

    /// Groups by `key(record)`: what follows works per key, and all records of a key meet in one place, in order.
    /// A key has ==, and a codec (numbers, strings, pairs, tuples, optionals, described structs have one).
    template <class F>
    auto key_by(F key) const {
        static_assert(detail::key_function<F, T>,
                      "key_by: the function must take the stream's record as const T& and return its key; a pointer to "
                      "a member will do");
        if constexpr (detail::key_function<F, T>) {
            using K = std::remove_cvref_t<std::invoke_result_t<const F&, const T&>>;
            constexpr bool has_codec = encodable<K>;
            static_assert(has_codec,
                          "key_by: the key type has no codec. Describe it with BOOST_DESCRIBE_STRUCT, or specialise "
                          "runnel::codec for it");
            constexpr bool has_equality = std::equality_comparable<K>;
            static_assert(has_equality, "key_by: the key type has no operator==");
            constexpr bool copies = std::is_copy_constructible_v<F>;
            static_assert(copies,
                          "key_by: the function must be copyable, since each subtask works on a copy of its own");
            return keyed_stream<K, T, detail::key_of<F, T>>(graph_, origins(), detail::key_of<F, T>{std::move(key)});
        } else {
            return materialized();
        }
    }

    /// Groups all records by time, without a key. Tumbling, sliding, cumulative and calendar windows are summed up in
    /// each subtask first, and merged in one; with early results or a late output, and for all other windows, one
    /// subtask does all the work.
    template <class Spec>
    auto window_all(Spec spec) const {
        detail::check_window_spec<Spec>();
        return windowed_stream<no_key, T, detail::no_key_of, Spec>(graph_, origins(), {}, std::move(spec));
    }

    /// All records of this stream and of `other`, in no order between the two.
    template <class U, class OtherChain>
    stream<T> merge(const stream<U, OtherChain>& other) const {
        constexpr bool same_records = std::is_same_v<U, T>;
        static_assert(same_records, "merge: the other stream has records of another type. Map one of the two first");
        if (other.graph_ != graph_)
            throw graph_error({"merge: the two streams belong to different pipelines. Merge streams of one pipeline."});
        std::vector<detail::origin> both = origins();
        for (const detail::origin& o : other.origins()) both.push_back(o);
        return stream<T>(graph_, std::move(both));
    }

    /// Deals the records out, one after the other, to as many subtasks as the job has, or the next operator asks for:
    /// spreads work that has no key.
    ///
    /// Order: none between records that go to different subtasks, so the records of a later key_by come in any order.
    /// Late records: as with several splits: one that breaks its source's promise may be saved by a slower subtask.
    stream<T> rebalance() const {
        return stream<T>(graph_, detail::placed(origins(), detail::placed_in_turn<T>()));
    }

    /// Gives every record to every subtask of the operator that is connected to it: rules, rates, settings.
    broadcast_stream<T> broadcast() const {
        constexpr bool copies = std::is_copy_constructible_v<T>;
        static_assert(copies, "broadcast: every subtask gets a copy of each record, but the record cannot be copied");
        if constexpr (copies) return {graph_, detail::placed(origins(), detail::placed_everywhere())};
        else return {graph_, {}};
    }

    /// Sends each record to the subtask with the index `f(record, subtasks)`, from 0 on. With one subtask `f` is not
    /// asked; it may be asked twice for a record.
    ///
    /// Order: kept between records that one subtask sends to another. Late records: as for `rebalance`.
    /// Errors: an index that is not below `subtasks` ends the job; the error names it and the record's time.
    template <class F>
    stream<T> partition_by(F f) const {
        static_assert(detail::partition_function<F, T>,
                      "partition_by: the function must take the stream's record as const T& and the number of "
                      "subtasks, and return the index of one, an integer");
        if constexpr (detail::partition_function<F, T>)
            return stream<T>(graph_, detail::placed(origins(), detail::placed_where<T>(std::move(f))));
        else return materialized();
    }

    /// Two streams: the records for which `f(record)` is true, and the rest.
    template <class F>
    std::pair<stream<T>, stream<T>> split(F f) const {
        static_assert(detail::predicate_function<F, T>,
                      "split: the function must take the stream's record as const T& and return bool");
        if constexpr (detail::predicate_function<F, T>) {
            const auto [main, rest] = then(split_operator<T, F>(std::move(f)), "split");
            return {main, rest};
        } else {
            return {materialized(), materialized()};
        }
    }

    /// Replaces each record by the answer that `f` gets for it, from another thread, process or machine:
    /// `f(const T& record, completion<R> done)` begins to ask, and returns; `done(answer)` may come at any time.
    /// Up to `options.capacity` records are under way in each subtask; with so many, the stream waits.
    ///
    /// Order: that of the records, or with `.ordered = false` any, but never across a watermark. Time stays.
    /// Errors: a failure, a timeout or a dropped `done` is asked again as `options.retry`, or `.retry(...)` after it,
    /// says; then `on_error` counts, and the record that failed is the one that is left out.
    /// Lifetime: the record stays where it is as long as `done` lives.
    /// Checkpointed state: the records under way, which are asked again after a restore.
    template <class R = void, class F>
    auto async_map(F f, async_options options = {}) const {
        using result = detail::async_result<R, F>;
        constexpr bool fits = detail::async_function<F, T, result>;
        static_assert(fits,
                      "async_map: the function must take the stream's record as const T& and a runnel::completion<R>, "
                      "R being the new record; if its second parameter is auto, name R: async_map<R>(f)");
        if constexpr (fits) return then(async_operator<T, result, F>(std::move(f), options), "async_map");
        else return materialized();
    }

    /// Runs an operator of the user's own; see operator.hpp for what it consists of. Gives its output stream, or, if it
    /// has side outputs, a tuple of the output stream and those.
    template <class Op>
    auto then(Op op, std::string kind = "operator") const {
        static_assert(detail::operator_class<Op>, "then: the operator must name its input_type and its output_type");
        if constexpr (detail::operator_class<Op>) {
            constexpr bool same_records = std::is_same_v<typename Op::input_type, T>;
            static_assert(same_records, "then: the operator's input_type is not the stream's record type");
            return detail::streams_of<Op>(
                graph_, detail::add_node(*graph_, origins(), detail::operator_node(std::move(kind), std::move(op))));
        } else {
            return materialized();
        }
    }

    /// Ends the stream in `to`: a sink object, a shared_ptr to one, or a recipe such as `print()`.
    /// Each use of a stream gets all its records.
    template <class S>
    sink_node to(S to) const {
        using sunk = detail::sink_type_of<S>;
        if constexpr (std::is_same_v<sunk, T>) {
            return add_sink(std::make_shared<S>(std::move(to)));
        } else if constexpr (std::is_convertible_v<S, std::shared_ptr<sink<T>>>) {
            return add_sink(std::move(to));
        } else if constexpr (detail::sink_recipe<S, T>) {
            return add_sink(std::as_const(to).template bind<T>());
        } else {
            static_assert(detail::sink_recipe<S, T>,
                          "to: needs a sink for the stream's record type: an object derived from runnel::sink<T>, or a "
                          "recipe such as print()");
            return {graph_, 0};
        }
    }

    /// Names the operator that was written last: for messages, metrics and, when there is state, to find it again.
    /// Throws graph_error for a merged or rebalanced stream, which is no operator.
    stream named(std::string name) && {
        rename(std::move(name));
        return std::move(*this);
    }
    stream named(std::string name) & {
        rename(std::move(name));
        return *this;
    }

    /// What happens to a record at which the operator written last throws (fused steps count as one, from the last
    /// operator or variable on): `fail` (default) ends the job; `skip` leaves the record out and counts it; a
    /// `dead_letter_output<T>` gets it, T being the record that went into the operator. What the operator had emitted
    /// for that record is withdrawn; changes to state of its own stay. The same goes for a timer at which a process
    /// function throws, and for windows as `aggregate` says: such a dead letter has no value, but the key.
    /// Cost: records that do not fail are copied instead of moved.
    stream<T> on_error(runnel::on_error policy) const {
        detail::set_on_error(*graph_, detail::only_operator(origins(), "on_error"), policy);
        return materialized();
    }
    template <class In>
    stream<T> on_error(const dead_letter_output<In>& letters) const {
        letters.attach(graph_, detail::only_operator(origins(), "on_error"));
        return materialized();
    }
    /// A record, or a timer, at which the operator written last throws is given to it again, up to `n` times: after
    /// `backoff`, then after twice that, and so on; what is behind it waits. Then `on_error` says what happens. Not for
    /// windows.
    stream<T> retry(std::size_t n, duration backoff) const {
        failure_policy& policy = graph_->nodes[detail::only_operator(origins(), "retry")].on_failure;
        policy.retries = n;
        policy.backoff = backoff;
        return materialized();
    }

    /// Runs the operator that was written last in `n` subtasks, whatever the job's parallelism; what was written is one
    /// operator, and what follows is another. Results don't depend on it.
    /// Throws graph_error for a merged or rebalanced stream, which is no operator.
    stream<T> with_parallelism(std::size_t n) const {
        graph_->nodes[detail::only_operator(origins(), "with_parallelism")].parallelism = n;
        return materialized();
    }

    operator stream<T>() const
        requires(step_count != 0)
    {
        return materialized();
    }

protected:
    template <class, class>
    friend class stream;

    template <class Step>
    auto with(Step step) && {
        constexpr bool copies = std::is_copy_constructible_v<Step>;
        static_assert(copies,
                      "the function must be copyable, since each subtask works on a copy of its own. Capture a "
                      "std::shared_ptr instead of a std::unique_ptr");
        using longer = decltype(extend<Step>(static_cast<Chain*>(nullptr)));
        using U = typename Step::template result<T>;
        names_.push_back(Step::kind);
        return stream<U, longer>(std::move(graph_), std::move(from_),
                                 std::tuple_cat(std::move(steps_), std::tuple<Step>(std::move(step))),
                                 std::move(names_));
    }
    template <class Step, class In, class... Steps>
    static chain<In, Steps..., Step> extend(chain<In, Steps...>*);

    template <class In, class... Steps>
    static kernel<In, Steps...> kernel_of(chain<In, Steps...>*);

    /// Where the records come from, once the steps, if any, have become a node.
    const std::vector<detail::origin>& origins() const {
        if constexpr (step_count == 0) {
            return from_;
        } else {
            if (lowered_->empty()) {
                using fused = decltype(kernel_of(static_cast<Chain*>(nullptr)));
                std::string kind;
                for (const std::string& k : kinds()) kind += (kind.empty() ? "" : ", ") + k;
                plan::node n = detail::operator_node(std::move(kind), fused(steps_, names_));
                n.named = named_;
                if (named_) n.name = joined_names();
                lowered_->push_back({detail::add_node(*graph_, from_, std::move(n)), 0});
            }
            return *lowered_;
        }
    }
    stream<T> materialized() const { return stream<T>(graph_, origins()); }

    static std::vector<std::string> kinds() {
        return []<class... Steps>(std::tuple<Steps...>*) {
            return std::vector<std::string>{Steps::kind...};
        }(static_cast<typename Chain::steps*>(nullptr));
    }

    void rename(std::string name) {
        if constexpr (step_count == 0) {
            detail::rename(*graph_, detail::only_operator(from_, "the name '" + name + "'"), name);
        } else {
            names_.back() = std::move(name);
            named_ = true;
            if (!lowered_->empty()) detail::rename(*graph_, (*lowered_)[0].node, joined_names());
        }
    }
    std::string joined_names() const {
        std::string all;
        for (const std::string& name : names_) all += (all.empty() ? "" : "+") + name;
        return all;
    }

    sink_node add_sink(std::shared_ptr<sink<T>> to) const {
        return {graph_, detail::add_node(*graph_, origins(), plan::sink_node(std::move(to)))};
    }

    detail::shared_graph graph_;
    std::vector<detail::origin> from_;
    typename Chain::steps steps_;
    std::vector<std::string> names_;
    bool named_ = false;
    /// The node that the steps have become, shared by all copies of this stream.
    std::shared_ptr<std::vector<detail::origin>> lowered_;
};

/// All records of several streams of one type, in no order between them.
template <class T, class Chain, class... More>
stream<T> merge(const stream<T, Chain>& first, const More&... more) {
    stream<T> all = first;
    ((all = all.merge(more)), ...);
    return all;
}

}  // namespace runnel
