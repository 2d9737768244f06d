#include "runnel/connect/kafka_sink.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <limits>
#include <mutex>

#include "kafka_producer.hpp"
#include "runnel/core/error.hpp"
#include "runnel/sink/write_ahead_sink.hpp"

namespace runnel::detail {

namespace {

std::vector<std::string> target_problems(const kafka_target& to, const std::string& transactional_id) {
    std::vector<std::string> all = kafka_problems(to.cluster, kafka_producer_defaults(transactional_id),
                                                  kafka_producer_fixed(transactional_id));
    if (to.topic.empty()) all.push_back("the topic has no name. Give that of a topic that is there");
    return all;
}

/// What the writers of an at-least-once sink share.
///
/// Nobody waits for the cluster: a writer that has to is called again when librdkafka has news.
/// Thread safety: safe.
class kafka_outlet {
public:
    /// The records of one writer that are under way. Lives as long as the producer, since it is told of them.
    class writer_state final : public kafka_deliveries {
    public:
        writer_state(kafka_outlet& of, std::function<void()> wake) : of_(of), wake_(std::move(wake)) {}
        void delivered(const rd_kafka_message_t& m) noexcept override {
            if (m.err != RD_KAFKA_RESP_ERR_NO_ERROR) of_.failed(*this, m);
            // Pairs with the load in under_way(): who sees that all is over sees the failures, too.
            under_way_.fetch_sub(1, std::memory_order_release);
        }
        /// Says so before it can be delivered.
        void begun() noexcept { under_way_.fetch_add(1, std::memory_order_relaxed); }
        void not_begun() noexcept { under_way_.fetch_sub(1, std::memory_order_relaxed); }
        std::size_t under_way() const noexcept { return under_way_.load(std::memory_order_acquire); }

    private:
        friend kafka_outlet;
        kafka_outlet& of_;
        std::function<void()> wake_;    // under mutex_ of the outlet
        bool waiting_ = false;          // under mutex_ of the outlet
        std::deque<record_error> lost_;  // under mutex_ of the outlet; at most what was under way
        std::atomic<std::size_t> under_way_ = 0;
    };

    explicit kafka_outlet(const kafka_target& to) : producer_(to, "") {
        events_.reset(rd_kafka_queue_get_main(producer_.get()));
        // On a thread of librdkafka's, with a lock of the queue held: nothing is asked of it here.
        const auto has_news = [](rd_kafka_t*, void* self) { static_cast<kafka_outlet*>(self)->wake_waiting(nullptr); };
        rd_kafka_queue_cb_event_enable(events_.get(), has_news, this);
    }
    ~kafka_outlet() { rd_kafka_queue_cb_event_enable(events_.get(), nullptr, nullptr); }

    writer_state& add(std::function<void()> wake) {
        const std::lock_guard lock(mutex_);
        return writers_.emplace_back(*this, std::move(wake));
    }
    /// The writer goes: nothing of it is called any more.
    void remove(writer_state& w) {
        const std::lock_guard lock(mutex_);
        w.wake_ = nullptr;
    }
    kafka_producer& producer() noexcept { return producer_; }
    /// Takes note of what has arrived. Throws `record_error`, once for each record of the writer that has not.
    void serve(writer_state& w) {
        if (producer_.serve(std::chrono::milliseconds(0))) wake_waiting(&w);
        const std::lock_guard lock(mutex_);
        if (w.lost_.empty()) return;
        const record_error first = std::move(w.lost_.front());
        w.lost_.pop_front();
        throw first;
    }
    /// What is wrong, while records wait because of it.
    std::string trouble() {
        if (producer_.serve(std::chrono::milliseconds(0))) wake_waiting(nullptr);
        const std::lock_guard lock(mutex_);
        const auto waits = [](const writer_state& w) { return w.under_way() != 0; };
        return std::any_of(writers_.begin(), writers_.end(), waits) ? producer_.client().trouble() : std::string();
    }
    /// From here on the writer is woken when there is news. What came before has to be looked at again.
    void wait(writer_state& w, bool waits) {
        const std::lock_guard lock(mutex_);
        w.waiting_ = waits;
    }

private:
    void wake_waiting(const writer_state* but) {
        // Under the lock, so that no writer is woken that has gone.
        const std::lock_guard lock(mutex_);
        for (writer_state& w : writers_)
            if (&w != but && std::exchange(w.waiting_, false) && w.wake_) w.wake_();
    }
    void failed(writer_state& w, const rd_kafka_message_t& m) noexcept {
        const std::int64_t ms = rd_kafka_message_timestamp(&m, nullptr);
        // Without the lock: what librdkafka is asked for here may wait for a thread that has news.
        record_error lost(std::make_exception_ptr(producer_.not_delivered(m)),
                          ms > 0 ? timestamp(std::chrono::milliseconds(ms)) : timestamp::min());
        const std::lock_guard lock(mutex_);
        w.lost_.push_back(std::move(lost));
    }

