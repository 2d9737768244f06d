#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runnel/core/timestamp.hpp"

namespace runnel {

/// One partition of a topic.
struct kafka_partition {
    std::string topic;
    std::int32_t number = 0;
    friend auto operator<=>(const kafka_partition&, const kafka_partition&) = default;
};
using kafka_positions = std::map<kafka_partition, std::int64_t>;

/// Where reading begins, in a job that does not go on from a checkpoint. Partitions that appear while the job runs are
/// read from their beginning.
class kafka_start {
public:
    enum class kind : unsigned char { earliest, latest, committed, time, offsets };

    /// The first record that is still there.
    static kafka_start earliest() { return {kind::earliest, {}, {}, {}}; }
    /// The end, as the job finds it.
    static kafka_start latest() { return {kind::latest, {}, {}, {}}; }
    /// What the group has committed (`kafka_source_options::group`); where it has not, the earliest.
    static kafka_start committed() { return {kind::committed, {}, {}, kind::earliest}; }
    /// The same, but the end where the group has committed nothing.
    static kafka_start committed_or_latest() { return {kind::committed, {}, {}, kind::latest}; }
    /// The first record whose time is not before `t`.
    static kafka_start time(timestamp t) { return {kind::time, t, {}, {}}; }
    /// These; partitions that are not named begin with the earliest.
    static kafka_start offsets(kafka_positions at) { return {kind::offsets, {}, std::move(at), kind::earliest}; }

    kind what() const noexcept { return what_; }
    timestamp at() const noexcept { return at_; }
    const kafka_positions& at_offsets() const noexcept { return offsets_; }
    kind otherwise() const noexcept { return otherwise_; }

private:
    kafka_start(kind what, timestamp at, kafka_positions offsets, kind otherwise)
        : what_(what), at_(at), offsets_(std::move(offsets)), otherwise_(otherwise) {}
    kind what_;
    timestamp at_;
    kafka_positions offsets_;
    kind otherwise_;
};

/// Where reading ends.
class kafka_end {
public:
    enum class kind : unsigned char { never, latest, offsets };

    static kafka_end never() { return {kind::never, {}}; }
    /// What is the end when the job begins; a job that goes on from a checkpoint keeps to that.
    static kafka_end latest() { return {kind::latest, {}}; }
    /// Before these; partitions that are not named are not read.
    static kafka_end offsets(kafka_positions at) { return {kind::offsets, std::move(at)}; }

    kind what() const noexcept { return what_; }
    const kafka_positions& at_offsets() const noexcept { return offsets_; }

private:
    kafka_end(kind what, kafka_positions offsets) : what_(what), offsets_(std::move(offsets)) {}
    kind what_;
    kafka_positions offsets_;
};

/// Which topics are read.
class kafka_topics {
public:
    kafka_topics(const char* topic) : names_{topic} {}
    kafka_topics(std::string topic) : names_{std::move(topic)} {}
    kafka_topics(std::vector<std::string> topics) : names_(std::move(topics)) {}
    /// All whose whole name fits a regular expression (ECMAScript's), those that are made later included. Names that
    /// begin with "__" are Kafka's own and never meant.
    static kafka_topics pattern(std::string expression) {
        kafka_topics t(std::move(expression));
        t.is_pattern_ = true;
        return t;
    }

    bool is_pattern() const noexcept { return is_pattern_; }
    /// Names, or the one expression.
    const std::vector<std::string>& names() const noexcept { return names_; }

private:
    std::vector<std::string> names_;
    bool is_pattern_ = false;
};

/// What becomes of a partition whose next record is not there any more, because the topic's retention has removed it or
/// the topic was made anew.
enum class kafka_lost : unsigned char {
    fail,      ///< The job ends with an error that names the offset asked for, and those that there are.
    earliest,  ///< It is read from the first record that is there; `job.status()` tells of the gap.
};

/// How topics are read.
struct kafka_source_options {
    kafka_start from = kafka_start::earliest();
    kafka_end until = kafka_end::never();
    /// With each checkpoint the offsets are committed for this consumer group, for others to see how far the job has
    /// come. They are never what a job goes on from, except by `kafka_start::committed`. Empty: nothing is committed.
    std::string group = {};
    kafka_lost on_lost = kafka_lost::fail;
    /// Records of transactions that are not committed (yet) are read, too.
    bool read_uncommitted = false;
    /// How often new partitions, and new topics that fit a pattern, are looked for, by the wall clock; 0: never. Only
    /// where reading never ends.
    std::chrono::milliseconds discovery{60'000};
    /// Bytes that are fetched ahead, all partitions together, what librdkafka takes for each record (256 bytes)
    /// included; up to a fetch per partition more (1 MB of records, librdkafka's setting fetch.message.max.bytes).
    std::size_t queue_bytes = 64 * 1024 * 1024;
};

}  // namespace runnel
