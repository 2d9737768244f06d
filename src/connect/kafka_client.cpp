#include "kafka_client.hpp"

#include <algorithm>
#include <limits>
#include <thread>
#include <utility>

#include "../core/blocked_signals.hpp"

namespace runnel::detail {

namespace {

/// Why a setting is not accepted; empty: it is.
std::string refusal(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
    char text[512] = "";
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text) == RD_KAFKA_CONF_OK) return {};
    return std::string("setting \"") + name + "\": " + text +
           ". See librdkafka's list of settings for names and values";
}

std::vector<std::string> apply(rd_kafka_conf_t* conf, const kafka_cluster& cluster, const kafka_settings& defaults,
                               const kafka_settings& fixed) {
    std::vector<std::string> problems;
    const auto set = [&](const std::string& name, const std::string& value) {
        if (std::string why = refusal(conf, name, value); !why.empty()) problems.push_back(std::move(why));
    };
    if (cluster.brokers.empty()) problems.push_back("no brokers are named. Give their addresses, \"host:port\"");
    // After an outage a broker is tried again soon, not only after librdkafka's 10 s.
    set("reconnect.backoff.ms", "50");
    set("reconnect.backoff.max.ms", "1000");
    for (const auto& [name, value] : defaults) set(name, value);
    for (const auto& [name, value] : cluster.settings) {
        if (name == "bootstrap.servers" || name == "metadata.broker.list")
            problems.push_back("setting \"" + name + "\" is what `brokers` is for. Leave it out");
        else if (fixed.contains(name))
            problems.push_back("setting \"" + name + "\" has to be \"" + fixed.at(name) + "\" here. Leave it out");
        else set(name, value);
    }
    for (const auto& [name, value] : fixed) set(name, value);
    set("bootstrap.servers", cluster.brokers);
    return problems;
}

}  // namespace

std::string kafka_place(std::string_view topic, std::int32_t partition) {
    return std::string(topic) + "/" + std::to_string(partition);
}

bool is_kafka_silence(rd_kafka_resp_err_t reason) noexcept {
    return reason == RD_KAFKA_RESP_ERR__TRANSPORT || reason == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           reason == RD_KAFKA_RESP_ERR__RESOLVE || reason == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
}

bool kafka_leader_moves(rd_kafka_resp_err_t reason) noexcept {
    switch (reason) {
        case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
        case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
        case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
        case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
        case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
        case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
        case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
        case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE: return true;
        default: return is_kafka_silence(reason);
    }
}

