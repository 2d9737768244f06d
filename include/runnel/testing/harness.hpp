#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/core/clock.hpp"
#include "runnel/core/failure.hpp"
#include "runnel/core/metrics.hpp"
#include "runnel/core/timed.hpp"
#include "runnel/operators/operator_stage.hpp"
#include "runnel/state/key_group.hpp"
#include "runnel/testing/manual_clock.hpp"
#include "runnel/testing/recording.hpp"
#include "runnel/testing/script.hpp"

namespace runnel::detail {

template <class Tuple>
struct recorders_of;
template <class... Ls>
struct recorders_of<std::tuple<Ls...>> {
    using type = std::tuple<testing::recorder<Ls>...>;
};

}  // namespace runnel::detail

namespace runnel::testing {

/// Where the operator under test believes to be. Use designated initialisers.
struct harness_options {
    std::size_t parallelism = 1;
    std::size_t subtask = 0;
    std::size_t key_groups = 128;
    /// Records per output batch.
    std::size_t batch_size = 512;
    /// Has part-filled output batches sent on after each call, so that results show at once.
    bool flush = true;
    std::string name = "operator";
    /// Null: a manual clock of the harness's own.
    runnel::clock* clock = nullptr;
    /// Called when the operator waits for something outside, until it does not: has to bring that about, as an outside
    /// system would from another thread. Null: an operator that waits breaks the contract.
    std::function<void()> when_waiting{};
    /// As in `job_options`.
    std::shared_ptr<state_backend> state{};
    /// What becomes of failures. If they are to be left out, `dead_letters()` has them.
    failure_policy on_failure{};
};

/// Drives one operator by hand, without threads: what goes in has come out, as far as it does, when the call returns.
///
///     operator_harness h(my_operator{});
///     h.push({"ann", 3}, timestamp(1s));
///     h.watermark(timestamp(10s));
///     CHECK(h.outputs() == ...);
///
/// Outputs that are told to refuse block the operator; the harness then repeats the call until it is done, as the
/// runtime would, and checks that both sides keep the contract between operators.
/// Thread safety: unsafe.
/// Errors: what the operator throws arrives as a `job_error` with the cause nested, as in a job; a broken contract
/// as `contract_breach`, which may be nested in one.
template <class Op>
class operator_harness {
    using sides = typename side_types_of<Op>::type;
    static constexpr std::size_t side_count = std::tuple_size_v<sides>;

public:
    using input_type = typename Op::input_type;
    using output_type = typename Op::output_type;

    /// Runs a copy of `op`, as each subtask of a job does.
    explicit operator_harness(Op op, harness_options options = {})
        : prototype_(std::move(op)), options_(std::move(options)) {
        start(nullptr);
    }
    operator_harness(const operator_harness&) = delete;
    operator_harness& operator=(const operator_harness&) = delete;

    void push(input_type value, timestamp t) {
        batch<input_type> one;
        one.append(std::move(value), t);
        process(one);
    }
    /// A record for the second input.
    template <class In2>
    void push_second(In2 value, timestamp t) {
        batch<In2> one;
        one.append(std::move(value), t);
        drive([&](receiver_base& to) { return to.on_any_batch(one); }, 1);
        if (options_.flush) flush();
    }
    void push_batch(std::vector<timed<input_type>> records) {
        batch<input_type> all(records.size());
        for (timed<input_type>& r : records) all.append(std::move(r.value), r.time);
        process(all);
    }
    /// Hands over `records` as they are, from the cursor on.
    void process(batch<input_type>& records) {
        drive([&](receiver_base& to) { return to.on_any_batch(records); });
        if (options_.flush) flush();
    }
    /// No later record has a time <= w. Must rise. All that is due then comes out before the call returns.
    void watermark(timestamp w) {
        drive([&](receiver_base& to) { return to.on_watermark(w); });
        if (options_.flush && w != timestamp::max()) flush();
    }
    /// Processing time goes forward to t on the harness's own clock, and the operator is told.
    void clock_at(timestamp t) {
        clock_.advance_to(t);
        tick();
    }
    /// The operator is told what time it is, as at the start of each run of its subtask.
    void tick() {
        for (;;) {
            const std::size_t before = refusals();
            if (stage_->tick(options_.clock ? options_.clock->now() : clock_.now()) == progress::done) break;
            check_refused(before);
        }
        if (options_.flush) flush();
    }
    void idle() {
        drive([&](receiver_base& to) { return to.on_activity(activity::idle); });
    }
    void active() {
        drive([&](receiver_base& to) { return to.on_activity(activity::active); });
    }
    /// The end of the input: the watermark `timestamp::max()`.
    void end() { watermark(timestamp::max()); }
    void flush() {
        drive([](receiver_base& to) { return to.flush(); });
    }
    /// Does all of `s`, step by step.
    void run(const script<input_type>& s) {
        for (const event<input_type>& e : s.events()) step(e);
    }
    void step(const event<input_type>& e) {
        using kind = typename event<input_type>::kind;
        switch (e.what) {
            case kind::record: return push(*e.value, e.time);
            case kind::watermark: return watermark(e.time);
            case kind::idle: return idle();
            case kind::active: return active();
            case kind::clock: return clock_at(e.time);
        }
    }

