#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "runnel/operators/operator.hpp"
#include "runnel/operators/stage.hpp"

namespace runnel {

/// Drives an operator whatever its class: forwards signals, counts, names the place of failures.
///
/// Thread safety: unsafe; one subtask owns it.
class operator_stage_base : public stage, protected receiver_base {
public:
    void set_policy(const failure_policy& policy) final;
    receiver_base& input(std::size_t port) final;
    std::size_t outputs() const final { return outputs_.size(); }
    void connect(std::size_t port, receiver_base& next, std::size_t batch_size) final;
    void open(const operator_context& context) final;
    progress tick(timestamp now) final;
    timestamp resumes_at() const final { return recovery_.next_try(); }
    timestamp next_tick() const final { return ended_ ? timestamp::max() : next_tick_of_operator(); }

protected:
    operator_stage_base() : second_(*this) {}
    /// The derived class's own, before `connect`: the main output first, then those at the side.
    void attach(output_base& out);

    // What the operator does, if it does. Exceptions are given their place here.
    virtual void open_operator(const operator_context&) {}
    virtual progress take(batch_base& records) = 0;
    virtual progress take_second(batch_base&) { return progress::done; }
    virtual progress advance(timestamp) { return progress::done; }
    virtual timestamp output_watermark(timestamp w) const { return w; }
    /// True if the operator forwards changes of activity by itself.
    virtual bool takes_activity() const { return false; }
    virtual progress activity_changed(activity) { return progress::done; }
    virtual progress tick_operator(timestamp) { return progress::done; }
    virtual timestamp next_tick_of_operator() const { return timestamp::max(); }
    /// How many keys have state; -1: unknown.
    virtual std::int64_t live_keys() const { return -1; }

    recovery& failures() noexcept { return recovery_; }
    output_group& all_outputs() noexcept { return outputs_; }

private:
    /// The second input, if there is one: records alone; signals of both inputs come in at the first.
    struct second_input final : receiver_base {
        explicit second_input(operator_stage_base& stage) : stage_(stage) {}
        progress on_any_batch(batch_base& records) override { return stage_.take_in(records, false); }
        progress on_watermark(timestamp) override { return progress::done; }
        progress on_activity(activity) override { return progress::done; }
        progress on_barrier(checkpoint_id) override { return progress::done; }
        progress flush() override { return progress::done; }
        operator_stage_base& stage_;
    };

    progress on_any_batch(batch_base& records) final { return take_in(records, true); }
    progress on_watermark(timestamp w) final;
    progress on_activity(activity a) final;
    progress on_barrier(checkpoint_id id) final { return outputs_.forward_barrier(id); }
    progress flush() final;

    progress take_in(batch_base& records, bool first);
    template <class F>
    progress placed(timestamp t, F f);
    void count(std::size_t in);

    operator_context context_;
    recovery recovery_;
    second_input second_;
    discard unused_;
    /// The main output, those at the side, and that for dead letters, if there is one.
    output_group outputs_;
    /// The operator has advanced to the watermark that is on its way.
    bool advanced_ = false;
    bool ended_ = false;
};

namespace detail {

template <class Tuple>
struct outputs_of;
template <class... Ls>
struct outputs_of<std::tuple<Ls...>> {
    using type = std::tuple<output<Ls>...>;
};

}  // namespace detail

/// Drives an operator class; see operator.hpp.
///
/// Thread safety: unsafe; one subtask owns it.
template <class Op>
class operator_stage final : public operator_stage_base {
    using in_type = typename Op::input_type;
    using out_type = typename Op::output_type;
    using sides = typename side_types_of<Op>::type;
    static_assert(batch_operator<Op> || record_operator<Op>,
                  "an operator has process(batch<In>&, output<Out>&) or on_record(In&&, timestamp, output<Out>&)");

public:
    explicit operator_stage(Op op) : op_(std::move(op)) {
        attach(out_);
        std::apply([this](auto&... side) { (attach(side), ...); }, side_outs_);
    }

    void save(snapshot_writer& to) const override {
        if constexpr (stateful_operator<Op>) op_.save(to);
    }
    void load(snapshot_reader& from) override {
        if constexpr (stateful_operator<Op>) op_.load(from);
    }
    bool ticks() const override { return ticking_operator<Op>; }

    Op& get() noexcept { return op_; }

private:
    void open_operator([[maybe_unused]] const operator_context& context) override {
        if constexpr (requires { op_.open(context); }) op_.open(context);
        else if constexpr (std::tuple_size_v<sides> != 0)
            std::apply([&](auto&... side) { op_.open(context, side...); }, side_outs_);
    }

    progress take(batch_base& any) override {
        auto& records = static_cast<batch<in_type>&>(any);
        if constexpr (batch_operator<Op>) return op_.process(records, out_);
        else return each(records, [&](in_type&& value, timestamp t) { op_.on_record(std::move(value), t, out_); });
    }
    progress take_second([[maybe_unused]] batch_base& any) override {
        if constexpr (two_input_operator<Op>) {
            using second = typename Op::second_type;
            return each(static_cast<batch<second>&>(any),
                        [&](second&& value, timestamp t) { op_.on_second(std::move(value), t, out_); });
        }
        return progress::done;
    }

    /// Has each record from the cursor on taken by `f(value, time)`, as long as the outputs have room.
    template <class In, class F>
    progress each(batch<In>& records, F f) {
        for (std::size_t i = records.cursor(); i < records.size(); ++i) {
            records.consume_until(i);
            if (!all_ready()) return progress::blocked;
            if constexpr (std::is_copy_constructible_v<In>) {
                if (!failures().gives_up()) [[unlikely]] {
                    // The record stays as it is, and what it made the operator emit is withdrawn if it fails.
                    all_outputs().mark();
                    try {
                        f(In(std::as_const(records).value(i)), records.time(i));
                    } catch (...) {
                        all_outputs().withdraw();
                        throw;
                    }
                    continue;
                }
            }
            f(records.take(i), records.time(i));
        }
        return progress::done;
    }
    bool all_ready() {
        return out_.ready() && std::apply([](auto&... side) { return (side.ready() && ...); }, side_outs_) &&
               failures().ready();
    }

    progress advance([[maybe_unused]] timestamp w) override {
        if constexpr (requires { op_.advance(w, out_); }) return op_.advance(w, out_);
        else return progress::done;
    }
    timestamp output_watermark(timestamp w) const override {
        if constexpr (requires { op_.output_watermark(w); }) return op_.output_watermark(w);
        else return w;
    }
    static constexpr bool handles_activity = requires(Op& op, activity a, output<out_type>& out) {
        op.on_activity(a, out);
    };
    bool takes_activity() const override { return handles_activity; }
    progress activity_changed([[maybe_unused]] activity a) override {
        if constexpr (handles_activity) return op_.on_activity(a, out_);
        else return progress::done;
    }
    progress tick_operator([[maybe_unused]] timestamp now) override {
        if constexpr (ticking_operator<Op>) return op_.tick(now, out_);
        else return progress::done;
    }
    timestamp next_tick_of_operator() const override {
        if constexpr (requires { op_.next_tick(); }) return op_.next_tick();
        else return timestamp::max();
    }

    std::int64_t live_keys() const override {
        if constexpr (requires { op_.live_keys(); }) return static_cast<std::int64_t>(op_.live_keys());
        else return -1;
    }

    Op op_;
    output<out_type> out_;
    typename detail::outputs_of<sides>::type side_outs_;
};

}  // namespace runnel
