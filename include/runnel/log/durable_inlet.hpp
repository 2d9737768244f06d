#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/log/log_source.hpp"
#include "runnel/log/log_topic.hpp"

namespace runnel {

namespace detail {

/// The writing side of a durable inlet. Thread safety: safe.
class durable_queue {
public:
    durable_queue(log_topic topic, const log_writer_options& options);
    const log_topic& topic() const noexcept { return topic_; }
    /// Returns when the record is on stable storage.
    void push(timestamp t, std::string_view value);
    void close();
    bool is_open() const;
    /// The end of a partition, once the inlet is closed.
    std::optional<std::uint64_t> end(std::size_t partition) const;
    /// Has `wake` called when the inlet is closed; null: nobody.
    void on_close(std::size_t partition, std::function<void()> wake);

private:
    log_topic topic_;
    std::vector<log_writer> writers_;
    // Pairs with nothing: spreads records over the partitions.
    std::atomic<std::size_t> next_{0};
    /// Held by all who push, and by who closes: so a record is in front of the end, or refused.
    mutable std::shared_mutex pushing_;
    bool closed_ = false;
    std::mutex mutex_;
    std::vector<std::function<void()>> wakes_;
};

}  // namespace detail

/// A source that the host program pushes into, from any thread, and of which nothing is lost in a crash: records go to
/// a log first, and are read from there. Copies are handles of the same inlet: one goes into the pipeline.
///
///     runnel::durable_inlet<click> clicks(log.topic("clicks", {.partitions = 2}));
///     p.from(clicks).named("clicks")...
///     clicks.push({"ann", "/"}, now);     // returns when no crash can lose it
///     clicks.close();
///
/// A job with checkpoints goes on from the offset that it had reached; one without reads the whole topic again. Records
/// have the event time that was pushed with them: `event_time(strategy)`.
/// Thread safety: safe. Pushes of several threads share the waits for the disk.
/// Order: records of one partition keep their order. With one partition that is the order of pushing.
/// Delivery: as of the rest of the job: state exactly once.
/// Errors: `error` when it is closed; as of `log_writer`: `log_in_use` if another process has the topic.
/// Lifetime: the topic's file system and clock outlive it.
template <class T>
class durable_inlet final : public source<T> {
public:
    explicit durable_inlet(log_topic topic, const log_writer_options& options = {})
        : queue_(std::make_shared<detail::durable_queue>(std::move(topic), options)) {}

    /// Returns when the record is on stable storage; not to be called from inside the job.
    void push(const T& value, timestamp t = timestamp::min()) {
        std::string bytes;
        codec<T>::encode(value, bytes);
        queue_->push(t, bytes);
    }
    /// Ends the input behind what has been pushed, for good: a job with checkpoints that has come to this end is
    /// complete, its windows are closed, and it reads nothing that is pushed in later runs. A job that shall go on
    /// later is cancelled, or stopped with a savepoint, while the inlet is open.
    void close() { queue_->close(); }
    bool is_open() const { return queue_->is_open(); }

    std::string name() const override { return "durable inlet " + queue_->topic().name(); }
    std::vector<std::string> splits() override {
        std::vector<std::string> all;
        for (std::size_t i = 0; i != queue_->topic().partitions(); ++i) all.push_back(std::to_string(i));
        return all;
    }
    std::unique_ptr<split_reader<T>> open(const std::string& id, const std::string* position,
                                          const reader_context& context) override {
        const std::size_t partition = std::stoul(id);
        const log_place from =
            position ? log_place::offset(detail::decode_log_position(*position)) : log_place::beginning();
        return std::make_unique<reader>(queue_, partition, from, id, context);
    }

private:
    using log_reader_of_split = detail::log_split_reader<T, detail::log_value<T>>;

    class reader final : public split_reader<T> {
    public:
        reader(std::shared_ptr<detail::durable_queue> of, std::size_t partition, log_place from, const std::string& id,
               const reader_context& context)
            : of_(std::move(of)),
              partition_(partition),
              inner_(of_->topic().reader(partition, from), of_->topic().name() + "/" + id, {}, {},
                     [queue = of_, partition] { return queue->end(partition); }, context) {
            of_->on_close(partition_, context.wake);
        }
        ~reader() override { of_->on_close(partition_, nullptr); }
        poll_result poll(batch<T>& into, std::size_t limit) override { return inner_.poll(into, limit); }
        std::string position() const override { return inner_.position(); }

    private:
        std::shared_ptr<detail::durable_queue> of_;
        std::size_t partition_;
        log_reader_of_split inner_;
    };

    std::shared_ptr<detail::durable_queue> queue_;
};

}  // namespace runnel
