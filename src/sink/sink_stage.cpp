#include "runnel/sink/sink_stage.hpp"

#include <utility>

namespace runnel {

sink_stage::sink_stage(std::shared_ptr<sink_base> to, std::function<void()> wake)
    : to_(std::move(to)), wake_(std::move(wake)) {}

void sink_stage::set_policy(const failure_policy& policy) {
    recovery_.set(policy);
    if (dead_letter_port* letters = recovery_.dead_letters()) outputs_.add(letters->out());
}

void sink_stage::connect(std::size_t port, receiver_base& next, std::size_t batch_size) {
    outputs_[port].connect(next, batch_size);
}

void sink_stage::open(const operator_context& context) {
    context_ = context;
    recovery_.open({context.name, context.subtask, context.clock, context.metrics, context.report});
    (void)recovery_.run(timestamp::min(), [&] {
        writer_ = to_->open_any({context.subtask, context.parallelism, wake_, context.clock, context.owner,
                                 context.metrics ? &context.metrics->bytes : nullptr});
        return progress::done;
    });
}

// Local state "prepared": what the writer has prepared, if there is something. The sink itself is given it when the
// checkpoint is complete, or restored.
void sink_stage::save(snapshot_writer& to) const {
    if (!prepared_.empty()) to.local("prepared") = prepared_;
}

progress sink_stage::on_any_batch(batch_base& records) {
    const std::size_t before = records.remaining();
    const progress p = recovery_.run(records, true, [&] { return writer_->write_any(records); });
    if (p == progress::done) records.consume_until(records.size());
    if (context_.metrics) context_.metrics->records_in.add(before - records.remaining());
    return p;
}

progress sink_stage::on_watermark(timestamp w) {
    if (!told_) {
        const progress p = recovery_.run(w, [&] {
            if (w == timestamp::max()) return finish();
            writer_->on_watermark(w);
            return progress::done;
        });
        if (p == progress::blocked) return p;
        told_ = true;
    }
    if (outputs_.forward_watermark(w) == progress::blocked) return progress::blocked;
    told_ = false;
    if (context_.metrics) context_.metrics->watermark.set(w.ns());
    return progress::done;
}

progress sink_stage::on_barrier(checkpoint_id id) {
    if (!told_) {
        const progress p = recovery_.run(timestamp::min(), [&] {
            if (writer_->settle() == progress::blocked) return progress::blocked;
            prepare(id);
            return progress::done;
        });
        if (p == progress::blocked) return p;
        told_ = true;
    }
    const progress p = outputs_.forward_barrier(id);
    if (p == progress::done) told_ = false;
    return p;
}

progress sink_stage::flush() {
    if (recovery_.run(timestamp::min(), [&] { return writer_->flush(); }) == progress::blocked)
        return progress::blocked;
    return outputs_.flush();
}

progress sink_stage::finish() {
    const progress p = writer_->finish();
    if (p == progress::done && !context_.owner.empty()) prepare(0);
    return p;
}

void sink_stage::prepare(checkpoint_id id) {
    if (context_.on_step) detail::tell(*context_.on_step, checkpoint_step::prepare, id);
    prepared_ = writer_->prepare();
}

}  // namespace runnel
