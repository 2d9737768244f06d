#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/testing/grid_way.hpp"
#include "runnel/testing/harness.hpp"
#include "runnel/testing/script.hpp"
#include "runnel/testing/value_text.hpp"

namespace runnel::testing {

/// What the grid has to know of an operator. Use designated initialisers.
template <class In, class Out>
struct grid_options {
    /// The key group of a record: `group_by(key)`. Needed to run an operator with state in several subtasks; without
    /// it, such an operator is only run in one.
    std::function<key_group(const In&, std::size_t key_groups)> group_of;
    /// Results come in the same order in every way with one subtask. Left false, they come in any order between two
    /// signals.
    bool in_order = false;
    /// Results with the same text keep their order at any parallelism: `order_by(key of the result)`.
    std::function<std::string(const Out&)> result_key;
    /// What makes results equal, if not `==`: for instance a tolerance for floating point.
    std::function<bool(const Out&, const Out&)> equal;
    /// Most results that the operator adds, at a watermark, after it has asked once whether its output is ready. (For
    /// records the grid finds out itself what is the most for one of them.)
    std::size_t burst = 1;
    /// Restores, too, what subtasks have saved that had come to different watermarks, one apart. An operator that does
    /// anything at a watermark must then save how far it has come by key group. Such snapshots arise behind an operator
    /// with state and without a key in between.
    bool uneven_watermarks = false;
    std::size_t key_groups = 128;
    /// Number of ways with outputs that refuse at random.
    std::size_t seeds = 12;
    /// The subtasks before and after a snapshot in the middle: all pairs of these.
    std::vector<std::size_t> parallelism{1, 2, 3, 4};
    /// Runs only this way, to look into a difference: the text that its report gave.
    std::string only;
};

/// `grid_options::group_of` for operators behind `key_by(key)`; `key` is a member or function of the record.
template <class F>
auto group_by(F key) {
    return [key = std::move(key)](const auto& record, std::size_t groups) {
        return key_group_of(std::invoke(key, record), groups);
    };
}

/// `grid_options::result_key`; `key` is a member or function of the result, and needs a codec.
template <class F>
auto order_by(F key) {
    return [key = std::move(key)](const auto& result) {
        std::string bytes;
        codec<std::remove_cvref_t<std::invoke_result_t<const F&, decltype(result)>>>::encode(std::invoke(key, result),
                                                                                              bytes);
        return bytes;
    };
}

namespace detail {

template <class T>
using equality = std::function<bool(const T&, const T&)>;

template <class T>
equality<T> usual_equality() {
    if constexpr (std::equality_comparable<T>) return std::equal_to<>();
    else return {};
}

/// What came out of one output: results by the number of signals before them.
template <class T>
using by_epoch = std::vector<std::vector<timed<T>>>;

template <class Tuple>
struct epochs_of;
template <class... Ls>
struct epochs_of<std::tuple<Ls...>> {
    using type = std::tuple<by_epoch<Ls>...>;
};

/// What has come too much and too little, compared as multisets.
template <class T>
grid_mismatch compare_sets(const std::vector<timed<T>>& expected, const std::vector<timed<T>>& got,
                           const equality<T>& equal) {
    std::multimap<timestamp, const timed<T>*> open;
    for (const timed<T>& r : expected) open.emplace(r.time, &r);
    grid_mismatch m;
    for (const timed<T>& r : got) {
        auto [it, last] = open.equal_range(r.time);
        while (it != last && !equal(it->second->value, r.value)) ++it;
        if (it != last) open.erase(it);
        else m.unexpected.push_back(text_of(r));
    }
    for (const auto& [time, r] : open) m.missing.push_back(text_of(*r));
    return m;
}

/// The first place where the two differ.
template <class T>
grid_mismatch compare_order(const std::vector<timed<T>>& expected, const std::vector<timed<T>>& got,
                            const equality<T>& equal) {
    for (std::size_t i = 0; i < expected.size() || i < got.size(); ++i) {
        if (i < expected.size() && i < got.size() && expected[i].time == got[i].time &&
            equal(expected[i].value, got[i].value))
            continue;
        grid_mismatch m;
        if (i < expected.size()) m.missing.push_back("as number " + std::to_string(i) + ": " + text_of(expected[i]));
        if (i < got.size()) m.unexpected.push_back("as number " + std::to_string(i) + ": " + text_of(got[i]));
        return m;
    }
    return {};
}

template <class T>
grid_mismatch compare_order_by_key(const std::vector<timed<T>>& expected, const std::vector<timed<T>>& got,
                                   const equality<T>& equal, const std::function<std::string(const T&)>& key) {
    std::map<std::string, std::pair<std::vector<timed<T>>, std::vector<timed<T>>>> of;
    for (const timed<T>& r : expected) of[key(r.value)].first.push_back(r);
    for (const timed<T>& r : got) of[key(r.value)].second.push_back(r);
    for (const auto& [k, both] : of)
        if (grid_mismatch m = compare_order(both.first, both.second, equal); !m.empty()) return m;
    return {};
}

/// One run of an operator, in one way.
template <class Op>
class grid_run {
    using In = typename Op::input_type;
    using Out = typename Op::output_type;
    using sides_of = typename side_types_of<Op>::type;
    static constexpr std::size_t side_count = std::tuple_size_v<sides_of>;
    using options_type = grid_options<In, Out>;

public:
    /// `most_per_record`: results that one record can give; 0 for the reference run, which finds it out.
    grid_run(const Op& op, const script<In>& input, const options_type& options, const grid_way& way,
             std::size_t most_per_record)
        : op_(op),
          input_(input),
          options_(options),
          way_(way),
          most_per_record_(most_per_record),
          is_reference_(most_per_record == 0),
          random_(way.seed) {
        for (const event<In>& e : input.events())
            if (e.what != event<In>::kind::record) signals_.push_back(signal_of(e));
        main_.resize(signals_.size() + 1);
        each_side([&](auto& side) { side.resize(signals_.size() + 1); });
    }

