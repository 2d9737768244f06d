#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "descriptor_watch.hpp"
#include "runnel/connect/files.hpp"
#include "runnel/core/error.hpp"

namespace runnel {

namespace {

/// Reads on the caller's thread when there is something; a thread of its own only waits for that.
class descriptor_stream final : public byte_stream {
public:
    descriptor_stream(int fd, std::string name, std::function<void()> wake)
        : fd_(fd), name_(std::move(name)), watch_(fd, name_, std::move(wake)) {}

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
        watch_.arm();
        return {.what = byte_chunk::kind::wait};
    }

    int fd_;
    std::string name_;
    bool ended_ = false;
    detail::descriptor_watch watch_;
};

}  // namespace

std::unique_ptr<byte_stream> standard_input::open(const byte_place&, const reader_context& context) {
    return std::make_unique<descriptor_stream>(descriptor_, name_, context.wake);
}

}  // namespace runnel
