#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <optional>

#include "http_address.hpp"
#include "http_call.hpp"
#include "quiet_thread.hpp"
#include "runnel/codec/utf8.hpp"
#include "runnel/connect/http_post.hpp"
#include "runnel/core/error.hpp"
#include "runnel/core/real_clock.hpp"

namespace runnel::detail {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

/// Of an answer's body; what is longer is not read.
constexpr std::size_t longest_answer = 64 * 1024;
constexpr std::size_t shown_of_answer = 200;
constexpr std::size_t longest_call_answer = 4 * 1024 * 1024;

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

/// The beginning of what a server says, fit for a message.
std::string excerpt(const std::string& body) {
    std::string text = body.substr(0, shown_of_answer);
    for (std::size_t good = 0; (good += valid_utf8_prefix(std::string_view(text).substr(good))) != text.size();)
        text[good] = '?';
    for (char& c : text)
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
    if (body.size() > shown_of_answer) text += "...";
    return text;
}

std::string status_text(unsigned status) {
    const std::string reason(http::obsolete_reason(http::int_to_status(status)));
    return std::to_string(status) + (reason.empty() || reason == "<unknown-status>" ? "" : " " + reason);
}

/// How long a server asks to wait: a number of seconds, or a date such as "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110).
std::optional<duration> asked_wait(const std::string& text, timestamp now) {
    using namespace std::chrono;
    if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos)
        return seconds(text.size() <= 9 ? std::stol(text) : 999'999'999);
    char name[4] = {};
    int d = 0, y = 0, h = 0, m = 0, s = 0, end = 0;
    if (std::sscanf(text.c_str(), "%*3s, %2d %3s %4d %2d:%2d:%2d GMT%n", &d, name, &y, &h, &m, &s, &end) != 6 ||
        end != static_cast<int>(text.size()))
        return std::nullopt;
    constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const std::size_t at = months.find(name);
    const year_month_day date(year(y), month(static_cast<unsigned>(at / 3 + 1)), day(static_cast<unsigned>(d)));
    if (at == months.npos || at % 3 != 0 || !date.ok() || h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 60)
        return std::nullopt;
    const timestamp until(sys_seconds(sys_days(date)) + hours(h) + minutes(m) + seconds(s));
    return std::max(until - now, duration::zero());
}

}  // namespace

std::string http_name(const std::string& url) { return http_address(url).name; }

std::vector<std::string> http_header_problems(const std::vector<std::pair<std::string, std::string>>& headers) {
    std::vector<std::string> problems;
    for (const auto& [name, value] : headers) {
        constexpr std::string_view token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
        const std::string known = lower(name);
        if (known.empty() || known.find_first_not_of(token) != std::string::npos)
            problems.push_back("header \"" + excerpt(name) + "\": not a name for a header. Use letters, digits and -");
        // The value may be secret, so it is not shown.
        if (std::any_of(value.begin(), value.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }))
            problems.push_back("header \"" + excerpt(name) + "\": its value has a line break in it. Remove it");
        if (known == "host" || known == "content-length" || known == "transfer-encoding" || known == "connection")
            problems.push_back("header \"" + name + "\": it follows from the request. Leave it out");
    }
    return problems;
}

std::vector<std::string> http_problems(const std::string& url, const http_post_options& options) {
    std::vector<std::string> problems = http_header_problems(options.headers);
    if (http_address at(url); !at.problem.empty()) problems.insert(problems.begin(), std::move(at.problem));
    if (options.max_records == 0) problems.push_back("max_records is 0: nothing could be sent. Give at least 1");
    if (options.timeout.count() <= 0) problems.push_back("timeout is not positive. Give the time for one attempt");
    if (options.backoff.count() < 0 || options.max_backoff < options.backoff)
        problems.push_back("backoff must lie between 0 and max_backoff");
    return problems;
}

/// The writer's thread hands over a body; all the rest happens on the thread of `io_`.
class http_poster::connection {
public:
    connection(const std::string& url, const http_post_options& options, std::shared_ptr<troubles> troubles,
               const sink_context& context)
        : at_(url),
          options_(options),
          troubles_(std::move(troubles)),
          wake_(context.wake),
          clock_(context.clock) {
        if (!clock_) clock_ = &own_clock_.emplace();
        request_.version(11);
        request_.method(http::verb::post);
        request_.target(at_.target);
        request_.set(http::field::host, at_.authority);
        request_.set(http::field::user_agent, "runnel");
        request_.set(http::field::content_type,
                     options.body == http_body::json_array ? "application/json" : "application/x-ndjson");
        // What is given replaces; what is given twice is sent twice.
        for (const auto& [name, value] : options.headers) request_.erase(name);
        for (const auto& [name, value] : options.headers) request_.insert(name, value);
        thread_ = start_quiet_thread([this] {
            const auto guard = asio::make_work_guard(io_);
            try {
                io_.run();
            } catch (const std::exception& e) {
                broken_ = true;
                fail(io_error("cannot post to " + at_.name + ": " + e.what(), 0));
            }
        });
    }
    ~connection() {
        io_.stop();
        thread_.join();
        // The thread is gone, so no further call is asked for.
        if (call_ != 0) clock_->cancel(call_);
        troubles_->over(this);
    }

