#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/core/timestamp.hpp"
#include "runnel/state/key_scope.hpp"

namespace runnel {

namespace detail {

/// The pending times of one timer of one key; mostly one.
class pending_times {
public:
    bool empty() const noexcept { return !any_; }
    bool contains(timestamp t) const { return any_ && (first_ == t || (more_ && more_->contains(t))); }
    bool insert(timestamp t) {
        if (!any_) {
            any_ = true;
            first_ = t;
            return true;
        }
        if (first_ == t) return false;
        if (!more_) more_ = std::make_unique<std::set<timestamp>>();
        return more_->insert(t).second;
    }
    bool erase(timestamp t) {
        if (!any_) return false;
        if (first_ != t) return more_ && more_->erase(t) != 0;
        any_ = more_ && !more_->empty();
        if (any_) first_ = more_->extract(more_->begin()).value();
        else more_.reset();
        return true;
    }
    /// The earliest. Precondition: not empty.
    timestamp first() const noexcept {
        return more_ && !more_->empty() ? std::min(first_, *more_->begin()) : first_;
    }
    std::size_t size() const noexcept { return (any_ ? 1 : 0) + (more_ ? more_->size() : 0); }
    /// Calls `f(time)` for each.
    template <class F>
    void for_each(F f) const {
        if (any_) f(first_);
        if (more_)
            for (const timestamp t : *more_) f(t);
    }
    std::vector<timestamp> all() const {
        std::vector<timestamp> times;
        for_each([&](timestamp t) { times.push_back(t); });
        return times;
    }

private:
    bool any_ = false;
    timestamp first_;
    std::unique_ptr<std::set<timestamp>> more_;
};

/// All timers of one clock: which are pending, and which is the next.
///
/// Order: by time; at the same time, by the order in which the timers were declared.
/// Thread safety: unsafe.
/// Complexity: set O(log n); cancel O(1), it leaves its entry in the heap, which is cleaned up once most are such;
/// next amortised O(log n).
class timer_queue {
public:
    using slot = key_scope::slot;
    struct entry {
        timestamp time;
        std::uint32_t timer;  ///< Number of the declared timer.
        slot of;
    };
    struct timer {
        std::string name;
        std::vector<pending_times> cells;  ///< By slot; all slots in use have one.
    };

    explicit timer_queue(key_scope& scope) : scope_(scope) {}
    timer_queue(const timer_queue&) = delete;
    timer_queue& operator=(const timer_queue&) = delete;

    std::uint32_t declare(std::string_view name);
    const std::vector<timer>& timers() const noexcept { return timers_; }
    /// A cell for each slot below `slots`.
    void grow_to(std::size_t slots) {
        for (timer& t : timers_) t.cells.resize(slots);
    }

    /// Sets a timer of the key in hand.
    void set(std::uint32_t which, timestamp t) {
        if (closed_) return scope_.check_key("timer", timers_[which].name);
        add(scope_.make_slot("timer", timers_[which].name), which, t);
        due_now_ = due_now_ || (by_clock_ && t <= scope_.processing_time());
    }
    void cancel(std::uint32_t which, timestamp t) {
        const slot s = scope_.in_hand();
        if (s >= key_scope::no_slot) return scope_.check_key("timer", timers_[which].name);
        if (timers_[which].cells[s].erase(t)) removed(s);
    }
    /// Sets a timer of the key in `s`.
    void add(slot s, std::uint32_t which, timestamp t) {
        if (!timers_[which].cells[s].insert(t)) return;
        ++pending_;
        scope_.add_use(s);
        heap_.push_back({t, which, s});
        std::push_heap(heap_.begin(), heap_.end(), later);
        if (heap_.size() > 2 * pending_ + 64) clean_up();
    }

    /// The next timer, or null if there is none; its key is in memory. Lifetime: until the next call.
    const entry* next() { return heap_.empty() && away_ == 0 ? nullptr : next_pending(); }
    /// Removes the timer that `next` gave. It is pending no more; its key must be in hand.
    void take() {
        const entry e = heap_.front();
        pop();
        timers_[e.timer].cells[e.of].erase(e.time);
        removed(e.of);
    }
    /// Takes that timer out of the order only, and puts it back.
    entry put_aside() {
        const entry e = heap_.front();
        pop();
        return e;
    }
    void put_back(const entry& e) {
        heap_.push_back(e);
        std::push_heap(heap_.begin(), heap_.end(), later);
    }

    /// Entries in the heap, the pending ones and left-overs.
    std::size_t heap_size() const noexcept { return heap_.size(); }

