#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/codec/json.hpp"
#include "runnel/connect/kafka_options.hpp"
#include "runnel/connect/kafka_output.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel {

/// How often a result may be seen after a crash.
enum class delivery : unsigned char {
    /// Results are seen as soon as they are written; those since the last checkpoint come again.
    at_least_once,
    /// Results are seen a moment after the checkpoint is complete that they belong to, by readers with isolation.level
    /// read_committed.
    exactly_once,
};

/// What an `exactly_once` sink does about results that were not seen yet when the job crashed.
enum class kafka_recovery : unsigned char {
    /// Writes them: until they are seen, results are held in memory, and they are written to disk with the checkpoint.
    write_ahead,
    /// Has them made again, from the checkpoint before. Results go to the cluster as they come, into a transaction that
    /// is open from one checkpoint to the next, and are held nowhere else: memory and checkpoints don't grow with them.
    /// The sink must be the only transactional one of its job, and takes nothing from each checkpoint's barrier until
    /// its commit. A crash costs one more checkpoint interval to do again, and readers wait for what was open until the
    /// job starts again.
    roll_back,
};

/// How `to_kafka` writes.
struct kafka_sink_options {
    /// Settings of librdkafka for the producer alone, over those of the cluster, such as {"compression.type", "zstd"}
    /// or {"linger.ms", "20"}.
    std::map<std::string, std::string> settings = {};
    /// Names the producer of an `exactly_once` sink to the cluster, and the consumer group that holds its marker. Of
    /// two jobs with the same, the one that starts later shuts the other out. Empty: "PIPELINE/SINK".
    std::string transactional_id = {};
    /// Of an `exactly_once` sink.
    kafka_recovery recovery = kafka_recovery::write_ahead;
};

namespace detail {

std::shared_ptr<sink<kafka_output>> make_kafka_sink(kafka_cluster cluster, std::string topic, delivery how,
                                                    kafka_sink_options options);

/// Text as it is, anything else as JSON; an empty optional has no bytes at all.
template <class T>
std::optional<std::string> kafka_text(const T& value) {
    if constexpr (std::is_convertible_v<const T&, std::string_view>) {
        return std::string(std::string_view(value));
    } else if constexpr (requires { value.has_value(); *value; }) {
        return value.has_value() ? kafka_text(*value) : std::nullopt;
    } else {
        std::string text;
        append_json(text, value);
        return text;
    }
}

/// `F` is what the user has given: nothing, the key, or the whole record.
template <class T, class F>
kafka_output make_kafka_output(const F& f, const T& value) {
    if constexpr (std::is_same_v<F, std::nullptr_t>) {
        if constexpr (std::is_same_v<T, kafka_output>) return value;
        else return {.value = kafka_text(value)};
    } else if constexpr (std::is_same_v<std::invoke_result_t<const F&, const T&>, kafka_output>) {
        return std::invoke(f, value);
    } else {
        decltype(auto) key = std::invoke(f, value);
        return {.key = kafka_text(key), .value = kafka_text(value)};
    }
}

/// Makes records of Kafka, and hands them to a sink of those.
template <class T, class F>
class kafka_typed_sink final : public sink<T> {
public:
    kafka_typed_sink(std::shared_ptr<sink<kafka_output>> to, std::string topic, F f)
        : to_(std::move(to)), topic_(std::move(topic)), f_(std::move(f)) {}