    /// Throws what went wrong while it ran.
    void run() {
        open(way_.from, nullptr);
        for (step_ = 0; step_ < input_.size(); ++step_) {
            const event<In>& e = input_.events()[step_];
            if (way_.rescale_at == step_) {
                if (way_.uneven && e.what == event<In>::kind::watermark && e.time != timestamp::max()) {
                    deliver_all();
                    for (std::size_t i = 0; i < subtasks_.size(); i += 2) subtasks_[i]->step(e);
                }
                restart(way_.to);
            }
            do_step(e);
            const bool ended = e.what == event<In>::kind::watermark && e.time == timestamp::max();
            if (way_.snapshot_every != 0 && (step_ + 1) % way_.snapshot_every == 0 && !ended)
                restart(subtasks_.size());
        }
        deliver_all();
        for (auto& s : subtasks_) s->flush();
        collect();
    }

    /// Number of the step that was under way.
    std::size_t step() const noexcept { return step_; }
    std::size_t most_per_record() const noexcept { return std::max<std::size_t>(1, most_per_record_); }

    /// How this run differs from `expected`; empty if it doesn't.
    grid_mismatch differs_from(const grid_run& expected) const {
        const bool alone = way_.from == 1 && (way_.to == 1 || way_.rescale_at == grid_way::never);
        auto located = [&](grid_mismatch m, std::size_t epoch, std::string where) {
            m.epoch = epoch;
            m.where = std::move(where);
            return m;
        };
        const equality<Out> equal = options_.equal ? options_.equal : usual_equality<Out>();
        for (std::size_t e = 0; e < main_.size(); ++e) {
            grid_mismatch m = options_.in_order && alone ? compare_order(expected.main_[e], main_[e], equal)
                              : options_.result_key && (alone || options_.group_of)
                                  ? compare_order_by_key(expected.main_[e], main_[e], equal, options_.result_key)
                                  : compare_sets(expected.main_[e], main_[e], equal);
            if (!m.empty()) return located(std::move(m), e, "main output");
            m = [&]<std::size_t... I>(std::index_sequence<I...>) {
                grid_mismatch first;
                (void)((first = compare_side<I>(expected, e, alone), !first.empty()) || ...);
                return first;
            }(std::make_index_sequence<side_count>());
            if (!m.empty()) return located(std::move(m), e, "side output");
        }
        if (late_ != expected.late_) {
            grid_mismatch m;
            m.missing.push_back("a count of " + std::to_string(expected.late_));
            m.unexpected.push_back("a count of " + std::to_string(late_));
            return located(std::move(m), main_.size() - 1, "number of late records dropped");
        }
        return {};
    }

private:
    static arrived_signal signal_of(const event<In>& e) {
        using kind = typename event<In>::kind;
        if (e.what == kind::watermark) return {arrived_signal::kind::watermark, e.time, 0, 0};
        return {e.what == kind::idle ? arrived_signal::kind::idle : arrived_signal::kind::active, timestamp::min(), 0, 0};
    }

    void open(std::size_t parallelism, const operator_snapshot* from) {
        subtasks_.clear();
        pending_ = std::vector<batch<In>>(parallelism);
        for (std::size_t i = 0; i < parallelism; ++i) {
            harness_options o;
            o.parallelism = parallelism;
            o.subtask = i;
            o.key_groups = options_.key_groups;
            o.batch_size = way_.output_batch;
            o.flush = is_reference_;
            subtasks_.push_back(std::make_unique<operator_harness<Op>>(op_, o));
            if (way_.seed != 0) subtasks_.back()->refuse_at_random(random_(), 40);
            if (from) subtasks_.back()->restore(*from);
        }
    }

