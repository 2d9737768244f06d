#include "runnel/exchange/tee.hpp"

namespace runnel {

progress tee::on_any_batch(batch_base& records) {
    for (; step_ < branches_.size(); ++step_) {
        const bool last = step_ + 1 == branches_.size();
        if (!last && !copied_) {
            if (!copy_) copy_ = records.make_another(records.size());
            records.copy_to(*copy_);
        }
        copied_ = !last;
        if (branches_[step_]->on_any_batch(last ? records : *copy_) == progress::blocked) return progress::blocked;
        copied_ = false;
    }
    step_ = 0;
    return progress::done;
}

template <class F>
progress tee::each(F f) {
    for (; step_ < branches_.size(); ++step_)
        if (f(*branches_[step_]) == progress::blocked) return progress::blocked;
    step_ = 0;
    return progress::done;
}

progress tee::on_watermark(timestamp w) {
    return each([w](receiver_base& r) { return r.on_watermark(w); });
}
progress tee::on_activity(activity a) {
    return each([a](receiver_base& r) { return r.on_activity(a); });
}
progress tee::on_barrier(checkpoint_id id) {
    return each([id](receiver_base& r) { return r.on_barrier(id); });
}
progress tee::flush() {
    progress all = progress::done;
    for (receiver_base* r : branches_)
        if (r->flush() == progress::blocked) all = progress::blocked;
    return all;
}

}  // namespace runnel
