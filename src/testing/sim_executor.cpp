#include "runnel/testing/sim_executor.hpp"

#include <algorithm>

namespace runnel::testing {

void sim_executor::submit(runnable& work) {
    std::lock_guard lock(mutex_);
    ready_.push_back(&work);
}

bool sim_executor::run_one() {
    runnable* work = nullptr;
    {
        std::lock_guard lock(mutex_);
        if (ready_.empty()) return false;
        // One choice in 64 picks another piece of work to be left aside; it runs only when nothing else is ready.
        if (random_() % 64 == 0) set_aside_ = ready_[random_() % ready_.size()];
        std::size_t i = random_() % ready_.size();
        if (ready_[i] == set_aside_ && ready_.size() > 1) i = (i + 1) % ready_.size();
        trace_ = trace_ * 0x9E3779B97F4A7C15U + i + (static_cast<std::uint64_t>(ready_.size()) << 32);
        work = ready_[i];
        ready_[i] = ready_.back();
        ready_.pop_back();
    }
    work->run();
    return true;
}

bool sim_executor::help() { return run_one() || clock_.step(); }

std::size_t sim_executor::run_ready() {
    std::size_t n = 0;
    while (run_one()) ++n;
    return n;
}

}  // namespace runnel::testing