    /// All results so far, in order.
    const std::vector<timed<output_type>>& outputs() const noexcept { return out_.records(); }
    /// Results since the last call, which are then forgotten.
    std::vector<timed<output_type>> take_outputs() { return out_.take(); }
    /// What has come out of side output I, in order.
    template <std::size_t I = 0>
    const auto& side_outputs() const noexcept {
        return std::get<I>(sides_).records();
    }
    /// What could not be processed and was left out, in order.
    const std::vector<timed<dead_letter<input_type>>>& dead_letters() const noexcept { return letters_.records(); }
    std::uint64_t skipped() const noexcept { return metrics_.skipped.get(); }
    /// Watermarks that the operator has sent on.
    std::vector<timestamp> watermarks() const { return out_.watermarks(); }
    std::uint64_t late_dropped() const noexcept { return metrics_.late_dropped.get(); }
    const operator_metrics& metrics() const noexcept { return metrics_; }

    /// The clock that the operator sees, unless another one was given.
    manual_clock& clock() noexcept { return clock_; }
    /// The instance that runs now.
    Op& get() noexcept { return stage_->get(); }

    /// The ends of the outputs, to look at signals or to have one of them refuse.
    recorder<output_type>& output() noexcept { return out_; }
    template <std::size_t I = 0>
    auto& side_output() noexcept {
        return std::get<I>(sides_);
    }
    recorder<dead_letter<input_type>>& dead_letter_output() noexcept { return letters_; }
    /// The next `n` calls to each output are refused.
    void refuse_next(std::size_t n) {
        out_.refuse_next(n);
        letters_.refuse_next(n);
        std::apply([&](auto&... side) { (side.refuse_next(n), ...); }, sides_);
    }
    /// From now on each call to an output is refused with a chance of `percent` in 100, perhaps half-way.
    void refuse_at_random(std::uint64_t seed, unsigned percent = 50) {
        out_.refuse_at_random(seed, percent);
        letters_.refuse_at_random(seed + side_count + 1, percent);
        std::apply([&](auto&... side) { (side.refuse_at_random(++seed, percent), ...); }, sides_);
    }

    /// The operator's state, taken at a barrier as in a checkpoint.
    operator_snapshot snapshot() {
        (void)begin_snapshot();
        return finish_snapshot();
    }
    /// Takes it up to where a job lets the operator go on; `finish_snapshot` takes the rest. True if there is a rest:
    /// state that is copied little by little, or encoded later.
    bool begin_snapshot() {
        drive([&](receiver_base& to) { return to.on_barrier(next_checkpoint_); });
        ++next_checkpoint_;
        deferred_ = {};
        snapshot_writer to(taken_, &deferred_);
        stage_->save(to);
        return !deferred_.steps.empty() || !deferred_.writes.empty();
    }
    /// The operator's state at the barrier of `begin_snapshot`, whatever has come to it since.
    operator_snapshot finish_snapshot() {
        for (auto& step : deferred_.steps)
            while (!step()) continue;
        snapshot_writer to(taken_);
        for (auto& write : std::exchange(deferred_, {}).writes) write(to);
        taken_.gather();
        return std::exchange(taken_, {});
    }
    /// Goes on with a fresh instance in the state `from`, of which it gets the part that belongs to its subtask.
    /// Outputs and counts go on.
    void restore(const operator_snapshot& from) { start(&from); }

private:
    void start(const operator_snapshot* from) {
        stage_ = std::make_unique<operator_stage<Op>>(prototype_);
        failure_policy policy = options_.on_failure;
        const bool leaves_out = policy.what == on_error::skip;
        if constexpr (std::is_copy_constructible_v<input_type>)
            if (leaves_out && !policy.dead_letters)
                policy.dead_letters = [] { return std::make_unique<typed_dead_letter_port<input_type>>(); };
        stage_->set_policy(policy);
        stage_->connect(0, out_, options_.batch_size);
        out_.caller_restarted();
        [this]<std::size_t... I>(std::index_sequence<I...>) {
            (stage_->connect(I + 1, std::get<I>(sides_), options_.batch_size), ...);
            (std::get<I>(sides_).caller_restarted(), ...);
        }(std::make_index_sequence<side_count>());
        if (policy.dead_letters) stage_->connect(1 + side_count, letters_, options_.batch_size);
        letters_.caller_restarted();

        operator_context context;
        context.name = options_.name;
        context.subtask = options_.subtask;
        context.parallelism = options_.parallelism;
        context.key_groups = options_.key_groups;
        context.mine = range_of(options_.subtask, options_.parallelism, options_.key_groups);
        context.clock = options_.clock ? options_.clock : &clock_;
        context.metrics = &metrics_;
        context.state = options_.state.get();
        stage_->open(context);
        if (from) {
            snapshot_reader reader(*from, context.mine);
            stage_->load(reader);
        }
    }

    /// Makes the call, and makes it again while it is refused.
    template <class F>
    void drive(F call, std::size_t port = 0) {
        for (;;) {
            const std::size_t before = refusals();
            if (call(stage_->input(port)) == progress::done) return;
            check_refused(before);
        }
    }
    void check_refused(std::size_t before) const {
        if (refusals() != before) return;
        if (!options_.when_waiting)
            throw contract_breach("the operator answered `blocked` though none of its outputs had refused anything. If "
                                  "it waits for something outside, set harness_options::when_waiting.");
        options_.when_waiting();
    }
    std::size_t refusals() const {
        const std::size_t others = out_.refusals() + letters_.refusals();
        return std::apply([&](const auto&... side) { return (others + ... + side.refusals()); }, sides_);
    }

    const Op prototype_;
    const harness_options options_;
    manual_clock clock_;
    operator_metrics metrics_;
    recorder<output_type> out_;
    typename detail::recorders_of<sides>::type sides_;
    recorder<dead_letter<input_type>> letters_;
    checkpoint_id next_checkpoint_ = 1;
    operator_snapshot taken_;
    std::unique_ptr<operator_stage<Op>> stage_;
    deferred_saves deferred_;  // of the stage
};

}  // namespace runnel::testing
