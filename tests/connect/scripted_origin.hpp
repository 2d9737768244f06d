#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "runnel/connect/byte_stream.hpp"

namespace test {

/// Says what the script says, whatever the reader asks for.
struct script {
    struct step {
        runnel::byte_chunk::kind what;
        std::size_t peer = 0;
        std::string text{};  // bytes, or the reason of an end
    };
    std::deque<step> steps;

    script& data(std::size_t peer, std::string bytes) {
        steps.push_back({runnel::byte_chunk::kind::data, peer, std::move(bytes)});
        return *this;
    }
    script& end(std::size_t peer, std::string reason = {}) {
        steps.push_back({runnel::byte_chunk::kind::ended, peer, std::move(reason)});
        return *this;
    }
    script& wait() {
        steps.push_back({runnel::byte_chunk::kind::wait});
        return *this;
    }
};

class scripted_stream final : public runnel::byte_stream {
public:
    explicit scripted_stream(script s, std::function<void()> wake = {})
        : steps_(std::move(s.steps)), wake_(std::move(wake)) {}

    runnel::byte_chunk read(char* into, std::size_t n) override {
        using kind = runnel::byte_chunk::kind;
        if (steps_.empty()) return {.what = kind::finished};
        script::step& s = steps_.front();
        runnel::byte_chunk chunk{.what = s.what, .peer = s.peer};
        if (s.what == kind::data) {
            chunk.size = std::min(n, s.text.size());
            std::copy_n(s.text.begin(), chunk.size, into);
            s.text.erase(0, chunk.size);
            if (!s.text.empty()) return chunk;
        } else if (s.what == kind::ended) {
            chunk.reason = s.text;
        } else if (s.what == kind::wait && wake_) {
            wake_();
        }
        steps_.pop_front();
        return chunk;
    }
    std::string peer_name(std::size_t peer) const override { return "p" + std::to_string(peer); }

private:
    std::deque<script::step> steps_;
    std::function<void()> wake_;
};

/// An origin of scripted connections.
class scripted_origin final : public runnel::byte_origin {
public:
    explicit scripted_origin(script s) : script_(std::move(s)) {}
    std::string name() const override { return "script"; }
    bool replayable() const override { return false; }
    bool last_line_may_be_open() const override { return false; }
    std::unique_ptr<runnel::byte_stream> open(const runnel::byte_place&, const runnel::reader_context& context) override {
        return std::make_unique<scripted_stream>(script_, context.wake);
    }

private:
    script script_;
};

}  // namespace test
