#pragma once

#include <string>
#include <string_view>

#include "http.hpp"
#include "runnel/observe/job_list.hpp"
#include "runnel/observe/live_page.hpp"

namespace runnel::observe::detail {

/// All jobs in JSON: {"jobs": [...]}, see `status_json.cpp`.
std::string to_json(const std::vector<job_status>& jobs);

/// What is answered to requests.
/// Thread safety: safe.
class page_site {
public:
    explicit page_site(page_options options) : options_(std::move(options)) {}

    const page_options& options() const noexcept { return options_; }
    job_list& jobs() noexcept { return jobs_; }
    http_response answer(const http_request& request) const;
    /// What open pages are told: an event with all jobs.
    std::string event() const;

private:
    bool is_known_host(std::string_view host) const;
    bool may_see(const http_request& request, std::string_view query) const;
    std::string page() const;

    const page_options options_;
    job_list jobs_;
};

/// The page's parts. In the first, each "{{query}}" stands for the query that requests need.
extern const std::string_view page_html;
extern const std::string_view page_style;
extern const std::string_view page_script;

}  // namespace runnel::observe::detail
