#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "runnel/core/timestamp.hpp"

namespace runnel {

/// What is known of a batch whatever the type of its records.
///
/// The records before `cursor()` have been consumed; the rest is still to be processed. `min_time()` and
/// `max_time()` bound the times of all records; they may be wider than necessary, never narrower.
/// Thread safety: distinct objects: safe, shared objects: unsafe.
class batch_base {
public:
    virtual ~batch_base() = default;

    std::size_t size() const noexcept { return size_; }
    std::size_t cursor() const noexcept { return cursor_; }
    std::size_t remaining() const noexcept { return size_ - cursor_; }
    bool empty() const noexcept { return cursor_ == size_; }
    std::size_t capacity() const noexcept { return capacity_; }
    /// Marks all records before index `i` as consumed.
    void consume_until(std::size_t i) noexcept { cursor_ = i; }

    /// Removes all records; the memory stays.
    virtual void reuse() noexcept = 0;
    /// Removes the records from index `n` on.
    virtual void truncate(std::size_t n) noexcept = 0;
    /// Appends the records from index `from` up to `until` to `to`, which is of the same type; they are moved out.
    /// Bounds are left to the caller.
    virtual void move_to(batch_base& to, std::size_t from, std::size_t until) = 0;
    /// An empty batch of the same type.
    virtual std::unique_ptr<batch_base> make_another(std::size_t capacity) const = 0;
    /// Gives the records to `to`, an empty batch of the same type, and takes its memory; what was borrowed is copied.
    virtual void hand_over(batch_base& to) = 0;
    /// Makes `to`, of the same type, a copy of this batch. Precondition: the records can be copied.
    virtual void copy_to(batch_base& to) const = 0;
    /// Points to the value at index `i`.
    virtual const void* value_at(std::size_t i) const noexcept = 0;

    timestamp* times() noexcept { return times_; }
    const timestamp* times() const noexcept { return times_; }
    timestamp time(std::size_t i) const noexcept { return times_[i]; }

    timestamp min_time() const noexcept { return min_; }
    timestamp max_time() const noexcept { return max_; }
    /// Widens the bounds so that they hold [low, high].
    void widen(timestamp low, timestamp high) noexcept {
        min_ = std::min(min_, low);
        max_ = std::max(max_, high);
    }

protected:
    void reset_bounds() noexcept {
        min_ = timestamp::max();
        max_ = timestamp::min();
    }

    timestamp* times_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
    std::size_t cursor_ = 0;
    timestamp min_ = timestamp::max();
    timestamp max_ = timestamp::min();
};

/// Records of one type, values and times in columns of their own; made to be cleared and filled again.
///
/// Appending beyond the capacity grows the columns, so a batch is never full: the limit on its size is
/// kept by who fills it. `clear()` keeps the memory.
///
/// Values of a trivially copyable type may be borrowed from an array of the source's; they are copied only if
/// somebody asks to change them. So a consumer reads by `value(i)` of a const batch, or takes by `take(i)`.
/// Thread safety: distinct objects: safe, shared objects: unsafe.
/// Complexity: append amortised O(1); swap O(1).
template <class T>
class batch final : public batch_base {
    static_assert(std::is_object_v<T> && !std::is_const_v<T>, "a record type is a plain object type");

public:
    using value_type = T;

    batch() = default;
    explicit batch(std::size_t capacity) { reserve(capacity); }
    batch(const batch& other) : batch() { assign(other); }
    batch(batch&& other) noexcept { swap(other); }
    batch& operator=(batch other) noexcept {
        swap(other);
        return *this;
    }
    ~batch() override {
        destroy(0);
        std::allocator<T>().deallocate(owned_, capacity_);
        std::allocator<timestamp>().deallocate(times_, capacity_);
    }

    /// Values to be changed, the batch's own.
    T* mutable_values() {
        own();
        return values_;
    }
    const T* values() const noexcept { return values_; }
    T& value(std::size_t i) {
        own();
        return values_[i];
    }
    const T& value(std::size_t i) const noexcept { return values_[i]; }
    /// The value for somebody who keeps it: moved out, or a copy where that costs the same.
    decltype(auto) take(std::size_t i) noexcept {
        if constexpr (std::is_trivially_copyable_v<T>) return T(values_[i]);
        else return static_cast<T&&>(values_[i]);
    }

