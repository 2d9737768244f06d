// R5, for jobs: allocation N fails, for N = 1, 2, ... until a job is built, restored, run to its end with checkpoints
// and savepoints, and destroyed with fewer; once, or from then on. A job that ends without an error has shown what the
// model says; one that fails says so, and the next one has, from the checkpoint that was acknowledged last or a newer
// one. Nothing is left behind of either.
//
// job_memory [COUNT [SEED [N]]]: about so many allocations of one program, at even distances; 0: all of them. Or only
// the N-th.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "runnel/checkpoint/checkpoint_store.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/support/random.hpp"
#include "tests/torture/failing_memory.hpp"
#include "tests/torture/program.hpp"

using namespace torture;

namespace {

struct tally {
    std::uint64_t tried = 0, refused = 0, overcome = 0;
};

/// What is under way, for who has to end it.
long current = 0;
bool current_on = false;
unsigned long long current_seed = 0;

extern "C" void takes_too_long(int) {
    std::printf("seed %llu, allocation %ld%s: does not end\n", current_seed, current,
                current_on ? " from then on" : "");
    std::fflush(stdout);
    _exit(1);
}

/// Runs the job for so many steps; true if it has come to its end. Throws what it throws.
bool live(const parameters& p, const std::string& root, std::uint64_t seed, std::size_t steps,
          checkpoint_id& acknowledged) {
    tests::random_numbers random(seed);
    testing::sim_executor sim(random.seed());
    bool is_savepoint = false;
    job_options options{.parallelism = 1 + random.below(3),
                        .batch_size = 4,
                        .channel_capacity = 2,
                        .executor = &sim,
                        .clock = &sim.clock()};
    options.checkpoints = {.folder = root + "/checkpoints",
                           .interval = std::chrono::microseconds(20),
                           .tolerated_failures = random.below(2) * 2,
                           .executor = &sim,
                           .on_step = [&](checkpoint_step at, checkpoint_id id) {
                               if (at == checkpoint_step::acknowledge && !is_savepoint) acknowledged = id;
                           }};
    if (random.chance(50)) options.restart = fixed_delay(2, std::chrono::microseconds(5));
    job running = program(p, root + "/out", default_file_system()).start(options);
    for (std::size_t n = 1; n != steps && !running.is_done(); ++n) {
        if (n % 64 == 30) (void)running.status();
        try {
            if (n % 64 == 50) (void)running.checkpoint();
            is_savepoint = n % 64 == 60;
            if (is_savepoint) running.savepoint(root + "/savepoint-" + std::to_string(seed) + "-" + std::to_string(n));
        } catch (const checkpoint_error&) {
            // Whether the job has failed is seen in the end.
        }
        is_savepoint = false;
        sim.step();
    }
    if (!running.is_done()) return false;
    running.wait();
    return true;
}

/// The life in which the `n`-th allocation fails; true if there were so many.
bool run(const parameters& p, const std::vector<std::string>& expected, std::uint64_t seed, long n, bool on,
         std::uint64_t& differences, tally& t) {
    current = n;
    current_on = on;
    current_seed = seed;
    alarm(120);
    test::temporary_folder place("/dev/shm");
    const std::string root = place / "job";
    const auto complain = [&](const std::string& what) {
        if (++differences <= 20)
            std::printf("seed %llu, allocation %ld%s: %s\n", current_seed, n, on ? " from then on" : "", what.c_str());
    };
    checkpoint_id acknowledged = 0;
    try {
        (void)live(p, root, seed, 40, acknowledged);
    } catch (const std::exception& e) {
        complain(std::string("cannot begin: ") + e.what());
    }
    const long before = live_allocations.load();
    bool is_done = false, any = false;
    std::optional<std::string> why;
    {
        const failing_allocations failing(n, on);
        try {
            is_done = live(p, root, seed + 1, 100'000, acknowledged);
        } catch (const std::bad_alloc&) {
            why.emplace();
        } catch (const error&) {
            why.emplace();
        } catch (const std::exception&) {
            why.emplace("an error of a kind that nobody expects");
        }
        any = has_failed.load();
    }
    if (why && !why->empty()) complain(*why);
    why.reset();
    if (const long left = live_allocations.load() - before; left != 0)
        complain(std::to_string(left) + " allocations are left");
    if (newest_checkpoint(default_file_system(), root + "/checkpoints").value_or(0) < acknowledged)
        complain("a checkpoint is lost");
    if (!is_done && !any) complain("the job has failed for no reason");
    if (any) ++t.tried, ++(is_done ? t.overcome : t.refused);
    if (!is_done) {
        try {
            if (!live(p, root, seed + 2, 100'000, acknowledged)) complain("the job does not end");
        } catch (const std::exception& e) {
            complain(std::string("cannot go on: ") + e.what());
        }
    }
    if (difference(expected, shown(default_file_system(), root + "/out"), "at the end") != 0)
        complain("the results are not right");
    return any;
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t goal = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100;
    const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const auto began = std::chrono::steady_clock::now();
    std::signal(SIGALRM, takes_too_long);
    tests::random_numbers random(first);
    const parameters p = small_program(150, random.seed());
    const std::vector<std::string> expected = model(p);
    std::uint64_t differences = 0;
    tally t;
    // What is made once and stays is made now; and how many allocations there are is found out.
    const long enough = 1L << 40;
    (void)run(p, expected, first, enough, false, differences, t);
    const long most = enough - failing_allocations::left_at_end;
    long distance = 1;
    if (goal != 0) distance = std::max<long>(1, 2 * most / static_cast<long>(goal));
    const auto begin = static_cast<long>(random.below(static_cast<std::size_t>(distance)));
    for (const bool on : {false, true}) {
        if (argc > 3) (void)run(p, expected, first, std::atol(argv[3]), on, differences, t);
        else for (long n = begin; run(p, expected, first, n, on, differences, t); n += distance) continue;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("%ld allocations, one in %ld failing: %llu ended the job, %llu were overcome\n", most, distance,
                static_cast<unsigned long long>(t.refused), static_cast<unsigned long long>(t.overcome));
    std::printf("torture R5-job %llu of %llu differences %llu seed %llu seconds %.1f\n",
                static_cast<unsigned long long>(t.tried), static_cast<unsigned long long>(2 * most / distance),
                static_cast<unsigned long long>(differences), static_cast<unsigned long long>(first), took.count());
    return differences == 0 ? 0 : 1;
}
