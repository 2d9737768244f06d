#pragma once

#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "runnel/core/timestamp.hpp"

namespace runnel {

/// Base of all errors that runnel itself throws. The text says what happened, where, and what to do.
class error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The graph cannot run. Carries all problems found, not just the first; nothing was started.
class graph_error : public error {
public:
    explicit graph_error(std::vector<std::string> problems);
    const std::vector<std::string>& problems() const noexcept { return problems_; }

private:
    std::vector<std::string> problems_;
};

/// A failure inside a running job; the cause is nested (`std::rethrow_if_nested`).
class job_error : public error {
public:
    job_error(std::string operator_name, std::size_t subtask, timestamp record_time, const std::string& cause);
    const std::string& operator_name() const noexcept { return operator_name_; }
    std::size_t subtask() const noexcept { return subtask_; }
    /// Event time of the record in hand, or the watermark that was acted on; `timestamp::min()` if there was neither,
    /// or at the end of the input.
    timestamp record_time() const noexcept { return record_time_; }

private:
    std::string operator_name_;
    std::size_t subtask_;
    timestamp record_time_;
};

/// The failure of a record that was handed over before: thrown by who learns of it only when it holds other records.
/// The `job_error` that comes of it names the record's time, with the cause nested.
class record_error : public error {
public:
    /// Precondition: `cause` is not null.
    record_error(std::exception_ptr cause, timestamp record_time);
    const std::exception_ptr& cause() const noexcept { return cause_; }
    timestamp record_time() const noexcept { return record_time_; }

private:
    std::exception_ptr cause_;
    timestamp record_time_;
};

namespace detail {

/// Rethrows the exception in flight as a job_error that names its place, unless that has been done already. Call it
/// inside a catch block.
[[noreturn]] void rethrow_with_place(const std::string& operator_name, std::size_t subtask, timestamp record_time);

}  // namespace detail

/// An outside resource (file, socket) failed: its name, the operation, the system's reason.
class io_error : public error {
public:
    /// `code` is an errno value, kept so that callers can tell causes apart; 0 if there is none.
    io_error(const std::string& what, int code) : error(what), code_(code) {}
    int code() const noexcept { return code_; }

private:
    int code_;
};

/// State that is kept outside of memory can't be read or written. No record is to blame: it ends the job, whatever is
/// to become of records that fail.
class state_error : public error {
public:
    using error::error;
};

/// Bytes or text that cannot be turned into a value.
class decode_error : public error {
public:
    using error::error;
};

/// What to do with an input record that cannot be used.
enum class on_error : unsigned char {
    fail,  ///< End the job with the error.
    skip,  ///< Leave the record out, count it, keep the latest reasons for `job.status()`.
};

}  // namespace runnel
