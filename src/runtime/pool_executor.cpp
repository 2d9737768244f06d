#include "runnel/runtime/pool_executor.hpp"

#if defined(__SANITIZE_THREAD__)
#pragma GCC diagnostic ignored "-Wtsan"  // fences in the queue; see tests/tsan.supp
#endif

#include <concurrentqueue/concurrentqueue.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../core/blocked_signals.hpp"
#include "runnel/runtime/parking.hpp"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace runnel {
namespace {

/// The memory is the program's.
struct queue_traits : moodycamel::ConcurrentQueueDefaultTraits {
    static void* malloc(std::size_t bytes) noexcept { return ::operator new(bytes, std::nothrow); }
    static void free(void* memory) noexcept { ::operator delete(memory); }
};
using ready_queue = moodycamel::ConcurrentQueue<runnable*, queue_traits>;

void pause_briefly() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

constexpr std::size_t max_threads = 4096;
constexpr std::size_t max_searchers = 2;
// One run in so many looks into the shared list first, so that work from outside isn't starved by workers that
// feed themselves. Prime, so that it doesn't fall into step with the work; Go uses the same figure.
constexpr unsigned shared_first_every = 61;
// A search before parking: some 5 to 10 microseconds in all, about what waking a thread costs. A pool with more threads
// than processors only yields: that gives the processor to a worker that has work, if there is one. Without it, eight
// threads on two processors that hand small batches to each other cost half as much again, in waking and parking.
constexpr int spin_rounds = 40;
constexpr int pauses_per_round = 4;
constexpr int yield_rounds = 2;
constexpr int yield_rounds_instead = 8;

std::size_t checked(std::size_t threads) {
    if (threads == 0 || threads > max_threads)
        throw std::invalid_argument("runnel::pool_executor: " + std::to_string(threads) +
                                    " threads. Give 1 to " + std::to_string(max_threads) + ".");
    return threads;
}

}  // namespace

/// Work that waits its turn, and takes no memory for that.
///
/// Thread safety: safe.
class detail::runnable_list {
public:
    void push(runnable& work) noexcept {
        std::lock_guard lock(mutex_);
        if (work.times_++ != 0) return;  // It is there, and will be run once more.
        work.next_ = nullptr;
        (last_ ? last_->next_ : first_) = &work;
        last_ = &work;
        // Relaxed, as whoever adds work to a pool calls parking::notify_one() behind it.
        any_.store(true, std::memory_order_relaxed);
    }
    bool pop(runnable*& work) noexcept {
        if (empty()) return false;
        std::lock_guard lock(mutex_);
        if (!first_) return false;
        work = first_;
        if (--work->times_ != 0) return true;
        first_ = work->next_;
        if (!first_) last_ = nullptr;
        any_.store(first_ != nullptr, std::memory_order_relaxed);
        return true;
    }
    /// A snapshot.
    bool empty() const noexcept { return !any_.load(std::memory_order_relaxed); }

private:
    std::mutex mutex_;
    runnable* first_ = nullptr;
    runnable* last_ = nullptr;
    std::atomic<bool> any_{false};
};

class pool_executor::impl {
public:
    explicit impl(std::size_t threads)
        : searchers_(std::min(max_searchers, (threads + 1) / 2)),
          may_spin_(threads <= std::thread::hardware_concurrency()),
          shared_(ready_) {
        if (!shared_.valid()) throw std::bad_alloc();
        for (std::size_t i = 0; i < threads; ++i) workers_.push_back(std::make_unique<worker>(*this, i));
        const detail::blocked_signals blocked;
        try {
            for (auto& w : workers_) w->thread = std::thread([&w = *w, this] { work(w); });
        } catch (...) {
            finish();
            throw;
        }
    }

    ~impl() { finish(); }

    void submit(runnable& work) noexcept {
        worker* const self = current_worker;
        if (self == nullptr || &self->pool != this) {
            {
                std::lock_guard lock(shared_mutex_);
                push(shared_, work);
            }
            parking_.notify_one();
            return;
        }
        push(self->own, work);
        // What submits itself anew is going to be run by this very worker; to wake another one for it would only
        // move it to and fro.
        if (&work != self->running) parking_.notify_one();
    }

