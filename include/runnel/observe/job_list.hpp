#pragma once

#include <mutex>
#include <vector>

#include "runnel/runtime/job.hpp"

namespace runnel::observe {

/// Jobs that are observed together.
///
/// A job that is gone is shown as it was in the end, until another of its name is added, or more than 16 are gone.
/// Thread safety: safe.
/// Lifetime: independent of the jobs'.
class job_list {
public:
    void add(const job& j);
    /// One for each job, in the order in which they were added.
    std::vector<job_status> statuses() const;

private:
    mutable std::mutex mutex_;
    struct entry {
        std::string name;
        job_view job;
    };
    std::vector<entry> jobs_;  // under mutex_
};

}  // namespace runnel::observe
