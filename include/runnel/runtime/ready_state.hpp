#pragma once

#include <cstdint>
#include <cstdlib>

#include "runnel/core/atomics.hpp"

namespace runnel {

/// Whether a subtask is idle, waits in the executor or runs; decides who submits it, so that it is in the
/// executor at most once, runs on one thread at a time and never sleeps on work.
///
/// The protocol. A producer makes work visible through atomics (pushes into a ring), then calls `notify()`
/// and submits the subtask if told to. A run calls `begin_run()`, looks for work, and ends with `end_run()`
/// if it found no more, or with `requeue()` if it gives the thread up early; it submits itself if told to.
///
/// What one run wrote is visible to the next, whatever threads they are on. What a notifier wrote before
/// `notify()` is found by a run that begins later, or causes one, as far as it was written to atomics; plain
/// data has to be published by those (as a ring's index does), for a notifier that finds the subtask
/// already queued writes nothing here that the run could acquire.
///
/// Costs: `notify()` one fence and one load while the subtask is queued or notified already, which is
/// nearly always the case under load; a compare-and-swap otherwise.
/// Thread safety: `notify()`: any thread; the others: the run, of which there is one at a time.
template <class Atomics = std_atomics>
class ready_state {
public:
    ready_state() = default;
    ready_state(const ready_state&) = delete;
    ready_state& operator=(const ready_state&) = delete;

    /// Says that there may be work; true if the caller must submit the subtask now.
    [[nodiscard]] bool notify() noexcept {
        // Pairs with the fence in begin_run(): if the load below still sees the state before that run, then
        // that run sees the work. Store-load order, so nothing weaker will do.
        Atomics::fence(std::memory_order_seq_cst);
        std::uint32_t now = state_.load(std::memory_order_relaxed);
        for (;;) {
            switch (now) {
                case idle:
                    // Relaxed, as the executor orders submit before run, and as a read-modify-write it hands
                    // on the release in end_run() to the acquire in begin_run().
                    if (state_.compare_exchange_weak(now, queued, std::memory_order_relaxed)) return true;
                    break;
                case running:
                    // Relaxed: end_run() fails for it, and the fence in the begin_run() that follows orders.
                    if (state_.compare_exchange_weak(now, running_notified, std::memory_order_relaxed)) return false;
                    break;
                default: return false;  // a begin_run() is still to come
            }
        }
    }

    /// First thing in a run that was submitted because of `notify()`, `end_run()` or `requeue()`.
    void begin_run() noexcept {
        // Pairs with the release in end_run() of the previous run. The fence below would do, but for a race detector
        // that does not know fences.
        if (state_.load(std::memory_order_acquire) != queued) std::abort();  // submitted twice, or unasked
        state_.store(running, std::memory_order_relaxed);
        // Pairs with the fence in notify(): the run's look for work comes after the store for all threads.
        Atomics::fence(std::memory_order_seq_cst);
    }

    /// Last thing in a run that found no more work; true if the caller must submit the subtask again, because
    /// it was notified meanwhile. After false another run may begin at once: touch nothing of the subtask.
    [[nodiscard]] bool end_run() noexcept {
        std::uint32_t now = running;
        // Pairs with the acquire in begin_run(): the next run sees what this one wrote.
        if (state_.compare_exchange_strong(now, idle, std::memory_order_release, std::memory_order_relaxed))
            return false;
        requeue();
        return true;
    }

    /// Last thing in a run that has more to do; the caller must submit the subtask again.
    void requeue() noexcept {
        // Relaxed: notifiers leave `running_notified` alone, and the executor orders this run before the next.
        state_.store(queued, std::memory_order_relaxed);
    }

    /// True if the subtask neither runs nor is going to, until notified; a snapshot for status displays.
    bool is_idle() const noexcept {
        // Pairs with nothing.
        return state_.load(std::memory_order_relaxed) == idle;
    }

private:
    static constexpr std::uint32_t idle = 0;
    static constexpr std::uint32_t queued = 1;
    static constexpr std::uint32_t running = 2;
    static constexpr std::uint32_t running_notified = 3;

    typename Atomics::template atomic<std::uint32_t> state_{idle};
};

}  // namespace runnel
