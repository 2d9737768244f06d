#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runnel/operators/stage.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel {

/// Drives the writer of one subtask of a sink.
/// Thread safety: unsafe; one subtask owns it.
class sink_stage final : public stage, private receiver_base {
public:
    sink_stage(std::shared_ptr<sink_base> to, std::function<void()> wake);

    receiver_base& input(std::size_t) override { return *this; }
    /// None but that for dead letters, at port 0.
    std::size_t outputs() const override { return outputs_.size(); }
    void set_policy(const failure_policy& policy) override;
    void connect(std::size_t port, receiver_base& next, std::size_t batch_size) override;
    timestamp resumes_at() const override { return recovery_.next_try(); }
    void open(const operator_context& context) override;
    void save(snapshot_writer& to) const override;
    void load(snapshot_reader&) override {}

private:
    progress on_any_batch(batch_base& records) override;
    progress on_watermark(timestamp w) override;
    progress on_activity(activity a) override { return outputs_.forward_activity(a); }
    progress on_barrier(checkpoint_id id) override;
    progress flush() override;
    progress finish();
    void prepare(checkpoint_id id);

    std::shared_ptr<sink_base> to_;
    std::function<void()> wake_;
    operator_context context_;
    recovery recovery_;
    output_group outputs_;
    std::unique_ptr<sink_writer_base> writer_;
    /// The writer knows of the watermark or barrier that is on its way.
    bool told_ = false;
    /// What it has prepared for the checkpoint at hand.
    std::string prepared_;
};

}  // namespace runnel
