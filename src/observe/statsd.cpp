#include "runnel/observe/statsd.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <memory>
#include <system_error>

#include "numbers.hpp"
#include "runnel/core/error.hpp"
#include "runnel/observe/metric.hpp"

namespace runnel::observe {
namespace {

/// What has no meaning of its own in a line, and in a name no dot either.
void append_word(std::string& out, std::string_view text, bool in_name) {
    for (char c : text) {
        const auto u = static_cast<unsigned char>(c);
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        const bool plain = letter || c == '_' || c == '-';
        const bool in_tags = c == '.' || c == '/' || c == '[' || c == ']';
        out += plain || (!in_name && in_tags) || (!in_name && u >= 0x80) ? c : '_';
    }
}

/// "runnel_records_in_total" is "runnel.records_in".
std::string base_name(std::string_view name) {
    std::string base(name);
    if (base.ends_with("_total")) base.resize(base.size() - 6);
    if (base.starts_with("runnel_")) base[6] = '.';
    return base;
}

class lines {
public:
    lines(int socket, const statsd_options& options) : socket_(socket), options_(options) {}

    void add(const metric& m, std::string_view suffix, double value, const char* type) {
        std::string name = base_name(m.name);
        name += suffix;
        if (!options_.tags)
            for (const auto& label : m.labels) {
                name += '.';
                append_word(name, label.second, true);
            }
        // A gauge with a sign is a change of it: a negative one is set by way of 0.
        if (type[0] == 'g' && value < 0) line(m, name, 0, type);
        line(m, name, value, type);
    }
    std::size_t flush() {
        if (!datagram_.empty() &&
            ::send(socket_, datagram_.data(), datagram_.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            taken_ += count_;
        datagram_.clear();
        count_ = 0;
        return taken_;
    }

private:
    void line(const metric& m, const std::string& name, double value, const char* type) {
        std::string text = name + ":";
        detail::append_number(text, value);
        text += '|';
        text += type;
        if (options_.tags) {
            const char* before = "|#";
            for (const auto& [label, of] : m.labels) {
                text += before;
                text += label;
                text += ':';
                append_word(text, of, false);
                before = ",";
            }
        }
        if (text.size() > options_.max_datagram) return;
        if (datagram_.size() + 1 + text.size() > options_.max_datagram) flush();
        if (!datagram_.empty()) datagram_ += '\n';
        datagram_ += text;
        ++count_;
    }

    int socket_;
    const statsd_options& options_;
    std::string datagram_;
    std::size_t count_ = 0;
    std::size_t taken_ = 0;
};

std::string identity(const metric& m) {
    std::string text(m.name);
    for (const auto& [name, value] : m.labels) text.append(1, '\0').append(value);
    return text;
}

}  // namespace

statsd::statsd(statsd_options options) : options_(std::move(options)) {
    const std::string name = options_.host + ":" + std::to_string(options_.port);
    addrinfo wanted{}, *found = nullptr;
    wanted.ai_socktype = SOCK_DGRAM;
    if (const int code = ::getaddrinfo(options_.host.c_str(), std::to_string(options_.port).c_str(), &wanted, &found))
        throw io_error("cannot send StatsD lines to " + name + ": " +
                           (code == EAI_SYSTEM ? std::generic_category().message(errno) : ::gai_strerror(code)) +
                           ". Give the host's name or address",
                       code == EAI_SYSTEM ? errno : 0);
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> freed(found, &::freeaddrinfo);
    socket_ = ::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0 || ::connect(socket_, found->ai_addr, found->ai_addrlen) != 0) {
        const int code = errno;
        if (socket_ >= 0) ::close(socket_);
        throw io_error("cannot send StatsD lines to " + name + ": " + std::generic_category().message(code), code);
    }
}

statsd::~statsd() { ::close(socket_); }

std::size_t statsd::send(const std::vector<job_status>& jobs) {
    lines out(socket_, options_);
    // Labels that are gone are forgotten.
    std::map<std::string, double, std::less<>> now;
    const auto count = [&](const metric& m, std::string_view suffix, double value) {
        std::string id = identity(m).append(suffix);
        const auto before = sent_.find(id);
        // One that is lower has begun anew.
        const double from = before == sent_.end() || before->second > value ? 0 : before->second;
        if (value != from) out.add(m, suffix, value - from, "c");
        now.emplace(std::move(id), value);
    };
    visit_metrics(jobs, [&](const metric& m) {
        switch (m.kind) {
            case metric_kind::counter: return count(m, "", m.value);
            case metric_kind::gauge: return out.add(m, "", m.value, "g");
            case metric_kind::histogram: break;
        }
        const auto samples = m.counts->count();
        count(m, ".count", static_cast<double>(samples));
        if (samples == 0) return;
        for (const auto& [suffix, share] : {std::pair(".p50", 0.5), std::pair(".p99", 0.99), std::pair(".max", 1.0)})
            out.add(m, suffix, std::chrono::duration<double>(m.counts->quantile(share)).count(), "g");
    });
    sent_ = std::move(now);
    return out.flush();
}

}  // namespace runnel::observe
