#pragma once

#include <cstddef>
#include <memory>

#include "runnel/runtime/executor.hpp"

namespace runnel {

/// A pool of worker threads: lists of ready work per worker, first in, first out, and stealing between them.
///
/// Work submitted by a worker goes to its own list, work from outside to a shared one; idle workers steal
/// from any. A worker that finds nothing spins and yields for some microseconds (only yields if the pool has more
/// threads than the machine has processors), then sleeps: an idle pool uses no processor time.
///
/// A guest's manners: its threads block signals sent to the process, so that the host's threads handle them;
/// no pinning, no globals. A child process made by `fork` has none of the threads and must not use or destroy the pool.
/// Thread safety: safe.
/// Lifetime: outlives the jobs that use it; not to be destroyed by one of its own threads.
class pool_executor final : public executor {
public:
    /// Starts `threads` threads. Throws std::invalid_argument for 0 or more than 4096, std::system_error if
    /// the system refuses a thread (then none is left behind).
    explicit pool_executor(std::size_t threads);
    /// Runs all work that has been submitted, and what that submits, then joins the threads.
    ~pool_executor() override;
    pool_executor(const pool_executor&) = delete;
    pool_executor& operator=(const pool_executor&) = delete;

    /// Lock-free from the pool's own threads, behind a short lock from others. Allocates only when more work is
    /// ready than ever before; if it can't, the work waits in a list that needs no memory, behind a short lock.
    void submit(runnable& work) noexcept override;
    std::size_t concurrency() const noexcept override;

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace runnel
