#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/connect/byte_stream.hpp"

namespace runnel {

namespace detail {
class udp_port;
}

/// How `udp_listen` receives.
struct udp_options {
    /// Bytes that the system may keep until they are read; it has an upper limit of its own (on Linux
    /// net.core.rmem_max). 0: what the system thinks fit.
    std::size_t receive_buffer = 0;
    /// The input ends when this many datagrams have come; 0: never.
    std::size_t end_after = 0;
};

/// Lines that come in UDP datagrams, each of which holds whole lines; the last one may lack its end. Not replayable.
///
/// A thread of the reader waits for the socket. What comes faster than it is read is dropped by the system; how many
/// datagrams that were is told by a bad record when the next one has come. What the network loses nobody knows. For
/// formats with a header, all senders together are one input. Copies are the same port.
/// Thread safety: safe for `port`.
/// Errors: `io_error` if the port is in use or the address is not one of this machine.
class udp_server final : public byte_origin {
public:
    udp_server(std::string host, std::uint16_t port, udp_options options);

    std::string name() const override;
    std::vector<std::string> parts() override;
    bool replayable() const override { return false; }
    bool last_line_may_be_open() const override { return false; }
    std::unique_ptr<byte_stream> open(const byte_place& from, const reader_context& context) override;

    /// The port that is received on; if it is not yet, this starts it, so that 0 becomes a free port. What is sent from
    /// then on is read once the job runs.
    std::uint16_t port();

private:
    std::shared_ptr<detail::udp_port> port_;
    udp_options options_;
};

/// Receives on `port` of this machine, through its loopback interface only. See `udp_server`.
/// Example: `p.from(runnel::json_lines<reading>(runnel::udp_listen(5140)))`
inline udp_server udp_listen(std::uint16_t port, udp_options options = {}) { return {"127.0.0.1", port, options}; }
/// The same on the interface with address `host`; "0.0.0.0" opens the port to the network, without any protection.
inline udp_server udp_listen(std::string host, std::uint16_t port, udp_options options = {}) {
    return {std::move(host), port, options};
}

}  // namespace runnel
