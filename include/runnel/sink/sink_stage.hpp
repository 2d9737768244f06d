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
    std::size_t outputs() const override { return 0; }
    void connect(std::size_t, receiver_base&, std::size_t) override {}
    void open(const operator_context& context) override {
        context_ = context;
        guarded(timestamp::min(), [&] {
            writer_ = to_->open({context.subtask, context.parallelism, wake_, context.clock});
            return progress::done;
        });
    }
    void save(snapshot_writer&) const override {}
    void load(snapshot_reader&) override {}

private:
    progress on_batch(batch<T>& records) override {
        const std::size_t before = records.remaining();
        progress p;
        try {
            p = writer_->write(records);
        } catch (...) {
            detail::rethrow_with_place(context_.name, context_.subtask,
                                       records.empty() ? timestamp::min() : records.time(records.cursor()));
        }
        if (p == progress::done) records.consume_until(records.size());
        if (context_.metrics) context_.metrics->records_in.add(before - records.remaining());
        return p;
    }
    progress on_watermark(timestamp w) override {
        const progress p = guarded(w, [&] {
            if (w == timestamp::max()) return writer_->finish();
            writer_->on_watermark(w);
            return progress::done;
        });
        if (p == progress::done && context_.metrics) context_.metrics->watermark.set(w.ns());
        return p;
    }
    progress on_activity(activity) override { return progress::done; }
    progress on_barrier(checkpoint_id) override { return progress::done; }
    progress flush() override {
        return guarded(timestamp::min(), [&] { return writer_->flush(); });
    }

    template <class F>
    progress guarded(timestamp t, F f) {
        try {
            return f();
        } catch (...) {
            detail::rethrow_with_place(context_.name, context_.subtask, t);
        }
    }

    std::shared_ptr<sink<T>> to_;
    std::function<void()> wake_;
    operator_context context_;
    std::unique_ptr<sink_writer<T>> writer_;
};

}  // namespace runnel
