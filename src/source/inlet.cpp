#include "runnel/source/inlet.hpp"

namespace runnel::detail {

void push_in_wait::complete(std::exception_ptr refused) noexcept {
    const std::lock_guard lock(mutex_);
    complete_ = true;
    refused_ = std::move(refused);
    changed_.notify_one();  // Under the lock: the waiting thread destroys this object right after.
}

void push_in_wait::wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return complete_; });
    if (refused_) std::rethrow_exception(std::move(refused_));
}

std::exception_ptr inlet_refusal(bool closed, bool ended) {
    if (closed) return std::make_exception_ptr(inlet_closed("inlet: it has been closed. Push before close()"));
    if (ended)
        return std::make_exception_ptr(
            inlet_closed("inlet: the job that read it has ended, so nobody would read this record. job.wait() tells "
                         "why; a new job needs a new inlet"));
    return nullptr;
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
