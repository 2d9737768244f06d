#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/testing/grid_compare.hpp"
#include "runnel/testing/grid_options.hpp"
#include "runnel/testing/grid_way.hpp"
#include "runnel/testing/harness.hpp"
#include "runnel/testing/script.hpp"

namespace runnel::detail {

/// What came out of one output: results by the number of signals before them.
template <class T>
using results_by_epoch = std::vector<std::vector<timed<T>>>;

template <class Tuple>
struct epochs_of;
template <class... Ls>
struct epochs_of<std::tuple<Ls...>> {
    using type = std::tuple<results_by_epoch<Ls>...>;
};

/// One run of an operator, in one way.
template <class Op>
class grid_run {
    using In = typename Op::input_type;
    using Out = typename Op::output_type;
    using sides_of = typename side_types_of<Op>::type;
    static constexpr std::size_t side_count = std::tuple_size_v<sides_of>;
    using options_type = testing::grid_options<In, Out>;
    using event = testing::event<In>;
    using script = testing::script<In>;
    using signal = testing::arrived_signal;
    using mismatch = testing::grid_mismatch;
    using harness = testing::operator_harness<Op>;

public:
    /// `most_per_record`: results that one record can give; 0 for the reference run, which finds it out.
    grid_run(const Op& op, const script& input, const options_type& options, const testing::grid_way& way,
             std::size_t most_per_record)
        : op_(op),
          input_(input),
          options_(options),
          way_(way),
          most_per_record_(most_per_record),
          is_reference_(most_per_record == 0),
          random_(way.seed) {
        for (const event& e : input.events())
            if (goes_on(e)) signals_.push_back(signal_of(e));
        main_.resize(signals_.size() + 1);
        letters_.resize(signals_.size() + 1);
        each_side([&](auto& side) { side.resize(signals_.size() + 1); });
    }

    /// Throws what went wrong while it ran.
    void run() {
        open(way_.from, nullptr);
        for (step_ = 0; step_ < input_.size(); ++step_) {
            const event& e = input_.events()[step_];
            if (way_.rescale_at == step_) {
                const bool uneven = way_.uneven && e.what == event::kind::watermark && e.time != timestamp::max();
                if (uneven) {
                    deliver_all();
                    for (std::size_t i = 0; i < subtasks_.size(); i += 2) subtasks_[i]->step(e);
                }
                restart(way_.to, uneven ? step_ + 1 : step_);
            }
            do_step(e);
            const bool ended = e.what == event::kind::watermark && e.time == timestamp::max();
            if (way_.snapshot_every != 0 && (step_ + 1) % way_.snapshot_every == 0 && !ended)
                restart(subtasks_.size(), step_ + 1);
        }
        deliver_all();
        for (auto& s : subtasks_) s->flush();
        collect();
    }

    /// Number of the step that was under way.
    std::size_t step() const noexcept { return step_; }
    std::size_t most_per_record() const noexcept { return std::max<std::size_t>(1, most_per_record_); }

    /// How this run differs from `expected`; empty if it doesn't.
    mismatch differs_from(const grid_run& expected) const {
        const bool alone = way_.from == 1 && (way_.to == 1 || way_.rescale_at == testing::grid_way::never);
        auto located = [&](mismatch m, std::size_t epoch, std::string where) {
            m.epoch = epoch;
            m.where = std::move(where);
            return m;
        };
        const result_equality<Out> equal = options_.equal ? options_.equal : usual_equality<Out>();
        for (std::size_t e = 0; e < main_.size(); ++e) {
            const bool by_key = options_.result_key && (alone || options_.group_of);
            mismatch m = options_.in_order && alone
                             ? compare_order(expected.main_[e], main_[e], equal)
                         : by_key ? compare_order_by_key(expected.main_[e], main_[e], equal, options_.result_key)
                                  : compare_sets(expected.main_[e], main_[e], equal);
            if (!m.empty()) return located(std::move(m), e, "main output");
            m = [&]<std::size_t... I>(std::index_sequence<I...>) {
                mismatch first;
                (void)((first = compare_side<I>(expected, e, alone), !first.empty()) || ...);
                return first;
            }(std::make_index_sequence<side_count>());
            if (!m.empty()) return located(std::move(m), e, "side output");
            m = compare_sets<letter>(expected.letters_[e], letters_[e], equal_letters);
            if (!m.empty()) return located(std::move(m), e, "dead letters");
        }
        const auto counted = [&](std::uint64_t wanted, std::uint64_t got, std::string what) {
            mismatch m;
            if (got == wanted) return m;
            m.missing.push_back("a count of " + std::to_string(wanted));
            m.unexpected.push_back("a count of " + std::to_string(got));
            return located(std::move(m), main_.size() - 1, std::move(what));
        };
        mismatch m = counted(expected.late_, late_, "number of late records dropped");
        return m.empty() ? counted(expected.skipped_, skipped_, "number of failures left out") : m;
    }

private:
    using letter = dead_letter<In>;

