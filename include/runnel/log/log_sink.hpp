#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/log/log_topic.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel {

namespace detail {

/// The partitions of a topic that a sink writes to, shared by its subtasks.
///
/// Thread safety: safe, unless said otherwise.
class log_output {
public:
    log_output(log_topic topic, const log_writer_options& options) : topic_(std::move(topic)), options_(options) {}

    const log_topic& topic() const noexcept { return topic_; }
    /// The writer of a partition, opened when it is first asked for.
    std::shared_ptr<log_writer> writer(std::size_t partition);
    /// Closes all writers, then decides all transactions of the sink: those in `prepared` are committed, the others
    /// aborted. No subtask is writing.
    void recover(const std::string& owner, const std::vector<std::string>& prepared);
    void commit(const std::vector<std::string>& prepared);
    /// A number for the next transactions, larger than all before, in earlier processes too.
    std::uint64_t next_number();

private:
    log_topic topic_;
    log_writer_options options_;
    std::mutex mutex_;
    std::vector<std::shared_ptr<log_writer>> writers_;
    std::uint64_t last_number_ = 0;
};

/// What one subtask writes: with an owner, in one transaction per partition and checkpoint.
///
/// Thread safety: unsafe.
class log_subtask_output {
public:
    log_subtask_output(std::shared_ptr<log_output> to, const sink_context& context);
    /// Appends to the partition of the key, or without one to that of this subtask.
    void append(const log_record& r);
    /// Has what was appended written and, without transactions, seen by readers.
    void flush();
    std::string prepare();

private:
    struct part {
        std::shared_ptr<log_writer> writer;
        std::optional<log_transaction> open;
    };
    std::shared_ptr<log_output> to_;
    std::string name_;  // Of the transactions; empty: there are none.
    std::size_t own_;
    std::vector<part> parts_;
};

template <class T, class Key>
class log_topic_sink final : public sink<T> {
public:
    log_topic_sink(log_topic topic, Key key, const log_writer_options& options)
        : to_(std::make_shared<log_output>(std::move(topic), options)), key_(std::move(key)) {}

    std::string name() const override { return "log " + to_->topic().name(); }
    std::size_t max_parallelism() const override { return std::numeric_limits<std::size_t>::max(); }
    bool is_transactional() const override { return true; }
    void commit(checkpoint_id, const std::string&, const std::vector<std::string>& prepared) override {
        to_->commit(prepared);
    }
    void recover(checkpoint_id, const std::string& owner, const std::vector<std::string>& prepared) override {
        to_->recover(owner, prepared);
    }
    std::unique_ptr<sink_writer<T>> open(const sink_context& context) override {
        return std::make_unique<writer>(to_, key_, context);
    }

private:
    class writer final : public sink_writer<T> {
    public:
        writer(std::shared_ptr<log_output> to, const Key& key, const sink_context& context)
            : to_(std::move(to), context), key_(key) {}
        progress write(batch<T>& records) override {
            for (std::size_t i = records.cursor(); i < records.size(); ++i) {
                records.consume_until(i);
                const T& record = std::as_const(records).value(i);
                value_.clear();
                codec<T>::encode(record, value_);
                log_record r{.time = records.time(i), .value = value_};
                if constexpr (!std::is_same_v<Key, std::nullptr_t>) {
                    if constexpr (std::is_convertible_v<std::invoke_result_t<const Key&, const T&>, std::string_view>) {
                        // A temporary text lives until it is copied.
                        decltype(auto) key = std::invoke(key_, record);
                        r.key = std::string_view(key);
                        to_.append(r);
                    } else {
                        key_bytes_.clear();
                        decltype(auto) key = std::invoke(key_, record);
                        codec<std::decay_t<decltype(key)>>::encode(key, key_bytes_);
                        r.key = key_bytes_;
                        to_.append(r);
                    }
                } else {
                    to_.append(r);
                }
            }
            records.consume_until(records.size());
            return progress::done;
        }
        progress flush() override {
            to_.flush();
            return progress::done;
        }
        std::string prepare() override { return to_.prepare(); }

    private:
        log_subtask_output to_;
        Key key_;
        std::string value_;
        std::string key_bytes_;
    };

    std::shared_ptr<log_output> to_;
    Key key_;
};

}  // namespace detail

/// See `to_log`.
template <class Key>
class log_sink_recipe {
public:
    log_sink_recipe(log_topic topic, Key key, const log_writer_options& options)
        : topic_(std::move(topic)), key_(std::move(key)), options_(options) {}
    template <class T>
    std::shared_ptr<sink<T>> bind() const {
        return std::make_shared<detail::log_topic_sink<T, Key>>(topic_, key_, options_);
    }

private:
    log_topic topic_;
    Key key_;
    log_writer_options options_;
};

/// Appends each record to a topic, its value by `codec<T>`, with its event time. `key`, a member or function of the
/// record, gives the record's key, by which its partition is chosen; without one each subtask has a partition.
/// Example: `counts.to(runnel::to_log(topic, &count::user))`
///
/// In a job with checkpoints, output is exactly once: readers see records when the checkpoint is complete that they
/// belong to. Otherwise as soon as they are flushed, at least once.
/// Order: of one subtask, within a partition.
/// Errors: as of `log_writer`; `log_in_use` if another process writes the topic.
template <class Key>
log_sink_recipe<Key> to_log(log_topic topic, Key key, const log_writer_options& options = {}) {
    return {std::move(topic), std::move(key), options};
}
inline log_sink_recipe<std::nullptr_t> to_log(log_topic topic) { return {std::move(topic), nullptr, {}}; }

}  // namespace runnel
