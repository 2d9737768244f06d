#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace runnel::observe::detail {

/// What matters here of a request.
struct http_request {
    std::string method;
    std::string target;
    std::string host;
    std::string authorization;
    bool keep_alive = true;
};

struct http_response {
    unsigned status = 200;
    std::string_view type = "text/plain; charset=utf-8";
    std::string body;
    /// It is the beginning of a stream of events.
    bool is_stream = false;
};

/// The head of an answer, and the body unless `without_body`.
std::string http_text(const http_response& response, bool keep_alive, bool without_body);

/// Takes requests out of the bytes of a connection. Holds no more than the limits and one block that goes beyond.
/// Thread safety: unsafe.
class http_reader {
public:
    static constexpr std::size_t longest_line = 8 * 1024;
    static constexpr std::size_t longest_head = 16 * 1024;

    enum class state : unsigned char {
        incomplete,  ///< More bytes are needed.
        complete,    ///< `request()` is the next one.
        refused,     ///< No request can be found: `refusal()` is the status to answer with. Nothing more is taken.
    };

    http_reader();
    http_reader(const http_reader&) = delete;
    http_reader& operator=(const http_reader&) = delete;
    ~http_reader();

    /// Adds what has come; with nothing, looks at what is left behind the last request.
    state put(std::string_view bytes);
    const http_request& request() const noexcept { return request_; }
    unsigned refusal() const noexcept { return refusal_; }

private:
    state refuse(unsigned status);

    struct parser;
    std::unique_ptr<parser> parser_;
    std::string bytes_;
    std::size_t used_ = 0;  ///< Bytes of the request that the parser has taken.
    http_request request_;
    unsigned refusal_ = 0;
};

}  // namespace runnel::observe::detail
