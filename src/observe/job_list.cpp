#include "runnel/observe/job_list.hpp"

#include <algorithm>

namespace runnel::observe {
namespace {

constexpr std::size_t gone_jobs_kept = 16;

}  // namespace

void job_list::add(const job& j) {
    job_view view = j.view();
    std::string name = view.status().name;
    const std::lock_guard lock(mutex_);
    if (std::any_of(jobs_.begin(), jobs_.end(), [&](const entry& e) { return e.job == view; })) return;
    std::erase_if(jobs_, [&](const entry& e) { return e.name == name && e.job.is_gone(); });
    const auto is_gone = [](const entry& e) { return e.job.is_gone(); };
    auto gone = static_cast<std::size_t>(std::count_if(jobs_.begin(), jobs_.end(), is_gone));
    for (; gone > gone_jobs_kept; --gone) jobs_.erase(std::find_if(jobs_.begin(), jobs_.end(), is_gone));
    jobs_.push_back({std::move(name), std::move(view)});
}

std::vector<job_status> job_list::statuses() const {
    std::vector<entry> jobs;
    {
        // A job that is being restarted may let its status wait; `add` need not.
        const std::lock_guard lock(mutex_);
        jobs = jobs_;
    }
    std::vector<job_status> all;
    for (const entry& e : jobs) all.push_back(e.job.status());
    return all;
}

}  // namespace runnel::observe
