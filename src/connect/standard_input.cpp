#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <mutex>

#include "quiet_thread.hpp"
#include "runnel/connect/files.hpp"
#include "runnel/core/error.hpp"

namespace runnel {

namespace {

/// Reads on the caller's thread when there is something; a thread of its own only waits for that.
class descriptor_stream final : public byte_stream {
public:
    descriptor_stream(int fd, std::string name, std::function<void()> wake)
        : fd_(fd), name_(std::move(name)), wake_(std::move(wake)), stop_(::eventfd(0, EFD_CLOEXEC)) {
        if (stop_ < 0) detail::throw_io_error("read", name_, errno);
        try {
            waiter_ = detail::start_quiet_thread([this] { watch(); });
        } catch (...) {
            ::close(stop_);
            throw;
        }
    }
    ~descriptor_stream() override {
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

    byte_chunk read(char* into, std::size_t n) override {
        if (ended_) return {.what = byte_chunk::kind::finished};
        for (;;) {
            pollfd readable{fd_, POLLIN, 0};
            const int ready = ::poll(&readable, 1, 0);
            if (ready < 0 && errno == EINTR) continue;
            if (ready < 0) detail::throw_io_error("read", name_, errno);
            if (ready == 0) return wait();
            const auto got = ::read(fd_, into, std::min<std::size_t>(n, INT_MAX));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return wait();
            if (got < 0) detail::throw_io_error("read", name_, errno);
            if (got > 0) return {.what = byte_chunk::kind::data, .peer = 0, .size = static_cast<std::size_t>(got)};
            ended_ = true;
            return {.what = byte_chunk::kind::ended};
        }
    }
    std::string peer_name(std::size_t) const override { return name_; }

private:
    byte_chunk wait() {
        {
            const std::lock_guard lock(mutex_);
            armed_ = true;
        }
        changed_.notify_one();
        return {.what = byte_chunk::kind::wait};
    }

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
    std::string name_;
    std::function<void()> wake_;
    int stop_;
    bool ended_ = false;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool armed_ = false;    // under mutex_
    bool stopped_ = false;  // under mutex_
    std::thread waiter_;
};

}  // namespace

std::unique_ptr<byte_stream> standard_input::open(const byte_place&, const reader_context& context) {
    return std::make_unique<descriptor_stream>(descriptor_, name_, context.wake);
}

}  // namespace runnel
