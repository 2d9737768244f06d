// R7: real operators, barriers, watermarks and timers in schedules drawn from a seed, in virtual time, ended at any step by
// the death of the process or a power failure, and gone on with at another parallelism, against a sequential model.
//
// schedules [COUNT [SEED]]. A failing seed is printed with what replays it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "tests/support/random.hpp"
#include "tests/torture/program.hpp"

using namespace torture;

namespace {

parameters draw_program(tests::random_numbers& random) {
    parameters p;
    p.events = 20 + random.below(300);
    p.rate = 0;
    p.splits = 1 + random.below(3);
    p.keys = 1 + static_cast<int>(random.below(6));
    p.bound = random.between(1, 12);
    p.slide = random.between(1, 10);
    p.size = random.between(1, 30);
    p.gap = random.between(1, 6);
    p.silence = random.between(1, 9);
    p.late_one_in = p.splits == 1 && random.chance(70) ? 5 + random.below(20) : 0;
    p.salt = random.seed();
    return p;
}

struct tally {
    std::uint64_t ends = 0, power_failures = 0, results = 0;
};

std::uint64_t run(std::uint64_t seed, tally& t) {
    tests::random_numbers random(seed);
    const parameters p = draw_program(random);
    auto files = std::make_unique<testing::memory_file_system>();
    bool done = false;
    for (int life = 0; !done; ++life) {
        testing::sim_executor sim(random.seed());
        job_options options{.parallelism = 1 + random.below(5),
                            .batch_size = 1 + random.below(40),
                            .channel_capacity = 1 + random.below(4),
                            .executor = &sim,
                            .clock = &sim.clock()};
        options.checkpoints = {.folder = "/checkpoints",
                               .interval = std::chrono::microseconds(random.between(1, 80)),
                               .executor = &sim,
                               .files = files.get()};
        std::optional<std::size_t> failed_at;
        {
            job running = program(p, "/out", *files).start(options);
            std::size_t steps = random.below(life < 12 ? 30 : 100'000);
            while (steps-- != 0 && !running.is_done()) sim.step();
            done = running.is_done();
            if (done) running.wait();
            else if (random.chance(40)) failed_at = files->operations();
        }
        if (done) break;
        ++t.ends;
        if (failed_at) {
            ++t.power_failures;
            files = files->crash_image(*failed_at, testing::survivors::some, random.seed());
        }
    }
    const std::vector<std::string> expected = model(p);
    t.results += expected.size();
    return difference(expected, shown(*files), "at the end");
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t goal = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 500;
    const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const auto began = std::chrono::steady_clock::now();
    std::uint64_t differences = 0, seeds = 0;
    tally t;
    for (; seeds < goal && differences == 0; ++seeds) {
        try {
            differences += run(first + seeds, t);
        } catch (const std::exception& e) {
            std::printf("%s\n", e.what());
            ++differences;
        }
        if (differences != 0)
            std::printf("replay: %s 1 %llu\n", argv[0], static_cast<unsigned long long>(first + seeds));
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("%llu results; ended %llu times, %llu of them by power failures\n",
                static_cast<unsigned long long>(t.results), static_cast<unsigned long long>(t.ends),
                static_cast<unsigned long long>(t.power_failures));
    std::printf("torture R7 %llu of %llu differences %llu seed %llu seconds %.1f\n",
                static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(goal),
                static_cast<unsigned long long>(differences), static_cast<unsigned long long>(first), took.count());
    return differences == 0 ? 0 : 1;
}
