#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runnel/core/clock.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel::detail {

class timer_queue;
class frozen_slots;

/// The key whose record or timer is in hand, and what time it is for it: what state handles and timers work on.
///
/// A key that holds something has a slot, a small number, so that only the search for the slot knows the key's type,
/// and is done once a record. A slot is given back when its key holds nothing any more.
/// Thread safety: unsafe.
class key_scope {
public:
    using slot = std::uint32_t;
    /// The key in hand holds nothing yet.
    static constexpr slot no_slot = 0xfffffffe;
    /// There is no key in hand.
    static constexpr slot outside = 0xffffffff;

    key_scope() = default;
    key_scope(const key_scope&) = delete;
    key_scope& operator=(const key_scope&) = delete;
    virtual ~key_scope() = default;

    /// The slot of the key in hand, or one of the two above: larger than all that are in use.
    slot in_hand() const noexcept { return slot_; }
    /// The same, made if there was none. Errors: `error` naming `what` if there is no key in hand.
    slot make_slot(const char* kind, const std::string& name) {
        if (slot_ >= no_slot) [[unlikely]] {
            check_key(kind, name);
            slot_ = create_slot();
        }
        return slot_;
    }
    /// Errors: `error` naming the state or timer if there is no key in hand.
    void check_key(const char* kind, const std::string& name) const {
        if (slot_ == outside) [[unlikely]] fail_outside(kind, name);
    }

    /// Begins the work on a record or timer of a key. `time` is event time as that key sees it.
    void enter(slot s, timestamp time) noexcept {
        announce(s);
        slot_ = s;
        event_time_ = time;
        clock_read_ = false;
    }
    /// Ends it: a key that holds nothing gives its slot back.
    void leave() {
        const slot s = slot_;
        slot_ = outside;
        if (may_be_unused_) [[unlikely]] {
            may_be_unused_ = false;
            if (s < no_slot && uses_[s] == 0) release_slot(s);
        }
    }

    /// What a key holds is about to change that may not be in hand, the one in `s`.
    void announce(slot s) noexcept {
        if (frozen_) [[unlikely]] announce_to_frozen(s);
    }

    /// The key in `s` holds one thing more.
    void add_use(slot s) { ++uses_[s]; }
    /// One thing less.
    void drop_use(slot s) {
        if (--uses_[s] != 0) return;
        if (s == slot_) may_be_unused_ = true;
        else release_slot(s);
    }

    /// Event time for the key in hand: the later of the operator's watermark and the time of the record in hand; for
    /// a timer, its time, unless that had been reached before it was set.
    timestamp event_time() const noexcept { return event_time_; }
    /// Processing time, read once per record or timer.
    timestamp processing_time() {
        if (!clock_read_) {
            now_ = clock_ ? clock_->now() : timestamp::min();
            clock_read_ = true;
        }
        return now_;
    }
    void set_clock(const clock* c) noexcept { clock_ = c; }

    /// Some timers belong to keys that are not in memory: has the first of them brought back, or the queue told when
    /// it is due at the earliest.
    virtual void fetch_first_timer(timer_queue& of) = 0;

protected:
    /// A slot for the key in hand.
    virtual slot create_slot() = 0;
    virtual void release_slot(slot s) = 0;
    void grow_to(std::size_t slots) { uses_.resize(slots); }
    /// The key in hand has a slot now, and holds nothing yet.
    void begin_slot() noexcept { may_be_unused_ = true; }

    /// Has what is being copied copied to the end.
    void unfreeze() const noexcept;

    [[noreturn]] static void fail_too_many_keys();

private:
    friend class frozen_slots;
    void announce_to_frozen(slot s) noexcept;
    [[noreturn]] static void fail_outside(const char* kind, const std::string& name);

    slot slot_ = outside;
    bool may_be_unused_ = false;
    bool clock_read_ = false;
    timestamp event_time_ = timestamp::min();
    timestamp now_ = timestamp::min();
    const clock* clock_ = nullptr;
    mutable frozen_slots* frozen_ = nullptr;  ///< What is being copied of all slots, if anything.
    std::vector<std::uint32_t> uses_;
};

}  // namespace runnel::detail
