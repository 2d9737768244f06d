#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "http_address.hpp"
#include "http_call.hpp"
#include "runnel/connect/schema_registry.hpp"

namespace runnel::detail {

/// Asks a registry. Thread safety: safe; a call waits for the answer.
class avro_registry {
public:
    explicit avro_registry(schema_registry at);
    std::vector<std::string> problems() const;
    /// The schema of a number. Throws `decode_error` if there is none, or it is not Avro's; `io_error` if the registry
    /// cannot be asked.
    std::string schema(std::uint32_t id) const;
    /// Registers a schema, and gives its number. Throws `io_error`.
    std::uint32_t add(const std::string& subject, const std::string& schema) const;

private:
    http_answer ask(http_question question) const;
    [[noreturn]] void fail(const std::string& why) const;

    const schema_registry registry_;
    const http_address at_;
};

}  // namespace runnel::detail
