#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>

#include "runnel/core/atomics.hpp"

namespace runnel {

/// Where the workers of a pool sleep when there is no work, made so that no work is slept on and that not
/// more of them than useful are up and looking for it.
///
/// A worker without work may become a *searcher* (looks into other workers' lists, spins a little), then
/// parks. The protocol:
/// - who adds work makes it visible through atomics, then calls `notify_one()`;
/// - a worker calls `prepare_wait()`, looks once more everywhere, then either `cancel_wait()` or `commit_wait()`;
/// - whoever is woken is a searcher, and every searcher calls `end_search()` or `prepare_wait()` some time;
/// - who goes off to run what it found, after `end_search()` or `cancel_wait()`, looks whether more work is left, and
///   calls `notify_one()` if so.
/// A wake-up is left out while there are searchers: each looks once more after it has ceased to be one.
///
/// The limit on searchers, and leaving wake-ups out, follow the schedulers of Go and Tokio.
/// Costs: `notify_one()` is one fence and one load when nobody is parked or somebody searches.
/// Thread safety: safe.
template <class Atomics = std_atomics>
class parking {
public:
    /// Most workers that can take part.
    static constexpr std::size_t max_workers = 0xffff;

    parking() = default;
    parking(const parking&) = delete;
    parking& operator=(const parking&) = delete;

    /// Work was added: wakes one parked worker, unless somebody searches already.
    void notify_one() {
        // Pairs with the fence in looks_after(): if the load still sees a state from before that, then the worker's
        // look comes after this fence, and finds the work.
        Atomics::fence(std::memory_order_seq_cst);
        if (wants_waking(state_.load(std::memory_order_relaxed))) wake(false);
    }

    /// Wakes all who are parked, whatever the number of searchers; for the end.
    void notify_all() {
        // Pairs with the fence in looks_after(), as in notify_one().
        Atomics::fence(std::memory_order_seq_cst);
        wake(true);
    }

    /// Makes the caller a searcher, unless there are `limit` already.
    bool try_search(std::size_t limit) noexcept {
        // Relaxed: a count alone.
        std::uint32_t now = state_.load(std::memory_order_relaxed);
        while (searching(now) < limit) {
            if (state_.compare_exchange_weak(now, now + one_searching, std::memory_order_relaxed)) return true;
        }
        return false;
    }

    /// The caller, a searcher, has found work.
    void end_search() noexcept { looks_after(0u - one_searching); }

    /// Announces that the caller is going to wait, which ends its search if it was a searcher. It must look for
    /// work after this, and then cancel or commit.
    void prepare_wait(bool was_searching) noexcept {
        looks_after(was_searching ? one_parked - one_searching : one_parked);
    }

    /// Takes `prepare_wait()` back; the caller is no searcher after it. It may use up a wake-up.
    void cancel_wait() {
        std::lock_guard lock(mutex_);
        if (permits_ > 0) {
            permits_ = permits_ - 1;
            looks_after(0u - one_searching);
        } else {
            state_.fetch_sub(one_parked, std::memory_order_relaxed);  // a count alone; it includes the caller
        }
    }

    /// Sleeps until woken; the caller is a searcher then.
    void commit_wait() {
        std::unique_lock lock(mutex_);
        while (permits_ == 0) changed_.wait(lock);
        permits_ = permits_ - 1;
    }

    /// True if somebody is parked; a snapshot.
    bool anyone_parked() const noexcept { return parked(state_.load(std::memory_order_relaxed)) > 0; }

private:
    static constexpr std::uint32_t one_parked = 1;
    static constexpr std::uint32_t one_searching = 1u << 16;
    static constexpr std::uint32_t parked(std::uint32_t state) noexcept { return state & 0xffff; }
    static constexpr std::uint32_t searching(std::uint32_t state) noexcept { return state >> 16; }

    /// Changes the state before the caller looks for work.
    void looks_after(std::uint32_t change) noexcept {
        state_.fetch_add(change, std::memory_order_relaxed);
        // Pairs with the fences in notify_one() and notify_all().
        Atomics::fence(std::memory_order_seq_cst);
    }

    static constexpr bool wants_waking(std::uint32_t state) noexcept {
        return searching(state) == 0 && parked(state) > 0;
    }

    /// Turns one parked worker, or all of them, into searchers with a permit each.
    void wake(bool all) {
        std::uint32_t sleepers = 0;
        {
            std::lock_guard lock(mutex_);
            std::uint32_t now = state_.load(std::memory_order_relaxed);
            do {
                sleepers = all ? parked(now) : wants_waking(now) ? 1 : 0;
                if (sleepers == 0) return;
                // From here on the next notification finds a searcher, long before the sleeper is up. Relaxed: the
                // fences order.
            } while (!state_.compare_exchange_weak(now, now + sleepers * (one_searching - one_parked),
                                                   std::memory_order_relaxed));
            permits_ = permits_ + sleepers;
        }
        if (sleepers == 1)
            changed_.notify_one();
        else
            changed_.notify_all();
    }

    // Between prepare_wait() and its end a worker is counted either in `parked` or, once a wake-up has been granted,
    // in `permits_`; which worker takes a permit doesn't matter. Parked goes down only under the lock.
    alignas(cache_line) typename Atomics::template atomic<std::uint32_t> state_{0};
    alignas(cache_line) typename Atomics::mutex mutex_;
    typename Atomics::condition_variable changed_;
    typename Atomics::template plain<std::uint32_t> permits_{0};  // under mutex_
};

}  // namespace runnel
