#pragma once

#include <cstdint>
#include <memory>

#include "page_site.hpp"

namespace runnel::observe::detail {

/// Answers requests on a port, by a thread of its own.
/// Errors: as `live_page`.
class page_server {
public:
    explicit page_server(page_site& site);
    page_server(const page_server&) = delete;
    page_server& operator=(const page_server&) = delete;
    ~page_server();
    std::uint16_t port() const;

private:
    class listener;
    std::unique_ptr<listener> listener_;
};

}  // namespace runnel::observe::detail
