#include "runnel/exchange/sender.hpp"

#include <algorithm>
#include <bit>

namespace runnel {

sender_base::sender_base(const std::vector<channel*>& to, std::size_t batch_size) : batch_size_(batch_size) {
    for (channel* c : to) targets_.push_back({c, nullptr, timestamp::min(), timestamp::min()});
}

progress sender_base::on_watermark(timestamp w) {
    watermark_ = w;
    return w == timestamp::max() ? flush() : progress::done;
}

progress sender_base::on_activity(activity a) {
    const auto what = a == activity::idle ? envelope::kind::idle : envelope::kind::active;
    if (signal({nullptr, timestamp::min(), 0, what}) == progress::blocked) return progress::blocked;
    idle_ = a == activity::idle;
    return progress::done;
}

progress sender_base::on_barrier(checkpoint_id id) {
    return signal({nullptr, timestamp::min(), id, envelope::kind::barrier});
}

progress sender_base::flush() {
    bool all = true;
    for (target& t : targets_) all &= push(t) == progress::done;
    return all ? progress::done : progress::blocked;
}

progress sender_base::make_way_slowly(timestamp low) {
    // A record wakes an idle input; the channels that this one doesn't go to have to be told.
    if (idle_ && on_activity(activity::active) == progress::blocked) return progress::blocked;
    if (low > watermark_ || watermark_ == timestamp::min()) return progress::done;
    for (target& t : targets_)
        if (t.sent < watermark_ && push(t) == progress::blocked) return progress::blocked;
    return progress::done;
}

progress sender_base::push(target& t) {
    const bool any = t.filling && t.filling->size() != 0;
    if (!any && watermark_ <= t.sent) return progress::done;
    envelope e;
    e.records = any ? t.filling.get() : nullptr;
    e.watermark = watermark_ > t.sent ? watermark_ : timestamp::min();
    e.origin = any ? t.since : t.to->origin();
    if (!t.to->push(e)) return progress::blocked;
    if (any) (void)t.filling.release();
    t.sent = watermark_;
    return progress::done;
}

void sender_base::begin_filling(target& t, const batch_base& like) {
    t.since = t.to->origin();
    t.filling.reset(t.to->recycled());
    if (!t.filling) t.filling = like.make_another(batch_size_);
}

progress sender_base::pass_whole(batch_base& records) {
    target& t = targets_[0];
    if (records.cursor() == 0 && records.capacity() <= std::bit_ceil(batch_size_)) {
        if (t.filling && t.filling->size() != 0 && push(t) == progress::blocked) return progress::blocked;
        batch_base& to = filling(t, records);
        records.hand_over(to);  // What it may have borrowed need not live as long as the channel.
        records.consume_until(records.size());
    }
    while (!records.empty()) {
        if (t.filling && t.filling->size() >= batch_size_ && push(t) == progress::blocked) return progress::blocked;
        batch_base& to = filling(t, records);
        const std::size_t until = records.cursor() + std::min(records.remaining(), batch_size_ - to.size());
        records.move_to(to, records.cursor(), until);
        to.widen(records.min_time(), records.max_time());
        records.consume_until(until);
    }
    // If the channel is full, it stays here and the next call sends it.
    if (t.filling && t.filling->size() >= batch_size_) (void)push(t);
    return progress::done;
}

progress sender_base::signal(envelope e) {
    if (step_ == 0) {
        if (flush() == progress::blocked) return progress::blocked;
    }
    for (; step_ < targets_.size(); ++step_) {
        envelope copy = e;
        if (!targets_[step_].to->push(copy)) return progress::blocked;
    }
    step_ = 0;
    return progress::done;
}

}  // namespace runnel
