#pragma once

#include <cstddef>
#include <cstdint>
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
    /// File or peer, line and byte; for timers "key 7, timer 'forget'"; for results of windows "key 7, window [start,
    /// end)". May be empty.
    std::string where;
    /// Event time of the record, the timer's, or that of the window's result; `min` if there is none.
    timestamp time = timestamp::min();
    friend bool operator==(const failure_details&, const failure_details&) = default;
};

/// A record that could not be processed; T is the operator's input, or, from a source, std::string: the bytes as they
/// came. There is no value if a timer or the result of a window failed, or what was made of several records.
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
    /// Takes a letter as a record of time t; `value` points to what failed, or is null.
    virtual void take(const void* value, failure_details details, timestamp t) = 0;
    virtual output_base& out() noexcept = 0;
};

/// See `dead_letter_port`.
template <class T>
class typed_dead_letter_port final : public dead_letter_port {
public:
    void take(const void* value, failure_details details, timestamp t) override {
        dead_letter<T> letter{std::nullopt, std::move(details)};
        if (value) letter.value = *static_cast<const T*>(value);
        out_.emit(std::move(letter), t);
    }
    output_base& out() noexcept override { return out_; }

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
    std::function<std::unique_ptr<dead_letter_port>()> dead_letters{};
    /// False if dead letters are of another type than the records that the instance takes: they have no value then.
    bool with_values = true;

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
    /// Where results go: what fails behind these is no record of this instance, and ends the job.
    const output_group* outputs = nullptr;
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
    bool ready() { return !dead_letters_ || dead_letters_->out().ready(); }

    /// True until the time for the next try has come, which is `next_try()`.
    bool is_waiting() { return waiting_ = waiting_ && context_.clock->now() < next_try_; }
    timestamp next_try() const noexcept { return waiting_ ? next_try_ : timestamp::max(); }
    /// Inside a catch block: says what to do, or throws the exception on, as a `job_error` with its place. `value`
    /// points to the record, or is null. `may_wait`: false if it can't be tried again. `records`: how many it stands
    /// for.
    verdict failed(const void* value, timestamp t, std::string_view where = {}, bool may_wait = true,
                   std::uint64_t records = 1);
    /// What has been tried again is done: the next failure is the first one of something else.
    void succeeded() noexcept { tries_ = 0; }
    /// Runs `step`, which consumes `records`, again and again: a record that fails is tried again or left out, as the
    /// policy says. `with_values`: dead letters have the type of these records. Answers `blocked` to be called again.
    progress run(batch_base& records, bool with_values, const std::function<progress()>& step);
    /// Runs `step`, which handles a signal: what fails in it is an earlier record, or ends the job.
    progress run(timestamp t, const std::function<progress()>& step);

private:
    /// What failed is a record that was taken before: it has no value for a dead letter, and cannot come again.
    void leave_out_earlier(const record_error& e) { (void)failed(nullptr, e.record_time(), {}, false); }

    failure_policy policy_;
    recovery_context context_;
    std::unique_ptr<dead_letter_port> dead_letters_;
    /// The exception in flight, if there is one, ends the job.
    bool over_ = false;
    std::size_t tries_ = 0;
    bool waiting_ = false;
    timestamp next_try_ = timestamp::min();
};

}  // namespace runnel
