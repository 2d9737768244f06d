#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "kafka_producer.hpp"
#include "runnel/core/error.hpp"
#include "runnel/sink/sink.hpp"

namespace runnel::detail {

/// What the writers of a sink share that write as results come.
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

    explicit kafka_outlet(const kafka_target& to)
        : own_(std::make_unique<kafka_producer>(to, "")), producer_(*own_) {
        listen();
    }
    /// Into transactions, which somebody else begins and ends.
    explicit kafka_outlet(std::unique_ptr<kafka_transactions> into)
        : transactions_(std::move(into)), producer_(transactions_->producer()) {
        listen();
    }
    ~kafka_outlet() { rd_kafka_queue_cb_event_enable(events_.get(), nullptr, nullptr); }
    kafka_outlet(const kafka_outlet&) = delete;
    kafka_outlet& operator=(const kafka_outlet&) = delete;

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
    kafka_transactions& transactions() noexcept { return *transactions_; }
    /// Takes note of what has arrived. Throws `record_error`, once for each record of the writer that has not.
    void serve(writer_state& w) {
        if (producer_.serve(std::chrono::milliseconds(0))) wake_waiting(&w);
        const std::lock_guard lock(mutex_);
        if (w.lost_.empty()) return;
        const record_error first = std::move(w.lost_.front());
        w.lost_.pop_front();
        throw first;
    }
    /// Something has not been written: a transaction that it belongs to comes to nothing.
    void fail() noexcept { failed_.store(true, std::memory_order_relaxed); }
    bool has_failed() const noexcept { return failed_.load(std::memory_order_relaxed); }
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
    void listen() {
        events_.reset(rd_kafka_queue_get_main(producer_.get()));
        // On a thread of librdkafka's, with a lock of the queue held: nothing is asked of it here.
        const auto has_news = [](rd_kafka_t*, void* self) { static_cast<kafka_outlet*>(self)->wake_waiting(nullptr); };
        rd_kafka_queue_cb_event_enable(events_.get(), has_news, this);
    }
    void wake_waiting(const writer_state* but) {
        // Under the lock, so that no writer is woken that has gone.
        const std::lock_guard lock(mutex_);
        for (writer_state& w : writers_)
            if (&w != but && std::exchange(w.waiting_, false) && w.wake_) w.wake_();
    }
    void failed(writer_state& w, const rd_kafka_message_t& m) noexcept {
        fail();
        const std::int64_t ms = rd_kafka_message_timestamp(&m, nullptr);
        // Without the lock: what librdkafka is asked for here may wait for a thread that has news.
        record_error lost(std::make_exception_ptr(producer_.not_delivered(m)),
                          ms > 0 ? timestamp(std::chrono::milliseconds(ms)) : timestamp::min());
        const std::lock_guard lock(mutex_);
        w.lost_.push_back(std::move(lost));
    }

    std::mutex mutex_;
    std::deque<writer_state> writers_;  // under mutex_; those in it stay
    // Pairs with nothing: who asks has seen by writer_state::under_way that all is over.
    std::atomic<bool> failed_{false};
    const std::unique_ptr<kafka_producer> own_;
    const std::unique_ptr<kafka_transactions> transactions_;
    kafka_producer& producer_;
    kafka_queue events_;
};

/// Writes to an outlet: `settle` is done when the cluster has acknowledged all that was written.
class kafka_writer final : public sink_writer<kafka_output> {
public:
    kafka_writer(std::shared_ptr<kafka_outlet> to, std::function<void()> wake)
        : to_(std::move(to)), state_(to_->add(std::move(wake))) {}
    ~kafka_writer() override { to_->remove(state_); }

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
            to_->fail();
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

}  // namespace runnel::detail
