#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "http_address.hpp"

namespace runnel::detail {

/// A request whose answer is waited for.
struct http_question {
    bool is_post = false;
    std::string target;
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::string body = {};
};

struct http_answer {
    unsigned status = 0;
    std::string body;
};

/// Asks once, by a connection of its own. Throws `io_error` if no whole answer comes in time.
http_answer http_call(const http_address& at, const http_question& question, std::chrono::milliseconds timeout);
/// For messages: "404 Not Found: "what the server says..."".
std::string http_text(const http_answer& answer);
/// What is wrong with headers that a user gives.
std::vector<std::string> http_header_problems(const std::vector<std::pair<std::string, std::string>>& headers);

}  // namespace runnel::detail
