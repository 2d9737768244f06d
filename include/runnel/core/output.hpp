#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "runnel/core/batch.hpp"
#include "runnel/core/receiver.hpp"

namespace runnel {

/// Where an operator puts its results: gathers them into batches and hands those to the next receiver.
///
/// `emit` always takes the record. An operator asks `ready()` before it starts on the next input record
/// (or the next window, timer, ...): `false` means that downstream has no room, and the operator returns
/// `progress::blocked`, to be called again. So the memory held is one batch plus the results of one record.
/// Thread safety: unsafe; one subtask owns it.
template <class T>
class output {
public:
    explicit output(std::size_t batch_size = 512) : limit_(batch_size) {}
    output(const output&) = delete;
    output& operator=(const output&) = delete;

    void connect(receiver<T>& next, std::size_t batch_size) {
        next_ = &next;
        limit_ = batch_size;
    }

    void emit(T value, timestamp t) { current_.append(std::move(value), t); }

    /// True if another record may be processed; sends the batch on when it is full.
    bool ready() { return (!sending_ && current_.size() < limit_) || send() == progress::done; }

    /// Sends what has been gathered, however little.
    progress send() {
        // A receiver may have taken the last record and still refuse: then the call is to be repeated, without records.
        if (current_.empty() && !sending_) return progress::done;
        const std::size_t before = current_.remaining();
        sending_ = next_->on_batch(current_) == progress::blocked;
        if (sending_) {
            count_ += before - current_.remaining();
            return progress::blocked;
        }
        count_ += before;
        current_.clear();
        return progress::done;
    }

    /// Sends the gathered records, then the signal; the usual end of an operator's own signal handler.
    progress forward_watermark(timestamp w) {
        return send() == progress::done ? next_->on_watermark(w) : progress::blocked;
    }
    progress forward_activity(activity a) {
        return send() == progress::done ? next_->on_activity(a) : progress::blocked;
    }
    progress forward_barrier(checkpoint_id id) {
        return send() == progress::done ? next_->on_barrier(id) : progress::blocked;
    }
    progress flush() { return send() == progress::done ? next_->flush() : progress::blocked; }

    /// The batch being filled, for operators that write columns directly; mind `ready()` and the bounds.
    batch<T>& current() noexcept { return current_; }
    std::size_t batch_size() const noexcept { return limit_; }
    /// Records handed on so far.
    std::uint64_t count() const noexcept { return count_; }

private:
    receiver<T>* next_ = nullptr;
    batch<T> current_;
    std::size_t limit_;
    std::uint64_t count_ = 0;
    /// The batch has been refused, perhaps half-way: nothing may be added until it is through.
    bool sending_ = false;
};

}  // namespace runnel
