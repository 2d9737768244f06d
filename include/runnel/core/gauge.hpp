#pragma once

#include <atomic>

namespace runnel {

/// A number with one writer and any number of readers that don't need it in step with anything else.
template <class T>
class gauge {
public:
    T get() const noexcept { return value_.load(std::memory_order_relaxed); }
    void set(T v) noexcept { value_.store(v, std::memory_order_relaxed); }
    void add(T n) noexcept { set(get() + n); }

private:
    // Pairs with nothing: readers want a recent value, not an order.
    std::atomic<T> value_{};
};

}  // namespace runnel