bool is_kafka_shut_out(rd_kafka_resp_err_t reason) noexcept {
    return reason == RD_KAFKA_RESP_ERR__FENCED || reason == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           reason == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

std::string_view kafka_advice(rd_kafka_resp_err_t reason) {
    if (is_kafka_shut_out(reason))
        return " Another process runs the same job: end one of them. Or a transaction was open for longer than the "
               "setting transaction.timeout.ms: raise it, or make checkpoints more often.";
    switch (reason) {
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: return " Create the topic, or correct its name.";
        case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION: return " Correct the topic's name.";
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            return " Give this user the right to do that.";
        case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED: return " Check the settings for SASL.";
        case RD_KAFKA_RESP_ERR__SSL: return " Check the settings for TLS.";
        case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        case RD_KAFKA_RESP_ERR__TRANSPORT:
        case RD_KAFKA_RESP_ERR__RESOLVE:
        case RD_KAFKA_RESP_ERR__TIMED_OUT:
            return " Check that the cluster runs, its addresses, and the settings for TLS and SASL.";
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
            return " Make the record smaller, or raise message.max.bytes here and max.message.bytes of the topic.";
        default: return "";
    }
}

std::vector<std::string> kafka_problems(const kafka_cluster& cluster, const kafka_settings& defaults,
                                        const kafka_settings& fixed) {
    const kafka_conf conf(rd_kafka_conf_new());
    return apply(conf.get(), cluster, defaults, fixed);
}

kafka_client::kafka_client(rd_kafka_type_t type, const kafka_cluster& cluster, const kafka_settings& defaults,
                           const kafka_settings& fixed, const std::function<void(rd_kafka_conf_t*)>& callbacks)
    : cluster_(cluster) {
    kafka_conf conf(rd_kafka_conf_new());
    if (const auto problems = apply(conf.get(), cluster_, defaults, fixed); !problems.empty())
        throw error("kafka: " + problems.front() + ".");
    rd_kafka_conf_set_opaque(conf.get(), this);
    rd_kafka_conf_set_log_cb(conf.get(), [](const rd_kafka_t* of, int, const char* kind, const char* text) {
        // Why a transaction has failed is told here alone where another call than its commit meets that.
        if (std::string_view(kind) == "TXNERR") static_cast<kafka_client*>(rd_kafka_opaque(of))->set_trouble(text);
    });
    rd_kafka_conf_set_error_cb(conf.get(), [](rd_kafka_t*, int reason, const char* text, void* self) {
        // A summary, and for the rest the reasons that have led to it.
        if (reason == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) return;
        static_cast<kafka_client*>(self)->set_trouble(text);
    });
    if (callbacks) callbacks(conf.get());
    char text[512] = "";
    const blocked_signals for_its_threads;
    handle_.reset(rd_kafka_new(type, conf.get(), text, sizeof text));
    if (!handle_) throw error(std::string("kafka: the settings do not fit: ") + text + ".");
    (void)conf.release();  // It belongs to the handle.
}

int kafka_client::timeout_ms() const {
    return static_cast<int>(std::clamp<std::int64_t>(cluster_.timeout.count(), 1, std::numeric_limits<int>::max()));
}

void kafka_client::connect() { (void)topics(nullptr, cluster_.timeout); }

std::vector<std::int32_t> kafka_client::partitions(const std::string& topic) {
    topic_partitions found = std::move(topics(&topic, cluster_.timeout).at(0));
    check("find topic \"" + topic + "\"", found.failure);
    return std::move(found.partitions);
}

std::vector<kafka_client::topic_partitions> kafka_client::topics(const std::string* only,
                                                                 std::chrono::milliseconds timeout) {
    const kafka_topic topic(only ? rd_kafka_topic_new(get(), only->c_str(), nullptr) : nullptr);
    if (only && !topic) fail("find topic \"" + *only + "\"", rd_kafka_last_error());
    // One that was made just now may be unknown to the broker that is asked.
    const auto end = std::chrono::steady_clock::now() + std::min(timeout, std::chrono::milliseconds(1000));
    for (;;) {
        std::vector<topic_partitions> found = ask_for(topic.get(), timeout);
        if (!only || found.at(0).failure != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return found;
        if (std::chrono::steady_clock::now() >= end) return found;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

std::vector<kafka_client::topic_partitions> kafka_client::ask_for(rd_kafka_topic_t* topic,
                                                                  std::chrono::milliseconds timeout) {
    const rd_kafka_metadata_t* answer = nullptr;
    const rd_kafka_resp_err_t failure =
        rd_kafka_metadata(get(), topic == nullptr, topic, &answer, static_cast<int>(timeout.count()));
    const std::unique_ptr<const rd_kafka_metadata_t, kafka_free<&rd_kafka_metadata_destroy>> owned(answer);
    if (failure != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_poll(get(), 0);  // For the reasons.
        fail("reach Kafka at \"" + cluster_.brokers + "\"", failure);
    }
    set_trouble({});
    std::vector<topic_partitions> found;
    for (int t = 0; t < answer->topic_cnt; ++t) {
        const rd_kafka_metadata_topic& m = answer->topics[t];
        found.push_back({m.topic, {}, m.err});
        for (int p = 0; p < m.partition_cnt; ++p) found.back().partitions.push_back(m.partitions[p].id);
        std::sort(found.back().partitions.begin(), found.back().partitions.end());
    }
    return found;
}

rd_kafka_resp_err_t kafka_client::committed(rd_kafka_topic_partition_list_t* of,
                                            std::chrono::milliseconds timeout) const {
    const auto end = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        const auto part = std::clamp<std::int64_t>(left.count(), 1, 1000);
        const rd_kafka_resp_err_t failure = rd_kafka_committed(get(), of, static_cast<int>(part));
        if (failure != RD_KAFKA_RESP_ERR__TIMED_OUT) return failure;
        // A group that this user may not look at is looked for all the time; only the consumer's queue is told why.
        const kafka_queue queue(rd_kafka_queue_get_consumer(get()));
        while (const kafka_event e{queue ? rd_kafka_queue_poll(queue.get(), 0) : nullptr})
            if (rd_kafka_event_error(e.get()) == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
                return RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
        if (std::chrono::steady_clock::now() >= end) return failure;
    }
}

std::string kafka_client::trouble() const {
    std::lock_guard lock(mutex_);
    return trouble_;
}

void kafka_client::set_trouble(std::string what) {
    std::lock_guard lock(mutex_);
    trouble_ = std::move(what);
    is_troubled_.store(!trouble_.empty(), std::memory_order_relaxed);
}

void kafka_client::fail(const std::string& what, rd_kafka_resp_err_t reason) const {
    std::string text = "cannot " + what + ": " + rd_kafka_err2str(reason);
    if (const std::string why = trouble(); !why.empty()) text += " (" + why + ")";
    throw kafka_error(text + "." + std::string(kafka_advice(reason)), reason);
}

void kafka_client::fail(const std::string& what, const rd_kafka_error_t* failure) const {
    const rd_kafka_resp_err_t reason = rd_kafka_error_code(failure);
    std::string text = "cannot " + what + ": " + rd_kafka_error_string(failure);
    if (const std::string why = trouble(); reason == RD_KAFKA_RESP_ERR__STATE && !why.empty()) text += " (" + why + ")";
    throw kafka_error(text + "." + std::string(kafka_advice(reason)), reason);
}

}  // namespace runnel::detail
