#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "quiet_thread.hpp"
#include "runnel/core/file_system.hpp"

namespace runnel::detail {

/// A thread that calls `wake` once a descriptor can be read from, each time that it is armed.
class descriptor_watch {
public:
    descriptor_watch(int fd, const std::string& name, std::function<void()> wake)
        : fd_(fd), wake_(std::move(wake)), stop_(::eventfd(0, EFD_CLOEXEC)) {
        if (stop_ < 0) throw_io_error("read", name, errno);
        try {
            waiter_ = start_quiet_thread([this] { watch(); });
        } catch (...) {
            ::close(stop_);
            throw;
        }
    }
    descriptor_watch(const descriptor_watch&) = delete;
    descriptor_watch& operator=(const descriptor_watch&) = delete;
    ~descriptor_watch() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
        }
        changed_.notify_one();
        const std::uint64_t one = 1;
        // Cannot fail: the counter is far from its limit.
        [[maybe_unused]] const auto written = ::write(stop_, &one, sizeof one);
        waiter_.join();
        ::close(stop_);
    }

    void arm() {
        {
            const std::lock_guard lock(mutex_);
            armed_ = true;
        }
        changed_.notify_one();
    }

private:
    void watch() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [&] { return armed_ || stopped_; });
            if (stopped_) return;
            armed_ = false;
            lock.unlock();
            pollfd either[2] = {{fd_, POLLIN, 0}, {stop_, POLLIN, 0}};
            // Interrupted or failed: the reader looks for itself.
            ::poll(either, 2, -1);
            lock.lock();
            if (stopped_) return;
            lock.unlock();
            wake_();
            lock.lock();
        }
    }

    int fd_;
    std::function<void()> wake_;
    int stop_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool armed_ = false;    // under mutex_
    bool stopped_ = false;  // under mutex_
    std::thread waiter_;
};

}  // namespace runnel::detail
