#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "runnel/exchange/sender.hpp"
#include "runnel/exchange/tee.hpp"

namespace runnel {

/// The producing end of an exchange that gives every record and signal to every channel. The slowest one holds up the
/// others, so memory stays bounded.
///
/// Thread safety: unsafe; the producing subtask owns it.
class broadcast_sender final : public receiver_base {
public:
    broadcast_sender(const std::vector<channel*>& to, std::size_t batch_size);

    progress on_any_batch(batch_base& records) override { return all_.on_any_batch(records); }
    progress on_watermark(timestamp w) override { return all_.on_watermark(w); }
    progress on_activity(activity a) override { return all_.on_activity(a); }
    progress on_barrier(checkpoint_id id) override { return all_.on_barrier(id); }
    progress flush() override { return all_.flush(); }

private:
    static std::vector<receiver_base*> pointers(const std::vector<std::unique_ptr<forward_sender>>& ends);

    std::vector<std::unique_ptr<forward_sender>> ends_;
    tee all_;
};

}  // namespace runnel