    void append(T value, timestamp t) {
        append_raw(std::move(value), t);
        widen(t, t);
    }
    /// Appends without touching the bounds: the caller widens them for the whole run of records.
    template <class U>
    void append_raw(U&& value, timestamp t) {
        if (size_ == room_) [[unlikely]] reserve(size_ + 1);
        std::construct_at(values_ + size_, std::forward<U>(value));
        times_[size_] = t;
        ++size_;
    }
    /// Makes room for `n` records in all; existing ones stay.
    void reserve(std::size_t n) {
        if (n > capacity_) grow(n);
        own();
    }
    /// Makes the `n` values at `from` the contents of this empty batch, without a copy; the times have to be filled in.
    /// Lifetime: the array stays as it is until the batch is cleared or `own()`ed.
    void borrow(const T* from, std::size_t n)
        requires std::is_trivially_copyable_v<T>
    {
        reserve(n);
        values_ = const_cast<T*>(from);  // Not written through: whoever may write calls own() first.
        size_ = room_ = n;
    }
    /// Copies borrowed values, so that the batch depends on no other memory.
    void own() {
        if constexpr (std::is_trivially_copyable_v<T>) {
            if (values_ == owned_) [[likely]] return;
            std::uninitialized_copy_n(values_, size_, owned_);
            values_ = owned_;
            room_ = capacity_;
        }
    }
    /// Records that were constructed by hand in the slots behind the last record become part of the batch.
    /// Precondition: `size() + n <= capacity()`, times filled in.
    void commit(std::size_t n) noexcept { size_ += n; }
    /// Appends `n` records copied from `from`, all with time `t`; bounds are left to the caller.
    void append_copies(const T* from, std::size_t n, timestamp t) {
        reserve(size_ + n);
        std::uninitialized_copy_n(from, n, values_ + size_);
        std::fill_n(times_ + size_, n, t);
        size_ += n;
    }
    /// Makes this a copy of `other`, in the memory that is there already.
    void assign(const batch& other) {
        clear();
        reserve(other.size_);
        std::uninitialized_copy_n(other.values_, other.size_, values_);
        if (other.size_ != 0) std::copy_n(other.times_, other.size_, times_);
        size_ = other.size_;
        cursor_ = other.cursor_;
        widen(other.min_, other.max_);
    }
    /// Appends `n` records with time `t`, each made in place by `make(k)`, k = 0 .. n-1; bounds are left to the caller.
    template <class Make>
    void append_made(std::size_t n, Make&& make, timestamp t) {
        reserve(size_ + n);
        std::fill_n(times_ + size_, n, t);
        if constexpr (std::is_trivially_destructible_v<T>) {
            T* const to = values_ + size_;
            for (std::size_t k = 0; k < n; ++k) ::new (static_cast<void*>(to + k)) T(make(k));
            size_ += n;
        } else {
            // Counted one by one, so that all are destroyed if `make` throws.
            for (std::size_t k = 0; k < n; ++k, ++size_) ::new (static_cast<void*>(values_ + size_)) T(make(k));
        }
    }
    void truncate(std::size_t n) noexcept override {
        destroy(n);
        size_ = n;
        if (values_ != owned_) room_ = n;
    }
    /// Gives all records the time t.
    void set_times(timestamp t) noexcept {
        std::fill_n(times_, size_, t);
        min_ = max_ = t;
    }
    void clear() noexcept {
        destroy(0);
        values_ = owned_;
        room_ = capacity_;
        size_ = 0;
        cursor_ = 0;
        reset_bounds();
    }
    void reuse() noexcept override { clear(); }
    const void* value_at(std::size_t i) const noexcept override { return values_ + i; }
    std::unique_ptr<batch_base> make_another(std::size_t capacity) const override {
        return std::make_unique<batch>(capacity);
    }
    void hand_over(batch_base& to) override {
        own();
        static_cast<batch&>(to).swap(*this);
    }
    void copy_to(batch_base& to) const override {
        if constexpr (std::is_copy_constructible_v<T>) static_cast<batch&>(to).assign(*this);
        else throw std::logic_error("a batch of records that cannot be copied was to be copied");
    }
    void move_to(batch_base& to, std::size_t from, std::size_t until) override {
        for (std::size_t i = from; i < until; ++i) static_cast<batch&>(to).append_raw(take(i), time(i));
    }
    void swap(batch& other) noexcept {
        std::swap(values_, other.values_);
        std::swap(owned_, other.owned_);
        std::swap(room_, other.room_);
        std::swap(times_, other.times_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        std::swap(cursor_, other.cursor_);
        std::swap(min_, other.min_);
        std::swap(max_, other.max_);
    }

private:
    void destroy(std::size_t from) noexcept {
        if constexpr (!std::is_trivially_destructible_v<T>) std::destroy(values_ + from, values_ + size_);
    }
    void grow(std::size_t wanted) {
        const std::size_t capacity = std::max(wanted, capacity_ * 2);
        auto free_values = [&](T* p) { std::allocator<T>().deallocate(p, capacity); };
        auto free_times = [&](timestamp* p) { std::allocator<timestamp>().deallocate(p, capacity); };
        std::unique_ptr<T, decltype(free_values)> values(std::allocator<T>().allocate(capacity), free_values);
        std::unique_ptr<timestamp, decltype(free_times)> times(std::allocator<timestamp>().allocate(capacity),
                                                               free_times);
        if (size_ != 0) {
            std::uninitialized_move_n(values_, size_, values.get());
            std::copy_n(times_, size_, times.get());
        }
        destroy(0);
        std::allocator<T>().deallocate(owned_, capacity_);
        std::allocator<timestamp>().deallocate(times_, capacity_);
        values_ = owned_ = values.release();
        times_ = times.release();
        capacity_ = room_ = capacity;
    }

    /// The values: in `owned_`, or borrowed.
    T* values_ = nullptr;
    T* owned_ = nullptr;
    /// Size at which an append needs `reserve`: the capacity, or, when borrowed, the size.
    std::size_t room_ = 0;
};

}  // namespace runnel