    bool idle() {
        const std::lock_guard lock(mutex_);
        if (failure_) {
            // Told once, so that whoever leaves the batch out goes on with the next; unless nothing can be posted now.
            const io_error e = *failure_;
            if (broken_) throw e;
            failure_.reset();
            busy_ = false;
            throw record_error(std::make_exception_ptr(e), first_);
        }
        return !busy_;
    }
    void post(std::string& body, std::size_t records, timestamp first) {
        {
            const std::lock_guard lock(mutex_);
            busy_ = true;
            first_ = first;
        }
        // Nothing else uses the request now.
        request_.body().clear();
        request_.body().swap(body);
        request_.prepare_payload();
        records_ = records;
        asio::post(io_, [this] {
            tried_ = 0;
            wait_ = options_.backoff;
            attempt();
        });
    }

private:
    /// Handlers of earlier attempts come to nothing.
    template <class... Result, class F>
    auto of_attempt(F f) {
        return [this, f = std::move(f), n = number_](const error_code& ec, const Result&... result) mutable {
            if (n == number_) f(ec, result...);
        };
    }

    void attempt() {
        ++number_;
        reused_ = socket_.is_open();
        deadline_.expires_after(options_.timeout);
        deadline_.async_wait(of_attempt<>([this](const error_code& ec) {
            if (ec) return;
            ++number_;
            close();
            retry("no answer within " + std::to_string(options_.timeout.count()) + " ms", 0, {});
        }));
        if (reused_) return send();
        using endpoints = tcp::resolver::results_type;
        resolver_.async_resolve(at_.host, at_.port,
                                of_attempt<endpoints>([this](const error_code& ec, const endpoints& found) {
                                    if (ec) return lost(ec);
                                    connect(found);
                                }));
    }
    void connect(const tcp::resolver::results_type& found) {
        asio::async_connect(socket_, found, of_attempt<tcp::endpoint>([this](const error_code& ec, const auto&) {
            if (ec) return lost(ec);
            error_code ignored;
            socket_.set_option(tcp::no_delay(true), ignored);
            send();
        }));
    }
    void send() {
        http::async_write(socket_, request_, of_attempt<std::size_t>([this](const error_code& ec, std::size_t) {
            // A server that refuses a request may answer and close before it has read all.
            not_sent_ = ec;
            buffer_.clear();
            receive();
        }));
    }
    void receive() {
        parser_.emplace();
        parser_->body_limit(longest_answer);
        http::async_read(socket_, buffer_, *parser_, of_attempt<std::size_t>([this](const error_code& ec, std::size_t) {
            const bool too_long = ec == http::error::body_limit && parser_->is_header_done();
            if (ec && !too_long) return lost(not_sent_ ? not_sent_ : ec);
            const unsigned status = parser_->get().result_int();
            if (status / 100 == 1) return receive();
            deadline_.cancel();
            ++number_;
            if (too_long || not_sent_ || !parser_->keep_alive() || buffer_.size() != 0) close();
            answered(status);
        }));
    }

    void lost(const error_code& ec) {
        deadline_.cancel();
        ++number_;
        const bool nothing_came = !parser_ || !parser_->got_some();
        parser_.reset();
        close();
        // A server may close a connection that it has not used for a while; nobody is to blame.
        if (reused_ && nothing_came) return attempt();
        retry(ec == http::error::end_of_stream ? "the server closed the connection without an answer" : ec.message(),
              ec.category() == boost::system::system_category() ? ec.value() : 0, {});
    }
    void answered(unsigned status) {
        const auto& answer = parser_->get();
        if (status / 100 == 2) return done();
        std::string reason = "the server answered " + status_text(status);
        if (!answer.body().empty()) reason += ": \"" + excerpt(answer.body()) + "\"";
        if (status != 429 && status / 100 != 5)
            return fail(io_error(what() + ": " + reason + ". Such an answer stays the same when it is asked again", 0));
        const auto& field = answer[http::field::retry_after];
        const std::optional<duration> asked = asked_wait(std::string(field), clock_->now());
        if (asked && *asked > options_.max_retry_after)
            return fail(io_error(what() + ": " + reason + ". It asks to wait " +
                                     std::to_string(std::chrono::ceil<std::chrono::seconds>(*asked).count()) +
                                     " s, which is more than max_retry_after",
                                 0));
        retry(reason, 0, asked);
    }
    void done() {
        troubles_->over(this);
        {
            const std::lock_guard lock(mutex_);
            busy_ = false;
        }
        if (wake_) wake_();
    }
    void retry(const std::string& reason, int code, std::optional<duration> asked) {
        ++tried_;
        const std::string why =
            what() + ", tried " + (tried_ == 1 ? "once" : std::to_string(tried_) + " times") + ": " + reason;
        if (tried_ > options_.retries) return fail(io_error(why, code));
        troubles_->tell(this, why);
        const duration wait = asked ? *asked : wait_;
        wait_ = std::min(wait_ * 2, std::chrono::nanoseconds(options_.max_backoff));
        call_ = clock_->call_at(clock_->now() + wait, [this] { asio::post(io_, [this] { attempt(); }); });
    }
    void fail(const io_error& e) {
        troubles_->over(this);
        {
            const std::lock_guard lock(mutex_);
            failure_.emplace(std::string(e.what()), e.code());
        }
        if (wake_) wake_();
    }
    std::string what() const {
        return "cannot post " + std::to_string(records_) + (records_ == 1 ? " record to " : " records to ") + at_.name;
    }
    void close() {
        error_code ignored;
        socket_.close(ignored);
    }

