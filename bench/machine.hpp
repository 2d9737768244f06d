#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/// What benchmarks ask of the machine and of their own process.
namespace bench {

/// Seconds of processor time, all threads.
inline double cpu_seconds() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    auto seconds = [](timeval t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// Bytes of memory in use now.
inline std::size_t resident_bytes() {
    std::size_t pages = 0;
    if (std::FILE* f = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(f, "%*u %zu", &pages) != 1) pages = 0;
        std::fclose(f);
    }
    return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// What printf would print.
[[gnu::format(printf, 1, 2)]] inline std::string text(const char* form, ...) {
    char made[300];
    std::va_list values;
    va_start(values, form);
    std::vsnprintf(made, sizeof made, form, values);
    va_end(values);
    return made;
}

inline std::string load_average() {
    double load = 0;
    getloadavg(&load, 1);
    return text("load %.1f", load);
}

/// Waits a little: the `n`th time in a row that there was nothing to do.
inline void back_off(unsigned n) {
    if (n % 256 == 255) {
        std::this_thread::yield();
        return;
    }
#if defined(__x86_64__)
    _mm_pause();
#endif
}

/// Nanoseconds that it takes a word to go from one thread to another and back: a shared machine's two cores are now
/// near each other and now far, which changes every figure with an exchange in it.
inline double round_trip_ns() {
    constexpr int blocks = 40, rounds = 1000;
    std::atomic<int> turn{0};
    std::vector<double> measured;
    std::thread other([&] {
        for (int i = 0; i < blocks * rounds; ++i) {
            for (unsigned n = 0; turn.load(std::memory_order_acquire) != 2 * i + 1; ++n) back_off(n);
            turn.store(2 * i + 2, std::memory_order_release);
        }
    });
    for (int b = 0; b < blocks; ++b) {
        const auto begin = std::chrono::steady_clock::now();
        for (int i = b * rounds; i < (b + 1) * rounds; ++i) {
            turn.store(2 * i + 1, std::memory_order_release);
            for (unsigned n = 0; turn.load(std::memory_order_acquire) != 2 * i + 2; ++n) back_off(n);
        }
        measured.push_back(std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count() /
                           rounds);
    }
    other.join();
    std::nth_element(measured.begin(), measured.begin() + blocks / 2, measured.end());
    return measured[blocks / 2];
}

}  // namespace bench
