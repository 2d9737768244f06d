#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/connect/line_formats.hpp"
#include "runnel/connect/troubles.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel {

/// How `tcp_connect_to` connects and sends.
struct tcp_output_options {
    /// How long looking up the host and connecting may take together, and, at the end, how long the server may take to
    /// read what is left and close the connection.
    std::chrono::milliseconds timeout{10'000};
    /// Bytes that wait to be sent at most; a slow server then slows the job down.
    std::size_t max_waiting = 256 * 1024;
    /// Attempts to connect again, one after the other without success, when a connection is lost or not made. 0: that
    /// ends the job.
    std::size_t reconnects = 0;
    /// Wait before the first of them, by the job's clock; it doubles with each, up to `max_backoff`.
    std::chrono::milliseconds backoff{100};
    std::chrono::milliseconds max_backoff{30'000};
};

/// A TCP server that lines are sent to. See `tcp_connect_to`.
/// Thread safety: distinct objects: safe, shared objects: safe for const members.
class tcp_output {
public:
    tcp_output(std::string host, std::uint16_t port, tcp_output_options options)
        : host_(std::move(host)), port_(port), options_(options) {}
    const std::string& host() const noexcept { return host_; }
    std::uint16_t port() const noexcept { return port_; }
    const tcp_output_options& options() const noexcept { return options_; }
    /// "host:port".
    std::string name() const;
    std::vector<std::string> problems() const;

private:
    std::string host_;
    std::uint16_t port_;
    tcp_output_options options_;
};

namespace detail {

/// Sends text on a thread of its own.
/// Thread safety: unsafe; it wakes the writer when there is room, at the end, and when it has failed.
class tcp_sender {
public:
    /// `header` goes first on each connection.
    tcp_sender(const tcp_output& to, std::string header, std::shared_ptr<troubles> troubles,
               const sink_context& context);
    ~tcp_sender();
    tcp_sender(const tcp_sender&) = delete;
    tcp_sender& operator=(const tcp_sender&) = delete;

    /// False while as much waits as may. Throws `io_error`, like the following, once sending has failed.
    bool has_room();
    /// Takes whole lines, which become empty.
    void send(std::string& lines);
    /// No more lines come: true when the server has read all and closed the connection.
    bool finish();

private:
    class connection;
    std::unique_ptr<connection> connection_;
};

template <class T, class Format>
class tcp_lines_sink final : public sink<T> {
public:
    tcp_lines_sink(tcp_output to, Format format) : to_(std::move(to)), format_(std::move(format)) {}

    std::string name() const override { return std::string(Format::name) + "_lines_to " + to_.name(); }
    std::vector<std::string> problems() const override { return to_.problems(); }
    std::string trouble() const override { return troubles_->text(); }
    std::unique_ptr<sink_writer<T>> open(const sink_context& context) override {
        std::string header;
        format_.template begin<T>(header);
        return std::make_unique<writer>(to_, std::move(header), format_, troubles_, context);
    }

private:
    class writer final : public sink_writer<T> {
    public:
        writer(const tcp_output& to, std::string header, const Format& format, std::shared_ptr<troubles> troubles,
               const sink_context& context)
            : sender_(to, std::move(header), std::move(troubles), context), format_(format) {}
        progress write(batch<T>& records) override {
            for (std::size_t i = records.cursor(); i < records.size(); ++i) {
                // Said first, so that an exception is known to be of this record.
                records.consume_until(i);
                if (lines_.size() >= enough && !send()) return progress::blocked;
                append_line(format_, lines_, std::as_const(records).value(i));
            }
            records.consume_until(records.size());
            return progress::done;
        }
        /// Lines for which there is no room yet go when there is: then this is called again.
        progress flush() override {
            (void)send();
            return progress::done;
        }
        progress finish() override { return send() && sender_.finish() ? progress::done : progress::blocked; }

    private:
        static constexpr std::size_t enough = 16 * 1024;
        /// False if there is no room for the lines.
        bool send() {
            if (!sender_.has_room()) return lines_.empty();
            if (!lines_.empty()) sender_.send(lines_);
            return true;
        }

        tcp_sender sender_;
        Format format_;
        std::string lines_;
    };

    tcp_output to_;
    Format format_;
    std::shared_ptr<troubles> troubles_ = std::make_shared<troubles>();
};

}  // namespace detail

/// See `json_lines_to`, `csv_lines_to`, `text_lines_to`.
template <class Format>
class tcp_lines_recipe {
public:
    tcp_lines_recipe(tcp_output to, Format format) : to_(std::move(to)), format_(std::move(format)) {}
    template <class T>
    std::shared_ptr<sink<T>> bind() const {
        return std::make_shared<detail::tcp_lines_sink<T, Format>>(to_, format_);
    }

private:
    tcp_output to_;
    Format format_;
};

/// Where lines are sent: to a server, by host name or address, on one connection, which is made when the job starts.
///
/// What the server sends is read and ignored; when it closes the connection before the end, that counts as lost. At the
/// end the job waits until the server has closed it: only then has it read everything.
/// A thread waits for the socket. A connection that is lost ends the job, unless `reconnects` says otherwise; then what
/// the server's system had not confirmed is sent again, by whole lines, and may come twice. TCP confirms what has
/// reached the system, not the program: lines that a program had not read when it died are lost. So this is at least
/// once for a program that goes on, and no more than that.
/// Errors: `io_error` with host, port and the system's reason.
/// Example: `stream.to(runnel::json_lines_to(runnel::tcp_connect_to("localhost", 9000)))`
inline tcp_output tcp_connect_to(std::string host, std::uint16_t port, tcp_output_options options = {}) {
    return {std::move(host), port, options};
}

/// Sends each record as a line of JSON (`append_json`).
inline tcp_lines_recipe<detail::json_line> json_lines_to(tcp_output to) { return {std::move(to), {}}; }
/// Sends each record as a line of CSV (`append_csv`), below a header at the beginning of each connection.
inline tcp_lines_recipe<detail::csv_line> csv_lines_to(tcp_output to, char delimiter = ',') {
    return {std::move(to), {delimiter}};
}
/// Sends each record as `display` writes it; a text with a line break in it is an error.
inline tcp_lines_recipe<detail::text_line> text_lines_to(tcp_output to) { return {std::move(to), {}}; }

}  // namespace runnel
