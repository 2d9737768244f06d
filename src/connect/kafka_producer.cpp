#include "kafka_producer.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "runnel/core/error.hpp"

namespace runnel::detail {

namespace {

using std::chrono::milliseconds;

/// What a record takes of the largest size at most, beside its bytes.
constexpr std::size_t overhead = 100;

/// Kafka's time; 0: that of writing, which is what a stream without event time wants.
std::int64_t kafka_time(timestamp t) noexcept { return std::max<std::int64_t>(0, t.ns() / 1'000'000); }

std::size_t size_of(const kafka_output& r) noexcept {
    std::size_t size = overhead + (r.key ? r.key->size() : 0) + (r.value ? r.value->size() : 0);
    for (const auto& [name, value] : r.headers) size += name.size() + (value ? value->size() : 0) + 10;
    return size;
}

/// The group's broker is being found, has just taken over, or has something to finish.
bool passes(rd_kafka_resp_err_t failure) noexcept {
    switch (failure) {
        case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
        case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
        case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
        case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
        case RD_KAFKA_RESP_ERR__WAIT_COORD:
        case RD_KAFKA_RESP_ERR__TRANSPORT:
        case RD_KAFKA_RESP_ERR__TIMED_OUT: return true;
        default: return false;
    }
}

std::size_t setting(const rd_kafka_t* of, const char* name) {
    char text[64] = "";
    std::size_t size = sizeof text;
    if (rd_kafka_conf_get(rd_kafka_conf(const_cast<rd_kafka_t*>(of)), name, text, &size) != RD_KAFKA_CONF_OK) return 0;
    return std::strtoull(text, nullptr, 10);
}

}  // namespace

kafka_settings kafka_producer_defaults(const std::string& transactional_id) {
    kafka_settings s{{"partitioner", "murmur2_random"}, {"queue.buffering.max.kbytes", "65536"}};
    // While brokers are away, records wait: there is no other place for them. In a transaction its own limit counts.
    if (transactional_id.empty()) s["message.timeout.ms"] = "0";
    return s;
}

kafka_settings kafka_producer_fixed(const std::string& transactional_id) {
    kafka_settings s{{"enable.idempotence", "true"}};
    if (!transactional_id.empty()) s["transactional.id"] = transactional_id;
    return s;
}

kafka_error kafka_producer::not_delivered(const rd_kafka_message_t& m) const {
    rd_kafka_resp_err_t reason = m.err;
    std::string why = rd_kafka_err2str(reason);
    char text[512] = "";
    // What a producer drops that can't go on says only that.
    if (reason == RD_KAFKA_RESP_ERR__PURGE_QUEUE || reason == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        if (const auto fatal = rd_kafka_fatal_error(get(), text, sizeof text); fatal != RD_KAFKA_RESP_ERR_NO_ERROR) {
            reason = fatal;
            why = text;
        }
    return {"cannot write to " + kafka_place(rd_kafka_topic_name(m.rkt), m.partition) + ": " + why + "." +
                std::string(kafka_advice(reason)),
            reason};
}

kafka_producer::kafka_producer(const kafka_target& target, const std::string& transactional_id)
    : topic_name_(target.topic),
      client_(RD_KAFKA_PRODUCER, target.cluster, kafka_producer_defaults(transactional_id),
              kafka_producer_fixed(transactional_id),
              [](rd_kafka_conf_t* conf) {
                  rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* m, void* client) {
                      if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) static_cast<kafka_client*>(client)->went_well();
                      static_cast<kafka_deliveries*>(m->_private)->delivered(*m);
                  });
              }),
      largest_(setting(get(), "message.max.bytes")),
      own_(&find(topic_name_)) {}

kafka_producer::known_topic& kafka_producer::find(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (const auto at = topics_.find(name); at != topics_.end()) return at->second;
    if (name.find('\0') != name.npos)
        throw error("kafka: a topic's name has a zero byte in it. Correct the topic's name.");
    const std::size_t partitions = client_.partitions(name).size();
    kafka_topic handle(rd_kafka_topic_new(get(), name.c_str(), nullptr));
    if (!handle) client_.fail("write to topic \"" + name + "\"", rd_kafka_last_error());
    known_topic& found = topics_[name];
    found.handle = std::move(handle);
    found.partitions.store(partitions, std::memory_order_relaxed);
    return found;
}

