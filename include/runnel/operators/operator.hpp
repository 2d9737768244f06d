#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>

#include "runnel/checkpoint/snapshot.hpp"
#include "runnel/core/batch.hpp"
#include "runnel/core/checkpoint_step.hpp"
#include "runnel/core/clock.hpp"
#include "runnel/core/failure.hpp"
#include "runnel/core/metrics.hpp"
#include "runnel/core/output.hpp"
#include "runnel/state/state_backend.hpp"

namespace runnel {

/// What an operator instance learns when it is opened. Valid as long as the instance lives.
struct operator_context {
    std::string name;
    std::size_t subtask = 0;
    std::size_t parallelism = 1;
    /// Key groups of the job in all, and those whose keys come to this subtask.
    std::size_t key_groups = 128;
    key_group_range mine{0, 128};
    runnel::clock* clock = nullptr;
    /// Counts of this instance; the operator adds to `late_dropped` and `skipped`, the rest is kept for it.
    operator_metrics* metrics = nullptr;
    /// Has `tick`, or a call that answered `blocked`, come soon; callable from any thread while the instance lives.
    std::function<void()> wake;
    /// Has a failure that was left out shown in the job's status.
    std::function<void(const failure_details&)> report;
    /// What becomes of failures, or null if each ends the job. Unless it `gives_up()`, a record that fails may be left
    /// out or come again: so a `process` that throws at the record at the cursor has done those before it, none behind
    /// it, and undone what it did with that one. Failures of timers and windows the operator hands over itself.
    recovery* failures = nullptr;
    /// Names this operator of this job, the same in every run, apart from others; empty: the job makes no checkpoints.
    std::string owner = {};
    /// Is told of what the operator itself does for a checkpoint; null: nobody is.
    const checkpoint_observer* on_step = nullptr;
    /// Where keyed state is kept that is not in use; null: all in memory.
    state_backend* state = nullptr;
    /// Has a record that was late, and is only counted, shown in the job's status; empty: nobody looks.
    std::function<void(std::string_view why, std::string_view value)> show_late = {};

    bool keeps_failed() const noexcept { return failures != nullptr && !failures->gives_up(); }
};

// The operator contract. An operator is a copyable class; each subtask works on a copy of its own, by one
// thread at a time. It names its types and has, of the members below, those that it needs:
//
//   using input_type = In;
//   using output_type = Out;
//   using side_types = std::tuple<L...>;            further outputs; left out: none
//
//   void open(const operator_context&, output<L>&... sides);
//
//   progress process(batch<In>&, output<Out>&);     batch by batch: consume from the cursor on; `blocked` when
//                                                   the output is not ready(), to be called again; or
//   void on_record(In&&, timestamp, output<Out>&);  record by record
//
//   progress advance(timestamp w, output<Out>&);    event time has reached w: do all that is due. `blocked` to be
//                                                   called again with the same w; the watermark is forwarded
//                                                   after `done`. `timestamp::max()` is the end of the input.
//
//   timestamp output_watermark(timestamp w) const;  what is forwarded instead of w, if results may still come at or
//                                                   below w: rises strictly with w, and is max for max. min: nothing;
//                                                   the operator itself forwards w later, by out.forward_watermark()
//
//   progress on_activity(activity, output<Out>&);   the input has fallen idle, or is active again: forward it, now or
//                                                   later, by out.forward_activity(). Left out: it is forwarded
//
//   progress tick(timestamp now, output<Out>&);     processing time: do what is due, or has been completed elsewhere.
//                                                   Comes at the start of each run of the subtask: soon after a
//                                                   `wake`, and when `next_tick()` is reached. `blocked` to be
//                                                   called again. Not after `advance(max)` is done. (Another call that
//                                                   has answered `blocked` is repeated then, in place of this one.)
//   timestamp next_tick() const;                    when `tick` has something to do next; left out, or max: unknown
//
//   using second_type = In2;                        a second input; records come in any order between the two, and
//   void on_second(In2&&, timestamp, output<Out>&); `advance` gets the lower of the two watermarks
//
//   std::size_t live_keys() const;                  how many keys have state, for the status; quick
//
//   void save(snapshot_writer&) const;              both or none. `load` comes after `open`, once, and sees the
//   void load(snapshot_reader&);                    state that belongs to this subtask.
//
// `operator_stage` turns such a class into what the runtime drives.

template <class Op>
concept batch_operator = requires(Op& op, batch<typename Op::input_type>& in, output<typename Op::output_type>& out) {
    { op.process(in, out) } -> std::same_as<progress>;
};

template <class Op>
concept record_operator =
    requires(Op& op, typename Op::input_type&& in, timestamp t, output<typename Op::output_type>& out) {
        op.on_record(std::move(in), t, out);
    };

template <class Op>
concept ticking_operator = requires(Op& op, timestamp now, output<typename Op::output_type>& out) {
    { op.tick(now, out) } -> std::same_as<progress>;
};

template <class Op>
concept two_input_operator =
    requires(Op& op, typename Op::second_type&& in, timestamp t, output<typename Op::output_type>& out) {
        op.on_second(std::move(in), t, out);
    };

template <class Op>
concept stateful_operator = requires(Op& op, const Op& c, snapshot_writer& w, snapshot_reader& r) {
    c.save(w);
    op.load(r);
};

/// The side outputs of an operator, as a tuple of record types.
template <class Op>
struct side_types_of {
    using type = std::tuple<>;
};
template <class Op>
    requires requires { typename Op::side_types; }
struct side_types_of<Op> {
    using type = typename Op::side_types;
};

}  // namespace runnel
