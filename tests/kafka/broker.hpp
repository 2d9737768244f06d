#pragma once

#include <librdkafka/rdkafka.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "doctest/doctest.h"
#include "runnel/connect/kafka_options.hpp"
#include "src/connect/kafka_client.hpp"

/// The real broker that this program has been started with, seen by a client of its own.
namespace kafka_test {

namespace rd = runnel::detail;

inline runnel::kafka_cluster cluster(std::map<std::string, std::string> settings = {}) {
    const char* const brokers = std::getenv("KAFKA_BOOTSTRAP");
    if (brokers == nullptr) throw std::runtime_error("KAFKA_BOOTSTRAP is not set: run this by tests/servers/kafka.py");
    return {.brokers = brokers, .settings = std::move(settings), .timeout = std::chrono::seconds(20)};
}

/// True if brokers can be killed here. Else the case is reported as skipped.
inline bool can_control() {
    if (std::getenv("KAFKA_CONTROL") != nullptr) return true;
    std::printf("SKIPPED %s\n", doctest::getContextOptions()->currentTest->m_name);
    return false;
}

/// "kill 1", "start 1", "pause 1", "resume 1", "allow USER OPERATION RESOURCE NAME": returns when that is so.
inline void control(const std::string& what) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, std::getenv("KAFKA_CONTROL"), sizeof to.sun_path - 1);
    const int s = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(s, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    const std::string line = what + "\n";
    REQUIRE(::send(s, line.data(), line.size(), 0) == static_cast<ssize_t>(line.size()));
    std::string answer;
    char part[256];
    for (ssize_t n; (n = ::read(s, part, sizeof part)) > 0;) answer.append(part, static_cast<std::size_t>(n));
    ::close(s);
    REQUIRE(answer == "done\n");
}

/// A record as it is, or shall be, in a topic.
struct record {
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::int32_t partition = 0;
    std::int64_t time_ms = 0;
    std::vector<std::pair<std::string, std::optional<std::string>>> headers = {};
    std::int64_t offset = -1;

    friend bool operator==(const record&, const record&) = default;
};

/// A producer that also does what an administrator does.
class admin {
public:
    admin() : admin(cluster()) {}
    // On a busy machine a request may take too long, and be repeated.
    explicit admin(const runnel::kafka_cluster& to)
        : client_(RD_KAFKA_PRODUCER, to, {{"enable.idempotence", "true"}}, {}) {}

    rd::kafka_client& client() { return client_; }

    void create(const std::string& topic, int partitions, const std::map<std::string, std::string>& settings = {}) {
        char text[256];
        rd_kafka_NewTopic_t* t = rd_kafka_NewTopic_new(topic.c_str(), partitions, -1, text, sizeof text);
        REQUIRE(t != nullptr);
        for (const auto& [name, value] : settings) rd_kafka_NewTopic_set_config(t, name.c_str(), value.c_str());
        run([&](rd_kafka_queue_t* q) { rd_kafka_CreateTopics(client_.get(), &t, 1, nullptr, q); });
        rd_kafka_NewTopic_destroy(t);
        wait_for_partitions(topic, partitions);
    }
    void remove(const std::string& topic) {
        rd_kafka_DeleteTopic_t* t = rd_kafka_DeleteTopic_new(topic.c_str());
        run([&](rd_kafka_queue_t* q) { rd_kafka_DeleteTopics(client_.get(), &t, 1, nullptr, q); });
        rd_kafka_DeleteTopic_destroy(t);
    }
    void add_partitions(const std::string& topic, int total) {
        char text[256];
        rd_kafka_NewPartitions_t* p =
            rd_kafka_NewPartitions_new(topic.c_str(), static_cast<std::size_t>(total), text, sizeof text);
        REQUIRE(p != nullptr);
        run([&](rd_kafka_queue_t* q) { rd_kafka_CreatePartitions(client_.get(), &p, 1, nullptr, q); });
        rd_kafka_NewPartitions_destroy(p);
        wait_for_partitions(topic, total);
    }
    /// Removes the records before an offset, as retention does.
    void remove_before(const std::string& topic, std::int32_t partition, std::int64_t offset) {
        const rd::kafka_offsets list(rd_kafka_topic_partition_list_new(1));
        rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = offset;
        rd_kafka_DeleteRecords_t* d = rd_kafka_DeleteRecords_new(list.get());
        run([&](rd_kafka_queue_t* q) { rd_kafka_DeleteRecords(client_.get(), &d, 1, nullptr, q); });
        rd_kafka_DeleteRecords_destroy(d);
    }