    void do_step(const event<In>& e) {
        if (e.what == event<In>::kind::record) {
            const std::size_t p = subtasks_.size();
            const std::size_t i = options_.group_of
                                      ? subtask_of(options_.group_of(*e.value, options_.key_groups), options_.key_groups, p)
                                      : step_ % p;
            pending_[i].append(*e.value, e.time);
            if (pending_[i].size() == way_.batch) deliver(i);
        } else {
            deliver_all();
            for (auto& s : subtasks_) {
                s->step(e);
                if (!is_reference_) check_batch_sizes(*s);
            }
            ++signals_done_;
        }
    }

    void deliver_all() {
        for (std::size_t i = 0; i < pending_.size(); ++i) deliver(i);
    }
    void deliver(std::size_t i) {
        batch<In>& b = pending_[i];
        if (b.size() == 0) return;
        if (way_.seed != 0) disguise(b);
        const std::size_t before = results_of(*subtasks_[i]);
        subtasks_[i]->process(b);
        if (is_reference_) most_per_record_ = std::max(most_per_record_, results_of(*subtasks_[i]) - before);
        else check_batch_sizes(*subtasks_[i]);
        b.clear();
        lent_.clear();
        if (way_.seed != 0 && random_() % 4 == 0) subtasks_[i]->flush();
    }
    /// What a batch may look like and often doesn't: bounds wider than necessary, a start that has been consumed, values
    /// that belong to a source.
    void disguise(batch<In>& b) {
        if (random_() % 2 == 0)
            b.widen(b.min_time() - duration(static_cast<std::int64_t>(random_() % 5'000'000'000)),
                    b.max_time() + duration(static_cast<std::int64_t>(random_() % 5'000'000'000)));
        if (random_() % 4 == 0) {
            batch<In> with_prefix;
            with_prefix.append(b.value(b.size() - 1), b.time(b.size() - 1));
            for (std::size_t i = 0; i < b.size(); ++i) with_prefix.append(b.value(i), b.time(i));
            with_prefix.widen(b.min_time(), b.max_time());
            with_prefix.consume_until(1);
            b.swap(with_prefix);
        } else if constexpr (std::is_trivially_copyable_v<In>) {
            if (random_() % 2 == 0) return;
            lent_.swap(b);
            b.borrow(std::as_const(lent_).values(), lent_.size());
            std::copy_n(lent_.times(), lent_.size(), b.times());
            b.widen(lent_.min_time(), lent_.max_time());
        }
    }

    static std::size_t results_of(operator_harness<Op>& h) {
        std::size_t n = h.output().records().size();
        each_side_output(h, [&](auto& side) { n += side.records().size(); });
        return n;
    }
    void check_batch_sizes(operator_harness<Op>& h) const {
        std::size_t largest = h.output().largest_batch();
        each_side_output(h, [&](auto& side) { largest = std::max(largest, side.largest_batch()); });
        const std::size_t most = way_.output_batch - 1 + std::max(options_.burst, most_per_record_);
        if (largest > most)
            throw contract_breach("the operator has gathered " + std::to_string(largest) + " results in a batch of " +
                                  std::to_string(way_.output_batch) +
                                  ". It must ask its output whether it is ready() before each record, window or timer, "
                                  "and answer `blocked` if not. (If it adds more than one result at a time when a "
                                  "watermark comes, set grid_options::burst.)");
    }
    template <class F>
    static void each_side_output(operator_harness<Op>& h, F f) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (f(h.template side_output<I>()), ...);
        }(std::make_index_sequence<side_count>());
    }

    /// Takes a snapshot and goes on from it, with new instances.
    void restart(std::size_t parallelism) {
        deliver_all();
        operator_snapshot all;
        for (std::size_t i = 0; i < subtasks_.size(); ++i) {
            operator_snapshot one = subtasks_[i]->snapshot();
            const key_group_range mine = range_of(i, subtasks_.size(), options_.key_groups);
            for (const auto& [name, groups] : one.keyed)
                for (const auto& [group, bytes] : groups)
                    if (!mine.contains(group))
                        throw contract_breach("state \"" + name + "\" was saved in key group " + std::to_string(group) +
                                              ", which does not belong to the subtask: its groups are " +
                                              std::to_string(mine.first) + " to " + std::to_string(mine.last) +
                                              " (excluded)");
            all.add(std::move(one));
        }
        collect();
        open(parallelism, &all);
        first_epoch_ = signals_done_;
    }

    /// Puts what the instances have sent where it belongs.
    void collect() {
        for (auto& s : subtasks_) {
            late_ += s->late_dropped();
            collect(s->output(), main_);
            [&]<std::size_t... I>(std::index_sequence<I...>) {
                (collect(s->template side_output<I>(), std::get<I>(sides_)), ...);
            }(std::make_index_sequence<side_count>());
        }
    }
    template <class T>
    void collect(recorder<T>& from, by_epoch<T>& to) {
        std::size_t epoch = first_epoch_;
        std::size_t next = 0;
        for (const arrived_signal& s : from.signals()) {
            for (; next < s.records_before; ++next) to[epoch].push_back(from.records()[next]);
            if (s.what == arrived_signal::kind::barrier) continue;
            arrived_signal as_sent = s;
            as_sent.records_before = 0;
            if (epoch == signals_.size() || as_sent != signals_[epoch])
                throw contract_breach("the operator has not sent on the signals that it got, one for one");
            ++epoch;
        }
        for (; next < from.records().size(); ++next) to[epoch].push_back(from.records()[next]);
    }

    template <std::size_t I>
    grid_mismatch compare_side(const grid_run& expected, std::size_t epoch, bool alone) const {
        using L = std::tuple_element_t<I, sides_of>;
        const auto& a = std::get<I>(expected.sides_)[epoch];
        const auto& b = std::get<I>(sides_)[epoch];
        return options_.in_order && alone ? compare_order<L>(a, b, usual_equality<L>())
                                          : compare_sets<L>(a, b, usual_equality<L>());
    }
    template <class F>
    void each_side(F f) {
        std::apply([&](auto&... side) { (f(side), ...); }, sides_);
    }

    const Op& op_;
    const script<In>& input_;
    const options_type& options_;
    const grid_way way_;
    std::size_t most_per_record_;
    const bool is_reference_;
    std::mt19937_64 random_;
    std::vector<arrived_signal> signals_;
    std::vector<std::unique_ptr<operator_harness<Op>>> subtasks_;
    std::vector<batch<In>> pending_;
    /// What a batch under way has borrowed.
    batch<In> lent_;
    std::size_t step_ = 0;
    std::size_t signals_done_ = 0;
    /// Signals that were sent before the present instances began.
    std::size_t first_epoch_ = 0;

    by_epoch<Out> main_;
    typename epochs_of<sides_of>::type sides_;
    std::uint64_t late_ = 0;
};

template <class In>
std::vector<grid_step> steps_of(const script<In>& input) {
    std::vector<grid_step> steps;
    for (const event<In>& e : input.events())
        steps.push_back({text_of(e), e.what != event<In>::kind::record, e.what == event<In>::kind::watermark});
    return steps;
}

}  // namespace detail

/// Runs copies of `op` over `input` in many ways, and demands the same results from each: one record at a time, in
/// batches of several sizes, with outputs that refuse, with a snapshot and a restore into a fresh instance after each
/// step or every few, and with a snapshot taken by p subtasks and restored by q. Results are compared between each
/// two signals, with their times; side outputs and the number of late records too. Returns the number of ways.
///
///     run_grid(reduce_operator<...>(...), random_script<order>(seed, make_order), {.group_of = group_by(&order::id)});
///
/// Errors: `grid_difference`, which says which way and where, what is missing or unexpected, and how to run only that
/// way again.
/// Complexity: some 60 runs of the script, each snapshot costing as much as the state is large.
template <class Op>
std::size_t run_grid(const Op& op, const script<typename Op::input_type>& input,
                     const grid_options<typename Op::input_type, typename Op::output_type>& options = {}) {
    static_assert(std::is_copy_constructible_v<typename Op::input_type>,
                  "run_grid: the operator's records must be copyable, since they go in many times");
    if (!std::equality_comparable<typename Op::output_type> && !options.equal)
        throw error("run_grid: the operator's results have no operator==. Give grid_options::equal.");
    const bool parallel = options.group_of || !stateful_operator<Op>;
    const std::vector<grid_step> steps = detail::steps_of(input);
    const grid_way one_at_a_time;
    std::vector<grid_way> ways;
    if (options.only.empty())
        ways = grid_ways(steps, options.seeds, parallel ? options.parallelism : std::vector<std::size_t>{1},
                         options.uneven_watermarks);
    else
        ways.push_back(grid_way::parse(options.only));

    auto completed = [&](detail::grid_run<Op>& r, const grid_way& way) {
        try {
            r.run();
        } catch (const std::exception& e) {
            report_failure(way, steps, r.step(), e.what());
        }
    };
    detail::grid_run<Op> expected(op, input, options, one_at_a_time, 0);
    completed(expected, one_at_a_time);
    for (const grid_way& way : ways) {
        detail::grid_run<Op> run(op, input, options, way, expected.most_per_record());
        completed(run, way);
        if (const grid_mismatch m = run.differs_from(expected); !m.empty()) report_difference(way, steps, m);
    }
    return 1 + ways.size();
}

}  // namespace runnel::testing
