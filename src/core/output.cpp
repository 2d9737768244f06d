#include "runnel/core/output.hpp"

#include <algorithm>

namespace runnel {

/// Does `f` to the receiver, and remembers if that throws.
template <class F>
progress output_base::to_next(F f) {
    try {
        return f(*next_);
    } catch (...) {
        failed_ = true;
        throw;
    }
}

progress output_base::send() {
    // A receiver may have taken the last record and still refuse: then the call is to be repeated, without records.
    if (records_->empty() && !sending_) return progress::done;
    const std::size_t before = records_->remaining();
    sending_ = to_next([&](receiver_base& to) { return to.on_any_batch(*records_); }) == progress::blocked;
    if (sending_) {
        count_ += before - records_->remaining();
        return progress::blocked;
    }
    count_ += before;
    records_->reuse();
    return progress::done;
}

progress output_base::forward_watermark(timestamp w) {
    if (send() == progress::blocked) return progress::blocked;
    return to_next([w](receiver_base& to) { return to.on_watermark(w); });
}
progress output_base::forward_activity(activity a) {
    if (send() == progress::blocked) return progress::blocked;
    return to_next([a](receiver_base& to) { return to.on_activity(a); });
}
progress output_base::forward_barrier(checkpoint_id id) {
    if (send() == progress::blocked) return progress::blocked;
    return to_next([id](receiver_base& to) { return to.on_barrier(id); });
}
progress output_base::announce(activity a) {
    return to_next([a](receiver_base& to) { return to.on_activity(a); });
}
progress output_base::flush() {
    if (send() == progress::blocked) return progress::blocked;
    return to_next([](receiver_base& to) { return to.flush(); });
}

template <class F>
progress output_group::each(F f) {
    for (; step_ < outputs_.size(); ++step_)
        if (f(*outputs_[step_]) == progress::blocked) return progress::blocked;
    step_ = 0;
    return progress::done;
}

progress output_group::forward_watermark(timestamp w) {
    return each([w](output_base& o) { return o.forward_watermark(w); });
}
progress output_group::forward_activity(activity a) {
    return each([a](output_base& o) { return o.forward_activity(a); });
}
progress output_group::forward_barrier(checkpoint_id id) {
    return each([id](output_base& o) { return o.forward_barrier(id); });
}
progress output_group::announce(activity a) {
    return each([a](output_base& o) { return o.announce(a); });
}
progress output_group::flush() {
    return each([](output_base& o) { return o.flush(); });
}

bool output_group::failed() const noexcept {
    return std::any_of(outputs_.begin(), outputs_.end(), [](const output_base* o) { return o->failed(); });
}

void output_group::mark() {
    marks_.clear();
    for (output_base* o : outputs_) marks_.push_back(o->gathered().size());
}
void output_group::withdraw() noexcept {
    for (std::size_t i = 0; i < marks_.size(); ++i) outputs_[i]->gathered().truncate(marks_[i]);
}

}  // namespace runnel
