#pragma once

#include <mutex>
#include <utility>

#include "runnel/runtime/status.hpp"

namespace runnel::detail {

class job_core;

/// What the views of a job share with it: the way to it, and afterwards its last status.
/// Thread safety: safe.
class watched_job {
public:
    explicit watched_job(const job_core& job) : job_(&job) {}

    job_status status() const;
    bool is_gone() const {
        const std::lock_guard lock(mutex_);
        return job_ == nullptr;
    }
    /// The job is about to be destroyed. Returns when nobody looks at it any more.
    void leave() noexcept;

private:
    mutable std::mutex mutex_;
    const job_core* job_;
    job_status last_;
};

}  // namespace runnel::detail
