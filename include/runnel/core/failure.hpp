#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "runnel/core/clock.hpp"
#include "runnel/core/error.hpp"
#include "runnel/core/metrics.hpp"
#include "runnel/core/output.hpp"

namespace runnel {

/// What is known of something that could not be processed.
struct failure_details {
    std::string error;          ///< The text of the exception, and behind it those nested in it.
    std::string operator_name;
    std::size_t subtask = 0;
    std::string where;          ///< File or peer, line and byte; for timers and windows the key. May be empty.
    timestamp time = timestamp::min();  ///< Event time of the record, or the timer's; `min` if there is none.
    friend bool operator==(const failure_details&, const failure_details&) = default;
};

/// A record that could not be processed; T is the operator's input, or, from a source, std::string: the bytes as they
/// came. There is no value if a timer or a window failed.
template <class T>
struct dead_letter {
    std::optional<T> value;
    failure_details details;
    friend bool operator==(const dead_letter&, const dead_letter&) = default;
};

/// The output for dead letters of one operator instance, whatever its records are.
/// Thread safety: unsafe; one subtask owns it.
class dead_letter_port {
public:
    virtual ~dead_letter_port() = default;
    virtual void connect(receiver_base& next, std::size_t batch_size) = 0;
    /// Takes a letter and sends it as a record of time t; `value` points to what failed, or is null.
    virtual void take(const void* value, failure_details details, timestamp t) = 0;
    /// True if another letter may be taken; sends what has been gathered when that is a batch.
    virtual bool ready() = 0;
    virtual progress send() = 0;
    virtual progress forward_watermark(timestamp w) = 0;
    virtual progress forward_activity(activity a) = 0;
    virtual progress forward_barrier(checkpoint_id id) = 0;
    virtual progress flush() = 0;
};

/// See `dead_letter_port`.
template <class T>
class typed_dead_letter_port final : public dead_letter_port {
public:
    void connect(receiver_base& next, std::size_t batch_size) override {
        out_.connect(static_cast<receiver<dead_letter<T>>&>(next), batch_size);
    }
    void take(const void* value, failure_details details, timestamp t) override {
        dead_letter<T> letter{std::nullopt, std::move(details)};
        if (value) letter.value = *static_cast<const T*>(value);
        out_.emit(std::move(letter), t);
    }
    bool ready() override { return out_.ready(); }
    progress send() override { return out_.send(); }
    progress forward_watermark(timestamp w) override { return out_.forward_watermark(w); }
    progress forward_activity(activity a) override { return out_.forward_activity(a); }
    progress forward_barrier(checkpoint_id id) override { return out_.forward_barrier(id); }
    progress flush() override { return out_.flush(); }

private:
    output<dead_letter<T>> out_;
};

/// What becomes of a record whose processing fails.
struct failure_policy {
    on_error what = on_error::fail;
    /// Further tries before that: the first one `backoff` after the failure, each next one after twice that time.
    std::size_t retries = 0;
    duration backoff{0};
    /// Makes the output that gets the records that are left out, if there is to be one.
    std::function<std::unique_ptr<dead_letter_port>()> dead_letters;

    /// True if a failure ends the job at once.
    bool gives_up() const noexcept { return what == on_error::fail && retries == 0; }
};

/// What an instance does its recovery with. Valid as long as the instance lives.
struct recovery_context {
    std::string name;
    std::size_t subtask = 0;
    const runnel::clock* clock = nullptr;
    operator_metrics* metrics = nullptr;
    /// Has a failure that was left out shown in the status.
    std::function<void(const failure_details&)> report;
};

/// Decides, failure by failure, what becomes of the record in hand, and remembers what is under way.
///
/// Thread safety: unsafe; one subtask owns it.
class recovery {
public:
    enum class verdict : unsigned char {
        leave_out,  ///< It has been counted, and sent to the dead letters if asked: go on behind the record.
        wait,       ///< To be tried again: answer `blocked`, and ask `is_waiting()` when called again.
    };

    void set(const failure_policy& policy);
    void open(recovery_context context) { context_ = std::move(context); }
    const failure_policy& policy() const noexcept { return policy_; }
    /// True if a failure ends the job at once: then records need not be kept whole.
    bool gives_up() const noexcept { return policy_.gives_up(); }
    /// The output for dead letters; null if there is none.
    dead_letter_port* dead_letters() const noexcept { return dead_letters_.get(); }
    /// False if the output for dead letters has no room.
    bool ready() { return !dead_letters_ || dead_letters_->ready(); }

    /// True until the time for the next try has come, which is `next_try()`.
    bool is_waiting() { return waiting_ = waiting_ && context_.clock->now() < next_try_; }
    timestamp next_try() const noexcept { return waiting_ ? next_try_ : timestamp::max(); }
    /// Inside a catch block: says what to do, or throws the exception on, as a `job_error` with its place. `value`
    /// points to the record, or is null. `may_wait`: false if it can't be tried again.
    verdict failed(const void* value, timestamp t, std::string_view where = {}, bool may_wait = true);
    /// The record that failed last has been processed.
    void succeeded() noexcept { tries_ = 0; }

private:
    failure_policy policy_;
    recovery_context context_;
    std::unique_ptr<dead_letter_port> dead_letters_;
    std::size_t tries_ = 0;
    bool waiting_ = false;
    timestamp next_try_ = timestamp::min();
};

}  // namespace runnel
