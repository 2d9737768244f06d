#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace runnel {

/// When a client connects again after a connection has been refused, not made in time, lost or closed by the server.
///
/// The wait is `first`, and twice as long after each further try that has brought no data, up to `most`; it is measured
/// by the job's clock.
struct reconnect_options {
    std::chrono::milliseconds first{100};
    std::chrono::milliseconds most{30'000};
    /// Tries in a row without any data after which the job fails with the last reason; 0: it goes on for ever.
    std::size_t tries = 0;
};

/// How `tcp_connect` and `unix_connect` connect.
struct socket_client_options {
    /// How long looking up the host and connecting may take together.
    std::chrono::milliseconds timeout{10'000};
    /// If set, the input ends only with the job, or when its tries are used up. What the server sends while there is no
    /// connection is not seen; that a connection was lost, or cut a line off, is a bad record.
    std::optional<reconnect_options> reconnect{};
};

/// How `tcp_listen` and `unix_listen` serve.
struct socket_server_options {
    /// The input ends when this many connections have been served; 0: never. No more than these are accepted.
    std::size_t end_after = 0;
    /// Connections at the same time; more wait to be accepted. Each costs a descriptor and up to `max_line` bytes.
    std::size_t max_connections = 256;
    /// A connection on which nothing has come for so long, by the job's clock, is closed; 0: never. Without it, silent
    /// clients keep others waiting once there are `max_connections`.
    std::chrono::milliseconds idle_timeout{0};
};

}  // namespace runnel