/// Partitions may have been added. Records that ask for what is not there cost no look each.
void kafka_producer::look_again(known_topic& t) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - t.looked_at < milliseconds(100)) return;
    t.partitions.store(client_.partitions(rd_kafka_topic_name(t.handle.get())).size(), std::memory_order_relaxed);
    t.looked_at = now;
}

kafka_producer::known_topic& kafka_producer::topic(const kafka_output& r) {
    return r.topic.empty() || r.topic == topic_name_ ? *own_ : find(r.topic);
}

void kafka_producer::check(const kafka_output& r) {
    const auto refuse = [&](const std::string& what) {
        throw error("kafka topic \"" + (r.topic.empty() ? topic_name_ : r.topic) + "\": " + what);
    };
    if (const std::size_t size = size_of(r); size > largest_)
        refuse("a record of " + std::to_string(size) + " bytes, more than the setting message.max.bytes, " +
               std::to_string(largest_) +
               ". Make it smaller, or raise the setting, and max.message.bytes of the topic.");
    if (r.time < timestamp() && r.time != timestamp::min())
        refuse("a record with the time " + to_string(r.time) + ". Kafka holds no times before 1970: give the record "
               "another one by kafka_output::time.");
    known_topic& to = topic(r);
    if (!r.partition) return;
    const auto is_there = [&] {
        return *r.partition >= 0 &&
               static_cast<std::size_t>(*r.partition) < to.partitions.load(std::memory_order_relaxed);
    };
    if (is_there()) return;
    if (*r.partition >= 0) look_again(to);
    if (!is_there())
        refuse("a record for partition " + std::to_string(*r.partition) + ", and there are " +
               std::to_string(to.partitions) + ". Partitions count from 0; leave it out to have one chosen.");
}

bool kafka_producer::produce(const kafka_output& r, kafka_deliveries& to) {
    kafka_header_list headers;
    if (!r.headers.empty()) {
        headers.reset(rd_kafka_headers_new(r.headers.size()));
        for (const auto& [name, value] : r.headers)
            rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()),
                                value ? value->data() : nullptr, value ? static_cast<ssize_t>(value->size()) : 0);
    }
    // The interface takes what it copies as if it would change it.
    const auto bytes = [](const std::optional<std::string>& s) { return s ? const_cast<char*>(s->data()) : nullptr; };
    const auto size = [](const std::optional<std::string>& s) { return s ? s->size() : std::size_t{0}; };
    rd_kafka_vu_t parts[8];
    std::size_t n = 0;
    const auto part = [&](rd_kafka_vtype_t type) -> auto& {
        parts[n].vtype = type;
        return parts[n++].u;
    };
    part(RD_KAFKA_VTYPE_RKT).rkt = topic(r).handle.get();
    part(RD_KAFKA_VTYPE_PARTITION).i32 = r.partition.value_or(RD_KAFKA_PARTITION_UA);
    part(RD_KAFKA_VTYPE_VALUE).mem = {bytes(r.value), size(r.value)};
    part(RD_KAFKA_VTYPE_KEY).mem = {bytes(r.key), size(r.key)};
    part(RD_KAFKA_VTYPE_MSGFLAGS).i = RD_KAFKA_MSG_F_COPY;
    part(RD_KAFKA_VTYPE_TIMESTAMP).i64 = kafka_time(r.time);
    part(RD_KAFKA_VTYPE_OPAQUE).ptr = &to;
    if (headers) part(RD_KAFKA_VTYPE_HEADERS).headers = headers.get();
    const kafka_error_ptr failure(rd_kafka_produceva(get(), parts, n));
    if (!failure) {
        (void)headers.release();  // They belong to the record.
        return true;
    }
    if (rd_kafka_error_code(failure.get()) == RD_KAFKA_RESP_ERR__QUEUE_FULL) return false;
    client_.fail("write to topic \"" + (r.topic.empty() ? topic_name_ : r.topic) + "\"", failure.get());
}

kafka_transactions::kafka_transactions(const kafka_target& target, std::string id)
    : id_(std::move(id)), topic_(target.topic), producer_(target, id_) {
    until_done("begin with transactions as '" + id_ + "'", [&] {
        return rd_kafka_init_transactions(producer_.get(), producer_.client().timeout_ms());
    });
    read_marker(target);
}

kafka_transactions::~kafka_transactions() { abort(); }

void kafka_transactions::abort() noexcept {
    if (!open_.exchange(false)) return;
    const kafka_error_ptr ignored(rd_kafka_abort_transaction(producer_.get(), 1000));
}

