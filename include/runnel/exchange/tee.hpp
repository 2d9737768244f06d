#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "runnel/core/batch.hpp"
#include "runnel/core/receiver.hpp"

namespace runnel {

/// Gives every record and signal to several receivers. A branch that is blocked holds up the others: so memory stays
/// bounded.
///
/// Thread safety: unsafe; one subtask owns it.
template <class T>
class tee final : public receiver<T> {
public:
    explicit tee(std::vector<receiver<T>*> branches) : branches_(std::move(branches)) {}

    progress on_batch(batch<T>& records) override {
        for (; step_ < branches_.size(); ++step_) {
            const bool last = step_ + 1 == branches_.size();
            if (!last && !copied_) copy_.assign(records);
            copied_ = !last;
            if (branches_[step_]->on_batch(last ? records : copy_) == progress::blocked) return progress::blocked;
            copied_ = false;
        }
        step_ = 0;
        return progress::done;
    }
    progress on_watermark(timestamp w) override {
        return each([&](receiver<T>& r) { return r.on_watermark(w); });
    }
    progress on_activity(activity a) override {
        return each([&](receiver<T>& r) { return r.on_activity(a); });
    }
    progress on_barrier(checkpoint_id id) override {
        return each([&](receiver<T>& r) { return r.on_barrier(id); });
    }
    progress flush() override {
        progress all = progress::done;
        for (receiver<T>* r : branches_)
            if (r->flush() == progress::blocked) all = progress::blocked;
        return all;
    }

private:
    template <class F>
    progress each(F f) {
        for (; step_ < branches_.size(); ++step_)
            if (f(*branches_[step_]) == progress::blocked) return progress::blocked;
        step_ = 0;
        return progress::done;
    }

    std::vector<receiver<T>*> branches_;
    /// What the present branch gets; the last one gets the original.
    batch<T> copy_;
    bool copied_ = false;
    std::size_t step_ = 0;
};

}  // namespace runnel
