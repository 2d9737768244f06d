#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace test {

/// What the server does with one request.
struct http_reply {
    std::string bytes;
    bool close = false;        ///< Afterwards the connection is closed.
    bool unread_body = false;  ///< Answers and closes before it has read the body.
    bool silent = false;       ///< Says nothing until the client goes.
};

inline http_reply http_answer(int status, const std::string& body = "", const std::string& headers = "") {
    return {"HTTP/1.1 " + std::to_string(status) + " Whatever\r\nContent-Length: " + std::to_string(body.size()) +
            "\r\n" + headers + "\r\n" + body};
}

struct http_request {
    std::string head;
    std::string body;
};

/// A small server that answers what its script says, then 200 to everything; one connection at a time.
class http_server {
public:
    explicit http_server(std::deque<http_reply> script = {}) : script_(std::move(script)) {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::bind(listener_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
        REQUIRE(::listen(listener_, 8) == 0);
        socklen_t size = sizeof at;
        REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
        port_ = ntohs(at.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~http_server() {
        ends_ = true;
        ::shutdown(listener_, SHUT_RDWR);
        {
            const std::lock_guard lock(mutex_);
            if (client_ >= 0) ::shutdown(client_, SHUT_RDWR);
        }
        thread_.join();
        ::close(listener_);
    }

    std::string url(const std::string& target = "/in") const {
        return "http://127.0.0.1:" + std::to_string(port_) + target;
    }
    std::vector<http_request> requests() {
        const std::lock_guard lock(mutex_);
        return requests_;
    }
    std::vector<std::string> bodies() {
        std::vector<std::string> all;
        for (const http_request& r : requests()) all.push_back(r.body);
        return all;
    }
    int connections() const { return connections_; }

private:
    void serve() {
        while (!ends_) {
            const int fd = ::accept(listener_, nullptr, nullptr);
            if (fd < 0) return;
            ++connections_;
            {
                const std::lock_guard lock(mutex_);
                client_ = fd;
            }
            if (!ends_) talk(fd);
            const std::lock_guard lock(mutex_);
            client_ = -1;
            ::close(fd);
        }
    }
    void talk(int fd) {
        std::string got;
        for (;;) {
            std::size_t end;
            while ((end = got.find("\r\n\r\n")) == got.npos)
                if (!read_more(fd, got)) return;
            end += 4;
            http_request r{got.substr(0, end), ""};
            const std::size_t at = r.head.find("Content-Length: ");
            const std::size_t length = at == r.head.npos ? 0 : std::stoul(r.head.substr(at + 16));
            http_reply reply = http_answer(200);
            {
                const std::lock_guard lock(mutex_);
                if (!script_.empty()) {
                    reply = script_.front();
                    script_.pop_front();
                }
            }
            if (!reply.unread_body)
                while (got.size() < end + length)
                    if (!read_more(fd, got)) return;
            r.body = got.substr(end, length);
            got.erase(0, end + length);
            {
                const std::lock_guard lock(mutex_);
                requests_.push_back(std::move(r));
            }
            while (reply.silent)
                if (!read_more(fd, got)) return;
            for (std::size_t done = 0; done < reply.bytes.size();) {
                const auto n = ::send(fd, reply.bytes.data() + done, reply.bytes.size() - done, MSG_NOSIGNAL);
                if (n <= 0) return;
                done += static_cast<std::size_t>(n);
            }
            if (reply.close || reply.unread_body) return;
        }
    }
    static bool read_more(int fd, std::string& got) {
        char block[4096];
        const auto n = ::recv(fd, block, sizeof block, 0);
        if (n <= 0) return false;
        got.append(block, static_cast<std::size_t>(n));
        return true;
    }

    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::atomic<bool> ends_ = false;
    std::atomic<int> connections_ = 0;
    std::mutex mutex_;
    int client_ = -1;                     // under mutex_
    std::deque<http_reply> script_;       // under mutex_
    std::vector<http_request> requests_;  // under mutex_
    std::thread thread_;
};

}  // namespace test
