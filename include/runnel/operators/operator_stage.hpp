#pragma once

#include <array>
#include <exception>
#include <functional>
#include <string>
#include <tuple>
#include <utility>

#include "runnel/core/error.hpp"
#include "runnel/operators/operator.hpp"
#include "runnel/operators/stage.hpp"

namespace runnel {

namespace detail {

template <class Tuple>
struct outputs_of;
template <class... Ls>
struct outputs_of<std::tuple<Ls...>> {
    using type = std::tuple<output<Ls>...>;
    using discards = std::tuple<discard<Ls>...>;
};

/// The second input of an operator, if it has one: records alone; signals of both inputs come in at the first.
template <class Op>
struct second_input {};
template <two_input_operator Op>
struct second_input<Op> final : receiver<typename Op::second_type> {
    std::function<progress(batch<typename Op::second_type>&)> take;
    progress on_batch(batch<typename Op::second_type>& records) override { return take(records); }
    progress on_watermark(timestamp) override { return progress::done; }
    progress on_activity(activity) override { return progress::done; }
    progress on_barrier(checkpoint_id) override { return progress::done; }
    progress flush() override { return progress::done; }
};

}  // namespace detail

/// Drives an operator class (see operator.hpp): forwards signals, counts, names the place of failures.
///
/// Thread safety: unsafe; one subtask owns it.
template <class Op>
class operator_stage final : public stage, private receiver<typename Op::input_type> {
    using in_type = typename Op::input_type;
    using out_type = typename Op::output_type;
    using sides = typename side_types_of<Op>::type;
    static constexpr std::size_t side_count = std::tuple_size_v<sides>;
    static_assert(batch_operator<Op> || record_operator<Op>,
                  "an operator has process(batch<In>&, output<Out>&) or on_record(In&&, timestamp, output<Out>&)");

public:
    explicit operator_stage(Op op) : op_(std::move(op)) {
        out_.connect(unused_, out_.batch_size());
        [this]<std::size_t... I>(std::index_sequence<I...>) {
            (std::get<I>(side_outs_).connect(std::get<I>(unused_sides_), 1), ...);
        }(std::make_index_sequence<side_count>());
        if constexpr (two_input_operator<Op>)
            second_.take = [this](batch<typename Op::second_type>& records) {
                return taking(records, [this](typename Op::second_type&& value, timestamp t) {
                    op_.on_second(std::move(value), t, out_);
                });
            };
    }

    void set_policy(const failure_policy& policy) override { recovery_.set(policy); }
    receiver_base& input([[maybe_unused]] std::size_t port) override {
        if constexpr (two_input_operator<Op>)
            if (port == 1) return second_;
        return *this;
    }
    std::size_t outputs() const override { return 1 + side_count + (recovery_.dead_letters() ? 1 : 0); }

    void connect(std::size_t port, receiver_base& next, std::size_t batch_size) override {
        if (port == 0) return out_.connect(static_cast<receiver<out_type>&>(next), batch_size);
        if (port == 1 + side_count) return recovery_.dead_letters()->connect(next, batch_size);
        for_side(port - 1, [&]<class L>(output<L>& side) {
            side.connect(static_cast<receiver<L>&>(next), batch_size);
            return true;
        });
    }

    void open(const operator_context& context) override {
        context_ = context;
        context_.failures = &recovery_;
        recovery_.open({context.name, context.subtask, context.clock, context.metrics, context.report});
        try {
            if constexpr (requires { op_.open(context_); }) {
                op_.open(context_);
            } else if constexpr (side_count != 0) {
                std::apply([&](auto&... side) { op_.open(context_, side...); }, side_outs_);
            }
        } catch (...) {
            detail::rethrow_with_place(context_.name, context_.subtask, timestamp::min());
        }
    }
    void save(snapshot_writer& to) const override {
        if constexpr (stateful_operator<Op>) op_.save(to);
    }
    void load(snapshot_reader& from) override {
        if constexpr (stateful_operator<Op>) op_.load(from);
    }
    bool ticks() const override { return ticking_operator<Op>; }
    progress tick([[maybe_unused]] timestamp now) override {
        progress p = progress::done;
        if constexpr (ticking_operator<Op>) {
            if (ended_) return progress::done;
            try {
                p = op_.tick(now, out_);
            } catch (...) {
                detail::rethrow_with_place(context_.name, context_.subtask, now);
            }
            count(0);
        }
        return p;
    }
    timestamp resumes_at() const override { return recovery_.next_try(); }
    timestamp next_tick() const override {
        if constexpr (requires { op_.next_tick(); })
            if (!ended_) return op_.next_tick();
        return timestamp::max();
    }

    Op& get() noexcept { return op_; }

private:
    progress on_batch(batch<in_type>& records) override {
        if constexpr (batch_operator<Op>) {
            return counting(records, [&] { return op_.process(records, out_); });
        } else {
            return taking(records, [&](in_type&& value, timestamp t) { op_.on_record(std::move(value), t, out_); });
        }
    }