    std::size_t threads() const noexcept { return workers_.size(); }

private:
    struct worker {
        worker(impl& p, std::size_t i) : pool(p), index(i), own(p.ready_) {
            if (!own.valid()) throw std::bad_alloc();
        }
        impl& pool;
        const std::size_t index;
        ready_queue::producer_token_t own;  // the worker's own list within `ready_`
        runnable* running = nullptr;        // own thread only
        unsigned runs = 0;
        std::thread thread;
    };

    static thread_local worker* current_worker;

    void push(ready_queue::producer_token_t& list, runnable& work) noexcept {
        if (!ready_.enqueue(list, &work)) without_memory_.push(work);
    }
    bool pop(ready_queue::producer_token_t& list, runnable*& work) {
        return ready_.try_dequeue_from_producer(list, work);
    }

    void work(worker& self) {
        current_worker = &self;
#ifdef __linux__
        pthread_setname_np(pthread_self(), "runnel-worker");
#endif
        while (runnable* next = find(self)) {
            self.running = next;
            next->run();
        }
        current_worker = nullptr;
    }

    /// The next piece of work; sleeps while there is none; null at the end.
    runnable* find(worker& self) {
        runnable* found = nullptr;
        if (++self.runs % shared_first_every == 0 && (without_memory_.pop(found) || pop(shared_, found))) return found;
        if (pop(self.own, found)) return found;
        bool searching = parking_.try_search(searchers_);
        for (;;) {
            if (searching && search(self, found)) {
                parking_.end_search();
                pass_on();
                return found;
            }
            parking_.prepare_wait(searching);
            if (look(self, found)) {
                parking_.cancel_wait();
                pass_on();
                return found;
            }
            // Pairs with the release in finish(); the fence in prepare_wait() orders the load.
            if (stopping_.load(std::memory_order_acquire)) {
                // Whoever is still running something looks after what that submits. cancel_wait() may have used up
                // the wake-up of another worker, which has to end, too.
                parking_.cancel_wait();
                parking_.notify_all();
                return nullptr;
            }
            parking_.commit_wait();
            searching = true;
        }
    }

    /// Takes work from wherever there is some: the shared lists, then the workers', beginning behind this one.
    bool look(worker& self, runnable*& found) {
        if (without_memory_.pop(found) || pop(shared_, found)) return true;
        const std::size_t n = workers_.size();
        for (std::size_t i = 0, victim = self.index; i < n; ++i) {
            if (++victim == n) victim = 0;
            if (pop(workers_[victim]->own, found)) return true;
        }
        return false;
    }

    bool search(worker& self, runnable*& found) {
        if (look(self, found)) return true;
        for (int round = 0; may_spin_ && round < spin_rounds; ++round) {
            for (int i = 0; i < pauses_per_round; ++i) pause_briefly();
            if (look(self, found)) return true;
        }
        for (int round = 0; round < (may_spin_ ? yield_rounds : yield_rounds_instead); ++round) {
            std::this_thread::yield();
            if (look(self, found)) return true;
        }
        return false;
    }

    /// The worker has something to do now. Who submitted meanwhile may have counted on it, so it wakes another.
    void pass_on() {
        if (ready_.size_approx() > 0 || !without_memory_.empty()) parking_.notify_one();
    }

    void finish() {
        // Pairs with the acquire in find().
        stopping_.store(true, std::memory_order_release);
        parking_.notify_all();
        for (auto& w : workers_)
            if (w->thread.joinable()) w->thread.join();
    }

    const std::size_t searchers_;
    const bool may_spin_;
    ready_queue ready_;  // all lists; each belongs to a token, which is its only producer
    std::mutex shared_mutex_;
    // The list for work from outside. One token behind a lock, since a list per outside thread would stay for ever.
    ready_queue::producer_token_t shared_;
    detail::runnable_list without_memory_;  // what did not get into any of them
    std::vector<std::unique_ptr<worker>> workers_;
    parking<> parking_;
    std::atomic<bool> stopping_{false};
};

thread_local pool_executor::impl::worker* pool_executor::impl::current_worker = nullptr;

pool_executor::pool_executor(std::size_t threads) : impl_(std::make_unique<impl>(checked(threads))) {}
pool_executor::~pool_executor() = default;
void pool_executor::submit(runnable& work) noexcept { impl_->submit(work); }
std::size_t pool_executor::concurrency() const noexcept { return impl_->threads(); }

}  // namespace runnel
