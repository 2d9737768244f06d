#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/codec/codec.hpp"
#include "runnel/codec/layout.hpp"
#include "runnel/core/timestamp.hpp"

namespace runnel {

/// A record that is written to Kafka, when more is to be said of it than key and value.
struct kafka_output {
    /// Empty: the topic of the sink.
    std::string topic = {};
    /// None: chosen by the key, as the Java client does it; without a key, any.
    std::optional<std::int32_t> partition = {};
    std::optional<std::string> key = {};
    /// None: a tombstone, which deletes the key in a compacted topic.
    std::optional<std::string> value = {};
    std::vector<std::pair<std::string, std::optional<std::string>>> headers = {};
    /// Zero: the event time, and where there is none, that of writing. Kafka keeps milliseconds.
    timestamp time = {};
    friend bool operator==(const kafka_output&, const kafka_output&) = default;
};

template <>
struct codec<kafka_output> {
    static void encode(const kafka_output& r, std::string& out) {
        codec<std::string>::encode(r.topic, out);
        codec<std::optional<std::int32_t>>::encode(r.partition, out);
        codec<std::optional<std::string>>::encode(r.key, out);
        codec<std::optional<std::string>>::encode(r.value, out);
        codec<decltype(r.headers)>::encode(r.headers, out);
        codec<timestamp>::encode(r.time, out);
    }
    static kafka_output decode(byte_reader& in) {
        kafka_output r;
        r.topic = codec<std::string>::decode(in);
        r.partition = codec<std::optional<std::int32_t>>::decode(in);
        r.key = codec<std::optional<std::string>>::decode(in);
        r.value = codec<std::optional<std::string>>::decode(in);
        r.headers = codec<decltype(r.headers)>::decode(in);
        r.time = codec<timestamp>::decode(in);
        return r;
    }
    static auto layout(layout_builder& to) {
        return to.of<std::string, std::optional<std::int32_t>, std::optional<std::string>, std::optional<std::string>,
                     decltype(kafka_output::headers), timestamp>(layout_kind::tuple);
    }
};

}  // namespace runnel
