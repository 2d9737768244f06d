#pragma once

#include <bit>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "runnel/core/atomics.hpp"

namespace runnel {

/// Bounded first-in, first-out queue between one producer thread and one consumer thread.
///
/// Each side may move to another thread if the move itself orders the two threads (a subtask that is run by
/// one worker after the other does). Popped slots keep a moved-from T until they are filled again.
/// Allocates in the constructor and never again.
/// Thread safety: one producer and one consumer at a time; `size()` and `capacity()`: any thread.
/// Complexity: all calls O(1) and wait-free.
template <class T, class Atomics = std_atomics>
class spsc_ring {
    static_assert(std::is_default_constructible_v<T> && std::is_nothrow_move_assignable_v<T>,
                  "a ring holds values that are default constructible and nothrow move assignable");

public:
    /// Room for exactly `capacity` values. Throws std::invalid_argument if that is 0.
    explicit spsc_ring(std::size_t capacity)
        : capacity_(checked(capacity)),
          mask_(std::bit_ceil(capacity) - 1),
          slots_(std::make_unique<slot[]>(mask_ + 1)) {}
    spsc_ring(const spsc_ring&) = delete;
    spsc_ring& operator=(const spsc_ring&) = delete;

    /// Appends `value`, moving from it; false, and `value` untouched, if the ring is full.
    /// Who: the producer. Never allocates.
    bool try_push(T& value) noexcept {
        if (full()) return false;
        const std::size_t tail = tail_.load(std::memory_order_relaxed);
        slots_[tail & mask_] = std::move(value);
        // Publishes the slot; pairs with the acquire in empty().
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }

    /// Moves the oldest value into `value`; false, and `value` untouched, if the ring is empty.
    /// Who: the consumer. Never allocates.
    bool try_pop(T& value) noexcept {
        if (empty()) return false;
        const std::size_t head = head_.load(std::memory_order_relaxed);
        value = std::move(slots_[head & mask_]);
        // Gives the slot back; pairs with the acquire in full().
        head_.store(head + 1, std::memory_order_release);
        return true;
    }

    /// True if `try_push` would fail now. Who: the producer; only the consumer can make it false again.
    bool full() noexcept {
        const std::size_t tail = tail_.load(std::memory_order_relaxed);
        if (tail - known_head_ < capacity_) return false;
        // The consumer has left the slots before this head; pairs with the release in try_pop().
        known_head_ = head_.load(std::memory_order_acquire);
        return tail - known_head_ == capacity_;
    }

    /// True if `try_pop` would fail now. Who: the consumer; only the producer can make it false again.
    bool empty() noexcept {
        const std::size_t head = head_.load(std::memory_order_relaxed);
        if (head != known_tail_) return false;
        // The slots before this tail are filled; pairs with the release in try_push().
        known_tail_ = tail_.load(std::memory_order_acquire);
        return head == known_tail_;
    }

    /// Values held, roughly: exact on a ring at rest, at most `capacity()` always. Who: anyone.
    std::size_t size() const noexcept {
        // Pairs with the release in try_pop(), so that the tail read next is not behind this head.
        const std::size_t head = head_.load(std::memory_order_acquire);
        const std::size_t held = tail_.load(std::memory_order_relaxed) - head;
        return held < capacity_ ? held : capacity_;
    }
    std::size_t capacity() const noexcept { return capacity_; }

private:
    using slot = typename Atomics::template plain<T>;
    using index = typename Atomics::template atomic<std::size_t>;  // counts up for ever; slot = index & mask
    using known = typename Atomics::template plain<std::size_t>;

    static std::size_t checked(std::size_t capacity) {
        if (capacity == 0) throw std::invalid_argument("runnel::spsc_ring: capacity 0. Give at least 1.");
        return capacity;
    }

    const std::size_t capacity_;
    const std::size_t mask_;
    const std::unique_ptr<slot[]> slots_;

    // The producer's line: where it writes (read by the consumer), how far it knows the consumer to be.
    alignas(cache_line) index tail_{0};
    known known_head_{0};
    // The consumer's line: where it reads (read by the producer), how far it knows the producer to be.
    alignas(cache_line) index head_{0};
    known known_tail_{0};
};

}  // namespace runnel
