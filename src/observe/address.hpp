#pragma once

#include <string>

namespace runnel::observe::detail {

/// Whether a host, as it stands in an address of the web, is an IP address: "127.0.0.1", "[::1]".
bool is_address(const std::string& host);

}  // namespace runnel::observe::detail
