#include "runnel/runtime/ready_state.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runnel/exchange/ring.hpp"

using runnel::ready_state;

TEST_CASE("the first notification of an idle subtask submits it, further ones do not") {
    ready_state<> state;
    CHECK(state.is_idle());
    CHECK(state.notify());
    CHECK_FALSE(state.notify());
    CHECK_FALSE(state.is_idle());
    state.begin_run();
    CHECK_FALSE(state.end_run());
    CHECK(state.is_idle());
    CHECK(state.notify());
}

TEST_CASE("a notification during a run makes the run submit the subtask again, once") {
    ready_state<> state;
    CHECK(state.notify());
    state.begin_run();
    CHECK_FALSE(state.notify());
    CHECK_FALSE(state.notify());
    CHECK(state.end_run());
    CHECK_FALSE(state.notify());
    state.begin_run();
    CHECK_FALSE(state.end_run());
    CHECK(state.is_idle());
}

TEST_CASE("a run that gives the thread up early is queued again, notified or not") {
    for (bool notified : {false, true}) {
        ready_state<> state;
        CHECK(state.notify());
        state.begin_run();
        if (notified) CHECK_FALSE(state.notify());
        state.requeue();
        CHECK_FALSE(state.notify());
        state.begin_run();
        CHECK_FALSE(state.end_run());
    }
}

namespace {

/// The least executor that is one: a locked list.
class locked_list {
public:
    void submit() {
        std::lock_guard lock(mutex_);
        ++ready_;
        changed_.notify_one();
    }
    bool take() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return ready_ > 0 || closed_; });
        if (ready_ == 0) return false;
        --ready_;
        return true;
    }
    void close() {
        std::lock_guard lock(mutex_);
        closed_ = true;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int ready_ = 0;
    bool closed_ = false;
};

}  // namespace

TEST_CASE("with rings and notifications alone no item is lost and no two runs overlap") {
    constexpr std::uint64_t per_producer = 100'000;
    constexpr std::size_t producers = 2;
    ready_state<> state;
    locked_list list;
    std::array<std::unique_ptr<runnel::spsc_ring<std::uint64_t>>, producers> rings;
    for (auto& ring : rings) ring = std::make_unique<runnel::spsc_ring<std::uint64_t>>(16);

    // Touched by runs only, unprotected on purpose.
    std::array<std::uint64_t, producers> next{};
    std::uint64_t seen = 0;
    std::uint64_t wrong = 0;
    std::uint64_t runs = 0;

    const auto work = [&] {
        while (list.take()) {
            state.begin_run();
            ++runs;
            std::uint64_t taken = 0;
            for (std::size_t p = 0; p < producers; ++p)
                for (std::uint64_t item = 0; taken < 40 && rings[p]->try_pop(item); ++taken) wrong += item != next[p]++;
            seen += taken;
            if (seen == producers * per_producer) list.close();
            if (taken == 40) {
                state.requeue();
                list.submit();
            } else if (state.end_run()) {
                list.submit();
            }
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back(work);
    for (auto& ring : rings)
        threads.emplace_back([&] {
            for (std::uint64_t i = 0; i < per_producer; ++i) {
                while (!ring->try_push(i)) std::this_thread::yield();
                if (state.notify()) list.submit();
            }
        });
    for (std::thread& t : threads) t.join();
    CHECK(seen == producers * per_producer);
    CHECK(wrong == 0);
    CHECK(runs > 0);
}
