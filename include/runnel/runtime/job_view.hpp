#pragma once

#include <memory>
#include <utility>

#include "runnel/runtime/status.hpp"

namespace runnel {

namespace detail {
class watched_job;
}

/// Sees how a job is doing, from anywhere and for as long as it likes; once the job is destroyed, how it was then.
///
/// Thread safety: safe, except for assignment and destruction.
/// Lifetime: keeps nothing of the job alive but its last status. A job that is being destroyed waits for a `status()`
/// that is under way.
class job_view {
public:
    explicit job_view(std::shared_ptr<detail::watched_job> job) : job_(std::move(job)) {}
    /// Cost: as `job::status()`.
    job_status status() const;
    /// True if the job has been destroyed.
    bool is_gone() const;
    /// True if both see the same job.
    friend bool operator==(const job_view&, const job_view&) = default;

private:
    std::shared_ptr<detail::watched_job> job_;
};

}  // namespace runnel
