// R14: a job that is stopped with a savepoint, data and timers in flight, and begun from it at another parallelism, for all
// pairs of 1 to 8, against a sequential model.
//
// rescale [SEEDS [SEED]]: so many seeds for each of the 64 pairs.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "runnel/checkpoint/checkpoint.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "tests/support/random.hpp"
#include "tests/torture/program.hpp"

using namespace torture;

namespace {

std::uint64_t run(std::size_t from, std::size_t to, std::uint64_t seed, std::uint64_t& stopped_early) {
    tests::random_numbers random(seed);
    const parameters p{.events = 200 + random.below(400),
                       .rate = 0,
                       .splits = 1 + random.below(8),
                       .keys = 12,
                       .bound = random.between(5, 20),
                       .size = 30,
                       .slide = random.between(5, 30),
                       .gap = 2,
                       .silence = 4,
                       .late_one_in = 0,
                       .salt = random.seed()};
    testing::memory_file_system files;
    const auto options = [&](std::size_t parallelism, testing::sim_executor& sim, const char* folder) {
        job_options o{.parallelism = parallelism, .batch_size = 1 + random.below(8), .executor = &sim, .clock = &sim.clock()};
        o.checkpoints = {.folder = folder, .interval = {}, .executor = &sim, .files = &files};
        return o;
    };
    bool is_over = false;
    {
        testing::sim_executor sim(random.seed());
        job first = program(p, "/out", files).start(options(from, sim, "/first"));
        for (std::size_t steps = random.below(50); steps != 0 && !first.is_done(); --steps) sim.step();
        try {
            first.stop_with_savepoint("/savepoint");
            ++stopped_early;
        } catch (const checkpoint_error&) {
            is_over = true;  // It had come to its end before.
        }
        first.wait();
    }
    // What was prepared is shown when the job has ended, not only when another goes on.
    for (const std::string& line : shown(files))
        if (line.starts_with("left over")) {
            std::printf("%s\n", line.c_str());
            return 1;
        }
    if (!is_over) {
        testing::sim_executor sim(random.seed());
        job_options o = options(to, sim, "/second");
        o.restore = "/savepoint";
        program(p, "/out", files).start(o).wait();
    }
    return difference(model(p), shown(files), "at the end");
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t seeds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2;
    const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const auto began = std::chrono::steady_clock::now();
    std::uint64_t differences = 0, runs = 0, stopped_early = 0;
    for (std::uint64_t seed = first; seed < first + seeds; ++seed)
        for (std::size_t from = 1; from <= 8; ++from)
            for (std::size_t to = 1; to <= 8 && differences == 0; ++to, ++runs) {
                try {
                    differences += run(from, to, seed * 64 + from * 8 + to, stopped_early);
                } catch (const std::exception& e) {
                    std::printf("%s\n", e.what());
                    ++differences;
                }
                if (differences != 0)
                    std::printf("from %zu to %zu, seed %llu\n", from, to, static_cast<unsigned long long>(seed));
            }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("%llu of %llu runs were stopped before their end\n", static_cast<unsigned long long>(stopped_early),
                static_cast<unsigned long long>(runs));
    std::printf("torture R14 %llu of %llu differences %llu seed %llu seconds %.1f\n",
                static_cast<unsigned long long>(runs), static_cast<unsigned long long>(64 * seeds),
                static_cast<unsigned long long>(differences), static_cast<unsigned long long>(first), took.count());
    return differences == 0 && stopped_early * 2 > runs ? 0 : 1;
}
