#include "runnel/core/real_clock.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#if defined(__linux__)
#include <sys/prctl.h>
#endif

namespace runnel {

namespace {

using steady = std::chrono::steady_clock;

/// Far enough for any wait, near enough that adding it to a steady time cannot overflow.
constexpr duration longest_wait = std::chrono::hours(24 * 365);

}  // namespace

struct real_clock::impl {
    std::mutex mutex;
    std::condition_variable changed;   ///< For the thread: there is a new earliest call, or the end.
    std::condition_variable finished;  ///< For cancel: the call that was running has returned.
    std::map<std::pair<steady::time_point, call_id>, std::function<void()>> calls;
    std::map<call_id, steady::time_point> due;
    call_id last_id = 0;
    call_id running = 0;
    bool stopping = false;
    std::thread thread;

    void work() {
#if defined(__linux__)
        // The default slack of 50 us is more than a batch takes.
        prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
        prctl(PR_SET_NAME, "runnel-clock", 0, 0, 0);
#endif
        std::unique_lock lock(mutex);
        while (!stopping) {
            if (calls.empty()) {
                changed.wait(lock);
                continue;
            }
            const auto first = calls.begin();
            const auto [at, id] = first->first;
            if (steady::now() < at) {
                changed.wait_until(lock, at);
                continue;
            }
            const std::function<void()> f = std::move(first->second);
            calls.erase(first);
            due.erase(id);
            running = id;
            lock.unlock();
            f();
            lock.lock();
            running = 0;
            finished.notify_all();
        }
    }
};

real_clock::real_clock() : impl_(std::make_unique<impl>()) {}

real_clock::~real_clock() {
    {
        std::lock_guard lock(impl_->mutex);
        impl_->stopping = true;
    }
    impl_->changed.notify_all();
    if (impl_->thread.joinable()) impl_->thread.join();
}

timestamp real_clock::now() const noexcept { return timestamp(std::chrono::system_clock::now()); }

clock::call_id real_clock::call_at(timestamp t, std::function<void()> f) {
    const steady::time_point at = steady::now() + std::clamp(t - now(), duration::zero(), longest_wait);
    std::lock_guard lock(impl_->mutex);
    if (!impl_->thread.joinable()) impl_->thread = std::thread([this] { impl_->work(); });
    const call_id id = ++impl_->last_id;
    const auto added = impl_->calls.emplace(std::pair(at, id), std::move(f)).first;
    impl_->due.emplace(id, at);
    if (added == impl_->calls.begin()) impl_->changed.notify_one();
    return id;
}

void real_clock::cancel(call_id id) {
    std::unique_lock lock(impl_->mutex);
    if (const auto it = impl_->due.find(id); it != impl_->due.end()) {
        impl_->calls.erase({it->second, id});
        impl_->due.erase(it);
        return;
    }
    impl_->finished.wait(lock, [&] { return impl_->running != id; });
}

}  // namespace runnel
