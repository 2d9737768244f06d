#include "asio_streams.hpp"

#include <boost/asio/executor_work_guard.hpp>

#include <algorithm>

#include "quiet_thread.hpp"

namespace runnel::detail {

io_error socket_failure(const std::string& operation, const std::string& name, const error_code& ec) {
    // Looking up a host has error codes of its own.
    const bool is_errno = ec.category() == boost::system::system_category();
    return io_error("cannot " + operation + " " + name + ": " + ec.message(), is_errno ? ec.value() : 0);
}

std::vector<std::string> problems_of(const std::string& function, const socket_client_options& options) {
    if (!options.reconnect) return {};
    std::vector<std::string> found;
    if (options.reconnect->first.count() <= 0)
        found.push_back(function + ": the first wait before connecting again is not positive");
    if (options.reconnect->most < options.reconnect->first)
        found.push_back(function + ": the longest wait before connecting again is shorter than the first");
    return found;
}

std::vector<std::string> problems_of(const std::string& function, const socket_server_options& options) {
    std::vector<std::string> found;
    if (options.max_connections == 0) found.push_back(function + ": max_connections is 0; at least 1 is needed");
    if (options.idle_timeout.count() < 0) found.push_back(function + ": idle_timeout is negative");
    return found;
}

byte_chunk socket_stream::read(char* into, std::size_t n) {
    release_ended();
    for (;;) {
        std::size_t i;
        connection* c;
        bool expired;
        {
            const std::lock_guard lock(mutex_);
            if (ready_.empty()) {
                if (failure_) throw *failure_;
                return {.what = all_served() ? byte_chunk::kind::finished : byte_chunk::kind::wait};
            }
            i = ready_.front();
            ready_.pop_front();
            c = connections_[i].get();
            expired = std::exchange(c->expired, false);
        }
        error_code ec;
        const std::size_t size = c->stream.receive(asio::buffer(into, n), 0, ec);
        if (ec == asio::error::would_block || ec == asio::error::interrupted) {
            if (expired) return end(i, *c, asio::error::eof);
            wait_for(i, *c);
            continue;
        }
        if (ec) return end(i, *c, ec);
        c->last_data = clock_.now();
        if (size < n) {
            wait_for(i, *c);
        } else {
            // Probably there is more; the others come first.
            const std::lock_guard lock(mutex_);
            ready_.push_back(i);
        }
        return {.what = byte_chunk::kind::data, .peer = i, .size = size};
    }
}

std::string socket_stream::peer_name(std::size_t peer) const {
    const std::lock_guard lock(mutex_);
    return connections_[peer]->name;
}

void socket_stream::start() {
    thread_ = start_quiet_thread([this] {
        // Sockets are handed over to be waited for at any time, also when none is just now.
        const auto guard = asio::make_work_guard(*io_);
        try {
            io_->run();
        } catch (const std::exception& e) {
            fail(io_error("cannot serve " + name_ + ": " + e.what(), 0));
        }
    });
}

void socket_stream::stop() {
    io_->stop();
    if (thread_.joinable()) thread_.join();
}

void socket_stream::fail(io_error e) {
    {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::move(e);
    }
    wake_();
}

void socket_stream::add(socket s, std::string name) {
    error_code ignored;
    s.non_blocking(true, ignored);
    // Finds peers that have gone without a word, after hours.
    s.set_option(asio::socket_base::keep_alive(true), ignored);
    auto added = std::make_unique<connection>(std::move(s), std::move(name), clock_.now());
    connection& c = *added;
    std::size_t i = 0;
    {
        const std::lock_guard lock(mutex_);
        while (i < connections_.size() && connections_[i]->open) ++i;
        if (i == connections_.size()) connections_.push_back(std::move(added));
        else connections_[i] = std::move(added);
        ++open_;
    }
    wait_for(i, c);
}

timestamp socket_stream::close_idle(duration limit) {
    const timestamp now = clock_.now();
    timestamp next = timestamp::max();
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < connections_.size(); ++i) {
        connection& c = *connections_[i];
        if (!c.open || c.expired) continue;
        if (c.last_data + limit > now) {
            next = std::min(next, c.last_data + limit);
            continue;
        }
        c.expired = true;
        // Ends the waiting, so that the connection comes up to be read once more.
        asio::post(*io_, [this, i] {
            const std::lock_guard still(mutex_);
            error_code ignored;
            if (connections_[i]->expired) connections_[i]->stream.cancel(ignored);
        });
    }
    // A connection may come meanwhile.
    return std::min(next, now + limit);
}

