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

/// The producing end of an exchange whatever its records are: signals, and what is pushed into channels.
///
/// A watermark travels behind the next batch of a channel rather than at once, so that steady input leaves in full
/// batches. That is safe while records keep its promise; before a record that does not, it is sent first.
/// Thread safety: unsafe; the producing subtask owns it.
class sender_base : public receiver_base {
public:
    progress on_watermark(timestamp w) final;
    progress on_activity(activity a) final;
    progress on_barrier(checkpoint_id id) final;
    progress flush() final;

protected:
    struct target {
        channel* to;
        std::unique_ptr<batch_base> filling;
        timestamp sent;
        timestamp since;  ///< Origin of the first record in `filling`.
    };

    sender_base(const std::vector<channel*>& to, std::size_t batch_size);

    /// Before records with times from `low` on: wakes the channels, and sends ahead a watermark that `low` breaks.
    progress make_way(timestamp low) {
        if (!idle_ && (low > watermark_ || watermark_ == timestamp::min())) [[likely]] return progress::done;
        return make_way_slowly(low);
    }
    /// Sends what is gathered for `t`, and the watermark if it is new there.
    progress push(target& t);
    /// What is gathered for `t`: a batch of the type of `like`.
    batch_base& filling(target& t, const batch_base& like) {
        if (!t.filling) [[unlikely]] begin_filling(t, like);
        return *t.filling;
    }
    /// The batch's columns change hands with the only channel; no record is touched. Columns that have outgrown a
    /// batch, since a record had many results, stay where they are, and the records go in parts: a channel full of
    /// such columns would hold many times what was reckoned with.
    progress pass_whole(batch_base& records);

    std::vector<target> targets_;
    std::size_t batch_size_;

private:
    progress make_way_slowly(timestamp low);
    void begin_filling(target& t, const batch_base& like);
    progress signal(envelope e);

    timestamp watermark_ = timestamp::min();
    /// How many channels have got the signal that is on its way.
    std::size_t step_ = 0;
    bool idle_ = false;
};

/// The producing end of an exchange with one channel: whole batches change hands.
/// Thread safety: unsafe; the producing subtask owns it.
class forward_sender final : public sender_base {
public:
    forward_sender(channel& to, std::size_t batch_size) : sender_base({&to}, batch_size) {}

    progress on_any_batch(batch_base& records) override {
        return make_way(records.min_time()) == progress::done ? pass_whole(records) : progress::blocked;
    }
};

/// The producing end of an exchange: deals records out to channels and sends every signal into all of them.
///
/// `Partitioner` is a copyable functor, `std::size_t operator()(const T&, std::size_t channels)`, or `(const T&,
/// timestamp, std::size_t channels)`; it may be asked again for a record that found no room. With one channel it is not
/// asked, and whole batches change hands, unless they are larger than `batch_size`.
/// Thread safety: unsafe; the producing subtask owns it.
template <class T, class Partitioner>
class sender final : public sender_base {
public:
    sender(const std::vector<channel*>& to, Partitioner partitioner, std::size_t batch_size)
        : sender_base(to, batch_size), partitioner_(std::move(partitioner)) {}

    progress on_any_batch(batch_base& any) override {
        batch<T>& records = static_cast<batch<T>&>(any);
        if (make_way(records.min_time()) == progress::blocked) return progress::blocked;
        if (targets_.size() == 1) return pass_whole(records);
        for (std::size_t i = records.cursor(); i < records.size(); ++i) {
            target& t = targets_[place(std::as_const(records).value(i), records.time(i))];
            if (t.filling && t.filling->size() >= batch_size_ && push(t) == progress::blocked) {
                records.consume_until(i);
                return progress::blocked;
            }
            static_cast<batch<T>&>(filling(t, records)).append(records.take(i), records.time(i));
        }
        records.consume_until(records.size());
        return progress::done;
    }

private:
    std::size_t place(const T& value, timestamp t) {
        if constexpr (std::is_invocable_v<Partitioner&, const T&, timestamp, std::size_t>)
            return partitioner_(value, t, targets_.size());
        else return partitioner_(value, targets_.size());
    }

    Partitioner partitioner_;
};

}  // namespace runnel
