#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/core/timestamp.hpp"

namespace runnel {

/// A record of a topic, as it is read. Lifetime: what it points to, and the record itself, until the next one is read.
struct kafka_record {
    std::string_view topic;
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    /// What its producer has set, or the broker when it wrote it; none: neither has.
    std::optional<timestamp> time;
    std::optional<std::string_view> key;
    /// None: the key was deleted, for topics that are compacted.
    std::optional<std::string_view> value;

    using header_list = std::vector<std::pair<std::string_view, std::optional<std::string_view>>>;
    /// Name and value of all headers, in their order; a name may come more than once. Cost: reads them anew each time.
    header_list headers() const;
    /// The value of the last header of that name; none: there is no such header, or it has no value.
    std::optional<std::string_view> header(std::string_view name) const;

    /// librdkafka's message.
    void* message = nullptr;
};

}  // namespace runnel
