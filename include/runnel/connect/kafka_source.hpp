#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/connect/kafka_options.hpp"
#include "runnel/connect/kafka_record.hpp"
#include "runnel/connect/kafka_source_options.hpp"
#include "runnel/connect/kafka_values.hpp"
#include "runnel/core/error.hpp"
#include "runnel/source/source.hpp"

namespace runnel {

namespace detail {

class kafka_input;
class kafka_partition_reader;

/// The topics as a set of splits. Thread safety: safe.
class kafka_splits {
public:
    kafka_splits(kafka_cluster cluster, kafka_topics topics, kafka_source_options options);
    std::string name() const;
    std::vector<std::string> problems() const;
    std::vector<std::string> splits();
    std::unique_ptr<split_watch> watch(std::size_t known, const reader_context& context);
    void passed(const std::vector<split_position>& positions);
    source_condition condition() const;
    std::unique_ptr<kafka_partition_reader> open(const std::string& id, const std::string* position,
                                                 const reader_context& context);

private:
    std::shared_ptr<kafka_input> input_;
};

/// Reads one partition. Thread safety: unsafe.
class kafka_partition_reader {
public:
    virtual ~kafka_partition_reader() = default;
    /// Takes over up to `limit` records that have been fetched; `next` gives them. False: there are none now.
    virtual bool fetch(std::size_t limit) = 0;
    /// Null: the next is to be fetched.
    virtual const kafka_record* next() = 0;
    virtual bool is_at_end() const = 0;
    virtual std::string position() const = 0;
    /// "clicks/3 offset 17": names a record in messages.
    static std::string place_of(const kafka_record& r);
};

template <class T, class Decode>
class kafka_topic_source final : public source<T> {
public:
    kafka_topic_source(kafka_cluster cluster, kafka_topics topics, Decode decode, kafka_source_options options)
        : splits_(std::move(cluster), std::move(topics), std::move(options)), decode_(std::move(decode)) {}

    std::string name() const override { return splits_.name(); }
    std::vector<std::string> problems() const override {
        std::vector<std::string> all = splits_.problems();
        if constexpr (requires { decode_.problems(); })
            for (std::string& problem : decode_.problems()) all.push_back(std::move(problem));
        return all;
    }
    std::vector<std::string> splits() override { return splits_.splits(); }
    std::unique_ptr<split_watch> watch(std::size_t known, const reader_context& context) override {
        return splits_.watch(known, context);
    }
    void passed(const std::vector<split_position>& positions) override { splits_.passed(positions); }
    source_condition condition() const override { return splits_.condition(); }
    std::unique_ptr<split_reader<T>> open(const std::string& id, const std::string* position,
                                          const reader_context& context) override {
        return std::make_unique<reader>(splits_.open(id, position, context), decode_, context);
    }

private:
    class reader final : public split_reader<T> {
    public:
        reader(std::unique_ptr<kafka_partition_reader> from, const Decode& decode, const reader_context& context)
            : from_(std::move(from)), decode_(decode), context_(context) {}

        poll_result poll(batch<T>& into, std::size_t limit) override {
            const bool any = from_->fetch(limit);
            std::size_t bytes = 0;
            while (const kafka_record* r = from_->next()) {
                bytes += (r->key ? r->key->size() : 0) + (r->value ? r->value->size() : 0);
                append(*r, into);
            }
            count_bytes(context_.bytes, bytes);
            if (from_->is_at_end()) return poll_result::finished();
            return any ? poll_result::more() : poll_result::wait();
        }
        std::string position() const override { return from_->position(); }

    private:
        void append(const kafka_record& r, batch<T>& into) {
            if (context_.takes_times && !r.time) [[unlikely]]
                return refuse(r, "the record has no time");
            try {
                into.append_raw(decode_(r), r.time.value_or(timestamp()));
            } catch (const decode_error& bad) {
                refuse(r, bad.what());
            } catch (const std::exception& e) {
                std::throw_with_nested(error(kafka_partition_reader::place_of(r) + ": " + e.what()));
            }
        }
        void refuse(const kafka_record& r, std::string_view why) {
            context_.bad_record(kafka_partition_reader::place_of(r), why, r.value.value_or(std::string_view()));
        }

        std::unique_ptr<kafka_partition_reader> from_;
        Decode decode_;
        reader_context context_;
    };

    kafka_splits splits_;
    Decode decode_;
};

}  // namespace detail

/// Reads topics of a Kafka cluster: a split for each partition, read in order from an offset, so that a job goes on
/// from a checkpoint, at any parallelism. `decode(const kafka_record&)` makes the records of the stream, from key,
/// value, headers and what else there is; it throws `decode_error` for one that is bad. For values there are
/// `kafka_json<T>()`, `kafka_bytes<>()` and `kafka_binary<T>()`. Records come with their times: `event_time(strategy)`.
/// Example: `p.from(runnel::from_kafka({"localhost:9092"}, "clicks", runnel::kafka_json<click>()))`
///
/// Of transactions what is committed is read, in the order of the offsets; one that stays open holds its partition
/// back. A partition without records holds event time back until there is one, unless the strategy says `idle_after`.
/// When all brokers are away, the source waits for them; of that, and of a topic that has been deleted meanwhile, the
/// job's status tells (`operator_status::trouble`).
/// Checkpointed state: the offset of each partition's next record, and where it ends. Partitions that appear later are
/// read from their beginning.
/// Errors: `io_error` if no broker answers when the job starts, a topic is not there, this user may not read it, or
/// records have been removed before they were read (`on_lost`). A bad record is named by topic, partition and offset.
/// Cost: a connection to each broker, librdkafka's threads, and one more.
template <class Decode>
auto from_kafka(kafka_cluster cluster, kafka_topics topics, Decode decode, kafka_source_options options = {}) {
    constexpr bool decodes = std::is_invocable_v<Decode&, const kafka_record&>;
    static_assert(decodes, "runnel: from_kafka: needs a function that makes a record from a const kafka_record&, such "
                           "as kafka_json<T>(), kafka_bytes<>() or kafka_binary<T>()");
    if constexpr (decodes) {
        using T = std::decay_t<std::invoke_result_t<Decode&, const kafka_record&>>;
        return detail::kafka_topic_source<T, Decode>(std::move(cluster), std::move(topics), std::move(decode),
                                                     std::move(options));
    }
}

}  // namespace runnel
