#include "runnel/exchange/gate.hpp"

#include <utility>

namespace runnel {

void gate::add(channel& from, receiver_base& input_of_operator) {
    inputs_.push_back({&from, &input_of_operator});
    merger_.add_input();
}

void gate::restore(timestamp watermark) {
    // Every channel had reached the combined watermark when it was saved.
    merger_ = watermark_merger(inputs_.size(), watermark);
    forwarded_ = watermark;
}

gate::state gate::step() {
    if (settle() == progress::blocked) return state::blocked;
    if (forwarded_ == timestamp::max()) return state::finished;
    if (!take_next()) return state::empty;
    return settle() == progress::blocked ? state::blocked : state::progressed;
}

bool gate::take_next() {
    for (std::size_t tried = 0; tried < inputs_.size(); ++tried) {
        const std::size_t i = next_;
        next_ = i + 1 == inputs_.size() ? 0 : i + 1;
        if (inputs_[i].held_for_barrier || !inputs_[i].from->pop(current_)) continue;
        from_ = i;
        switch (current_.what) {
            case envelope::kind::data:
                if (origin_) *origin_ = current_.origin;
                if (current_.records != nullptr && merger_.is_idle(i)) {
                    merger_.wake(i);
                    active_pending_ = idle_sent_;
                }
                break;
            case envelope::kind::active:
                merger_.wake(i);
                active_pending_ = idle_sent_;
                break;
            case envelope::kind::idle: merger_.idle(i); break;
            case envelope::kind::barrier: arrived(current_.barrier, i); break;
        }
        return true;
    }
    return false;
}

/// Brings everything that is under way to its end; each part is left out when it is done already.
progress gate::settle() {
    if (active_pending_) {
        if (signals_->on_activity(activity::active) == progress::blocked) return progress::blocked;
        active_pending_ = false;
        idle_sent_ = false;
    }
    if (current_.records != nullptr) {
        if (inputs_[from_].to->on_any_batch(*current_.records) == progress::blocked) return progress::blocked;
        current_.records->reuse();
        inputs_[from_].from->give_back(current_.records);
        current_.records = nullptr;
    }
    if (current_.watermark != timestamp::min()) {
        merger_.watermark(from_, current_.watermark);
        current_.watermark = timestamp::min();
    }
    if (aligning_ != 0 && barrier_complete()) {
        if (listener_) listener_->barrier_aligned(aligning_);
        if (signals_->on_barrier(aligning_) == progress::blocked) return progress::blocked;
        const checkpoint_id passed = std::exchange(aligning_, 0);
        for (input& in : inputs_) in.held_for_barrier = false;
        if (listener_) listener_->barrier_passed(passed);
    }
    const timestamp w = inputs_.empty() ? timestamp::max() : merger_.current();
    if (w > forwarded_) {
        if (signals_->on_watermark(w) == progress::blocked) return progress::blocked;
        forwarded_ = w;
    }
    if (merger_.is_idle() && !idle_sent_) {
        if (signals_->on_activity(activity::idle) == progress::blocked) return progress::blocked;
        idle_sent_ = true;
    }
    return progress::done;
}

/// A newer checkpoint gives up the older one: its barriers will come on the channels that were held too.
void gate::arrived(checkpoint_id id, std::size_t i) {
    if (listener_) listener_->barrier_arrived(id);
    if (id < aligning_) return;
    if (id > aligning_) {
        aligning_ = id;
        for (input& in : inputs_) in.held_for_barrier = false;
    }
    inputs_[i].held_for_barrier = true;
}

bool gate::barrier_complete() const {
    for (std::size_t i = 0; i < inputs_.size(); ++i)
        if (!inputs_[i].held_for_barrier && !merger_.is_finished(i)) return false;
    return true;
}

double gate::fill() const noexcept {
    std::size_t used = 0;
    std::size_t slots = 0;
    for (const input& in : inputs_) {
        used += in.from->size();
        slots += in.from->capacity();
    }
    return slots == 0 ? 0.0 : static_cast<double>(used) / static_cast<double>(slots);
}

}  // namespace runnel
