#include "runnel/core/failure.hpp"

#include <algorithm>
#include <exception>

namespace runnel {
namespace {

/// The texts of an exception and of those nested in it, outermost first, without the places that job_errors add.
std::string text_of(const std::exception& e) {
    // Not std::rethrow_if_nested: that ends the process if an exception was thrown with nothing to nest.
    const auto* nesting = dynamic_cast<const std::nested_exception*>(&e);
    if (nesting == nullptr || nesting->nested_ptr() == nullptr) return e.what();
    std::string inner;
    try {
        nesting->rethrow_nested();
    } catch (const std::exception& nested) {
        inner = text_of(nested);
    } catch (...) {
        inner = "an exception that is not a std::exception";
    }
    return dynamic_cast<const job_error*>(&e) != nullptr ? inner : std::string(e.what()) + ": " + inner;
}

/// True if the exception in flight is no fault of the record in hand.
bool is_of_the_state() {
    try {
        throw;
    } catch (const state_error&) {
        return true;
    } catch (...) {
        return false;
    }
}

/// What the exception in flight says, and the operator or step that it names, if it does.
void describe_current(failure_details& details) {
    try {
        throw;
    } catch (const job_error& e) {
        details.error = text_of(e);
        details.operator_name = e.operator_name();
    } catch (const record_error& e) {
        try {
            std::rethrow_exception(e.cause());
        } catch (...) {
            describe_current(details);
        }
    } catch (const std::exception& e) {
        details.error = text_of(e);
    } catch (...) {
        details.error = "an exception that is not a std::exception";
    }
}

}  // namespace

void recovery::set(const failure_policy& policy) {
    policy_ = policy;
    if (policy_.dead_letters) dead_letters_ = policy_.dead_letters();
}

progress recovery::run(batch_base& records, bool with_values, const std::function<progress()>& step) {
    for (;;) {
        if (is_waiting() || !ready()) return progress::blocked;
        const std::size_t tried = records.cursor();
        try {
            const progress p = step();
            // If something waits to be tried again, it is a timer that one of the records has set.
            if (!waiting_ && (p == progress::done || records.cursor() != tried)) tries_ = 0;
            return p;
        } catch (const record_error& e) {
            leave_out_earlier(e);
        } catch (...) {
            const std::size_t i = records.cursor();
            // If no record of this batch is to blame there is nothing to leave out.
            if (gives_up() || i == records.size())
                detail::rethrow_with_place(context_.name, context_.subtask,
                                           i == records.size() ? timestamp::min() : records.time(i));
            if (i != tried) tries_ = 0;
            if (failed(with_values ? records.value_at(i) : nullptr, records.time(i)) == verdict::wait)
                return progress::blocked;
            records.consume_until(i + 1);
        }
    }
}

progress recovery::run(timestamp t, const std::function<progress()>& step) {
    for (;;) {
        try {
            return step();
        } catch (const record_error& e) {
            leave_out_earlier(e);
        } catch (...) {
            detail::rethrow_with_place(context_.name, context_.subtask, t);
        }
    }
}

recovery::verdict recovery::failed(const void* value, timestamp t, std::string_view where, bool may_wait,
                                   std::uint64_t records) {
    over_ = over_ || is_of_the_state() || (context_.outputs && context_.outputs->failed());
    if (over_) detail::rethrow_with_place(context_.name, context_.subtask, t);
    if (may_wait && tries_ < policy_.retries) {
        // A doubling that would overflow has come to centuries anyway.
        const auto doublings = std::min<std::size_t>(tries_, 40);
        duration wait = policy_.backoff;
        for (std::size_t i = 0; i < doublings && wait < std::chrono::hours(24 * 365); ++i) wait *= 2;
        ++tries_;
        waiting_ = true;
        next_try_ = context_.clock->now() + wait;
        return verdict::wait;
    }
    tries_ = 0;
    over_ = policy_.what == on_error::fail;
    if (over_) detail::rethrow_with_place(context_.name, context_.subtask, t);
    failure_details details{{}, context_.name, context_.subtask, std::string(where), t};
    describe_current(details);
    if (context_.metrics) context_.metrics->skipped.add(records);
    if (context_.report) context_.report(details);
    if (dead_letters_) dead_letters_->take(policy_.with_values ? value : nullptr, std::move(details), t);
    return verdict::leave_out;
}

}  // namespace runnel
