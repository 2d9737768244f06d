#pragma once

#include <chrono>
#include <map>
#include <string>

namespace runnel {

/// A Kafka cluster, and how to talk to it.
/// Example: `runnel::kafka_cluster{"broker1:9092,broker2:9092"}`
struct kafka_cluster {
    /// Addresses to begin with, "host:port", separated by commas; the other brokers are learnt from these.
    std::string brokers;
    /// Any settings of librdkafka by their names, for TLS and SASL among others: {"security.protocol", "SASL_SSL"}.
    /// They are checked when the job is started; those that a source or sink depends on are refused.
    std::map<std::string, std::string> settings = {};
    /// How long a job that starts waits for an answer; then it fails with the reason. A source that runs waits without
    /// end when all brokers are away, and its status tells of that.
    std::chrono::milliseconds timeout{30'000};
};

}  // namespace runnel