    std::mutex mutex_;
    std::deque<writer_state> writers_;  // under mutex_; those in it stay
    kafka_producer producer_;
    kafka_queue events_;
};

class kafka_at_least_once final : public sink<kafka_output> {
public:
    explicit kafka_at_least_once(kafka_target to) : to_(std::move(to)) {}

    std::string name() const override { return "kafka " + to_.topic; }
    std::size_t max_parallelism() const override { return std::numeric_limits<std::size_t>::max(); }
    std::vector<std::string> problems() const override { return target_problems(to_, ""); }
    std::string trouble() const override {
        const std::shared_ptr<kafka_outlet> there = outlet();
        return there ? there->trouble() : std::string();
    }
    std::unique_ptr<sink_writer<kafka_output>> open(const sink_context& context) override {
        // As long as there are writers: those of a job that is started again begin anew.
        std::shared_ptr<kafka_outlet> there = outlet();
        if (!there) {
            there = std::make_shared<kafka_outlet>(to_);
            const std::lock_guard lock(mutex_);
            outlet_ = there;
        }
        return std::make_unique<writer>(std::move(there), context.wake);
    }

private:
    class writer final : public sink_writer<kafka_output> {
    public:
        writer(std::shared_ptr<kafka_outlet> to, std::function<void()> wake)
            : to_(std::move(to)), state_(to_->add(std::move(wake))) {}
        ~writer() override { to_->remove(state_); }

        progress write(batch<kafka_output>& records) override {
            to_->serve(state_);
            for (std::size_t i = records.cursor(); i < records.size(); ++i) {
                // Said first, so that an exception is known to be of this record.
                records.consume_until(i);
                const kafka_output& r = std::as_const(records).value(i);
                to_->producer().check(r);
                if (!until([&] { return produce(r); })) return progress::blocked;
            }
            records.consume_until(records.size());
            return progress::done;
        }
        /// They are on their way; the setting "linger.ms" says for how long they wait for others.
        progress flush() override {
            to_->serve(state_);
            return progress::done;
        }
        progress settle() override {
            return until([&] { return state_.under_way() == 0; }) ? progress::done : progress::blocked;
        }

    private:
        bool produce(const kafka_output& r) {
            state_.begun();
            bool taken = false;
            try {
                taken = to_->producer().produce(r, state_);
            } catch (...) {
                state_.not_begun();
                throw;
            }
            if (!taken) state_.not_begun();
            return taken;
        }
        /// True if `f` is; else the writer is woken when it may be.
        template <class F>
        bool until(F f) {
            if (f()) return true;
            to_->wait(state_, true);
            to_->serve(state_);
            const bool now = f();
            if (now) to_->wait(state_, false);
            return now;
        }

        std::shared_ptr<kafka_outlet> to_;
        kafka_outlet::writer_state& state_;
    };

    std::shared_ptr<kafka_outlet> outlet() const {
        const std::lock_guard lock(mutex_);
        return outlet_.lock();
    }