    std::string name() const override { return to_->name(); }
    std::size_t max_parallelism() const override { return to_->max_parallelism(); }
    std::vector<std::string> problems() const override {
        std::vector<std::string> all = to_->problems();
        if constexpr (requires { f_.problems(); })
            for (std::string& problem : f_.problems()) all.push_back(std::move(problem));
        return all;
    }
    std::string trouble() const override { return to_->trouble(); }
    bool is_transactional() const override { return to_->is_transactional(); }
    bool needs_checkpoints() const override { return to_->needs_checkpoints(); }
    void commit(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) override {
        to_->commit(id, owner, prepared);
    }
    void recover(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) override {
        to_->recover(id, owner, prepared);
    }
    bool rolls_back() const override { return to_->rolls_back(); }
    duration longest_transaction() const override { return to_->longest_transaction(); }
    bool is_at(checkpoint_id id, const std::string& owner, const std::vector<std::string>& prepared) override {
        return to_->is_at(id, owner, prepared);
    }
    void postpone(const std::vector<std::string>& prepared) override { to_->postpone(prepared); }
    std::unique_ptr<sink_writer<T>> open(const sink_context& context) override {
        if constexpr (requires { f_.open(topic_); }) f_.open(topic_);
        return std::make_unique<writer>(to_->open(context), f_, context.bytes);
    }

private:
    class writer final : public sink_writer<T> {
    public:
        writer(std::unique_ptr<sink_writer<kafka_output>> to, const F& f, gauge<std::int64_t>* bytes)
            : to_(std::move(to)), f_(f), bytes_(bytes) {}

        progress write(batch<T>& records) override {
            for (;;) {
                const std::exception_ptr failure = made_.empty() ? make(records) : nullptr;
                const std::size_t from = made_.cursor(), first = records.cursor() - from;
                try {
                    const progress p = to_->write(made_);
                    count(from);
                    records.consume_until(first + made_.cursor());
                    // What has been made is kept until there is room for it.
                    if (p == progress::blocked) return p;
                } catch (...) {
                    count(from);
                    records.consume_until(first + made_.cursor());
                    made_.clear();
                    throw;
                }
                records.consume_until(first + made_.size());
                made_.clear();
                if (failure) std::rethrow_exception(failure);
                if (records.empty()) return progress::done;
            }
        }
        progress flush() override { return to_->flush(); }
        progress settle() override { return to_->settle(); }
        progress finish() override { return to_->finish(); }
        std::string prepare() override { return to_->prepare(); }

    private:
        /// From the cursor on, until one fails: then that is the answer.
        std::exception_ptr make(const batch<T>& records) {
            made_.clear();
            for (std::size_t i = records.cursor(); i < records.size(); ++i) {
                try {
                    kafka_output r = make_kafka_output(f_, records.value(i));
                    if (r.time == timestamp()) r.time = records.time(i);
                    made_.append(std::move(r), records.time(i));
                } catch (...) {
                    return std::current_exception();
                }
            }
            return nullptr;
        }
        /// Those that have been taken since.
        void count(std::size_t from) {
            std::size_t bytes = 0;
            for (; from < made_.cursor(); ++from) {
                const kafka_output& r = std::as_const(made_).value(from);
                bytes += (r.key ? r.key->size() : 0) + (r.value ? r.value->size() : 0);
            }
            count_bytes(bytes_, bytes);
        }

        std::unique_ptr<sink_writer<kafka_output>> to_;
        F f_;
        gauge<std::int64_t>* bytes_;
        batch<kafka_output> made_;
    };

    std::shared_ptr<sink<kafka_output>> to_;
    std::string topic_;
    F f_;
};

template <class F, class T>
constexpr bool kafka_record_function() {
    if constexpr (std::is_same_v<F, std::nullptr_t>) return true;
    else return std::is_invocable_v<const F&, const T&>;
}

}  // namespace detail

/// See `to_kafka`.
template <class F>
class kafka_sink_recipe {
public:
    kafka_sink_recipe(kafka_cluster cluster, std::string topic, delivery how, F f, kafka_sink_options options)
        : cluster_(std::move(cluster)),
          topic_(std::move(topic)),
          how_(how),
          f_(std::move(f)),
          options_(std::move(options)) {}
    template <class T>
    std::shared_ptr<sink<T>> bind() const {
        static_assert(detail::kafka_record_function<F, T>(),
                      "runnel::to_kafka: the function cannot be called with a record of this stream; it takes "
                      "(const T&), and gives the key or a runnel::kafka_output");
        if constexpr (detail::kafka_record_function<F, T>())
            return std::make_shared<detail::kafka_typed_sink<T, F>>(
                detail::make_kafka_sink(cluster_, topic_, how_, options_), topic_, f_);
        else return nullptr;
    }

private:
    kafka_cluster cluster_;
    std::string topic_;
    delivery how_;
    F f_;
    kafka_sink_options options_;
};

