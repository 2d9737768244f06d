#pragma once

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <utility>

#include "runnel/runtime/executor.hpp"

namespace runnel {

/// Runs work on threads of the host program: hands each piece to a function that posts it there.
///
/// A job keeps nothing alive in the host's context but the work that is ready at the moment: while it waits for
/// input there is none, and a context that ends when it has nothing to do would end. So the host keeps its
/// context running (by a work guard) until the job has ended, and does not call `job.wait()` on the context's
/// only thread. Work that was posted and is then thrown away, by a context that is stopped, leaves the job
/// unable to end.
/// Thread safety: safe if the posting function is.
/// Lifetime: outlives every job that uses it; the context outlives this.
class posting_executor final : public executor {
public:
    /// `post(f)` must cause exactly one `f()`, soon, not before `post` returns on the same thread, and must not
    /// throw. Up to `concurrency` threads run what is posted; runs may come from any of them.
    /// Throws std::invalid_argument if `post` is empty or `concurrency` is 0.
    posting_executor(std::function<void(std::function<void()>)> post, std::size_t concurrency)
        : post_(std::move(post)), concurrency_(concurrency) {
        if (!post_) throw std::invalid_argument("runnel::posting_executor: no function to post with was given.");
        if (concurrency_ == 0)
            throw std::invalid_argument("runnel::posting_executor: concurrency 0. Give the number of threads.");
    }
    posting_executor(const posting_executor&) = delete;
    posting_executor& operator=(const posting_executor&) = delete;

    /// Allocates nothing but what the posting function does.
    void submit(runnable& work) override {
        post_([&work] { work.run(); });
    }
    std::size_t concurrency() const noexcept override { return concurrency_; }

private:
    const std::function<void(std::function<void()>)> post_;
    const std::size_t concurrency_;
};

/// An executor that runs work in `context`, anything for which `post(context, f)` is found by its namespace, as it
/// is for Boost.Asio's io_context and thread_pool. `concurrency` is the number of threads that run the context:
///
///     boost::asio::io_context io;
///     auto guard = boost::asio::make_work_guard(io);  // until the job has ended
///     auto on_io = runnel::on_context(io);
///     auto job = std::move(pipeline).start({.executor = &on_io});
///
/// Lifetime: `context` outlives the executor.
template <class Context>
posting_executor on_context(Context& context, std::size_t concurrency = 1) {
    return posting_executor([&context](std::function<void()> f) { post(context, std::move(f)); }, concurrency);
}

}  // namespace runnel