    /// A timer goes out of memory with its key, which is in `s`.
    void goes_away(slot s, std::uint32_t which, timestamp t) {
        const entry e{t, which, key_scope::outside};
        if (away_++ == 0 || later(first_away_, e)) first_away_ = e;
        timers_[which].cells[s].erase(t);
        removed(s);
    }
    void comes_back(slot s, std::uint32_t which, timestamp t) {
        --away_;
        add(s, which, t);
    }
    /// No timer that is away comes before this one, in the order of the queue.
    void first_away_is(std::uint32_t which, timestamp t) noexcept { first_away_ = {t, which, key_scope::outside}; }
    /// False if a timer in memory comes before all that are away, or at the same time.
    bool away_is_next() const noexcept {
        return away_ != 0 && (heap_.empty() || later(heap_.front(), first_away_));
    }
    /// When the first timer of the key in `s` is due, which is in memory; `max` if it has none.
    timestamp first_of(slot s) const {
        timestamp first = timestamp::max();
        for (const timer& t : timers_)
            if (!t.cells[s].empty()) first = std::min(first, t.cells[s].first());
        return first;
    }

    /// From here on nothing new is set.
    void close() noexcept { closed_ = true; }
    /// Has timers by the clock that are set for a time already due told of by `take_due_now`.
    void go_by_clock() noexcept { by_clock_ = true; }
    bool take_due_now() noexcept { return due_now_ && std::exchange(due_now_, false); }

private:
    static bool later(const entry& a, const entry& b) noexcept {
        return rank(b) < rank(a);
    }
    __extension__ using wide = unsigned __int128;
    /// One number, so that entries are compared without a branch: which is the less is hard to foretell.
    static wide rank(const entry& e) noexcept {
        const auto t = static_cast<std::uint64_t>(e.time.ns()) ^ (std::uint64_t{1} << 63);
        return static_cast<wide>(t) << 64 | (std::uint64_t{e.timer} << 32 | e.of);
    }
    [[gnu::noinline]] const entry* next_pending() {
        for (;;) {
            while (!heap_.empty() && !is_pending(heap_.front())) pop();
            if (!away_is_next()) [[likely]] return heap_.empty() ? nullptr : &heap_.front();
            scope_.fetch_first_timer(*this);
        }
    }
    bool is_pending(const entry& e) const { return timers_[e.timer].cells[e.of].contains(e.time); }
    void pop() {
        std::pop_heap(heap_.begin(), heap_.end(), later);
        heap_.pop_back();
    }
    void removed(slot s) {
        --pending_;
        scope_.drop_use(s);
    }
    void clean_up();

    key_scope& scope_;
    std::vector<timer> timers_;
    std::vector<entry> heap_;  ///< The pending ones, and some that were cancelled, or set again after that.
    std::size_t pending_ = 0;
    std::size_t away_ = 0;  ///< Timers of keys that are not in memory.
    entry first_away_{timestamp::max(), 0, key_scope::outside};
    bool by_clock_ = false;
    bool due_now_ = false;
    bool closed_ = false;
};

[[noreturn]] void fail_undeclared_timer();

/// What event and processing-time timers have in common.
class timer_handle {
public:
    timer_handle() = default;
    timer_handle(timer_queue& queue, std::uint32_t timer) : queue_(&queue), timer_(timer) {}

    /// Has the key in hand called at `t`, once, however often it is set for `t`.
    void set(timestamp t) { queue().set(timer_, t); }
    /// Takes that back; nothing happens if it is not set for `t`.
    void cancel(timestamp t) { queue().cancel(timer_, t); }

    friend bool operator==(const timer_handle&, const timer_handle&) = default;

private:
    timer_queue& queue() const {
        if (!queue_) [[unlikely]] fail_undeclared_timer();
        return *queue_;
    }
    timer_queue* queue_ = nullptr;
    std::uint32_t timer_ = 0;
};

}  // namespace detail

/// Calls back when event time has come to a set time: when the operator's watermark reaches it, in order of time. Made
/// by `state_setup::event_timer`.
///
/// Set for a time that has been reached already, it is called in the same advance if set in one, else with the next
/// watermark. The end of the input reaches every time; a timer that sets itself again must then stop, by a look at
/// `context.watermark()`.
/// Thread safety: unsafe; one subtask owns it.
/// Complexity: set O(log n), cancel O(1).
/// Errors: `error` outside a record or timer of a key, and if it was not declared.
/// Checkpointed state: the times, by key group.
class event_timer : public detail::timer_handle {
public:
    using timer_handle::timer_handle;
};

/// Calls back when the job's clock has come to a set time. Made by `state_setup::processing_timer`.
///
/// Set for a time that has passed, it is called right after the record or timer in hand. At the end of the input all
/// that are pending are called once, in order of time; what these set is dropped.
/// Thread safety, complexity, errors and checkpointed state: as `event_timer`.
class processing_timer : public detail::timer_handle {
public:
    using timer_handle::timer_handle;
};

/// A timer that is called: `if (e == forget) ...`.
struct timer_event {
    timestamp time;  ///< What it was set for.
    detail::timer_handle timer;

    friend bool operator==(const timer_event& e, const event_timer& t) { return e.timer == t; }
    friend bool operator==(const timer_event& e, const processing_timer& t) { return e.timer == t; }
};

}  // namespace runnel
