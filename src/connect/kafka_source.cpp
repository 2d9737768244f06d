#include "runnel/connect/kafka_source.hpp"

#include <algorithm>
#include <array>

#include "kafka_input.hpp"

namespace runnel::detail {

namespace {

class partition_reader final : public kafka_partition_reader {
public:
    partition_reader(std::shared_ptr<kafka_input> input, std::shared_ptr<kafka_session> session,
                     kafka_partition partition, kafka_range at, std::function<void()> wake)
        : input_(std::move(input)), session_(std::move(session)), partition_(std::move(partition)), at_(at),
          progress_(session_->progress_of(partition_)), wake_(std::move(wake)),
          topic_(rd_kafka_topic_new(client().get(), partition_.topic.c_str(), nullptr)),
          queue_(rd_kafka_queue_new(client().get())), first_(at.is_first ? at.next : -1) {
        progress_->store(at_.next, std::memory_order_relaxed);
        if (!topic_) client().fail("read " + here(), rd_kafka_last_error());
        rd_kafka_queue_cb_event_enable(
            queue_.get(), [](rd_kafka_t*, void* self) { static_cast<partition_reader*>(self)->wake_(); }, this);
        if (!is_at_end()) start(at_.next);
    }
    ~partition_reader() override {
        rd_kafka_queue_cb_event_enable(queue_.get(), nullptr, nullptr);
        release();
        stop();
    }

    bool fetch(std::size_t limit) override {
        release();
        progress_->store(at_.next, std::memory_order_relaxed);  // See kafka_session::condition.
        if (is_at_end()) return false;
        if (taken_bytes_ >= session_->queue_bytes() / 4) wake_fetcher();
        const ssize_t n =
            rd_kafka_consume_batch_queue(queue_.get(), 0, messages_.data(), std::min(limit, messages_.size()));
        if (n < 0) client().fail("read " + here(), rd_kafka_last_error());
        count_ = static_cast<std::size_t>(n);
        return n > 0;
    }

    const kafka_record* next() override {
        while (next_ != count_) {
            rd_kafka_message_t* const m = messages_[next_++];
            if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) [[unlikely]] {
                note(*m);
                continue;
            }
            if (m->offset < at_.next) [[unlikely]]
                continue;
            if (at_.end && m->offset >= *at_.end) [[unlikely]] {
                at_.next = *at_.end;
                return nullptr;
            }
            at_.next = m->offset + 1;
            ++taken_;
            taken_bytes_ += m->len + m->key_len + kafka_record_overhead;
            record_.topic = partition_.topic;
            record_.partition = m->partition;
            record_.offset = m->offset;
            const std::int64_t ms = rd_kafka_message_timestamp(m, nullptr);
            record_.time.reset();
            if (ms != -1) record_.time = timestamp(std::chrono::milliseconds(ms));
            record_.key = kafka_view(m->key, m->key_len);
            record_.value = kafka_view(m->payload, m->len);
            record_.message = m;
            return &record_;
        }
        return nullptr;
    }

    bool is_at_end() const override { return at_.end && at_.next >= *at_.end; }
    std::string position() const override { return encode_kafka_range(at_); }

private:
    kafka_client& client() noexcept { return session_->client(); }
    std::string here() const {
        return kafka_place(partition_.topic, partition_.number) + " at offset " + std::to_string(at_.next);
    }
    void start(std::int64_t offset) {
        if (rd_kafka_consume_start_queue(topic_.get(), partition_.number, offset, queue_.get()) != 0)
            client().fail("read " + here(), rd_kafka_last_error());
        started_ = true;
    }
    void stop() {
        if (started_) rd_kafka_consume_stop(topic_.get(), partition_.number);
        started_ = false;
    }
    void release() {
        for (std::size_t i = 0; i != count_; ++i) rd_kafka_message_destroy(messages_[i]);
        count_ = next_ = 0;
    }

    /// When a queue is full, its broker is asked for no more. That it has room again librdkafka sees when it has
    /// something else to do, or after a second: so it is given something, once for a quarter of a full queue, if no
    /// more than that is left.
    void wake_fetcher() {
        if (rd_kafka_queue_length(queue_.get()) * (taken_bytes_ / taken_) > session_->queue_bytes() / 4) return;
        taken_ = taken_bytes_ = 0;
        const kafka_offsets end(rd_kafka_topic_partition_list_new(1));
        rd_kafka_topic_partition_list_add(end.get(), partition_.topic.c_str(), partition_.number)->offset =
            RD_KAFKA_OFFSET_END;
        // The question is what matters; nobody waits for the answer.
        rd_kafka_offsets_for_times(client().get(), end.get(), 0);
    }

