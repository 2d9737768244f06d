#pragma once

#include <cstddef>

#include "runnel/operators/operator.hpp"

namespace runnel {

/// One operator instance inside one subtask, whatever its types: what the runtime wires up and drives.
///
/// Thread safety: unsafe; one subtask owns it.
class stage {
public:
    virtual ~stage() = default;
    /// Where the records of input `port` go in; signals come in at port 0 only.
    virtual receiver_base& input(std::size_t port) = 0;
    /// Ports: 0 is the main output, the rest are side outputs.
    virtual std::size_t outputs() const = 0;
    /// Precondition: `next` takes the record type of `port`.
    virtual void connect(std::size_t port, receiver_base& next, std::size_t batch_size) = 0;
    virtual void open(const operator_context& context) = 0;
    virtual void save(snapshot_writer& to) const = 0;
    virtual void load(snapshot_reader& from) = 0;
    /// True if the runtime has to call `tick`.
    virtual bool ticks() const { return false; }
    /// Does what is due by processing time; no other call is under way. Repeated while `blocked`, before any other.
    virtual progress tick(timestamp) { return progress::done; }
    /// While it answers `blocked` of its own accord: when it can go on; `max` if something else is in its way.
    virtual timestamp resumes_at() const { return timestamp::max(); }
    /// What becomes of records whose processing fails. Before `connect`; the port behind the side outputs is then the
    /// one for dead letters, if the policy has one.
    virtual void set_policy(const failure_policy&) {}
    /// When `tick` is to be called next; `max`: the stage will say by `wake`, or never.
    virtual timestamp next_tick() const { return timestamp::max(); }
};

/// Takes what nobody asked for: the end of a side output without a consumer.
class discard final : public receiver_base {
public:
    progress on_any_batch(batch_base& records) override {
        records.consume_until(records.size());
        return progress::done;
    }
    progress on_watermark(timestamp) override { return progress::done; }
    progress on_activity(activity) override { return progress::done; }
    progress on_barrier(checkpoint_id) override { return progress::done; }
    progress flush() override { return progress::done; }
};

}  // namespace runnel
