#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "runnel/core/receiver.hpp"

namespace runnel {

/// Gives every record and signal to several receivers. A branch that is blocked holds up the others: so memory stays
/// bounded.
///
/// Precondition: the records can be copied, or there is one branch. Thread safety: unsafe; one subtask owns it.
class tee final : public receiver_base {
public:
    explicit tee(std::vector<receiver_base*> branches) : branches_(std::move(branches)) {}

    progress on_any_batch(batch_base& records) override;
    progress on_watermark(timestamp w) override;
    progress on_activity(activity a) override;
    progress on_barrier(checkpoint_id id) override;
    progress flush() override;

private:
    template <class F>
    progress each(F f);

    std::vector<receiver_base*> branches_;
    /// How many branches have got what is on its way.
    std::size_t step_ = 0;
    /// What the present branch gets; the last one gets the original.
    std::unique_ptr<batch_base> copy_;
    bool copied_ = false;
};

}  // namespace runnel
