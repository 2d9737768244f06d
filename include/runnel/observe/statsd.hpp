#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runnel/runtime/status.hpp"

namespace runnel::observe {

/// How a StatsD server is told of figures.
struct statsd_options {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8125;
    /// True: DogStatsD, "runnel.records_in:5|c|#pipeline:clicks,operator:parse,subtask:0". False: plain StatsD, with
    /// the labels' values in the name, "runnel.records_in.clicks.parse.0:5|c".
    bool tags = false;
    /// Bytes of a datagram at most: what passes a network unbroken. A line that is longer by itself is left out.
    std::size_t max_datagram = 1432;
};

/// Sends figures of jobs to a StatsD server over UDP, when the host program says so.
///
/// Counters are sent as what has come since the last time; the first time from 0. Of histograms the bounds are sent
/// that half, 99 % and all of their samples did not exceed, as gauges `.p50`, `.p99` and `.max`, and how many there
/// were.
/// Thread safety: unsafe.
/// Errors: `io_error` from the constructor if the address is none. Datagrams that the system does not take are lost, as
/// is the way of StatsD.
/// Example: `runnel::observe::statsd s; for (;;) { sleep(10); s.send({job.status()}); }`
class statsd {
public:
    explicit statsd(statsd_options options = {});
    statsd(const statsd&) = delete;
    statsd& operator=(const statsd&) = delete;
    ~statsd();

    /// Returns how many lines the system has taken.
    std::size_t send(const std::vector<job_status>& jobs);

private:
    statsd_options options_;
    int socket_ = -1;
    /// What counters stood at when they were last sent, by name and labels.
    std::map<std::string, double, std::less<>> sent_;
};

}  // namespace runnel::observe