    const kafka_target to_;
    mutable std::mutex mutex_;
    std::weak_ptr<kafka_outlet> outlet_;  // under mutex_
};

class kafka_exactly_once final : public write_ahead_sink<kafka_output> {
public:
    kafka_exactly_once(kafka_target to, std::string transactional_id)
        : to_(std::move(to)), transactional_id_(std::move(transactional_id)) {}

    std::string name() const override { return "kafka " + to_.topic; }
    std::size_t max_parallelism() const override { return std::numeric_limits<std::size_t>::max(); }
    std::vector<std::string> problems() const override {
        return target_problems(to_, transactional_id_.empty() ? "PIPELINE/SINK" : transactional_id_);
    }
    bool needs_checkpoints() const override { return true; }
    void check(const kafka_output& r) const override { transactions_->check(r); }
    checkpoint_id stored(const std::string&) override { return transactions_->marker().value_or(0); }
    void store(checkpoint_id id, const std::string&, const std::vector<kafka_output>& records) override {
        // Only what has come to its end is gone on with: else the marker in the cluster has to be read.
        if (failed_) throw error(name() + ": an earlier transaction has failed. Start the job again.");
        failed_ = true;
        transactions_->store(id, records);
        failed_ = false;
    }
    std::string trouble() const override {
        const std::lock_guard lock(mutex_);
        return transactions_ ? transactions_->trouble() : std::string();
    }
    void recover(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) override {
        for (int tries = 3;; --tries) {
            try {
                return recover_once(id, owner, prepared);
            } catch (const kafka_error& e) {
                // A process that was killed may have asked the cluster to shut this one out, and be heard only now.
                if (!is_kafka_shut_out(e.reason()) || tries == 1) throw;
            }
        }
    }

private:
    void recover_once(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) {
        const std::string of = transactional_id_.empty() ? owner : transactional_id_;
        if (failed_) replace(nullptr);
        failed_ = false;
        if (!transactions_) replace(std::make_unique<kafka_transactions>(to_, of));
        if (!transactions_->marker()) {
            const auto is_empty = [](const std::string& p) { return p.empty(); };
            if (!std::all_of(prepared.begin(), prepared.end(), is_empty)) refuse_lost_marker(id, of);
            // From here on there is one, so that it cannot get lost unseen.
            store(id, owner, {});
        }
        write_ahead_sink::recover(id, owner, prepared);
    }
    void replace(std::unique_ptr<kafka_transactions> by) {
        const std::lock_guard lock(mutex_);
        transactions_.swap(by);
    }
    [[noreturn]] void refuse_lost_marker(checkpoint_id id, const std::string& group) const {
        const std::string n = std::to_string(id);
        throw checkpoint_error(name() + ": the marker is gone that tells whether the results of checkpoint " + n +
                               " have been written. It is the offset of group '" + group +
                               "' for partition 0 of topic \"" + to_.topic +
                               "\"; the cluster forgets it when it has not been written for long "
                               "(offsets.retention.minutes). If the results are in the topic, set the offset to " + n +
                               ", else to " + std::to_string(id - 1) +
                               " (kafka-consumer-groups --reset-offsets); if the topic or the transactional_id has "
                               "been changed, change it back.");
    }

    const kafka_target to_;
    const std::string transactional_id_;
    mutable std::mutex mutex_;
    std::unique_ptr<kafka_transactions> transactions_;  // replaced under mutex_
    bool failed_ = false;
};

}  // namespace

std::shared_ptr<sink<kafka_output>> make_kafka_sink(kafka_cluster cluster, std::string topic, delivery how,
                                                    kafka_sink_options options) {
    for (auto& [name, value] : options.settings) cluster.settings.insert_or_assign(name, std::move(value));
    kafka_target to{std::move(cluster), std::move(topic)};
    if (how == delivery::at_least_once) return std::make_shared<kafka_at_least_once>(std::move(to));
    return std::make_shared<kafka_exactly_once>(std::move(to), std::move(options.transactional_id));
}

}  // namespace runnel::detail
