#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace runnel {

/// The atomics, fences and locks that the lock-free parts are written against. They take the policy as a
/// template argument, so that a model checker's types can stand in for the standard ones.
struct std_atomics {
    template <class T>
    using atomic = std::atomic<T>;
    /// A plain variable that is published by an atomic; a model checker replaces it to find races.
    template <class T>
    using plain = T;
    using mutex = std::mutex;
    using condition_variable = std::condition_variable;
// gcc's thread sanitizer takes a fence as a hint only and says so at each use. That is enough here: what plain
// data needs is always ordered by an acquire and a release on one atomic, too.
#if defined(__GNUC__) && !defined(__clang__) && defined(__SANITIZE_THREAD__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
    static void fence(std::memory_order order) noexcept { __atomic_thread_fence(static_cast<int>(order)); }
#if defined(__GNUC__) && !defined(__clang__) && defined(__SANITIZE_THREAD__)
#pragma GCC diagnostic pop
#endif
};

/// Distance that keeps two hot variables from sharing a cache line (two lines: adjacent-line prefetch).
inline constexpr std::size_t cache_line = 128;

}  // namespace runnel
