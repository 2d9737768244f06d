#pragma once

#include <memory>
#include <utility>

#include "runnel/operators/operator_stage.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel {

/// Drives the writer of one subtask of a sink.
/// Thread safety: unsafe; one subtask owns it.
template <class T>
class sink_stage final : public stage, private receiver<T> {
public:
    sink_stage(std::shared_ptr<sink<T>> to, std::function<void()> wake) : to_(std::move(to)), wake_(std::move(wake)) {}

    receiver_base& input(std::size_t) override { return *this; }
    /// None but that for dead letters, at port 0.
    std::size_t outputs() const override { return recovery_.dead_letters() ? 1 : 0; }
    void set_policy(const failure_policy& policy) override { recovery_.set(policy); }
    void connect(std::size_t, receiver_base& next, std::size_t batch_size) override {
        recovery_.dead_letters()->connect(next, batch_size);
    }
    timestamp resumes_at() const override { return recovery_.next_try(); }
    void open(const operator_context& context) override {
        context_ = context;
        recovery_.open({context.name, context.subtask, context.clock, context.metrics, context.report});
        guarded(timestamp::min(), [&] {
            writer_ = to_->open({context.subtask, context.parallelism, wake_, context.clock, context.owner});
            return progress::done;
        });
    }
    // Local state "prepared": what the writer has prepared, if there is something. The sink itself is given it when the
    // checkpoint is complete, or restored.
    void save(snapshot_writer& to) const override {
        if (!prepared_.empty()) to.local("prepared") = prepared_;
    }
    void load(snapshot_reader&) override {}

private:
    progress on_batch(batch<T>& records) override {
        const std::size_t before = records.remaining();
        const progress p = write(records);
        if (p == progress::done) records.consume_until(records.size());
        if (context_.metrics) context_.metrics->records_in.add(before - records.remaining());
        return p;
    }
    progress on_watermark(timestamp w) override {
        if (!told_) {
            const progress p = guarded(w, [&] {
                if (w == timestamp::max()) return finish();
                writer_->on_watermark(w);
                return progress::done;
            });
            if (p == progress::blocked) return p;
            told_ = true;
        }
        if (to_dead_letters([&](dead_letter_port& d) { return d.forward_watermark(w); }) == progress::blocked)
            return progress::blocked;
        told_ = false;
        if (context_.metrics) context_.metrics->watermark.set(w.ns());
        return progress::done;
    }
    progress on_activity(activity a) override {
        return to_dead_letters([&](dead_letter_port& d) { return d.forward_activity(a); });
    }
    progress on_barrier(checkpoint_id id) override {
        if (!told_) {
            const progress p = guarded(timestamp::min(), [&] {
                if (writer_->flush() == progress::blocked) return progress::blocked;
                prepared_ = writer_->prepare();
                return progress::done;
            });
            if (p == progress::blocked) return p;
            told_ = true;
        }
        const progress p = forward_barrier(id);
        if (p == progress::done) told_ = false;
        return p;
    }
    progress forward_barrier(checkpoint_id id) {
        return to_dead_letters([&](dead_letter_port& d) { return d.forward_barrier(id); });
    }
    progress flush() override {
        if (guarded(timestamp::min(), [&] { return writer_->flush(); }) == progress::blocked) return progress::blocked;
        return to_dead_letters([&](dead_letter_port& d) { return d.flush(); });
    }

    progress finish() {
        const progress p = writer_->finish();
        if (p == progress::done && !context_.owner.empty()) prepared_ = writer_->prepare();
        return p;
    }

    /// Has the records written, and those that fail tried again or left out, as the policy says.
    progress write(batch<T>& records) {
        for (;;) {
            if (recovery_.is_waiting() || !recovery_.ready()) return progress::blocked;
            const std::size_t tried = records.cursor();
            try {
                const progress p = writer_->write(records);
                if (p == progress::done || records.cursor() != tried) recovery_.succeeded();
                return p;
            } catch (const record_error& e) {
                leave_out_earlier(e);
            } catch (...) {
                const std::size_t i = records.cursor();
                if (recovery_.gives_up() || i == records.size())
                    detail::rethrow_with_place(context_.name, context_.subtask,
                                               i == records.size() ? timestamp::min() : records.time(i));
                if (i != tried) recovery_.succeeded();
                if (recovery_.failed(&std::as_const(records).value(i), records.time(i)) == recovery::verdict::wait)
                    return progress::blocked;
                records.consume_until(i + 1);
            }
        }
    }

    template <class F>
    progress to_dead_letters(F f) {
        return recovery_.dead_letters() ? f(*recovery_.dead_letters()) : progress::done;
    }

    template <class F>
    progress guarded(timestamp t, F f) {
        for (;;) {
            try {
                return f();
            } catch (const record_error& e) {
                leave_out_earlier(e);
            } catch (...) {
                detail::rethrow_with_place(context_.name, context_.subtask, t);
            }
        }
    }
    /// What failed is a record that the writer took before: it has no value for a dead letter, and cannot come again.
    /// Inside a catch block; throws it on unless it may be left out.
    void leave_out_earlier(const record_error& e) { (void)recovery_.failed(nullptr, e.record_time(), {}, false); }

    std::shared_ptr<sink<T>> to_;
    std::function<void()> wake_;
    operator_context context_;
    recovery recovery_;
    std::unique_ptr<sink_writer<T>> writer_;
    /// The writer knows of the watermark or barrier that is on its way.
    bool told_ = false;
    /// What it has prepared for the checkpoint at hand.
    std::string prepared_;
};

}  // namespace runnel
