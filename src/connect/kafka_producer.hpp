#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kafka_client.hpp"
#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/connect/kafka_output.hpp"
#include "runnel/connect/kafka_sink.hpp"

namespace runnel::detail {

/// Where a sink writes, and how.
struct kafka_target {
    kafka_cluster cluster;  ///< With the settings of the sink.
    std::string topic;
};

/// What the settings of a producer are over those of librdkafka, and what they have to be.
kafka_settings kafka_producer_defaults(const std::string& transactional_id);
kafka_settings kafka_producer_fixed(const std::string& transactional_id);

/// Learns of each record what has become of it. Called by whoever serves the producer.
class kafka_deliveries {
public:
    virtual ~kafka_deliveries() = default;
    virtual void delivered(const rd_kafka_message_t& m) noexcept = 0;
};

/// An idempotent producer.
/// Thread safety: safe.
class kafka_producer {
public:
    /// Connects, and looks whether the topic is there. Throws `kafka_error`, or `error` for settings that do not fit.
    /// An empty id: it has no transactions.
    kafka_producer(const kafka_target& target, const std::string& transactional_id);
    kafka_producer(const kafka_producer&) = delete;
    kafka_producer& operator=(const kafka_producer&) = delete;

    kafka_client& client() noexcept { return client_; }
    rd_kafka_t* get() const noexcept { return client_.get(); }
    /// What has become of a record that has not arrived.
    kafka_error not_delivered(const rd_kafka_message_t& m) const;
    /// Throws `error` if the record cannot be written: its size, time, topic or partition. A topic or partition that
    /// has not been seen yet is asked for.
    void check(const kafka_output& r);
    /// False if there is no room. `to` must live as long as the producer. Throws `kafka_error`.
    bool produce(const kafka_output& r, kafka_deliveries& to);
    /// Has `kafka_deliveries` told what is known, waiting up to `timeout` for something; false if there was nothing.
    bool serve(std::chrono::milliseconds timeout) {
        return rd_kafka_poll(get(), static_cast<int>(timeout.count())) != 0;
    }

private:
    struct known_topic {
        kafka_topic handle;
        /// As of the last look. Pairs with nothing: there are never less.
        std::atomic<std::size_t> partitions{0};
        std::chrono::steady_clock::time_point looked_at{};  // under mutex_
    };
    known_topic& topic(const kafka_output& r);
    known_topic& find(const std::string& name);
    void look_again(known_topic& t);

    const std::string topic_name_;
    kafka_client client_;
    std::size_t largest_ = 0;
    std::mutex mutex_;
    std::map<std::string, known_topic> topics_;  // under mutex_; those in it stay
    known_topic* own_;
};

/// A producer whose records are seen in transactions, each with a number, the *marker*: that of the last one is in the
/// cluster, as an offset of the consumer group `id` on partition 0 of the topic, with a word beside it that says who
/// has set it.
///
/// One transaction: `begin`, `produce`, `mark`, `commit`; or all of it by `store`. Others may produce, too, by
/// `producer`. When one of them throws, only `abort` or the destructor may follow: what became of the transaction, a
/// successor learns from the marker.
/// Thread safety: unsafe, but for `check`, `trouble`, `is_open` and `producer`.
class kafka_transactions final : private kafka_deliveries {
public:
    /// Shuts out whoever has written under this id before, ends what it has left open, and reads the marker.
    kafka_transactions(const kafka_target& target, std::string id);
    ~kafka_transactions() override;

    /// None: there is none in the cluster.
    std::optional<checkpoint_id> marker() const noexcept { return marker_; }
    /// The word beside the marker; empty: there is none, or whoever has set it left none.
    const std::string& marked_by() const noexcept { return marked_by_; }
    kafka_producer& producer() noexcept { return producer_; }
    void check(const kafka_output& r) { producer_.check(r); }
    /// What keeps the transaction that is open from its end; empty: nothing that is known. Any thread may ask.
    std::string trouble();

    bool is_open() const noexcept { return open_; }
    void begin();
    void produce(const std::vector<kafka_output>& records);
    void mark(checkpoint_id number, const std::string& by = {});
    void commit();
    /// Ends what is open, so that readers need not wait for it; without an answer, a successor or the broker does.
    void abort() noexcept;
    void store(checkpoint_id number, const std::vector<kafka_output>& records, const std::string& by = {});

private:
    void delivered(const rd_kafka_message_t& m) noexcept override;
    template <class F>
    void until_done(const std::string& what, F call);
    void read_marker(const kafka_target& target);
    void refuse_lost();

    const std::string id_;
    const std::string topic_;
    kafka_producer producer_;
    std::optional<checkpoint_id> marker_, next_;
    std::string marked_by_, next_by_;
    std::atomic<bool> open_ = false;
    std::mutex mutex_;
    std::optional<kafka_error> lost_;  // under mutex_; why a record of this transaction has not arrived
};

}  // namespace runnel::detail
