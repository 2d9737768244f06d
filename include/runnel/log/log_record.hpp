#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "runnel/core/timestamp.hpp"

namespace runnel {

/// A named piece of text that goes with a record.
struct log_header {
    std::string_view name;
    std::string_view value;
    friend bool operator==(const log_header&, const log_header&) = default;
};

/// A record of a log as it is appended or read. All of it is views of bytes that somebody else owns.
struct log_record {
    timestamp time;
    /// What compaction goes by; a record without a key is never compacted away.
    std::optional<std::string_view> key = {};
    /// None: the key is deleted.
    std::optional<std::string_view> value = {};
    std::span<const log_header> headers = {};
    /// Its place in the partition, given by the log. Offsets grow from record to record, and not all are records'.
    std::uint64_t offset = 0;
};

}  // namespace runnel
