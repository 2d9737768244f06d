#include "runnel/connect/tcp_output.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <optional>

#include "quiet_thread.hpp"
#include "runnel/core/error.hpp"
#include "runnel/core/real_clock.hpp"

namespace runnel {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// Bounds what has been sent and is not confirmed, and so what is kept to be sent again.
constexpr int send_buffer = 256 * 1024;

std::string in_ms(std::chrono::milliseconds d) { return std::to_string(d.count()) + " ms"; }

}  // namespace

std::string tcp_output::name() const {
    const bool v6 = host_.find(':') != std::string::npos;
    return (v6 ? "[" + host_ + "]" : host_) + ":" + std::to_string(port_);
}

std::vector<std::string> tcp_output::problems() const {
    std::vector<std::string> problems;
    if (options_.timeout.count() <= 0)
        problems.push_back("tcp_connect_to: timeout is not positive. Give the time to connect");
    if (options_.max_waiting == 0) problems.push_back("tcp_connect_to: max_waiting is 0; nothing could be sent");
    if (options_.backoff.count() < 0 || options_.max_backoff < options_.backoff)
        problems.push_back("tcp_connect_to: backoff must lie between 0 and max_backoff");
    return problems;
}

namespace detail {

/// The writer's thread hands over lines; all the rest happens on the thread of `io_`.
class tcp_sender::connection {
public:
    connection(const tcp_output& to, std::string header, std::shared_ptr<troubles> troubles,
               const sink_context& context)
        : to_(to),
          header_(std::move(header)),
          troubles_(std::move(troubles)),
          wake_(context.wake),
          clock_(context.clock) {
        if (!clock_) clock_ = &own_clock_.emplace();
        wait_ = to_.options().backoff;
        // On the thread, so that the thread which the resolver starts takes no signals either.
        asio::post(io_, [this] { connect(); });
        thread_ = start_quiet_thread([this] {
            const auto guard = asio::make_work_guard(io_);
            try {
                io_.run();
            } catch (const std::exception& e) {
                fail(e.what(), 0);
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

    bool has_room() {
        const std::lock_guard lock(mutex_);
        check();
        waits_for_room_ = waiting_.size() >= to_.options().max_waiting;
        return !waits_for_room_;
    }
    void send(std::string& lines) {
        {
            const std::lock_guard lock(mutex_);
            waiting_ += lines;
        }
        lines.clear();
        asio::post(io_, [this] { pump(); });
    }
    bool finish() {
        {
            const std::lock_guard lock(mutex_);
            check();
            if (std::exchange(ending_, true)) return ended_;
        }
        asio::post(io_, [this] { pump(); });
        return false;
    }

private:
    void check() const {
        if (failure_) throw *failure_;
    }

    /// Handlers of earlier connections come to nothing.
    template <class... Result, class F>
    auto of_connection(F f) {
        return [this, f = std::move(f), n = number_](const error_code& ec, const Result&... result) mutable {
            if (n == number_) f(ec, result...);
        };
    }

    void connect() {
        ++number_;
        wait_at_most("no connection within " + in_ms(to_.options().timeout));
        using endpoints = tcp::resolver::results_type;
        resolver_.async_resolve(to_.host(), std::to_string(to_.port()),
                                of_connection<endpoints>([this](const error_code& ec, const endpoints& found) {
                                    if (ec) return lost(ec);
                                    connect(found);
                                }));
    }
    void connect(const tcp::resolver::results_type& found) {
        asio::async_connect(socket_, found, of_connection<tcp::endpoint>([this](const error_code& ec, const auto&) {
            if (ec) return lost(ec);
            deadline_.cancel();
            ++number_;
            error_code ignored;
            socket_.set_option(tcp::no_delay(true), ignored);
            socket_.set_option(asio::socket_base::keep_alive(true), ignored);
            if (keeps()) socket_.set_option(asio::socket_base::send_buffer_size(send_buffer), ignored);
            connected_ = true;
            troubles_->over(this);
            read();
            if (header_.empty()) return pump();
            writing_ = true;
            asio::async_write(socket_, asio::buffer(header_),
                              of_connection<std::size_t>([this](const error_code& failed, std::size_t) {
                                  writing_ = false;
                                  if (failed) return lost(failed);
                                  pump();
                              }));
        }));
    }
    /// Reads on to learn when the server closes the connection; what it says is of no interest.
    void read() {
        socket_.async_read_some(asio::buffer(ignored_),
                                of_connection<std::size_t>([this](const error_code& ec, std::size_t) {
                                    if (!ec) return read();
                                    // A server that closes on its own may do so before the last lines reach it.
                                    if (ec == asio::error::eof && shut_ && unconfirmed() <= 1) return end();
                                    lost(ec);
                                }));
    }
    void end() {
        deadline_.cancel();
        ++number_;
        close();
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        if (wake_) wake_();
    }

    /// Sends what there is, unless that is under way.
    void pump() {
        if (!connected_ || writing_ || shut_) return;
        if (sent_ == lines_.size() && !take()) return;
        writing_ = true;
        socket_.async_write_some(asio::buffer(lines_.data() + sent_, lines_.size() - sent_),
                                 of_connection<std::size_t>([this](const error_code& ec, std::size_t n) {
                                     writing_ = false;
                                     if (ec) return lost(ec);
                                     sent_ += n;
                                     forget();
                                     pump();
                                 }));
    }
    /// Fetches the lines that wait. Without any, at the end, tells the server that nothing more comes.
    bool take() {
        bool wake = false;
        {
            const std::lock_guard lock(mutex_);
            if (waiting_.empty()) {
                if (ending_) shut();
                return false;
            }
            if (lines_.empty()) lines_.swap(waiting_);
            else lines_ += waiting_;
            waiting_.clear();
            wake = std::exchange(waits_for_room_, false);
        }
        if (wake && wake_) wake_();
        return true;
    }
    void shut() {
        shut_ = true;
        wait_at_most("the server has not closed the connection within " + in_ms(to_.options().timeout) +
                     " of the end, so it may not have read everything");
        error_code ignored;  // The reader learns of it.
        socket_.shutdown(tcp::socket::shutdown_send, ignored);
    }

    /// True if lines are kept until they are confirmed.
    bool keeps() const noexcept { return to_.options().reconnects != 0; }
    /// Bytes that the server's system has not confirmed yet; once it has been told of the end, that counts as one.
    std::size_t unconfirmed() {
        int n = 0;
        if (::ioctl(socket_.native_handle(), SIOCOUTQ, &n) != 0 || n < 0) return sent_;
        return static_cast<std::size_t>(n);
    }
    /// Drops lines that need not be sent again.
    void forget() {
        std::size_t confirmed = sent_;
        if (keeps()) {
            confirmed -= std::min(confirmed, unconfirmed());
            const std::size_t end = confirmed == 0 ? lines_.npos : lines_.rfind('\n', confirmed - 1);
            confirmed = end == lines_.npos ? 0 : end + 1;
            if (confirmed != 0) {
                tried_ = 0;
                wait_ = to_.options().backoff;
            }
        }
        // Not for every few bytes.
        if (confirmed < lines_.size() / 2) return;
        lines_.erase(0, confirmed);
        sent_ -= confirmed;
    }

    void lost(const error_code& ec) {
        lost(ec == asio::error::eof ? "the server has closed the connection" : ec.message(),
             ec.category() == boost::system::system_category() ? ec.value() : 0);
    }
    void lost(const std::string& reason, int code) {
        deadline_.cancel();
        ++number_;
        close();
        connected_ = writing_ = shut_ = false;
        sent_ = 0;
        if (tried_++ == to_.options().reconnects) return fail(reason, code);
        troubles_->tell(this, what() + ": " + reason);
        call_ = clock_->call_at(clock_->now() + wait_, [this] { asio::post(io_, [this] { connect(); }); });
        wait_ = std::min(wait_ * 2, std::chrono::nanoseconds(to_.options().max_backoff));
    }
    void wait_at_most(const std::string& reason) {
        deadline_.expires_after(to_.options().timeout);
        deadline_.async_wait(of_connection<>([this, reason](const error_code& ec) {
            if (!ec) lost(reason, ETIMEDOUT);
        }));
    }
    void fail(const std::string& reason, int code) {
        {
            const std::lock_guard lock(mutex_);
            failure_.emplace(what() + ": " + reason, code);
        }
        if (wake_) wake_();
    }
    std::string what() const {
        return "cannot send to " + to_.name() + (tried_ > 1 ? ", tried " + std::to_string(tried_) + " times" : "");
    }
    void close() {
        error_code ignored;
        socket_.close(ignored);
    }

    const tcp_output to_;
    const std::string header_;
    const std::shared_ptr<troubles> troubles_;
    const std::function<void()> wake_;
    std::optional<real_clock> own_clock_;
    clock* clock_;

    std::mutex mutex_;
    std::string waiting_;              // under mutex_
    bool waits_for_room_ = false;      // under mutex_
    bool ending_ = false;              // under mutex_
    bool ended_ = false;               // under mutex_
    std::optional<io_error> failure_;  // under mutex_

    asio::io_context io_{1};
    tcp::resolver resolver_{io_};
    tcp::socket socket_{io_};
    asio::steady_timer deadline_{io_};
    std::array<char, 4096> ignored_;
    std::string lines_;       // sent and perhaps to be sent again, then not sent yet
    std::size_t sent_ = 0;    // bytes of lines_
    std::uint64_t number_ = 0;  // of the connection
    bool connected_ = false;
    bool writing_ = false;
    bool shut_ = false;
    std::size_t tried_ = 0;  // since the last success
    duration wait_{};
    clock::call_id call_ = 0;
    std::thread thread_;
};

tcp_sender::tcp_sender(const tcp_output& to, std::string header, std::shared_ptr<troubles> troubles,
                       const sink_context& context)
    : connection_(std::make_unique<connection>(to, std::move(header), std::move(troubles), context)) {}
tcp_sender::~tcp_sender() = default;

bool tcp_sender::has_room() { return connection_->has_room(); }
void tcp_sender::send(std::string& lines) { connection_->send(lines); }
bool tcp_sender::finish() { return connection_->finish(); }

}  // namespace detail

}  // namespace runnel
