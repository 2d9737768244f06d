// A pool whose process has no memory left. (All of this binary allocates by the functions of failing_memory.hpp.)
#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <semaphore>
#include <vector>

#include "runnel/runtime/pool_executor.hpp"
#include "tests/torture/failing_memory.hpp"

using runnel::pool_executor;
using runnel::runnable;

namespace {

/// Submits itself and two others, if there are any.
class tree final : public runnable {
public:
    void run() noexcept override {
        for (tree* child : children) pool->submit(*child);
        if (++runs == 1 && again) pool->submit(*this);
        if (left->fetch_sub(1) == 1) done->release();
    }
    pool_executor* pool = nullptr;
    std::atomic<std::ptrdiff_t>* left = nullptr;
    std::binary_semaphore* done = nullptr;
    std::vector<tree*> children;
    bool again = false;
    std::atomic<int> runs = 0;
};

/// Keeps a worker from everything else.
class gate final : public runnable {
public:
    void run() noexcept override {
        begun.release();
        open.acquire();
    }
    std::binary_semaphore begun{0}, open{0};
};

}  // namespace

TEST_CASE("a pool that gets no memory runs each piece of work once for each time it was submitted") {
    constexpr std::size_t n = 6000;
    for (const std::size_t threads : {1u, 2u, 5u}) {
        CAPTURE(threads);
        std::atomic<std::ptrdiff_t> left = 0;
        std::binary_semaphore done(0);
        pool_executor pool(threads);
        std::vector<gate> gates(threads);
        for (gate& g : gates) {
            pool.submit(g);
            g.begun.acquire();
        }
        // Those of the first half are submitted from outside, the others by two of them, twice each, many at a time. And
        // some by themselves.
        std::vector<tree> work(n);
        std::vector<int> expected(n);
        for (std::size_t i = 0; i < n; ++i) {
            work[i].pool = &pool;
            work[i].left = &left;
            work[i].done = &done;
            work[i].again = i < 2 || i % 3 == 0;
            if (i >= n / 2) work[i % 2].children.push_back(&work[i]);
            expected[i] = (i < n / 2 ? 1 : 2) + (work[i].again ? 1 : 0);
            left += expected[i];
        }
        {
            const torture::failing_allocations failing(0, true);
            for (std::size_t i = 0; i < n / 2; ++i) pool.submit(work[i]);
            for (gate& g : gates) g.open.release();
            done.acquire();
            CHECK(torture::has_failed.load());
        }
        for (std::size_t i = 0; i < n; ++i) REQUIRE(work[i].runs.load() == expected[i]);
    }
}
