// Model of how a subtask is woken: rings carry the items, the ready state decides who submits, nothing else orders.
// No wake-up is lost (or a thread would wait for ever), no two runs overlap and each sees what the last one wrote (or
// the plain variables would race), every item arrives once and in order.

#include "handover.hpp"

#include "runnel/exchange/ring.hpp"
#include "runnel/runtime/ready_state.hpp"

namespace {

using model::relacy_atomics;
using ring = runnel::spsc_ring<int, relacy_atomics>;

/// What is only ever touched by runs of one subtask.
struct owned {
    model::plain<int> seen{0};
    model::plain<int> last[2];
};

/// Two producers, each with a ring of its own, feed one subtask, which two workers run.
/// `PerRun` items at most are taken by a run, which then gives the thread up.
template <int PerProducer, int PerRun>
struct producers_wake_a_consumer : rl::test_suite<producers_wake_a_consumer<PerProducer, PerRun>, 4> {
    static constexpr int total = 2 * PerProducer;
    std::unique_ptr<ring> rings[2];
    std::unique_ptr<runnel::ready_state<relacy_atomics>> state;
    std::unique_ptr<owned> mine;
    model::handover<2 * total + 2> executor;
    rl::atomic<int> done;

    void before() {
        for (auto& r : rings) r = std::make_unique<ring>(PerProducer);
        state = std::make_unique<runnel::ready_state<relacy_atomics>>();
        mine = std::make_unique<owned>();
        done.store(0, rl::mo_relaxed, $);
    }

    void thread(unsigned index) {
        if (index < 2) produce(index);
        else work();
    }

    void produce(unsigned index) {
        for (int i = 1; i <= PerProducer; ++i) {
            int value = i;
            RL_ASSERT(rings[index]->try_push(value));
            if (state->notify()) executor.submit(1);
        }
    }

    void work() {
        while (done.load(rl::mo_relaxed, $) == 0) {
            if (executor.take() != 0) run();
            else model::yield();
        }
    }

    void run() {
        state->begin_run();
        int taken = 0;
        for (int p = 0; p < 2; ++p) {
            int value = 0;
            while (taken < PerRun && rings[p]->try_pop(value)) {
                RL_ASSERT(value == mine->last[p] + 1);
                mine->last[p] = value;
                ++taken;
            }
        }
        mine->seen = mine->seen + taken;
        if (mine->seen == total) done.store(1, rl::mo_relaxed, $);
        if (taken == PerRun) {
            state->requeue();
            executor.submit(1);
        } else if (state->end_run()) {
            executor.submit(1);
        }
    }
};

/// Two subtasks on two workers: one fills a ring of 1, the other empties it; each sleeps when it can't go on and is
/// woken by the other.
template <int Items>
struct full_and_empty : rl::test_suite<full_and_empty<Items>, 2> {
    std::unique_ptr<ring> between;
    std::unique_ptr<runnel::ready_state<relacy_atomics>> states[2];
    std::unique_ptr<owned> filler;
    std::unique_ptr<owned> emptier;
    model::handover<6 * Items + 4> executor;
    rl::atomic<int> done;

    void before() {
        between = std::make_unique<ring>(1);
        for (auto& s : states) s = std::make_unique<runnel::ready_state<relacy_atomics>>();
        filler = std::make_unique<owned>();
        emptier = std::make_unique<owned>();
        done.store(0, rl::mo_relaxed, $);
        wake(1);
    }

    void wake(int subtask) {
        if (states[subtask - 1]->notify()) executor.submit(subtask);
    }

    void thread(unsigned) {
        while (done.load(rl::mo_relaxed, $) == 0) {
            const int subtask = executor.take();
            if (subtask == 0) {
                model::yield();
                continue;
            }
            states[subtask - 1]->begin_run();
            if (subtask == 1) fill();
            else empty();
            if (states[subtask - 1]->end_run()) executor.submit(subtask);
        }
    }

    void fill() {
        while (filler->seen < Items) {
            int value = filler->seen + 1;
            if (!between->try_push(value)) return;
            filler->seen = filler->seen + 1;
            wake(2);
        }
    }

    void empty() {
        int value = 0;
        while (between->try_pop(value)) {
            RL_ASSERT(value == emptier->seen + 1);
            emptier->seen = value;
            if (value == Items) done.store(1, rl::mo_relaxed, $);
            wake(1);
        }
    }
};

}  // namespace

int main(int argc, char** argv) {
    model::driver driver(argc, argv);
    driver.add<producers_wake_a_consumer<2, 100>>("two producers, one consumer");
    driver.add<producers_wake_a_consumer<2, 1>>("two producers, one consumer that gives up its thread");
    driver.add<full_and_empty<3>>("full and empty");
    driver.only("ready_state.hpp");
    driver.excuse("ready_state.hpp", model::kind::load, std::memory_order_acquire,
                  "the fence after it acquires, too; it is there for ThreadSanitizer, which does not know fences");
    return driver.check();
}
