#pragma once

#include <string>
#include <vector>

#include "runnel/runtime/status.hpp"

namespace runnel::observe::detail {

/// The jobs' names; of those with the same name the second gets "#2" behind it, and so on.
std::vector<std::string> unique_names(const std::vector<job_status>& jobs);

}  // namespace runnel::observe::detail
