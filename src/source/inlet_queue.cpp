#include "runnel/source/inlet_queue.hpp"

namespace runnel::detail {

void push_in_wait::complete(push_end how) noexcept {
    const std::lock_guard lock(mutex_);
    complete_ = true;
    how_ = how;
    changed_.notify_one();  // Under the lock: the waiting thread destroys this object right after.
}

push_end push_in_wait::wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return complete_; });
    return how_;
}

void throw_if_refused(push_end how) {
    switch (how) {
        case push_end::taken: return;
        case push_end::closed: throw inlet_closed("inlet: it has been closed. Push before close()");
        case push_end::ended:
            throw inlet_closed("inlet: the job that read it has ended, so nobody would read this record. job.wait() "
                               "tells why; a new job needs a new inlet");
    }
}

std::exception_ptr refusal(push_end how) noexcept {
    try {
        throw_if_refused(how);
        return nullptr;
    } catch (...) {
        return std::current_exception();
    }
}

void refuse_inlet_restore() {
    throw error("inlet: what was pushed cannot be read again, so a job that reads an inlet cannot go on from a "
                "checkpoint. Start it without one, or read a file or a log instead");
}

void refuse_second_reader() {
    throw error("inlet: it is being read, or has been. An inlet is read once, by one source of one job: make one for "
                "each");
}

}  // namespace runnel::detail
