// Model of how a pool's workers sleep: the workers follow the pool's protocol on a list that promises no more than an
// executor must. No work is slept on, not even while another worker is busy (or a thread would wait for ever), and all
// workers come to an end.

#include "handover.hpp"

#include "runnel/runtime/parking.hpp"

namespace {

using model::relacy_atomics;

enum class mistake { none, no_passing_on, no_last_look };

/// `Workers` workers; `Submitters` threads outside, which share the submissions, and of which the first stops the pool
/// in the end; if there are none, the first piece of work submits the others, and the last one stops the pool.
/// A run lasts until `Meet` runs have begun.
template <int Workers, int Submitters, int Works, int Meet, mistake Mistake = mistake::none>
struct workers_wake : rl::test_suite<workers_wake<Workers, Submitters, Works, Meet, Mistake>, Workers + Submitters> {
    std::unique_ptr<runnel::parking<relacy_atomics>> parking;
    model::handover<Works> list;
    rl::atomic<int> running;
    rl::atomic<int> over;
    rl::atomic<int> stopping;

    void before() {
        parking = std::make_unique<runnel::parking<relacy_atomics>>();
        running.store(0, rl::mo_relaxed, $);
        over.store(0, rl::mo_relaxed, $);
        stopping.store(0, rl::mo_relaxed, $);
        if (Submitters == 0) submit(1);
    }
    void after() { RL_ASSERT(!parking->anyone_parked()); }

    void thread(unsigned index) {
        if (index < Workers) {
            while (const int work = find()) run(work);
            return;
        }
        if constexpr (Submitters != 0)
            for (int i = 0; i < Works / Submitters; ++i) submit(2);
        if (index == Workers) {
            while (over.load(rl::mo_relaxed, $) != Works) model::yield();
            stop();
        }
    }

    void submit(int work) {
        list.submit(work);
        parking->notify_one();
    }

    void run(int work) {
        if (work == 1)
            for (int i = 1; i < Works; ++i) submit(2);
        running.fetch_add(1, rl::mo_relaxed, $);
        while (running.load(rl::mo_relaxed, $) < Meet) model::yield();
        if (over.fetch_add(1, rl::mo_relaxed, $) + 1 == Works && Submitters == 0) stop();
    }

    void stop() {
        stopping.store(1, rl::mo_relaxed, $);
        parking->notify_all();
    }

    // As in pool_executor.
    int find() {
        bool searching = parking->try_search(1);
        for (;;) {
            if (searching) {
                if (const int work = list.take()) {
                    parking->end_search();
                    pass_on();
                    return work;
                }
            }
            parking->prepare_wait(searching);
            if (const int work = Mistake == mistake::no_last_look ? 0 : list.take()) {
                parking->cancel_wait();
                pass_on();
                return work;
            }
            if (stopping.load(rl::mo_relaxed, $) != 0) {
                parking->cancel_wait();
                parking->notify_all();
                return 0;
            }
            parking->commit_wait();
            searching = true;
        }
    }

    void pass_on() {
        if (Mistake != mistake::no_passing_on && list.any()) parking->notify_one();
    }
};

}  // namespace

int main(int argc, char** argv) {
    model::driver driver(argc, argv);
    driver.add<workers_wake<1, 1, 2, 0>>("one worker, work from outside");
    driver.add<workers_wake<2, 2, 2, 0>>("two workers, work from two threads outside");
    driver.add<workers_wake<2, 1, 2, 2>>("two workers, both are needed, work from outside");
    driver.add<workers_wake<3, 0, 3, 3>>("three workers, all are needed, work from one of them");
    driver.add_broken<workers_wake<1, 1, 2, 0, mistake::no_last_look>>("no look between prepare_wait and commit_wait");
    driver.add_broken<workers_wake<2, 1, 2, 2, mistake::no_passing_on>>("who has found work leaves the rest asleep");
    return driver.check();
}