/// Writes each record to a topic of Kafka, which must be there. `f`, a member or function of the record, gives its key,
/// or all of it as a `kafka_output`: with headers, a partition, a topic of its own. Without it there is no key.
///
/// Values and keys that are text are written as they are, others as JSON (`append_json`); an empty std::optional as key
/// or value is none. A `kafka_output` is what it says. Kafka's time is the event time; without one, that of writing.
/// The partition of a key is that of the Java client (murmur2), unless the setting "partitioner" says otherwise. The
/// producer is always idempotent.
///
/// `delivery::exactly_once` needs checkpoints. The results between two of them become part of the second, and are
/// written in one transaction when it is complete, together with its number, the *marker*: an offset of the consumer
/// group "PIPELINE/SINK" on partition 0 of the topic. After a crash, the marker says whether that has been done. So no
/// transaction is open between checkpoints, and none is left open by a crash for long: the next start ends it.
/// `write_ahead_sink` has the details.
/// With `kafka_recovery::roll_back` results go into a transaction as they come, to which the marker is added when the
/// checkpoint is durable. If it is not there when the job starts again, the newest checkpoint is removed, and the job
/// goes on from the one before, which is kept until then; or from the savepoint that it has begun from, so leave
/// `job_options::restore` as it is. A savepoint commits, too, and can be gone on from until the next commit. The
/// setting "transaction.timeout.ms" (60 s) must be far above the checkpoints' interval; one that is not above it is
/// refused. What a cancelled job has left open ends when the `job` is destroyed. A job may change from the one form to
/// the other after it has been stopped.
/// A group's offsets are forgotten by the cluster when they have not been written
/// for long (offsets.retention.minutes, 7 days by default): a job that was stopped for longer, and has no marker any
/// more, does not start, and says so.
/// `delivery::at_least_once`: written as they come; a checkpoint, and the end, wait until the cluster has acknowledged.
/// Order: of one subtask, within a partition.
/// Errors: `error` for a record that Kafka cannot hold (too large, a partition or topic that is not there, a time
/// before 1970): it follows the policy for errors. What the cluster refuses later ends the job; at least once, the
/// error names the record's time. While brokers are away `job.status()` says so (`trouble`), and at-least-once output
/// waits; exactly-once output fails when the setting "transaction.timeout.ms" (60 s) has gone by in a commit. Give such
/// a job a restart strategy: whatever becomes of a transaction, it then recovers by itself.
/// Partitions that are added to the topic are written to when librdkafka looks again (every 5 minutes, by the setting
/// "topic.metadata.refresh.interval.ms"): from then on a key may have another one than before. A topic that is deleted
/// ends the job.
/// Rights: to write to the topic; with `delivery::exactly_once` also to read it, to read the group, and to write with
/// the transactional id, both of which have the name that is said above.
/// Example: `alerts.to(runnel::to_kafka(cluster, "alerts", runnel::delivery::exactly_once, &alert::card))`
template <class F>
kafka_sink_recipe<F> to_kafka(kafka_cluster cluster, std::string topic, delivery how, F f,
                              kafka_sink_options options = {}) {
    return {std::move(cluster), std::move(topic), how, std::move(f), std::move(options)};
}
inline kafka_sink_recipe<std::nullptr_t> to_kafka(kafka_cluster cluster, std::string topic, delivery how) {
    return {std::move(cluster), std::move(topic), how, nullptr, {}};
}

}  // namespace runnel
