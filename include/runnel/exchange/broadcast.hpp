#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "runnel/core/receiver.hpp"
#include "runnel/exchange/partitioners.hpp"
#include "runnel/exchange/sender.hpp"
#include "runnel/exchange/tee.hpp"

namespace runnel {

/// The producing end of an exchange that gives every record and signal to every channel. The slowest one holds up the
/// others, so memory stays bounded.
///
/// Thread safety: unsafe; the producing subtask owns it.
template <class T>
class broadcast_sender final : public receiver<T> {
public:
    broadcast_sender(const std::vector<channel*>& to, std::size_t batch_size) : ends_(ends(to, batch_size)) {
        std::vector<receiver<T>*> branches;
        for (const auto& end : ends_) branches.push_back(end.get());
        all_ = std::make_unique<tee<T>>(std::move(branches));
    }

    progress on_batch(batch<T>& records) override { return all_->on_batch(records); }
    progress on_watermark(timestamp w) override { return all_->on_watermark(w); }
    progress on_activity(activity a) override { return all_->on_activity(a); }
    progress on_barrier(checkpoint_id id) override { return all_->on_barrier(id); }
    progress flush() override { return all_->flush(); }

private:
    using end = sender<T, to_one>;
    static std::vector<std::unique_ptr<end>> ends(const std::vector<channel*>& to, std::size_t batch_size) {
        std::vector<std::unique_ptr<end>> made;
        for (channel* c : to) made.push_back(std::make_unique<end>(std::vector{c}, to_one{}, batch_size));
        return made;
    }

    std::vector<std::unique_ptr<end>> ends_;
    std::unique_ptr<tee<T>> all_;
};

}  // namespace runnel