    /// Whichever subtask they come from.
    static bool equal_letters(const letter& a, const letter& b) {
        if constexpr (std::equality_comparable<In>)
            if (a.value != b.value) return false;
        return a.value.has_value() == b.value.has_value() && a.details.error == b.details.error &&
               a.details.where == b.details.where && a.details.time == b.details.time;
    }
    bool has_letters() const { return options_.on_failure.what == on_error::skip; }

    /// What the operator is to forward for the watermark w.
    timestamp watermark_of(timestamp w) const {
        if constexpr (requires { op_.output_watermark(w); }) return op_.output_watermark(w);
        else return w;
    }
    /// True for a signal that comes out, too.
    bool goes_on(const event& e) const {
        using kind = typename event::kind;
        return e.what != kind::record && e.what != kind::clock &&
               (e.what != kind::watermark || watermark_of(e.time) != timestamp::min());
    }
    signal signal_of(const event& e) const {
        using kind = typename event::kind;
        if (e.what == kind::watermark) return {signal::kind::watermark, watermark_of(e.time)};
        return {e.what == kind::idle ? signal::kind::idle : signal::kind::active};
    }

    void open(std::size_t parallelism, const operator_snapshot* from) {
        subtasks_.clear();
        pending_ = std::vector<batch<In>>(parallelism);
        for (std::size_t i = 0; i < parallelism; ++i) {
            testing::harness_options o;
            o.parallelism = parallelism;
            o.subtask = i;
            o.key_groups = options_.key_groups;
            o.batch_size = way_.output_batch;
            o.flush = is_reference_;
            o.clock = &clock_;
            if (!is_reference_) o.state = options_.state;
            o.on_failure = options_.on_failure;
            subtasks_.push_back(std::make_unique<harness>(op_, o));
            if (way_.seed != 0) subtasks_.back()->refuse_at_random(random_(), 40);
            if (!from) continue;
            subtasks_.back()->restore(*from);
            subtasks_.back()->tick();
        }
    }

    void do_step(const event& e) {
        if (e.what == event::kind::record) {
            const std::size_t i = subtask_for(e, step_);
            pending_[i].append(*e.value, e.time);
            if (pending_[i].size() == way_.batch) deliver(i);
        } else {
            deliver_all();
            if (e.what == event::kind::clock) clock_.advance_to(e.time);
            for (auto& s : subtasks_) {
                if (e.what == event::kind::clock) s->tick();
                else s->step(e);
                if (!is_reference_) check_batch_sizes(*s);
            }
            signals_done_ += goes_on(e);
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
    /// What a batch may look like and often doesn't: bounds wider than necessary, a start that has been consumed,
    /// values that belong to a source.
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

    static std::size_t results_of(harness& h) {
        std::size_t n = h.output().records().size();
        each_side_output(h, [&](auto& side) { n += side.records().size(); });
        return n;
    }
    void check_batch_sizes(harness& h) const {
        std::size_t largest = h.output().largest_batch();
        each_side_output(h, [&](auto& side) { largest = std::max(largest, side.largest_batch()); });
        const std::size_t most = way_.output_batch - 1 + std::max(options_.burst, most_per_record_);
        if (largest > most)
            throw testing::contract_breach(
                "the operator has gathered " + std::to_string(largest) + " results in a batch of " +
                std::to_string(way_.output_batch) +
                ". It must ask its output whether it is ready() before each record, window or timer, and answer "
                "`blocked` if not. (If it adds more than one result at a time when a watermark comes, set "
                "grid_options::burst.)");
    }
    template <class F>
    static void each_side_output(harness& h, F f) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (f(h.template side_output<I>()), ...);
        }(std::make_index_sequence<side_count>());
    }

