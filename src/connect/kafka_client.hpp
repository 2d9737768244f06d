#pragma once

#include <librdkafka/rdkafka.h>

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
#include <string_view>
#include <vector>

#include "runnel/connect/kafka_options.hpp"
#include "runnel/core/error.hpp"

/// librdkafka's objects, owned, and its errors as exceptions.
namespace runnel::detail {

template <auto Free>
struct kafka_free {
    template <class P>
    void operator()(P* p) const {
        Free(p);
    }
};
using kafka_conf = std::unique_ptr<rd_kafka_conf_t, kafka_free<&rd_kafka_conf_destroy>>;
using kafka_topic = std::unique_ptr<rd_kafka_topic_t, kafka_free<&rd_kafka_topic_destroy>>;
using kafka_topic_conf = std::unique_ptr<rd_kafka_topic_conf_t, kafka_free<&rd_kafka_topic_conf_destroy>>;
using kafka_queue = std::unique_ptr<rd_kafka_queue_t, kafka_free<&rd_kafka_queue_destroy>>;
using kafka_event = std::unique_ptr<rd_kafka_event_t, kafka_free<&rd_kafka_event_destroy>>;
using kafka_message = std::unique_ptr<rd_kafka_message_t, kafka_free<&rd_kafka_message_destroy>>;
using kafka_offsets =
    std::unique_ptr<rd_kafka_topic_partition_list_t, kafka_free<&rd_kafka_topic_partition_list_destroy>>;
using kafka_group_metadata =
    std::unique_ptr<rd_kafka_consumer_group_metadata_t, kafka_free<&rd_kafka_consumer_group_metadata_destroy>>;
using kafka_header_list = std::unique_ptr<rd_kafka_headers_t, kafka_free<&rd_kafka_headers_destroy>>;
using kafka_error_ptr = std::unique_ptr<rd_kafka_error_t, kafka_free<&rd_kafka_error_destroy>>;

/// An `io_error` that knows librdkafka's reason.
class kafka_error : public io_error {
public:
    kafka_error(const std::string& what, rd_kafka_resp_err_t reason) : io_error(what, 0), reason_(reason) {}
    rd_kafka_resp_err_t reason() const noexcept { return reason_; }

private:
    rd_kafka_resp_err_t reason_;
};

/// "clicks/3": how messages name a partition.
std::string kafka_place(std::string_view topic, std::int32_t partition);
/// Null is none.
inline std::optional<std::string_view> kafka_view(const void* data, std::size_t size) {
    if (data == nullptr) return std::nullopt;
    return std::string_view(static_cast<const char*>(data), size);
}
/// No broker has answered.
bool is_kafka_silence(rd_kafka_resp_err_t reason) noexcept;
/// A partition that is new, or whose leader moves, has none for a moment; or no broker has answered, and another may.
bool kafka_leader_moves(rd_kafka_resp_err_t reason) noexcept;
/// Somebody else has begun to write under the same transactional id.
bool is_kafka_shut_out(rd_kafka_resp_err_t reason) noexcept;
/// What to do about an error, as a sentence with a blank before it; empty: nothing is known.
std::string_view kafka_advice(rd_kafka_resp_err_t reason);

using kafka_settings = std::map<std::string, std::string>;

/// What can be told of settings before anything is opened. See `kafka_client` for `fixed`.
std::vector<std::string> kafka_problems(const kafka_cluster& cluster, const kafka_settings& defaults,
                                        const kafka_settings& fixed);

/// A producer or consumer.
///
/// Its threads take no signals, and nothing is printed: what librdkafka reports is kept for `trouble`.
/// Thread safety: safe.
class kafka_client {
public:
    /// Settings: `defaults`, over them the user's, over them `fixed`, which the user must not set. `callbacks` may set
    /// more, but not the opaque pointer, nor what becomes of logs and errors. Throws `error` if settings do not fit.
    kafka_client(rd_kafka_type_t type, const kafka_cluster& cluster, const kafka_settings& defaults,
                 const kafka_settings& fixed, const std::function<void(rd_kafka_conf_t*)>& callbacks = {});
    kafka_client(const kafka_client&) = delete;
    kafka_client& operator=(const kafka_client&) = delete;

    rd_kafka_t* get() const noexcept { return handle_.get(); }
    const kafka_cluster& cluster() const noexcept { return cluster_; }
    /// The cluster's timeout, as librdkafka takes it.
    int timeout_ms() const;

    /// Returns when a broker has answered; throws with the reason when none has within the cluster's timeout.
    void connect();
    /// Numbers of a topic's partitions. Throws if it is not there, or no broker answers in time.
    std::vector<std::int32_t> partitions(const std::string& topic);
    struct topic_partitions {
        std::string topic;
        std::vector<std::int32_t> partitions;
        rd_kafka_resp_err_t failure;  ///< Of this topic.
    };
    /// Topics of the cluster, or the one named. Whether that is there is asked for a second at most.
    std::vector<topic_partitions> topics(const std::string* only, std::chrono::milliseconds timeout);

    /// Sets the offsets that the consumer's group has committed for these partitions, if they are told in time.
    rd_kafka_resp_err_t committed(rd_kafka_topic_partition_list_t* of, std::chrono::milliseconds timeout) const;

    /// What is wrong now with the way to the brokers; empty: nothing that is known. It is told when librdkafka's main
    /// queue is served (`rd_kafka_poll`).
    std::string trouble() const;
    void set_trouble(std::string what);
    /// Something has gone well, so nothing is wrong any more. Cheap.
    void went_well() {
        if (is_troubled_.load(std::memory_order_relaxed)) set_trouble({});
    }
    /// Throws "cannot WHAT: REASON. ADVICE".
    [[noreturn]] void fail(const std::string& what, rd_kafka_resp_err_t reason) const;
    [[noreturn]] void fail(const std::string& what, const rd_kafka_error_t* failure) const;
    void check(const std::string& what, rd_kafka_resp_err_t reason) const {
        if (reason != RD_KAFKA_RESP_ERR_NO_ERROR) fail(what, reason);
    }
    /// Takes the error over.
    void check(const std::string& what, rd_kafka_error_t* failure) const {
        const kafka_error_ptr owned(failure);
        if (failure != nullptr) fail(what, failure);
    }

private:
    /// Null: all topics.
    std::vector<topic_partitions> ask_for(rd_kafka_topic_t* topic, std::chrono::milliseconds timeout);

    const kafka_cluster cluster_;
    mutable std::mutex mutex_;
    std::string trouble_;                   // under mutex_
    std::atomic<bool> is_troubled_{false};  // Pairs with nothing: a recent value will do.
    std::unique_ptr<rd_kafka_t, kafka_free<&rd_kafka_destroy>> handle_;
};

}  // namespace runnel::detail
