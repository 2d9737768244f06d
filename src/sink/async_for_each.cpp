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
    settling_ = under_way_ != 0;
    return !settling_;
}

void async_calls::over(std::exception_ptr error, timestamp record_time) noexcept {
    const std::lock_guard lock(mutex_);
    --under_way_;
    if (error) failures_.push_back({error, record_time});
    const bool to_be_told = error && failures_.size() == 1;
    // Under the lock, so that it is never called once the writer is gone.
    if ((to_be_told || waiting_ || (settling_ && under_way_ == 0)) && wake_) wake_();
    waiting_ = false;
}

void async_calls::close() noexcept {
    const std::lock_guard lock(mutex_);
    wake_ = nullptr;
}

void async_calls::throw_failure() {
    if (failures_.empty()) return;
    const failure first = std::move(failures_.front());
    failures_.pop_front();
    throw record_error(first.cause, first.record_time);
}

async_call::~async_call() {
    if (!over_.load(std::memory_order_relaxed))
        over(std::make_exception_ptr(error("async_for_each: the record_done was destroyed without a call, so nobody "
                                           "can say any more what became of the record. Call it in every case")));
}

}  // namespace runnel::detail
