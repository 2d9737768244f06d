#include "runnel/testing/sim_executor.hpp"

namespace runnel::testing {

namespace {

/// Ready work up to here needs no memory.
constexpr std::size_t enough = 1024;

/// The output function of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
std::uint64_t mix(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

}  // namespace

sim_executor::sim_executor(std::uint64_t seed, sim_options options)
    : options_(options), random_(seed), clock_(options.start) {
    ready_.reserve(enough);
}

void sim_executor::submit(runnable& work) {
    std::lock_guard lock(mutex_);
    std::uint64_t aside_until = 0;
    if (options_.set_aside_one_in != 0 && draw(options_.set_aside_one_in) == 0)
        aside_until = runs_ + 1 + draw(options_.set_aside_for);
    ready_.push_back({&work, aside_until});
}

bool sim_executor::step() {
    // Work and a call that is due are equals, as on real threads; a call that is not waits until there is no work.
    if (clock_.next_call() <= clock_.now() && draw(2) == 0 && call_one(clock_.now())) return true;
    return run_one() || call_one(timestamp::max());
}

void sim_executor::run_until_idle(timestamp limit) {
    while (any_ready() || clock_.next_call() <= limit)
        if (!step()) return;
}

std::size_t sim_executor::run_ready() {
    std::size_t n = 0;
    while (run_one()) ++n;
    return n;
}

std::uint64_t sim_executor::draw(std::uint64_t below) noexcept {
    random_ += 0x9e3779b97f4a7c15U;
    return below == 0 ? 0 : mix(random_) % below;
}

bool sim_executor::any_ready() {
    std::lock_guard lock(mutex_);
    return !ready_.empty();
}

bool sim_executor::run_one() {
    runnable* work = nullptr;
    {
        std::lock_guard lock(mutex_);
        const std::size_t n = ready_.size();
        if (n == 0) return false;
        const std::size_t drawn = draw(n);
        std::size_t chosen = drawn;
        while (ready_[chosen].aside_until > runs_) {
            chosen = (chosen + 1) % n;
            if (chosen == drawn) break;  // all are set aside: nothing else to do
        }
        record(chosen, n);
        work = ready_[chosen].work;
        ready_[chosen] = ready_.back();
        ready_.pop_back();
        ++runs_;
    }
    work->run();
    // Not advance(): calls that become due are for step() to make.
    clock_.pass(options_.run_takes);
    return true;
}

bool sim_executor::call_one(timestamp limit) {
    if (!clock_.step(limit)) return false;
    record(0, 0);
    return true;
}

void sim_executor::record(std::uint64_t choice, std::uint64_t choices) noexcept {
    trace_ = mix(trace_ + mix(choice + (choices << 32)) + static_cast<std::uint64_t>(clock_.now().ns()));
}

}  // namespace runnel::testing
