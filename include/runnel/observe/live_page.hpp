#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runnel/runtime/job.hpp"

namespace runnel::observe {

/// Where and for whom a page is served. The defaults show it to browsers on this machine alone.
struct page_options {
    /// An address of this machine, not a name. One that other machines can reach needs `allow_remote` and a token.
    std::string address = "127.0.0.1";
    /// 0: any that is free; `port()` tells it.
    std::uint16_t port = 0;
    /// How often open pages are told what is new, at least 100 ms. Costs some 0.1 ms of one core each time while a page
    /// is open, and nothing otherwise.
    std::chrono::milliseconds interval{1000};
    /// Accepts an address that is not of loopback. The page is not encrypted.
    bool allow_remote = false;
    /// Every request has to show it, as "?token=..." or "Authorization: Bearer ...": 16 or more letters, digits, - and
    /// _.
    std::string token = {};
    /// Further names by which browsers may call this machine. An address and "localhost" are always right.
    std::vector<std::string> hosts = {};
};

/// Shows jobs in a browser while they run, and to programs: "/" is the page, "/api/jobs" the same as JSON,
/// "/api/events" as server-sent events, "/metrics" for Prometheus.
///
/// Reading is all that can be done there: GET and HEAD; no files are served. A request line may have 8 KB, all headers
/// 16 KB; there are at most 64 connections, and none is waited for longer than 5 s.
/// Thread safety: safe, except for moving and destruction.
/// Errors: the constructor throws `error` if the options don't go together, `io_error` if the port cannot be opened.
/// Lifetime: has one thread, from the constructor to the destructor. Independent of the jobs' (see `job_list`).
/// Example: `runnel::observe::live_page page; page.add(job); std::cout << page.url() << '\n';`
class live_page {
public:
    explicit live_page(page_options options = {});
    live_page(live_page&&) noexcept;
    live_page& operator=(live_page&&) noexcept;
    ~live_page();

    void add(const job& j);
    /// What to open in a browser, the token included.
    std::string url() const;
    std::uint16_t port() const;

private:
    struct parts;
    std::unique_ptr<parts> parts_;
};

}  // namespace runnel::observe
