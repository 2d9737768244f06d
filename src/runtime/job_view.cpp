#include "runnel/runtime/job_view.hpp"

#include "job_core.hpp"
#include "watched_job.hpp"

namespace runnel {

namespace detail {

job_status watched_job::status() const {
    const std::lock_guard lock(mutex_);
    return job_ ? job_->status() : last_;
}

void watched_job::leave() noexcept {
    const std::lock_guard lock(mutex_);
    try {
        last_ = job_->status();
    } catch (...) {
        // Without memory for it the views see an empty one.
    }
    job_ = nullptr;
}

}  // namespace detail

job_status job_view::status() const { return job_->status(); }
bool job_view::is_gone() const { return job_->is_gone(); }

}  // namespace runnel