/// Calls again what may be called again, as long as the cluster's timeout.
template <class F>
void kafka_transactions::until_done(const std::string& what, F call) {
    const auto end = std::chrono::steady_clock::now() + producer_.client().cluster().timeout;
    for (;;) {
        const kafka_error_ptr failure(call());
        if (!failure) return;
        if (!rd_kafka_error_is_retriable(failure.get()) || std::chrono::steady_clock::now() >= end) {
            // Of one that is in doubt the marker tells.
            open_ = open_ && rd_kafka_error_txn_requires_abort(failure.get());
            producer_.serve(milliseconds(0));
            refuse_lost();
            producer_.client().fail(what, failure.get());
        }
        producer_.serve(milliseconds(10));
    }
}

std::string kafka_transactions::trouble() {
    if (!open_) return {};
    producer_.serve(milliseconds(0));
    return producer_.client().trouble();
}

void kafka_transactions::refuse_lost() {
    const std::lock_guard lock(mutex_);
    if (lost_) throw kafka_error(*lost_);
}

void kafka_transactions::delivered(const rd_kafka_message_t& m) noexcept {
    if (m.err == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    // Whatever is purged is so because something else has failed.
    if (m.err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || m.err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) return;
    const std::lock_guard lock(mutex_);
    if (!lost_) lost_ = producer_.not_delivered(m);
}

void kafka_transactions::read_marker(const kafka_target& target) {
    const kafka_client reader(RD_KAFKA_CONSUMER, target.cluster, {},
                              {{"group.id", id_},
                               {"enable.auto.commit", "false"},
                               {"isolation.level", "read_committed"}});
    const auto end = std::chrono::steady_clock::now() + target.cluster.timeout;
    for (;;) {
        const kafka_offsets of(rd_kafka_topic_partition_list_new(1));
        rd_kafka_topic_partition_t& at = *rd_kafka_topic_partition_list_add(of.get(), topic_.c_str(), 0);
        // Waits until no transaction is open any more that would change it.
        rd_kafka_resp_err_t failure = reader.committed(of.get(), target.cluster.timeout);
        if (failure == RD_KAFKA_RESP_ERR_NO_ERROR) failure = at.err;
        if (failure == RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (at.offset >= 0) marker_ = static_cast<checkpoint_id>(at.offset);
            marked_by_.assign(static_cast<const char*>(at.metadata), at.metadata ? at.metadata_size : 0);
            return;
        }
        if (!passes(failure) || std::chrono::steady_clock::now() >= end)
            reader.fail("read the marker of group '" + id_ + "'", failure);
        rd_kafka_poll(reader.get(), 10);
    }
}

void kafka_transactions::begin() {
    {
        const std::lock_guard lock(mutex_);
        lost_.reset();
    }
    producer_.client().check("begin a transaction", rd_kafka_begin_transaction(producer_.get()));
    open_ = true;
}

void kafka_transactions::produce(const std::vector<kafka_output>& records) {
    for (const kafka_output& r : records) {
        while (!producer_.produce(r, *this)) producer_.serve(milliseconds(100));
        refuse_lost();
    }
}

void kafka_transactions::mark(checkpoint_id number, const std::string& by) {
    const kafka_offsets to(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_t& at = *rd_kafka_topic_partition_list_add(to.get(), topic_.c_str(), 0);
    at.offset = static_cast<std::int64_t>(number);
    if (!by.empty()) {
        at.metadata = ::strdup(by.c_str());  // Freed with the list.
        at.metadata_size = at.metadata ? by.size() : 0;
    }
    const kafka_group_metadata group(rd_kafka_consumer_group_metadata_new(id_.c_str()));
    until_done("set the marker of group '" + id_ + "'", [&] {
        return rd_kafka_send_offsets_to_transaction(producer_.get(), to.get(), group.get(),
                                                    producer_.client().timeout_ms());
    });
    next_ = number;
    next_by_ = by;
}

void kafka_transactions::commit() {
    until_done("commit a transaction", [&] { return rd_kafka_commit_transaction(producer_.get(), -1); });
    open_ = false;
    marker_ = next_;
    marked_by_ = next_by_;
}

void kafka_transactions::store(checkpoint_id number, const std::vector<kafka_output>& records, const std::string& by) {
    begin();
    produce(records);
    mark(number, by);
    commit();
}

}  // namespace runnel::detail
