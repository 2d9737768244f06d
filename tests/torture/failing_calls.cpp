// R6, and of R2 what is done on disk: call N to the file system fails, for N = 1, 2, ... until a run makes fewer calls: before
// or after it is done or halfway, once or from then on, with EIO or ENOSPC, or does less than it was asked. A job that ends
// without an error has shown exactly what the model says; after one that fails, the next, on sound files, has.
//
// failing_calls [ROUNDS [SEED]]: so many programs.
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "runnel/testing/failing_file_system.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "tests/support/random.hpp"
#include "tests/torture/program.hpp"

using namespace torture;
using testing::call_failure;

namespace {

struct tally {
    std::uint64_t tried = 0, refused = 0, went_on = 0, restarted = 0;
    std::map<std::string, std::uint64_t> steps;  ///< What has failed, without the names of files.
};

/// True if the job ends without an error; otherwise `why` is what it says.
bool runs(const parameters& p, file_system& files, std::uint64_t seed, bool restart, std::size_t tolerated,
          std::string& why) {
    tests::random_numbers random(seed);
    testing::sim_executor sim(random.seed());
    job_options options{.parallelism = 1 + random.below(3),
                        .batch_size = 3,
                        .channel_capacity = 2,
                        .executor = &sim,
                        .clock = &sim.clock()};
    options.checkpoints = {.folder = "/checkpoints",
                           .interval = std::chrono::microseconds(25),
                           .tolerated_failures = tolerated,
                           .executor = &sim,
                           .files = &files};
    if (restart) options.restart = fixed_delay(2, std::chrono::microseconds(5));
    try {
        program(p, "/out", files).start(options).wait();
        return true;
    } catch (const std::exception& e) {
        why = e.what();
        return false;
    }
}

/// "write", "rename", ...
std::string step_of(const std::string& call) { return call.substr(0, call.find('"')); }

std::uint64_t run(std::uint64_t seed, tally& t) {
    tests::random_numbers random(seed);
    const parameters p = small_program(100, random.seed());
    const std::vector<std::string> expected = model(p);
    const struct {
        call_failure how;
        int code;
        bool from_then_on;
        std::size_t tolerated;
        bool restart;
    } ways[] = {{call_failure::before, EIO, false, 0, false},   {call_failure::halfway, ENOSPC, false, 0, false},
                {call_failure::afterwards, EIO, false, 0, false}, {call_failure::before, ENOSPC, true, 3, false},
                {call_failure::halfway, EIO, false, 3, true},    {call_failure::afterwards, EIO, false, 3, true},
                {call_failure::shortened, EINTR, true, 0, false}};
    std::uint64_t differences = 0;
    for (const auto& way : ways) {
        const std::uint64_t schedule = random.seed();
        for (std::size_t n = 1;; ++n) {
            testing::memory_file_system disk;
            testing::failing_file_system files(disk, {n, way.how, way.code, way.from_then_on});
            std::string why;
            const bool ended = runs(p, files, schedule, way.restart, way.tolerated, why);
            const bool any = files.failures() != 0;
            if (any) {
                ++t.tried;
                ++t.steps[step_of(files.first_failure())];
            }
            if (ended) {
                if (any) ++t.went_on;
            } else {
                ++t.refused;
                if (way.how == call_failure::shortened) {
                    std::printf("a short call is an error: %s\n", files.first_failure().c_str());
                    ++differences;
                }
                ++t.restarted;
                if (!runs(p, disk, schedule + 1, false, 0, why)) {
                    std::printf("cannot go on after: %s: %s\n", files.first_failure().c_str(), why.c_str());
                    ++differences;
                }
            }
            if (const std::uint64_t d = difference(expected, shown(disk), "at the end")) {
                std::printf("call %zu, %s, way %d, seed %llu\n", n, files.first_failure().c_str(),
                            static_cast<int>(&way - ways), static_cast<unsigned long long>(seed));
                return differences + d;
            }
            if (!any) break;
        }
    }
    return differences;
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const auto began = std::chrono::steady_clock::now();
    tally t;
    std::uint64_t differences = 0, done = 0;
    for (; done < rounds && differences == 0; ++done) differences += run(first + done, t);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    for (const auto& [step, n] : t.steps) std::printf("%s: %llu\n", step.c_str(), static_cast<unsigned long long>(n));
    std::printf("%llu failing calls: %llu ended the job, %llu were overcome\n", static_cast<unsigned long long>(t.tried),
                static_cast<unsigned long long>(t.refused), static_cast<unsigned long long>(t.went_on));
    std::printf("torture R6 %llu of %llu differences %llu seed %llu seconds %.1f\n",
                static_cast<unsigned long long>(done), static_cast<unsigned long long>(rounds),
                static_cast<unsigned long long>(differences), static_cast<unsigned long long>(first), took.count());
    return differences == 0 ? 0 : 1;
}
