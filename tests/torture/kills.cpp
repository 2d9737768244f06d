// R1: a job that is killed at random moments, also while it recovers, and started again until it is done, at another
// parallelism each time, shows in the end exactly what a run without failures shows, and what a sequential model of its
// program computes.
//
// kills [COUNT [SEED]]: at least so many kills. The program has sliding windows, sessions, late records, a process
// function with timers, a merge and two transactional sinks; a checkpoint every two milliseconds.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/core/temporary_folder.hpp"
#include "tests/support/random.hpp"
#include "tests/torture/life.hpp"
#include "tests/torture/program.hpp"

using namespace torture;

namespace {

/// One life of the job, in a process of its own.
pid_t start(const std::string& folder, std::size_t parallelism, bool checkpoints, shared& s) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    int code = 0;
    try {
        watched_files files(s);
        job_options options{.parallelism = parallelism, .threads = 2, .batch_size = 128};
        if (checkpoints)
            options.checkpoints = {.folder = folder + "/checkpoints", .interval = 2ms, .files = &files};
        program({}, folder + "/out", files).start(options).wait();
    } catch (const std::exception& e) {
        tell(e);
        code = 3;
    }
    std::fflush(stderr);
    ::_exit(code);
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t goal = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 40;
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const auto began = std::chrono::steady_clock::now();
    void* memory = ::mmap(nullptr, sizeof(shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return std::perror("mmap"), 2;
    shared& s = *new (memory) shared;

    std::uint64_t differences = 0, kills = 0, inside = 0, in_recovery = 0, runs = 0;
    const std::vector<std::string> expected = model({});
    {
        test::temporary_folder folder(quick_folder());
        s.calls_left.store(0);
        int status = 0;
        ::waitpid(start(folder.path(), 1, false, s), &status, 0);
        differences +=
            difference(expected, shown(default_file_system(), folder / "out"), "without failure against the model");
    }
    tests::random_numbers random(seed);
    for (; kills < goal && differences == 0; ++runs) {
        test::temporary_folder folder(quick_folder());
        // A life must be long enough for a checkpoint, however slow the machine is.
        std::uint64_t longest = 12'000, without_progress = 0;
        std::string newest;
        for (bool again = false;;) {
            s.in_files.store(0);
            // Half of the lives end at a random moment, half at a random step of a checkpoint.
            const bool at_step = random.chance(50);
            s.calls_left.store(at_step ? 1 + static_cast<int>(random.below(again ? 60 : 250)) : 0);
            s.after = random.chance(50);
            const pid_t child = start(folder.path(), 1 + random.below(4), true, s);
            const auto wait = again ? std::chrono::microseconds(random.below(2'000))
                                    : std::chrono::microseconds(random.below(longest));
            int status = 0;
            if (!at_step) {
                std::this_thread::sleep_for(wait);
                ::kill(child, SIGKILL);
            }
            ::waitpid(child, &status, 0);
            if (WIFEXITED(status)) {
                if (WEXITSTATUS(status) != 0) ++differences;
                break;
            }
            ++kills;
            if (s.in_files.load() > 0) ++inside;
            if (again) ++in_recovery;
            again = random.chance(10);
            if (const std::string now = newest_manifest(folder.path()); now != newest) {
                newest = now;
                without_progress = 0;
            } else if (++without_progress == 20) {
                longest = std::min<std::uint64_t>(2 * longest, 10'000'000);
                without_progress = 0;
            }
        }
        if (differences == 0) differences += difference(expected, shown(default_file_system(), folder / "out"), "killed");
        if (differences != 0) std::printf("run %llu of seed %llu\n", static_cast<unsigned long long>(runs),
                                          static_cast<unsigned long long>(seed));
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("%llu runs of %zu results; %llu kills, %llu inside a call to the file system, %llu soon after another\n",
                static_cast<unsigned long long>(runs), expected.size(), static_cast<unsigned long long>(kills),
                static_cast<unsigned long long>(inside), static_cast<unsigned long long>(in_recovery));
    std::printf("torture R1 %llu of %llu differences %llu seed %llu seconds %.1f\n",
                static_cast<unsigned long long>(kills), static_cast<unsigned long long>(goal),
                static_cast<unsigned long long>(differences), static_cast<unsigned long long>(seed), took.count());
    return differences == 0 && inside * 5 >= kills ? 0 : 1;
}
