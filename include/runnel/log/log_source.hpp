#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/core/error.hpp"
#include "runnel/log/log_topic.hpp"
#include "runnel/source/source.hpp"

namespace runnel {

/// How a topic is read.
struct log_source_options {
    /// Where reading begins in each partition, unless the job goes on from a checkpoint.
    log_place from = log_place::beginning();
    /// Ends where there is nothing more to be seen, at the latest at what was the end when the job began; otherwise
    /// more is waited for, without end.
    bool bounded = false;
    /// How often a partition that another process writes is looked at. One that this process writes wakes the job.
    duration poll = std::chrono::milliseconds(20);
};

namespace detail {

std::string encode_log_position(std::uint64_t offset);
std::uint64_t decode_log_position(const std::string& position);

/// Reads one partition. `end()` is the offset at which it ends, none for now.
template <class T, class Decode>
class log_split_reader final : public split_reader<T> {
public:
    log_split_reader(log_reader from, std::string name, Decode decode, duration poll,
                     std::function<std::optional<std::uint64_t>()> end, const reader_context& context)
        : from_(std::move(from)),
          name_(std::move(name)),
          decode_(std::move(decode)),
          poll_(poll),
          end_(std::move(end)),
          context_(context) {
        from_.on_append(context_.wake);
    }

    poll_result poll(batch<T>& into, std::size_t limit) override {
        // Asked first: what was appended before the end was set is read.
        const std::optional<std::uint64_t> end = end_();
        for (std::size_t n = 0; n != limit; ++n) {
            if (end && from_.position() >= *end) return poll_result::finished();
            const log_record* r = from_.next();
            if (r == nullptr) {
                // Before the end there may be marks of transactions, but nothing that can be seen.
                if (end) return poll_result::finished();
                if (from_.has_writer()) return poll_result::wait();
                return poll_result::until(context_.clock->now() + poll_);
            }
            if (end && r->offset >= *end) {
                from_.seek(log_place::offset(r->offset));
                return poll_result::finished();
            }
            try {
                into.append_raw(decode_(*r), r->time);
            } catch (const decode_error& bad) {
                context_.bad_record(name_ + " offset " + std::to_string(r->offset), bad.what(),
                                    r->value.value_or(std::string_view()));
            }
        }
        return poll_result::more();
    }
    std::string position() const override { return encode_log_position(from_.position()); }

private:
    log_reader from_;
    std::string name_;
    Decode decode_;
    duration poll_;
    std::function<std::optional<std::uint64_t>()> end_;
    reader_context context_;
};

/// Decodes the value of a record by `codec<T>`.
template <class T>
struct log_value {
    T operator()(const log_record& r) const {
        if (!r.value) throw decode_error("the record has no value: its key was deleted");
        byte_reader in(*r.value);
        T value = codec<T>::decode(in);
        if (!in.empty()) throw decode_error("the value is longer than one of its type");
        return value;
    }
};

template <class T, class Decode>
class log_topic_source final : public source<T> {
public:
    log_topic_source(log_topic topic, Decode decode, log_source_options options)
        : topic_(std::move(topic)), decode_(std::move(decode)), options_(options) {}

    std::string name() const override { return "log " + topic_.name(); }
    std::vector<std::string> splits() override {
        std::vector<std::string> all;
        for (std::size_t i = 0; i != topic_.partitions(); ++i) all.push_back(std::to_string(i));
        return all;
    }
    std::unique_ptr<split_reader<T>> open(const std::string& id, const std::string* position,
                                          const reader_context& context) override {
        const std::size_t partition = std::stoul(id);
        const log_place from = position ? log_place::offset(decode_log_position(*position)) : options_.from;
        std::optional<std::uint64_t> end;
        if (options_.bounded) end = topic_.end_offset(partition);
        return std::make_unique<log_split_reader<T, Decode>>(topic_.reader(partition, from), topic_.name() + "/" + id,
                                                             decode_, options_.poll, [end] { return end; }, context);
    }

private:
    log_topic topic_;
    Decode decode_;
    log_source_options options_;
};

}  // namespace detail

/// Reads the records of a topic, whose values are of type T by `codec<T>`: a split for each partition, read in order
/// from an offset, so that a job goes on from a checkpoint. Records come with their times: `event_time(strategy)`.
/// Example: `p.from(runnel::from_log<click>(clicks, {.bounded = true})).event_time(runnel::monotonous())`
///
/// Readers see what is committed, so what a job with checkpoints has written by `to_log` comes exactly once.
/// Errors: as of `log_reader`; a value that cannot be decoded is a bad record.
template <class T>
auto from_log(log_topic topic, log_source_options options = {}) {
    return detail::log_topic_source<T, detail::log_value<T>>(std::move(topic), {}, options);
}
/// The same with a function that makes the record: `decode(const log_record&)`, which throws `decode_error` for a bad
/// one.
template <class T, class Decode>
auto from_log(log_topic topic, Decode decode, log_source_options options = {}) {
    return detail::log_topic_source<T, Decode>(std::move(topic), std::move(decode), options);
}

}  // namespace runnel
