#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "runnel/core/atomics.hpp"
#include "runnel/core/batch.hpp"
#include "runnel/core/receiver.hpp"
#include "runnel/core/wakeable.hpp"
#include "runnel/exchange/ring.hpp"

namespace runnel {

/// One slot of a channel: a signal, or records with the watermark that follows them (either may be missing).
struct envelope {
    enum class kind : unsigned char { data, active, idle, barrier };
    batch_base* records = nullptr;
    timestamp watermark = timestamp::min();
    checkpoint_id barrier = 0;
    kind what = kind::data;
    /// Processing time at which the first of the records, or what raised the watermark, left its source; `min`:
    /// unknown.
    timestamp origin = timestamp::min();
};

/// Carries records and signals from one subtask to another, in order, in bounded memory.
///
/// Batches travel by pointer and come back empty, so that a running channel allocates nothing.
/// Thread safety: `push`, `recycled` by the producer only, `pop`, `give_back` by the consumer only; at the same time.
/// Lifetime: the two subtasks outlive every call. Destroys the batches it still holds.
class channel {
public:
    explicit channel(std::size_t capacity) : ring_(capacity), returned_(capacity + 2) {}
    channel(const channel&) = delete;
    channel& operator=(const channel&) = delete;
    ~channel() {
        envelope e;
        while (ring_.try_pop(e)) delete e.records;
        batch_base* b = nullptr;
        while (returned_.try_pop(b)) delete b;
    }

    /// `origin`: when what the producer has in hand left its source; null: unknown.
    void connect(wakeable& producer, wakeable& consumer, const timestamp* origin = nullptr) noexcept {
        producer_ = &producer;
        consumer_ = &consumer;
        origin_ = origin;
    }
    /// Producer: see `envelope::origin`.
    timestamp origin() const noexcept { return origin_ ? *origin_ : timestamp::min(); }

    /// Producer: puts `e` in and wakes the consumer; false if full: then the producer will be woken when there is room.
    bool push(envelope& e) {
        if (!ring_.try_push(e)) {
            // Pairs with the fence and load in pop: either the consumer sees the flag, or this thread sees the room.
            producer_waits_.store(true, std::memory_order_relaxed);
            std_atomics::fence(std::memory_order_seq_cst);
            if (!ring_.try_push(e)) return false;
            producer_waits_.store(false, std::memory_order_relaxed);
        }
        consumer_->wake();
        return true;
    }

    /// Consumer: takes the next envelope; false if there is none. Its records are owned by the taker, who gives
    /// them back.
    bool pop(envelope& e) {
        if (!ring_.try_pop(e)) return false;
        // Pairs with the fence in push. Waking at half-full lets the two run in longer strides.
        std_atomics::fence(std::memory_order_seq_cst);
        if (producer_waits_.load(std::memory_order_relaxed) && ring_.size() <= ring_.capacity() / 2) {
            producer_waits_.store(false, std::memory_order_relaxed);
            producer_->wake();
        }
        return true;
    }

    /// Consumer: returns an empty batch to the producer.
    void give_back(batch_base* b) {
        if (!returned_.try_push(b)) delete b;
    }
    /// Producer: an empty batch that came back, or null.
    batch_base* recycled() {
        batch_base* b = nullptr;
        returned_.try_pop(b);
        return b;
    }

    /// Slots in use, for metrics; any thread.
    std::size_t size() const noexcept { return ring_.size(); }
    std::size_t capacity() const noexcept { return ring_.capacity(); }

private:
    spsc_ring<envelope> ring_;
    spsc_ring<batch_base*> returned_;
    // Set by the producer, taken back by either; see push and pop for the pairing.
    std::atomic<bool> producer_waits_{false};
    wakeable* producer_ = nullptr;
    wakeable* consumer_ = nullptr;
    const timestamp* origin_ = nullptr;
};

}  // namespace runnel
