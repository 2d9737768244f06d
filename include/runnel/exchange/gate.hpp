#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "runnel/core/receiver.hpp"
#include "runnel/core/watermark.hpp"
#include "runnel/exchange/channel.hpp"

namespace runnel {

/// Learns of the ways of barriers through a subtask.
class barrier_listener {
public:
    /// One has come in, at one of the inputs.
    virtual void barrier_arrived(checkpoint_id id) = 0;
    /// It has come in at all of them, and is going to go through the operators; said again when that is tried again.
    virtual void barrier_aligned(checkpoint_id id) = 0;
    /// It has passed all operators, and nothing behind it has.
    virtual void barrier_passed(checkpoint_id id) = 0;

protected:
    ~barrier_listener() = default;
};

/// The consuming end of an exchange: takes from its channels in turn, combines watermarks, aligns barriers.
///
/// Thread safety: unsafe; the consuming subtask owns it.
class gate {
public:
    enum class state : unsigned char { progressed, blocked, empty, finished };

    gate() = default;
    gate(const gate&) = delete;
    gate& operator=(const gate&) = delete;
    ~gate() { delete current_.records; }

    /// Adds a channel whose records go to `input`. Before the first step.
    void add(channel& from, receiver_base& input);
    /// Where the signals go: the first input of the first operator. Before the first step.
    void connect(receiver_base& signals) { signals_ = &signals; }
    /// Who is told of barriers; none: null. Before the first step.
    void listen(barrier_listener* to) { listener_ = to; }
    /// Keeps in `to` when what is in hand left its source; see `envelope::origin`. Before the first step.
    void note_origin(timestamp& to) { origin_ = &to; }
    /// Starts at the watermark saved in a snapshot. Before the first step.
    void restore(timestamp watermark);

    /// Handles one envelope, or repeats what was blocked.
    state step();
    /// Has part-filled batches sent on; like every step it is repeated while `blocked`, before any other.
    progress flush() { return settle() == progress::blocked ? progress::blocked : signals_->flush(); }
    /// Repeats what was blocked: after `done` no call to the operators is under way.
    progress settle();

    timestamp watermark() const noexcept { return merger_.current(); }
    /// The channel that holds event time back.
    std::optional<std::size_t> held_by() const noexcept { return merger_.held_by(); }
    bool is_idle() const noexcept { return merger_.is_idle(); }
    /// Share of slots in use over all channels, 0 to 1.
    double fill() const noexcept;

private:
    struct input {
        channel* from;
        receiver_base* to;
        bool held_for_barrier = false;
    };

    bool take_next();
    void arrived(checkpoint_id id, std::size_t i);
    bool barrier_complete() const;

    std::vector<input> inputs_;
    watermark_merger merger_{0};
    receiver_base* signals_ = nullptr;
    barrier_listener* listener_ = nullptr;
    std::size_t next_ = 0;
    /// The envelope in hand and where it came from.
    envelope current_;
    std::size_t from_ = 0;
    timestamp* origin_ = nullptr;
    timestamp forwarded_ = timestamp::min();
    bool idle_sent_ = false;
    bool active_pending_ = false;
    /// The checkpoint whose barriers are being waited for; 0 for none.
    checkpoint_id aligning_ = 0;
};

}  // namespace runnel
