#include "runnel/core/real_clock.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "blocked_signals.hpp"
#include "runnel/core/pending_calls.hpp"

#if defined(__linux__)
#include <sys/prctl.h>
#endif

namespace runnel {

namespace {

/// The longest that a wall clock set forward goes unnoticed by the thread.
constexpr duration longest_wait = std::chrono::seconds(1);

}  // namespace

struct real_clock::impl {
    detail::pending_calls calls;
    // How far the wall clock is ahead of the steady clock, at most so far. Pairs with nothing: it only rises, and each
    // reader brings it up to date.
    mutable std::atomic<std::int64_t> ahead{timestamp::min().ns()};
    std::mutex mutex;
    std::condition_variable changed;  // there is a new earliest call, or the end has come
    bool stopping = false;
    std::thread thread;

    timestamp now() const noexcept {
        // The wall clock first: a thread that is interrupted in between then measures too little, which the maximum
        // ignores, and not too much, which it would keep.
        const timestamp wall(std::chrono::system_clock::now());
        const duration steady = std::chrono::steady_clock::now().time_since_epoch();
        const std::int64_t measured = (wall - steady).ns();
        std::int64_t most = ahead.load(std::memory_order_relaxed);
        while (most < measured && !ahead.compare_exchange_weak(most, measured, std::memory_order_relaxed)) {
        }
        return timestamp(std::max(most, measured)) + steady;
    }

    void work() {
#if defined(__linux__)
        // By default the system may let a sleeper wait 50 us longer than it asked for.
        prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
        pthread_setname_np(pthread_self(), "runnel-clock");
#endif
        std::unique_lock lock(mutex);
        while (!stopping) {
            const timestamp next = calls.next();
            if (next == timestamp::max()) {
                changed.wait(lock);
            } else if (const duration left = next - now(); left > duration::zero()) {
                changed.wait_for(lock, std::min(left, longest_wait));
            } else {
                lock.unlock();
                calls.make_next(next, [](timestamp) {});
                lock.lock();
            }
        }
    }
};

real_clock::real_clock() : impl_(std::make_unique<impl>()) {}

real_clock::~real_clock() {
    {
        std::lock_guard lock(impl_->mutex);
        impl_->stopping = true;
    }
    impl_->changed.notify_one();
    if (impl_->thread.joinable()) impl_->thread.join();
}

timestamp real_clock::now() const noexcept { return impl_->now(); }

clock::call_id real_clock::call_at(timestamp t, std::function<void()> f) {
    std::lock_guard lock(impl_->mutex);
    if (!impl_->thread.joinable()) {
        const detail::blocked_signals blocked;
        impl_->thread = std::thread([this] { impl_->work(); });
    }
    const timestamp earliest = impl_->calls.next();
    const call_id id = impl_->calls.add(t, std::move(f));
    if (t < earliest) impl_->changed.notify_one();
    return id;
}

void real_clock::cancel(call_id id) { impl_->calls.cancel(id); }

}  // namespace runnel