    /// Has each record from the cursor on taken by `take(value, time)`, as long as the outputs have room.
    template <class In, class Take>
    progress taking(batch<In>& records, Take take) {
        return counting(records, [&] {
            for (std::size_t i = records.cursor(); i < records.size(); ++i) {
                records.consume_until(i);
                if (!all_ready()) return progress::blocked;
                if constexpr (std::is_copy_constructible_v<In>) {
                    if (!recovery_.gives_up()) [[unlikely]] {
                        take_copy(std::as_const(records).value(i), records.time(i), take);
                        continue;
                    }
                }
                take(records.take(i), records.time(i));
            }
            return progress::done;
        });
    }
    /// The record stays as it is, and what it made the operator emit is withdrawn if it fails.
    template <class In, class Take>
    void take_copy(const In& value, timestamp t, Take& take) {
        const auto sizes = std::apply(
            [&](auto&... side) { return std::array{out_.current().size(), side.current().size()...}; },
            side_outs_);
        try {
            take(In(value), t);
        } catch (...) {
            out_.current().truncate(sizes[0]);
            std::apply([&, i = std::size_t{1}](auto&... side) mutable { (side.current().truncate(sizes[i++]), ...); },
                       side_outs_);
            throw;
        }
    }

    template <class In, class Process>
    progress counting(batch<In>& records, Process process) {
        const std::size_t before = records.remaining();
        const progress result = recovery_.gives_up() ? placed(records, process) : recovering(records, process);
        if (result == progress::done) records.consume_until(records.size());
        count(before - records.remaining());
        return result;
    }
    template <class In, class Process>
    progress placed(batch<In>& records, Process& process) {
        try {
            return process();
        } catch (...) {
            detail::rethrow_with_place(context_.name, context_.subtask,
                                       records.empty() ? timestamp::min() : records.time(records.cursor()));
        }
    }
    /// Has a record that fails tried again or left out, as the policy says.
    template <class In, class Process>
    [[gnu::noinline]] progress recovering(batch<In>& records, Process& process) {
        for (;;) {
            if (recovery_.is_waiting() || !recovery_.ready()) return progress::blocked;
            const std::size_t tried = records.cursor();
            try {
                const progress p = process();
                if (p == progress::done || records.cursor() != tried) recovery_.succeeded();
                return p;
            } catch (...) {
                const std::size_t i = records.cursor();
                if (i == records.size()) throw;  // No record of this batch is to blame: nothing to leave out.
                if (i != tried) recovery_.succeeded();
                // Dead letters carry records of the first input.
                const void* value = nullptr;
                if constexpr (std::is_same_v<In, in_type>) value = &std::as_const(records).value(i);
                if (recovery_.failed(value, records.time(i)) == recovery::verdict::wait) return progress::blocked;
                records.consume_until(i + 1);
            }
        }
    }

    progress on_watermark(timestamp w) override {
        if constexpr (requires { op_.advance(w, out_); }) {
            if (!advanced_) {
                try {
                    if (op_.advance(w, out_) == progress::blocked) return progress::blocked;
                } catch (...) {
                    detail::rethrow_with_place(context_.name, context_.subtask, w);
                }
                advanced_ = true;
            }
        }
        timestamp onward = w;
        if constexpr (requires { op_.output_watermark(w); }) onward = op_.output_watermark(w);
        // The initial watermark says nothing, and is never sent.
        const progress p = onward == timestamp::min()
                               ? progress::done
                               : each_output([&](auto& o) { return o.forward_watermark(onward); });
        if (p == progress::done) {
            advanced_ = false;
            ended_ = w == timestamp::max();
            if (context_.metrics) context_.metrics->watermark.set(w.ns());
        }
        count(0);
        return p;
    }
    progress on_activity(activity a) override {
        if constexpr (requires { op_.on_activity(a, out_); }) return op_.on_activity(a, out_);
        else return each_output([&](auto& o) { return o.forward_activity(a); });
    }
    progress on_barrier(checkpoint_id id) override {
        return each_output([&](auto& o) { return o.forward_barrier(id); });
    }
    progress flush() override {
        const progress p = each_output([](auto& o) { return o.flush(); });
        count(0);
        return p;
    }

    /// Does `f` to every output once, over as many calls as it takes; so a signal is never sent twice.
    template <class F>
    progress each_output(F f) {
        if (step_ == 0) {
            if (f(out_) == progress::blocked) return progress::blocked;
            step_ = 1;
        }
        for (; step_ <= side_count; ++step_)
            if (!for_side(step_ - 1, [&](auto& side) { return f(side) == progress::done; })) return progress::blocked;
        if (recovery_.dead_letters() && f(*recovery_.dead_letters()) == progress::blocked) return progress::blocked;
        step_ = 0;
        return progress::done;
    }

    template <class F>
    bool for_side(std::size_t index, F f) {
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            bool result = true;
            (void)((I == index && (result = f(std::get<I>(side_outs_)), true)) || ...);
            (void)f, (void)index;
            return result;
        }(std::make_index_sequence<side_count>());
    }

    bool all_ready() {
        return out_.ready() && std::apply([](auto&... side) { return (side.ready() && ...); }, side_outs_) &&
               recovery_.ready();
    }

    void count(std::size_t in) {
        if (!context_.metrics) return;
        if (in != 0) context_.metrics->records_in.add(in);
        context_.metrics->records_out.set(out_.count());
    }

    Op op_;
    [[no_unique_address]] detail::second_input<Op> second_;
    operator_context context_;
    recovery recovery_;
    discard<out_type> unused_;
    typename detail::outputs_of<sides>::discards unused_sides_;
    output<out_type> out_;
    typename detail::outputs_of<sides>::type side_outs_;
    /// The operator has advanced to the watermark that is on its way.
    bool advanced_ = false;
    bool ended_ = false;
    /// How many outputs have got the signal that is on its way.
    std::size_t step_ = 0;
};

}  // namespace runnel
