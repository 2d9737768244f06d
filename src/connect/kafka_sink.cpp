#include "runnel/connect/kafka_sink.hpp"

#include <limits>
#include <mutex>

#include "kafka_exactly_once.hpp"
#include "kafka_outlet.hpp"
#include "runnel/core/error.hpp"
#include "runnel/sink/write_ahead_sink.hpp"

namespace runnel::detail {

std::vector<std::string> kafka_target_problems(const kafka_target& to, const std::string& transactional_id) {
    std::vector<std::string> all = kafka_problems(to.cluster, kafka_producer_defaults(transactional_id),
                                                  kafka_producer_fixed(transactional_id));
    if (to.topic.empty()) all.push_back("the topic has no name. Give that of a topic that is there");
    return all;
}

void refuse_lost_marker(const std::string& sink, const std::string& topic, const std::string& group, checkpoint_id id,
                        checkpoint_id before) {
    const std::string n = std::to_string(id);
    throw checkpoint_error(sink + ": the marker is gone that tells whether the results of checkpoint " + n +
                           " have been written. It is the offset of group '" + group + "' for partition 0 of topic \"" +
                           topic +
                           "\"; the cluster forgets it when it has not been written for long "
                           "(offsets.retention.minutes). If the results are in the topic, set the offset to " +
                           n + ", else to " + std::to_string(before) +
                           " (kafka-consumer-groups --reset-offsets); if the topic or the transactional_id has "
                           "been changed, change it back.");
}

namespace {

class kafka_at_least_once final : public sink<kafka_output> {
public:
    kafka_at_least_once(kafka_target to, bool rolls_back) : to_(std::move(to)), rolls_back_(rolls_back) {}

    std::string name() const override { return "kafka " + to_.topic; }
    std::size_t max_parallelism() const override { return std::numeric_limits<std::size_t>::max(); }
    std::vector<std::string> problems() const override {
        std::vector<std::string> all = kafka_target_problems(to_, "");
        if (rolls_back_)
            all.push_back("results that are seen at once cannot be rolled back. Ask for delivery::exactly_once, or "
                          "leave recovery out");
        return all;
    }
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
        return std::make_unique<kafka_writer>(std::move(there), context.wake);
    }

private:
    std::shared_ptr<kafka_outlet> outlet() const {
        const std::lock_guard lock(mutex_);
        return outlet_.lock();
    }

    const kafka_target to_;
    const bool rolls_back_;  ///< As if it could.
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
        return kafka_target_problems(to_, transactional_id_.empty() ? "PIPELINE/SINK" : transactional_id_);
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
        unless_shut_out([&] { recover_once(id, owner, prepared); });
    }

private:
    void recover_once(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) {
        const std::string of = transactional_id_.empty() ? owner : transactional_id_;
        if (failed_) replace(nullptr);
        failed_ = false;
        if (!transactions_) replace(std::make_unique<kafka_transactions>(to_, of));
        if (!transactions_->marker()) {
            const auto is_empty = [](const std::string& p) { return p.empty(); };
            if (!std::all_of(prepared.begin(), prepared.end(), is_empty))
                refuse_lost_marker(name(), to_.topic, of, id, id - 1);
            // From here on there is one, so that it cannot get lost unseen.
            store(id, owner, {});
        }
        // Of one that rolled back, a checkpoint holds no results.
        if (!was_rolling_back(prepared)) return write_ahead_sink::recover(id, owner, prepared);
        if (transactions_->marker().value_or(0) < id)
            throw checkpoint_error(name() + ": the results of checkpoint " + std::to_string(id) +
                                   " have not been written, and have to come again. Start the job once more with "
                                   "kafka_recovery::roll_back, and end it with stop_with_savepoint.");
        write_ahead_sink::recover(id, owner, {});
    }
    void replace(std::unique_ptr<kafka_transactions> by) {
        const std::lock_guard lock(mutex_);
        transactions_.swap(by);
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
    const bool rolls_back = options.recovery == kafka_recovery::roll_back;
    if (how == delivery::at_least_once) return std::make_shared<kafka_at_least_once>(std::move(to), rolls_back);
    if (rolls_back) return make_kafka_rolling_back(std::move(to), std::move(options.transactional_id));
    return std::make_shared<kafka_exactly_once>(std::move(to), std::move(options.transactional_id));
}

}  // namespace runnel::detail
