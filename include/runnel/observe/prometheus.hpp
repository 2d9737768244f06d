#pragma once

#include <string>
#include <vector>

#include "runnel/runtime/job.hpp"

namespace runnel::observe {

/// All figures of `jobs` in Prometheus' text format, version 0.0.4; see `metric.hpp` for names and labels.
/// Complexity: O(subtasks).
/// Example: `response.body = runnel::observe::to_prometheus({first.status(), second.status()})`
std::string to_prometheus(const std::vector<job_status>& jobs);
inline std::string to_prometheus(const job& j) { return to_prometheus(std::vector{j.status()}); }

/// What a server has to say of that text as its Content-Type.
inline constexpr const char* prometheus_content_type = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace runnel::observe
