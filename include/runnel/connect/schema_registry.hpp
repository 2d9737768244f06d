#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace runnel {

/// A registry of Avro schemas with the REST interface that Confluent's has, and others have taken over.
/// Example: `runnel::schema_registry{"http://localhost:8081"}`
struct schema_registry {
    /// "http://host:port", and a path if it has one. No TLS: for https, name a proxy on this machine that speaks it.
    std::string url;
    /// Further headers, such as {"Authorization", "Basic ..."}.
    std::vector<std::pair<std::string, std::string>> headers = {};
    /// How long a question is asked again when the registry is away, or answers that it cannot now; then it fails. The
    /// subtask that asks waits for it, once for each schema.
    std::chrono::milliseconds timeout{30'000};
};

}  // namespace runnel
