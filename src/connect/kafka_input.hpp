#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kafka_client.hpp"
#include "runnel/connect/kafka_source_options.hpp"
#include "runnel/source/source.hpp"

namespace runnel::detail {

class kafka_input;

/// A partition's place in what the job reads: its split's id is "topic/number".
std::string kafka_split_id(const kafka_partition& p);
kafka_partition kafka_partition_of(const std::string& split_id);

/// What librdkafka takes for a record that it has fetched, beside its bytes: about that much.
constexpr std::size_t kafka_record_overhead = 256;

/// What is left to be read of a partition: a position, as it is saved.
struct kafka_range {
    std::int64_t next = 0;
    std::optional<std::int64_t> end = std::nullopt;
    /// It is the first one that there is: if that has been removed, then what is the first now. Not saved.
    bool is_first = false;
};
std::string encode_kafka_range(const kafka_range& r);
kafka_range decode_kafka_range(const std::string& text);

/// A connection to the cluster, and a thread that looks for new partitions. Lives as long as somebody reads.
class kafka_session {
public:
    kafka_session(kafka_input& of, const kafka_cluster& cluster, const kafka_source_options& options,
                  std::size_t partitions);
    ~kafka_session();
    kafka_session(const kafka_session&) = delete;
    kafka_session& operator=(const kafka_session&) = delete;

    kafka_client& client() noexcept { return client_; }
    /// What is fetched ahead of a partition, the records' overhead included.
    std::size_t queue_bytes() const noexcept { return queue_bytes_; }
    void watch(const void* who, std::function<void()> wake) {
        std::lock_guard lock(mutex_);
        watches_[who] = std::move(wake);
    }
    void unwatch(const void* who) {
        std::lock_guard lock(mutex_);
        watches_.erase(who);
    }
    /// How far a partition has been read; forgotten when nobody holds it any more.
    std::shared_ptr<std::atomic<std::int64_t>> progress_of(const kafka_partition& p);
    /// Records are gone that have not been read.
    void note_lost(std::string what) {
        std::lock_guard lock(mutex_);
        lost_ = std::move(what);
    }
    source_condition condition();
    void wake_watches() {
        std::lock_guard lock(mutex_);
        for (const auto& [who, wake] : watches_) wake();
    }

private:
    void serve();
    bool is_watched() {
        std::lock_guard lock(mutex_);
        return !watches_.empty();
    }

    kafka_input& input_;
    kafka_client client_;
    const std::chrono::milliseconds discovery_;
    const std::size_t queue_bytes_;
    const kafka_queue events_;
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;
    std::map<const void*, std::function<void()>> watches_;
    std::map<kafka_partition, std::weak_ptr<std::atomic<std::int64_t>>> progress_;
    std::string lost_;
    std::thread thread_;
};

/// Topics as one input: which partitions there are, and where each begins and ends. Thread safety: safe.
class kafka_input {
public:
    kafka_input(kafka_cluster cluster, kafka_topics topics, kafka_source_options options)
        : cluster_(std::move(cluster)), topics_(std::move(topics)), options_(std::move(options)) {}

    const kafka_source_options& options() const noexcept { return options_; }
    std::string name() const;
    std::vector<std::string> problems() const;
    std::vector<std::string> splits();
    std::vector<std::string> splits_from(std::size_t known) const;
    std::shared_ptr<kafka_session> session();
    /// Where to begin and end; of all partitions at once, since each question goes over the network.
    kafka_range range_of(kafka_session& s, const kafka_partition& p);
    kafka_range beginning_of(kafka_session& s, const kafka_partition& p);
    std::optional<std::int64_t> end_of(kafka_session& s, const kafka_partition& p);
    /// Offsets of the first record that there is, and behind the last.
    std::pair<std::int64_t, std::int64_t> bounds_of(kafka_session& s, const kafka_partition& p) const;
    void passed(const std::vector<split_position>& positions);
    source_condition condition() const;
    /// The partitions that there are now.
    std::vector<kafka_partition> find(kafka_client& client, std::chrono::milliseconds timeout) const;
    /// Adds what has appeared; true if there is something.
    bool discover(kafka_client& client);

private:
    bool is_connected() const;
    std::vector<kafka_range> resolve(kafka_session& s, const std::vector<kafka_partition>& partitions) const;
    std::vector<std::int64_t> committed(kafka_session& s, const std::vector<kafka_partition>& partitions) const;
    std::vector<std::int64_t> at_times(kafka_session& s, const std::vector<kafka_partition>& partitions,
                                       std::int64_t time) const;

    const kafka_cluster cluster_;
    const kafka_topics topics_;
    const kafka_source_options options_;
    mutable std::mutex mutex_;
    /// In the order in which they were found; only `splits` removes some, when nobody reads.
    std::vector<kafka_partition> partitions_;
    bool is_fresh_ = false;
    /// Locked for moments only, unlike the other one.
    mutable std::mutex session_mutex_;
    std::weak_ptr<kafka_session> session_;
    std::map<kafka_partition, kafka_range> ranges_;
};

}  // namespace runnel::detail