    /// Writes records, and returns when they are acknowledged.
    void produce(const std::string& topic, const std::vector<record>& records) {
        for (const record& r : records) {
            rd_kafka_headers_t* const headers = rd_kafka_headers_new(r.headers.size());
            for (const auto& [name, value] : r.headers)
                rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()),
                                    value ? value->data() : nullptr, value ? static_cast<ssize_t>(value->size()) : 0);
            const void* const key = r.key ? r.key->data() : nullptr;
            const std::size_t key_size = r.key ? r.key->size() : 0;
            void* const value = r.value ? const_cast<char*>(r.value->data()) : nullptr;
            const std::size_t value_size = r.value ? r.value->size() : 0;
            rd_kafka_resp_err_t failure;
            while ((failure = rd_kafka_producev(
                        client_.get(), RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(r.partition),
                        RD_KAFKA_V_KEY(key, key_size), RD_KAFKA_V_VALUE(value, value_size),
                        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(r.time_ms),
                        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
                rd_kafka_poll(client_.get(), 100);
            REQUIRE(failure == RD_KAFKA_RESP_ERR_NO_ERROR);
        }
        REQUIRE(rd_kafka_flush(client_.get(), 60'000) == RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    /// `count` records "FIRST", "FIRST + 1", ... in one partition; the time of N is N + 1 milliseconds (0 would be now).
    void produce_numbers(const std::string& topic, std::int32_t partition, int first, int count) {
        std::vector<record> records;
        for (int i = first; i < first + count; ++i)
            records.push_back({.key = {}, .value = std::to_string(i), .partition = partition, .time_ms = i + 1});
        produce(topic, records);
    }

private:
    /// Does an administrative call and waits for its result; all its parts must be good.
    template <class F>
    void run(F call) {
        const rd::kafka_queue queue(rd_kafka_queue_new(client_.get()));
        call(queue.get());
        const rd::kafka_event e(rd_kafka_queue_poll(queue.get(), 60'000));
        REQUIRE(e != nullptr);
        INFO(rd_kafka_event_error_string(e.get()));
        REQUIRE(rd_kafka_event_error(e.get()) == RD_KAFKA_RESP_ERR_NO_ERROR);
        std::size_t n = 0;
        const rd_kafka_topic_result_t** results = nullptr;
        if (const auto* r = rd_kafka_event_CreateTopics_result(e.get()))
            results = rd_kafka_CreateTopics_result_topics(r, &n);
        else if (const auto* r2 = rd_kafka_event_DeleteTopics_result(e.get()))
            results = rd_kafka_DeleteTopics_result_topics(r2, &n);
        else if (const auto* r3 = rd_kafka_event_CreatePartitions_result(e.get()))
            results = rd_kafka_CreatePartitions_result_topics(r3, &n);
        for (std::size_t i = 0; i != n; ++i) {
            INFO(rd_kafka_topic_result_error_string(results[i]));
            REQUIRE(rd_kafka_topic_result_error(results[i]) == RD_KAFKA_RESP_ERR_NO_ERROR);
        }
    }
    /// What has been made is known to brokers a moment later.
    void wait_for_partitions(const std::string& topic, int count) {
        for (;;) {
            const auto found = client_.topics(&topic, client_.cluster().timeout).at(0);
            if (found.failure == RD_KAFKA_RESP_ERR_NO_ERROR && found.partitions.size() == static_cast<std::size_t>(count))
                return;
            rd_kafka_poll(client_.get(), 10);
        }
    }

    rd::kafka_client client_;
};

/// All that is in a topic now, partition by partition in the order of the offsets.
inline std::vector<record> records_in(const std::string& topic, const std::string& isolation = "read_committed") {
    rd::kafka_client client(RD_KAFKA_CONSUMER, cluster(),
                            {{"group.id", "reader"}, {"isolation.level", isolation}, {"enable.partition.eof", "true"},
                             {"auto.offset.reset", "earliest"}, {"enable.auto.commit", "false"}}, {});
    const std::vector<std::int32_t> partitions = client.partitions(topic);
    const rd::kafka_offsets list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
    for (std::int32_t p : partitions)
        rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_poll_set_consumer(client.get());
    client.check("read", rd_kafka_assign(client.get(), list.get()));
    std::map<std::int32_t, std::vector<record>> found;
    for (std::size_t ended = 0; ended != partitions.size();) {
        const rd::kafka_message m(rd_kafka_consumer_poll(client.get(), 30'000));
        REQUIRE(m != nullptr);
        if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            ++ended;
            continue;
        }
        client.check("read", m->err);
        record r{.key = {}, .value = {}, .partition = m->partition,
                 .time_ms = rd_kafka_message_timestamp(m.get(), nullptr), .offset = m->offset};
        if (m->key) r.key.emplace(static_cast<const char*>(m->key), m->key_len);
        if (m->payload) r.value.emplace(static_cast<const char*>(m->payload), m->len);
        rd_kafka_headers_t* headers = nullptr;
        if (rd_kafka_message_headers(m.get(), &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            const char* name;
            const void* value;
            std::size_t size;
            for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0; ++i)
                r.headers.emplace_back(name, value ? std::optional<std::string>({static_cast<const char*>(value), size})
                                                   : std::nullopt);
        }
        found[m->partition].push_back(std::move(r));
    }
    std::vector<record> all;
    for (auto& [partition, records] : found) all.insert(all.end(), records.begin(), records.end());
    return all;
}

}  // namespace kafka_test
