#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

/// Allocations that fail when they are told to, and are counted. For one source file of a program: it replaces the
/// program's operator new.
namespace torture {

/// Allocations until one fails; negative: none does.
inline std::atomic<long> allocations_left{-1};
inline std::atomic<bool> fails_from_then_on{false};
inline std::atomic<bool> has_failed{false};
/// How many there are that have not been given back.
inline std::atomic<long> live_allocations{0};

/// While this object lives, the `after`-th allocation from now on, counted from 0, fails; or that and all behind it.
class failing_allocations {
public:
    failing_allocations(long after, bool from_then_on) {
        has_failed.store(false);
        fails_from_then_on.store(from_then_on);
        allocations_left.store(after);
    }
    ~failing_allocations() { left_at_end = allocations_left.exchange(-1); }
    /// How many more would have been needed for the last such object's to fail.
    static inline long left_at_end = 0;
    failing_allocations(const failing_allocations&) = delete;
    failing_allocations& operator=(const failing_allocations&) = delete;
};

inline bool allocation_fails() {
    long n = allocations_left.load();
    if (n < 0) return false;
    while (n > 0)
        if (allocations_left.compare_exchange_weak(n, n - 1)) return false;
    has_failed.store(true);
    if (!fails_from_then_on.load()) allocations_left.store(-1);
    return true;
}

inline void* allocate(std::size_t n, std::size_t alignment) {
    n = n == 0 ? alignment : (n + alignment - 1) / alignment * alignment;
    if (!allocation_fails()) {
        if (void* p = std::aligned_alloc(alignment, n)) {
            live_allocations.fetch_add(1);
            return p;
        }
    }
    throw std::bad_alloc();
}

inline void give_back(void* p) noexcept {
    if (p != nullptr) live_allocations.fetch_sub(1);
    std::free(p);
}

}  // namespace torture

[[gnu::noinline]] void* operator new(std::size_t n) { return torture::allocate(n, alignof(std::max_align_t)); }
[[gnu::noinline]] void* operator new(std::size_t n, std::align_val_t a) {
    return torture::allocate(n, static_cast<std::size_t>(a));
}
[[gnu::noinline]] void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
    try {
        return torture::allocate(n, alignof(std::max_align_t));
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
[[gnu::noinline]] void operator delete(void* p) noexcept { torture::give_back(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { torture::give_back(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { torture::give_back(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { torture::give_back(p); }