/// Has the connection come up again when it is readable, has ended or failed. No other operation on it is under way, so
/// this may be called from either thread.
void socket_stream::wait_for(std::size_t i, connection& c) {
    c.stream.async_wait(socket::wait_read, [this, i](const error_code&) {
        {
            const std::lock_guard lock(mutex_);
            ready_.push_back(i);
        }
        wake_();
    });
}

byte_chunk socket_stream::end(std::size_t i, connection& c, const error_code& ec) {
    byte_chunk chunk{.what = byte_chunk::kind::ended, .peer = i};
    if (ec != asio::error::eof) chunk.reason = lost(c, ec);
    error_code ignored;
    c.stream.close(ignored);
    ended_ = &c;
    return chunk;
}

/// Gives the number of the connection that ended last to another one, now that its name is not asked for any more.
void socket_stream::release_ended() {
    if (!ended_) return;
    {
        const std::lock_guard lock(mutex_);
        ended_->open = false;
        --open_;
        ++served_;
    }
    ended_ = nullptr;
    on_end();
}

byte_chunk client_stream::read(char* into, std::size_t n) {
    byte_chunk chunk = socket_stream::read(into, n);
    if (!options_.reconnect || chunk.what == byte_chunk::kind::finished) return chunk;
    const std::lock_guard lock(mutex_);
    if (chunk.what == byte_chunk::kind::data) {
        if (failures_ != 0) troubles_->over(this);
        failures_ = 0, fresh_ = false;
    }
    if (chunk.what == byte_chunk::kind::ended && std::exchange(fresh_, false))
        failed(io_error("cannot read from " + name_ + ": it closes connections without sending anything", 0));
    if (chunk.what != byte_chunk::kind::wait || trying_ || open_ != 0) return chunk;
    if (options_.reconnect->tries != 0 && failures_ >= options_.reconnect->tries)
        throw io_error(std::string(cause_->what()) + "; given up after " + std::to_string(failures_) +
                           (failures_ == 1 ? " try" : " tries") + " in a row",
                       cause_->code());
    const timestamp now = clock_.now();
    if (!next_try_) next_try_ = now + wait_before_next();
    if (now < *next_try_) {
        chunk.until = *next_try_;
        return chunk;
    }
    next_try_.reset();
    trying_ = true;
    asio::post(*io_, [this] { start_try(); });
    return chunk;
}

duration client_stream::wait_before_next() const {
    duration wait = options_.reconnect->first;
    const duration most = options_.reconnect->most;
    for (std::size_t i = 1; i < failures_ && wait < most; ++i) wait = wait < most / 2 ? 2 * wait : most;
    return wait;
}

void client_stream::begin() {
    // On the thread, so that the thread which the resolver starts takes no signals either.
    asio::post(*io_, [this] { start_try(); });
    start();
}

void client_stream::start_try() {
    const std::uint64_t number = ++try_;
    timeout_.expires_after(options_.timeout);
    timeout_.async_wait([this, number](const error_code& ec) {
        if (!ec) done(number, asio::error::timed_out, nullptr);
    });
    connect(number);
}

void client_stream::done(std::uint64_t number, const error_code& ec, socket* s) {
    if (is_over(number)) return;
    ++try_;
    timeout_.cancel();
    if (!s) abandon();
    {
        const std::lock_guard lock(mutex_);
        fresh_ = s != nullptr;
        if (!s) {
            failed(socket_failure("connect to", name_, ec));
            trying_ = false;
        }
    }
    if (s) {
        add(std::move(*s), name_);
        const std::lock_guard lock(mutex_);
        trying_ = false;
    } else if (options_.reconnect) {
        wake_();
    } else {
        fail(*cause_);
    }
}

/// One try more without data. With the lock.
void client_stream::failed(io_error cause) {
    ++failures_;
    cause_ = std::move(cause);
    if (!options_.reconnect) return;
    const std::string tries = failures_ == 1 ? "once" : std::to_string(failures_) + " times";
    troubles_->tell(this, std::string(cause_->what()) + ", tried " + tries);
}

std::string client_stream::lost(const connection& c, const error_code& ec) {
    if (!options_.reconnect) throw socket_failure("read from", c.name, ec);
    return "connection lost: " + ec.message();
}

}  // namespace runnel::detail
