#include "runnel/runtime/job.hpp"

#include "job_core.hpp"

namespace runnel {

job job::start(plan::graph graph) { return start(std::move(graph), job_options()); }
job job::start(plan::graph graph, const job_options& options) {
    auto core = std::make_shared<detail::job_core>(std::move(graph), options);
    core->start();
    return job(std::move(core));
}

job::job(std::shared_ptr<detail::job_core> core) : core_(std::move(core)) {}
job::job(job&&) noexcept = default;
job& job::operator=(job&&) noexcept = default;
job::~job() = default;

void job::wait() { core_->wait(); }
void job::cancel() { core_->cancel(); }
void job::drain() { core_->drain(); }
checkpoint_id job::checkpoint() { return core_->needed_coordinator().make_checkpoint(); }
void job::savepoint(const std::string& folder) { core_->needed_coordinator().make_savepoint(folder, false); }
void job::stop_with_savepoint(const std::string& folder) { core_->needed_coordinator().make_savepoint(folder, true); }
runnel::checkpoint job::read_state() { return core_->needed_coordinator().read_state(); }
bool job::is_done() const { return core_->is_done(); }
job_status job::status() const { return core_->status(); }
job_view job::view() const { return job_view(core_->watched()); }

}  // namespace runnel
