#pragma once

#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/core/duration_histogram.hpp"
#include "runnel/runtime/status.hpp"

namespace runnel::observe {

enum class metric_kind : unsigned char {
    counter,    ///< Only rises while the job runs; begins at 0 again when it has gone on after a failure.
    gauge,      ///< Goes up and down.
    histogram,  ///< Of durations.
};

/// One figure of one job, operator or subtask. Valid during the call that shows it.
struct metric {
    /// In base units, as Prometheus has it: "runnel_records_in_total", "runnel_busy_seconds_total", ...
    std::string_view name;
    std::string_view help;
    metric_kind kind = metric_kind::gauge;
    /// Name and value: "pipeline", the job's name, always; then, where they apply, "operator", "subtask", "reason" and
    /// "state". ("job" is what Prometheus itself calls the programs that it asks.)
    std::vector<std::pair<std::string_view, std::string_view>> labels;
    double value = 0;                         ///< Of a counter or gauge.
    const duration_counts* counts = nullptr;  ///< Of a histogram.
};

/// Shows `f` all figures of `jobs`, those of one name together: for programs with metrics of their own. Of jobs with
/// the same name the second is called "name#2", and so on.
/// Complexity: O(subtasks).
/// Example: `visit_metrics({job.status()}, [&](const metric& m) { mine.set(m.name, m.value); })`
void visit_metrics(const std::vector<job_status>& jobs, const std::function<void(const metric&)>& f);

}  // namespace runnel::observe
