#include "runnel/operators/operator_stage.hpp"

#include "runnel/core/error.hpp"

namespace runnel {

void operator_stage_base::attach(output_base& out) {
    // Until it is connected: a side output may have no consumer, and gathers nothing then.
    out.connect(unused_, outputs_.size() == 0 ? out.batch_size() : 1);
    outputs_.add(out);
}

void operator_stage_base::set_policy(const failure_policy& policy) {
    recovery_.set(policy);
    if (dead_letter_port* letters = recovery_.dead_letters()) outputs_.add(letters->out());
}

receiver_base& operator_stage_base::input(std::size_t port) {
    if (port == 1) return second_;
    return *this;
}

void operator_stage_base::connect(std::size_t port, receiver_base& next, std::size_t batch_size) {
    outputs_[port].connect(next, batch_size);
}

template <class F>
progress operator_stage_base::placed(timestamp t, F f) {
    try {
        return f();
    } catch (...) {
        detail::rethrow_with_place(context_.name, context_.subtask, t);
    }
}

void operator_stage_base::open(const operator_context& context) {
    context_ = context;
    context_.failures = &recovery_;
    recovery_.open({context.name, context.subtask, context.clock, context.metrics, context.report, &outputs_});
    (void)placed(timestamp::min(), [&] {
        open_operator(context_);
        return progress::done;
    });
}

progress operator_stage_base::tick(timestamp now) {
    if (ended_) return progress::done;
    if (recovery_.is_waiting() || !recovery_.ready()) return progress::blocked;
    const progress p = placed(now, [&] { return tick_operator(now); });
    count(0);
    return p;
}

progress operator_stage_base::take_in(batch_base& records, bool first) {
    const std::size_t before = records.remaining();
    progress p = progress::done;
    if (recovery_.gives_up()) {
        try {
            p = first ? take(records) : take_second(records);
        } catch (...) {
            detail::rethrow_with_place(context_.name, context_.subtask,
                                       records.empty() ? timestamp::min() : records.time(records.cursor()));
        }
    } else {
        // Dead letters carry records of the first input.
        p = recovery_.run(records, first, [&] { return first ? take(records) : take_second(records); });
    }
    if (p == progress::done) records.consume_until(records.size());
    count(before - records.remaining());
    return p;
}

progress operator_stage_base::on_watermark(timestamp w) {
    if (!advanced_) {
        if (recovery_.is_waiting() || !recovery_.ready()) return progress::blocked;
        if (placed(w, [&] { return advance(w); }) == progress::blocked) return progress::blocked;
        advanced_ = true;
    }
    const timestamp onward = output_watermark(w);
    // The initial watermark says nothing, and is never sent.
    const progress p = onward == timestamp::min() ? progress::done : outputs_.forward_watermark(onward);
    if (p == progress::done) {
        advanced_ = false;
        ended_ = w == timestamp::max();
        if (context_.metrics) context_.metrics->watermark.set(w.ns());
    }
    count(0);
    return p;
}

progress operator_stage_base::on_activity(activity a) {
    return takes_activity() ? activity_changed(a) : outputs_.forward_activity(a);
}

progress operator_stage_base::flush() {
    const progress p = outputs_.flush();
    count(0);
    return p;
}

void operator_stage_base::count(std::size_t in) {
    if (!context_.metrics) return;
    if (in != 0) context_.metrics->records_in.add(in);
    context_.metrics->records_out.set(outputs_[0].count());
    context_.metrics->keys.set(live_keys());
}

}  // namespace runnel
