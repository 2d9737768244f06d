#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/core/batch.hpp"
#include "runnel/core/receiver.hpp"
#include "runnel/exchange/channel.hpp"

namespace runnel {

/// The producing end of an exchange: deals records out to channels and sends every signal into all of them.
///
/// A watermark travels behind the next batch of a channel rather than at once, so that steady input leaves in full
/// batches. That is safe while records keep its promise; before a record that does not, it is sent first.
/// `Partitioner` is a copyable functor, `std::size_t operator()(const T&, std::size_t channels)`, or `(const T&,
/// timestamp, std::size_t channels)`; it may be asked again for a record that found no room. With one channel it is not
/// asked, and whole batches change hands.
/// Thread safety: unsafe; the producing subtask owns it.
template <class T, class Partitioner>
class sender final : public receiver<T> {
public:
    sender(std::vector<channel*> to, Partitioner partitioner, std::size_t batch_size)
        : partitioner_(std::move(partitioner)), batch_size_(batch_size) {
        for (channel* c : to) targets_.push_back({c, nullptr, timestamp::min()});
    }

    progress on_batch(batch<T>& records) override {
        // A record wakes an idle input; the channels that this one doesn't go to have to be told.
        if (idle_ && on_activity(activity::active) == progress::blocked) return progress::blocked;
        if (records.min_time() <= watermark_ && watermark_ != timestamp::min() && catch_up() == progress::blocked)
            return progress::blocked;
        if (targets_.size() == 1) return pass_whole(records);
        for (std::size_t i = records.cursor(); i < records.size(); ++i) {
            target& t = targets_[place(std::as_const(records).value(i), records.time(i))];
            if (!t.filling) t.filling = fresh(t);
            if (t.filling->size() >= batch_size_ && push(t) == progress::blocked) {
                records.consume_until(i);
                return progress::blocked;
            }
            if (!t.filling) t.filling = fresh(t);
            t.filling->append(records.take(i), records.time(i));
        }
        records.consume_until(records.size());
        return progress::done;
    }

    progress on_watermark(timestamp w) override {
        watermark_ = w;
        return w == timestamp::max() ? flush() : progress::done;
    }

    progress on_activity(activity a) override {
        const auto what = a == activity::idle ? envelope::kind::idle : envelope::kind::active;
        if (signal({nullptr, timestamp::min(), 0, what}) == progress::blocked) return progress::blocked;
        idle_ = a == activity::idle;
        return progress::done;
    }
    progress on_barrier(checkpoint_id id) override {
        return signal({nullptr, timestamp::min(), id, envelope::kind::barrier});
    }

    progress flush() override {
        bool all = true;
        for (target& t : targets_) all &= push(t) == progress::done;
        return all ? progress::done : progress::blocked;
    }

private:
    struct target {
        channel* to;
        std::unique_ptr<batch<T>> filling;
        timestamp sent;
    };

    std::size_t place(const T& value, timestamp t) {
        if constexpr (std::is_invocable_v<Partitioner&, const T&, timestamp, std::size_t>)
            return partitioner_(value, t, targets_.size());
        else return partitioner_(value, targets_.size());
    }

    std::unique_ptr<batch<T>> fresh(target& t) {
        if (batch_base* b = t.to->recycled()) return std::unique_ptr<batch<T>>(static_cast<batch<T>*>(b));
        return std::make_unique<batch<T>>(batch_size_);
    }

    /// Sends what is gathered for `t`, and the watermark if it is new there.
    progress push(target& t) {
        const bool any = t.filling && t.filling->size() != 0;
        if (!any && watermark_ <= t.sent) return progress::done;
        envelope e;
        e.records = any ? t.filling.get() : nullptr;
        e.watermark = watermark_ > t.sent ? watermark_ : timestamp::min();
        if (!t.to->push(e)) return progress::blocked;
        if (any) (void)t.filling.release();
        t.sent = watermark_;
        return progress::done;
    }

    /// Sends the watermark everywhere, before a record that does not keep its promise.
    progress catch_up() {
        for (target& t : targets_)
            if (t.sent < watermark_ && push(t) == progress::blocked) return progress::blocked;
        return progress::done;
    }

    /// The batch's columns change hands; no record is touched.
    progress pass_whole(batch<T>& records) {
        target& t = targets_[0];
        if (t.filling && t.filling->size() != 0 && push(t) == progress::blocked) return progress::blocked;
        if (!t.filling) t.filling = fresh(t);
        if (records.cursor() == 0) {
            records.own();  // What it may have borrowed need not live as long as the channel.
            t.filling->swap(records);
        } else {
            for (std::size_t i = records.cursor(); i < records.size(); ++i)
                t.filling->append(records.take(i), records.time(i));
        }
        if (t.filling->size() >= batch_size_) (void)push(t);  // If full, it stays here and the next call sends it.
        records.consume_until(records.size());
        return progress::done;
    }

    progress signal(envelope e) {
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

    std::vector<target> targets_;
    Partitioner partitioner_;
    std::size_t batch_size_;
    timestamp watermark_ = timestamp::min();
    /// How many channels have got the signal that is on its way.
    std::size_t step_ = 0;
    bool idle_ = false;
};

}  // namespace runnel
