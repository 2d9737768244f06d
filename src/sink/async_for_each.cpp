#include "runnel/sink/async_for_each.hpp"

namespace runnel::detail {

bool async_calls::begin() {
    const std::lock_guard lock(mutex_);
    throw_failure();
    waiting_ = under_way_ == capacity_;
    if (waiting_) return false;
    ++under_way_;
    return true;
}

void async_calls::check() {
    const std::lock_guard lock(mutex_);
    throw_failure();
}

bool async_calls::all_over() {
    const std::lock_guard lock(mutex_);
    throw_failure();
    ending_ = true;
    return under_way_ == 0;
}

void async_calls::over(std::exception_ptr error, timestamp record_time) noexcept {
    const std::lock_guard lock(mutex_);
    --under_way_;
    const bool failed = error && !failure_;
    if (failed) {
        failure_ = std::move(error);
        failed_ = record_time;
    }
    // Under the lock, so that it is never called once the writer is gone.
    if ((failed || waiting_ || (ending_ && under_way_ == 0)) && wake_) wake_();
    waiting_ = false;
}

void async_calls::close() noexcept {
    const std::lock_guard lock(mutex_);
    wake_ = nullptr;
}

void async_calls::throw_failure() const {
    if (failure_) throw record_error(failure_, failed_);
}

async_call::~async_call() {
    if (!over_.load(std::memory_order_relaxed))
        over(std::make_exception_ptr(error("async_for_each: the record_done was destroyed without a call, so nobody "
                                           "can say any more what became of the record. Call it in every case")));
}

}  // namespace runnel::detail