    const http_address at_;
    const http_post_options options_;
    const std::shared_ptr<troubles> troubles_;
    const std::function<void()> wake_;
    std::optional<real_clock> own_clock_;
    clock* clock_;

    std::mutex mutex_;
    bool busy_ = false;           // under mutex_
    std::optional<io_error> failure_;  // under mutex_; of the batch under way, or of the thread, which is then broken
    std::atomic<bool> broken_ = false;  // set before failure_, under whose mutex it is read
    timestamp first_;             // under mutex_

    asio::io_context io_{1};
    tcp::resolver resolver_{io_};
    tcp::socket socket_{io_};
    asio::steady_timer deadline_{io_};
    http::request<http::string_body> request_;
    boost::beast::flat_buffer buffer_;
    std::optional<http::response_parser<http::string_body>> parser_;
    std::size_t records_ = 0;
    std::uint64_t number_ = 0;  // of the attempt under way
    std::size_t tried_ = 0;
    duration wait_{};
    bool reused_ = false;
    error_code not_sent_;
    clock::call_id call_ = 0;
    std::thread thread_;
};

http_poster::http_poster(const std::string& url, const http_post_options& options, std::shared_ptr<troubles> troubles,
                         const sink_context& context)
    : connection_(std::make_unique<connection>(url, options, std::move(troubles), context)) {}
http_poster::~http_poster() = default;

bool http_poster::idle() { return connection_->idle(); }

void http_poster::post(std::string& body, std::size_t records, timestamp first) {
    connection_->post(body, records, first);
}

std::string http_text(const http_answer& answer) {
    return status_text(answer.status) + (answer.body.empty() ? "" : ": \"" + excerpt(answer.body) + "\"");
}

http_answer http_call(const http_address& at, const http_question& question, std::chrono::milliseconds timeout) {
    http::request<http::string_body> request;
    request.version(11);
    request.method(question.is_post ? http::verb::post : http::verb::get);
    request.target(question.target);
    request.set(http::field::host, at.authority);
    request.set(http::field::user_agent, "runnel");
    request.set(http::field::connection, "close");
    for (const auto& [name, value] : question.headers) request.set(name, value);
    request.body() = question.body;
    request.prepare_payload();

    // Handlers that are not called any more go with the context, which so has to come first.
    asio::io_context io;
    tcp::resolver resolver(io);
    tcp::socket socket(io);
    boost::beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(longest_call_answer);
    std::optional<error_code> result;
    const auto read = [&](const error_code& not_sent) {
        http::async_read(socket, buffer, parser, [&, not_sent](const error_code& ec, std::size_t) {
            // A server that refuses a request may answer and close before it has read all.
            result = ec && not_sent ? not_sent : ec;
        });
    };
    const auto write = [&] {
        http::async_write(socket, request, [&](const error_code& ec, std::size_t) { read(ec); });
    };
    const auto connect = [&](const tcp::resolver::results_type& found) {
        asio::async_connect(socket, found, [&](const error_code& ec, const tcp::endpoint&) {
            if (ec) result = ec;
            else write();
        });
    };
    resolver.async_resolve(at.host, at.port, [&](const error_code& ec, const tcp::resolver::results_type& found) {
        if (ec) result = ec;
        else connect(found);
    });
    io.run_for(timeout);
    if (!result) throw io_error("no answer within " + std::to_string(timeout.count()) + " ms", 0);
    if (*result == http::error::end_of_stream)
        throw io_error("the server closed the connection without an answer", 0);
    if (*result)
        throw io_error(result->message(), result->category() == boost::system::system_category() ? result->value() : 0);
    return {parser.get().result_int(), parser.get().body()};
}

}  // namespace runnel::detail