    /// Takes a snapshot and goes on from it, with new instances. `next`: the step that comes next.
    void restart(std::size_t parallelism, std::size_t next) {
        deliver_all();
        bool has_rest = false;
        for (auto& s : subtasks_) has_rest |= s->begin_snapshot();
        collect();
        if (has_rest) run_ahead(next);
        operator_snapshot all;
        for (std::size_t i = 0; i < subtasks_.size(); ++i) {
            operator_snapshot one = subtasks_[i]->finish_snapshot();
            const key_group_range mine = range_of(i, subtasks_.size(), options_.key_groups);
            for (const auto& [name, groups] : one.keyed)
                for (const auto& [group, bytes] : groups)
                    if (!mine.contains(group))
                        throw testing::contract_breach(
                            "state \"" + name + "\" was saved in key group " + std::to_string(group) +
                            ", which does not belong to the subtask: its groups are " + std::to_string(mine.first) +
                            " to " + std::to_string(mine.last) + " (excluded)");
            all.add(std::move(one));
        }
        open(parallelism, &all);
        first_epoch_ = signals_done_;
    }
    /// As in a job, the instances go on while their state is copied. What they then give is lost with them.
    void run_ahead(std::size_t next) {
        using kind = typename event::kind;
        for (const std::size_t end = std::min(next + 3, input_.size()); next != end; ++next) {
            const event& e = input_.events()[next];
            if (e.what == kind::record) subtasks_[subtask_for(e, next)]->step(e);
            else if (e.what == kind::watermark)
                for (auto& s : subtasks_) s->step(e);
        }
    }
    std::size_t subtask_for(const event& record, std::size_t step) const {
        const std::size_t p = subtasks_.size();
        const std::size_t groups = options_.key_groups;
        return options_.group_of ? subtask_of(options_.group_of(*record.value, groups), groups, p) : step % p;
    }

    /// Puts what the instances have sent where it belongs.
    void collect() {
        for (auto& s : subtasks_) {
            late_ += s->late_dropped();
            skipped_ += s->skipped();
            collect(s->output(), main_);
            if (has_letters()) collect(s->dead_letter_output(), letters_);
            [&]<std::size_t... I>(std::index_sequence<I...>) {
                (collect(s->template side_output<I>(), std::get<I>(sides_)), ...);
            }(std::make_index_sequence<side_count>());
        }
    }
    template <class T>
    void collect(testing::recorder<T>& from, results_by_epoch<T>& to) {
        std::size_t epoch = first_epoch_;
        std::size_t next = 0;
        for (const signal& s : from.signals()) {
            for (; next < s.records_before; ++next) to[epoch].push_back(from.records()[next]);
            if (s.what == signal::kind::barrier) continue;
            signal as_sent = s;
            as_sent.records_before = 0;
            if (epoch == signals_.size() || as_sent != signals_[epoch])
                throw testing::contract_breach("the operator has not sent on the signals that it got, one for one");
            ++epoch;
        }
        for (; next < from.records().size(); ++next) to[epoch].push_back(from.records()[next]);
    }

    template <std::size_t I>
    mismatch compare_side(const grid_run& expected, std::size_t epoch, bool alone) const {
        using L = std::tuple_element_t<I, sides_of>;
        const auto equal = usual_equality<L>();
        const auto& a = std::get<I>(expected.sides_)[epoch];
        const auto& b = std::get<I>(sides_)[epoch];
        return options_.in_order && alone ? compare_order<L>(a, b, equal) : compare_sets<L>(a, b, equal);
    }
    template <class F>
    void each_side(F f) {
        std::apply([&](auto&... side) { (f(side), ...); }, sides_);
    }

    const Op& op_;
    const script& input_;
    const options_type& options_;
    const testing::grid_way way_;
    std::size_t most_per_record_;
    const bool is_reference_;
    std::mt19937_64 random_;
    std::vector<signal> signals_;
    testing::manual_clock clock_;
    std::vector<std::unique_ptr<harness>> subtasks_;
    std::vector<batch<In>> pending_;
    /// What a batch under way has borrowed.
    batch<In> lent_;
    std::size_t step_ = 0;
    /// Signals that have come out, or would have from any instance.
    std::size_t signals_done_ = 0;
    /// Signals that were sent before the present instances began.
    std::size_t first_epoch_ = 0;

    results_by_epoch<Out> main_;
    typename epochs_of<sides_of>::type sides_;
    results_by_epoch<letter> letters_;
    std::uint64_t late_ = 0;
    std::uint64_t skipped_ = 0;
};

}  // namespace runnel::detail
