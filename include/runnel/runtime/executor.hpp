#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace runnel {

namespace detail {
class runnable_list;
}  // namespace detail

/// Something to run once on an executor. Not owned by the executor.
class runnable {
public:
    virtual void run() noexcept = 0;

protected:
    runnable() = default;
    runnable(const runnable&) noexcept {}
    runnable& operator=(const runnable&) noexcept { return *this; }
    ~runnable() = default;

private:
    friend class detail::runnable_list;
    // Its place in a list that takes no memory.
    runnable* next_ = nullptr;
    std::size_t times_ = 0;
};

/// Runs ready work on threads of its own or of the host program.
///
/// Each `submit` causes exactly one `run()`, never inside `submit` itself; what happened before `submit` is
/// visible in that run. Runs of different runnables may overlap. May serve several jobs.
/// Thread safety: safe.
/// Lifetime: outlives every job that uses it, and every submitted runnable is run before it is destroyed.
class executor {
public:
    virtual ~executor() = default;
    /// What it throws, where a job hands on its own work, ends the process: a job could not go on, nor end.
    virtual void submit(runnable& work) = 0;
    /// How many runnables can run at once; at least 1.
    virtual std::size_t concurrency() const noexcept = 0;
    /// Runs one piece of work on the calling thread if this executor has no threads of its own; false if it
    /// has nothing to do. Who waits for work on such an executor (a simulated one) calls it in a loop.
    virtual bool help() { return false; }
};

}  // namespace runnel
