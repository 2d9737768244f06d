#pragma once

#include <chrono>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/json.hpp"
#include "runnel/connect/troubles.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel {

/// How the records of a request are written in its body.
enum class http_body : unsigned char {
    json_array,  ///< [a,b,c], as application/json.
    json_lines,  ///< One record a line, as application/x-ndjson.
};

/// How `http_post` sends.
struct http_post_options {
    http_body body = http_body::json_array;
    /// Records in a request at most. More: less overhead; what a failed request repeats is larger.
    std::size_t max_records = 500;
    /// A body that has so many bytes is sent, with fewer records if it must be. Two bodies are in memory at a time.
    std::size_t max_bytes = 1 << 20;
    /// Further headers, such as {"Authorization", "Bearer ..."}; a Content-Type replaces the one of `body`.
    std::vector<std::pair<std::string, std::string>> headers = {};
    /// How long an attempt may take, from connecting to the end of the answer.
    std::chrono::milliseconds timeout{30'000};
    /// Attempts after the first one.
    std::size_t retries = 8;
    /// Wait before the first of them, by the job's clock; it doubles with each, up to `max_backoff`.
    std::chrono::milliseconds backoff{100};
    std::chrono::milliseconds max_backoff{30'000};
    /// A server that asks for a longer wait (Retry-After) than this ends the job.
    std::chrono::seconds max_retry_after{600};
};

namespace detail {

std::vector<std::string> http_problems(const std::string& url, const http_post_options& options);
/// The address without what may be secret in it.
std::string http_name(const std::string& url);

/// Sends one request after the other on a thread of its own.
/// Thread safety: unsafe; it wakes the writer when a request is over.
class http_poster {
public:
    http_poster(const std::string& url, const http_post_options& options, std::shared_ptr<troubles> troubles,
                const sink_context& context);
    ~http_poster();
    http_poster(const http_poster&) = delete;
    http_poster& operator=(const http_poster&) = delete;

    /// False while a request is under way. Throws `record_error` if one has failed for good.
    bool idle();
    /// Begins a request with `body`, which becomes empty. Precondition: idle.
    void post(std::string& body, std::size_t records, timestamp first);

private:
    class connection;
    std::unique_ptr<connection> connection_;
};

template <class T>
class http_post_sink final : public sink<T> {
public:
    http_post_sink(std::string url, http_post_options options) : url_(std::move(url)), options_(std::move(options)) {}

    std::string name() const override { return "http_post " + http_name(url_); }
    std::size_t max_parallelism() const override { return std::numeric_limits<std::size_t>::max(); }
    std::vector<std::string> problems() const override { return http_problems(url_, options_); }
    std::string trouble() const override { return troubles_->text(); }
    std::unique_ptr<sink_writer<T>> open(const sink_context& context) override {
        return std::make_unique<writer>(url_, options_, troubles_, context);
    }

private:
    class writer final : public sink_writer<T> {
    public:
        writer(const std::string& url, const http_post_options& options, std::shared_ptr<troubles> troubles,
               const sink_context& context)
            : poster_(url, options, std::move(troubles), context),
              array_(options.body == http_body::json_array),
              max_records_(options.max_records),
              max_bytes_(options.max_bytes) {}

        progress write(batch<T>& records) override {
            for (std::size_t i = records.cursor(); i < records.size(); ++i) {
                // Said first, so that an exception is known to be of this record.
                records.consume_until(i);
                if (full() && !send()) return progress::blocked;
                append(std::as_const(records).value(i), records.time(i));
            }
            records.consume_until(records.size());
            if (full()) (void)send();
            return progress::done;
        }
        /// While a request is under way, records gather for the next one; its end has this called again.
        progress flush() override {
            (void)send();
            return progress::done;
        }
        progress settle() override { return send() && poster_.idle() ? progress::done : progress::blocked; }

    private:
        bool full() const noexcept { return count_ != 0 && (count_ >= max_records_ || body_.size() >= max_bytes_); }
        void append(const T& value, timestamp t) {
            const std::size_t before = body_.size();
            try {
                if (array_) body_ += count_ == 0 ? '[' : ',';
                append_json(body_, value);
                if (!array_) body_ += '\n';
            } catch (...) {
                body_.resize(before);
                throw;
            }
            if (count_++ == 0) first_ = t;
        }
        /// False if a request is under way, so that what has been gathered has to wait.
        bool send() {
            if (!poster_.idle()) return false;
            if (count_ == 0) return true;
            if (array_) body_ += ']';
            poster_.post(body_, std::exchange(count_, 0), first_);
            return true;
        }

        http_poster poster_;
        const bool array_;
        const std::size_t max_records_;
        const std::size_t max_bytes_;
        std::string body_;
        std::size_t count_ = 0;
        timestamp first_;
    };

    std::string url_;
    http_post_options options_;
    std::shared_ptr<troubles> troubles_ = std::make_shared<troubles>();
};

}  // namespace detail

/// See `http_post`.
class http_post_recipe {
public:
    http_post_recipe(std::string url, http_post_options options) : url_(std::move(url)), options_(std::move(options)) {}
    template <class T>
    std::shared_ptr<sink<T>> bind() const {
        return std::make_shared<detail::http_post_sink<T>>(url_, options_);
    }

private:
    std::string url_;
    http_post_options options_;
};

/// Posts the records as JSON to `url`, "http://host:port/path?query", several in a request. No TLS: for https, post
/// to a proxy on this machine that speaks it.
///
/// A request is sent when it is full, or when the input has run empty and none is under way. Each subtask has a thread
/// and a connection of its own, which is kept, and sends its records in order. A request that is answered with 2xx is
/// done. One that gets no whole answer, 429 or 5xx is sent again, after an exponential backoff or what the server's
/// Retry-After says. Output is at least once: the server may have taken a request whose answer was lost.
/// Errors: `io_error` when the last attempt fails, and for any other answer, with status and the beginning of what the
/// server says. The job's error names the time of the request's first record. With `on_error(on_error::skip)` the whole
/// request is left out, counted once.
/// Example: `stream.to(runnel::http_post("http://localhost:8080/alerts", {.max_records = 100}))`
inline http_post_recipe http_post(std::string url, http_post_options options = {}) {
    return {std::move(url), std::move(options)};
}

}  // namespace runnel