    /// Something else than a record has come.
    void note(const rd_kafka_message_t& m) {
        switch (m.err) {
            case RD_KAFKA_RESP_ERR__PARTITION_EOF:
                // Behind the last record there may be marks of transactions, which nobody gets to see.
                if (at_.end && m.offset >= *at_.end) at_.next = *at_.end;
                return;
            case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
            case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: return lost();
            case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
            case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
                throw kafka_error("cannot read " + here() + ": the topic is not there any more. Was it deleted? Bring "
                                  "it back, or begin anew without it.",
                                  m.err);
            default:
                if (kafka_leader_moves(m.err)) return;  // It is tried again.
                client().fail("read " + here(), m.err);
        }
    }

    /// The next record is not there.
    void lost() {
        const auto [low, high] = input_->bounds_of(*session_, partition_);
        if (input_->options().on_lost == kafka_lost::fail && first_ != at_.next) {
            const std::string why = at_.next > high ? "Was the topic deleted and made anew?"
                                                    : "The topic's retention has removed what was before.";
            throw kafka_error("cannot read " + here() + ": it is not there; the topic holds offsets " +
                                  std::to_string(low) + " to " + std::to_string(high) + ". " + why +
                                  " Set on_lost to kafka_lost::earliest to go on without what is lost, or begin anew.",
                              RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
        }
        if (first_ != at_.next)
            session_->note_lost(here() + ": it was removed before it was read; gone on at offset " +
                                std::to_string(low));
        release();
        stop();
        at_.next = first_ = low;
        start(low);
    }

    // Destroyed in the opposite order: the input outlives the session that refers to it.
    const std::shared_ptr<kafka_input> input_;
    const std::shared_ptr<kafka_session> session_;
    const kafka_partition partition_;
    kafka_range at_;
    const std::shared_ptr<std::atomic<std::int64_t>> progress_;
    const std::function<void()> wake_;
    const kafka_topic topic_;
    const kafka_queue queue_;
    bool started_ = false;
    /// Where it has begun, if that was where the partition began.
    std::int64_t first_;
    std::array<rd_kafka_message_t*, 1024> messages_;
    std::size_t count_ = 0;
    std::size_t next_ = 0;
    std::size_t taken_ = 0;  ///< Records since the fetcher was woken last, and their bytes.
    std::size_t taken_bytes_ = 0;
    kafka_record record_;
};

class partition_watch final : public split_watch {
public:
    partition_watch(std::shared_ptr<kafka_input> input, std::size_t known, std::function<void()> wake)
        : input_(std::move(input)), session_(input_->session()), known_(known) {
        session_->watch(this, std::move(wake));
    }
    ~partition_watch() override { session_->unwatch(this); }
    std::vector<std::string> appeared() override {
        std::vector<std::string> ids = input_->splits_from(known_);
        known_ += ids.size();
        return ids;
    }

private:
    const std::shared_ptr<kafka_input> input_;
    const std::shared_ptr<kafka_session> session_;
    std::size_t known_;
};

}  // namespace

kafka_splits::kafka_splits(kafka_cluster cluster, kafka_topics topics, kafka_source_options options)
    : input_(std::make_shared<kafka_input>(std::move(cluster), std::move(topics), std::move(options))) {}

std::string kafka_splits::name() const { return input_->name(); }
std::vector<std::string> kafka_splits::problems() const { return input_->problems(); }
std::vector<std::string> kafka_splits::splits() { return input_->splits(); }
source_condition kafka_splits::condition() const { return input_->condition(); }
void kafka_splits::passed(const std::vector<split_position>& positions) { input_->passed(positions); }

std::unique_ptr<split_watch> kafka_splits::watch(std::size_t known, const reader_context& context) {
    const kafka_source_options& options = input_->options();
    if (options.discovery.count() <= 0 || options.until.what() != kafka_end::kind::never) return nullptr;
    return std::make_unique<partition_watch>(input_, known, context.wake);
}

std::unique_ptr<kafka_partition_reader> kafka_splits::open(const std::string& id, const std::string* position,
                                                           const reader_context& context) {
    const kafka_partition partition = kafka_partition_of(id);
    const std::shared_ptr<kafka_session> session = input_->session();
    kafka_range at;
    if (position) {
        at = decode_kafka_range(*position);
        if (!at.end) at.end = input_->end_of(*session, partition);
    } else if (context.appeared) {
        at = input_->beginning_of(*session, partition);
        at.end = input_->end_of(*session, partition);
    } else {
        at = input_->range_of(*session, partition);
    }
    return std::make_unique<partition_reader>(input_, session, partition, at, context.wake);
}

std::string kafka_partition_reader::place_of(const kafka_record& r) {
    return kafka_place(r.topic, r.partition) + " offset " + std::to_string(r.offset);
}

}  // namespace runnel::detail
