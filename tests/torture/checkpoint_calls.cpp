// R6, for checkpoints: whatever call to the file system fails, and however, what was acknowledged is there, readers find
// the folder as it was before, and the next checkpoint is written; also if power fails after it.
//
// checkpoint_calls [COUNT [SEED]]: at least so many runs, each with another call that fails.
#include <cerrno>
#include <cstdlib>

#include "runnel/testing/failing_file_system.hpp"
#include "tests/torture/made_up_job.hpp"

using namespace test;

namespace {

constexpr int checkpoints = 6;

std::size_t calls_of(std::uint64_t seed) {
    memory_file_system disk;
    failing_file_system counted(disk);
    made_up_job job(seed, disk);
    for (int i = 0; i < checkpoints; ++i) job.step(counted);
    return counted.calls();
}

/// Empty if all is well.
std::string difference(std::uint64_t seed, const failing_calls& failing) {
    memory_file_system disk;
    failing_file_system fs(disk, failing);
    made_up_job job(seed, disk);
    for (int i = 0; i < checkpoints; ++i) {
        const checkpoint_id before = job.promised(disk.operations());
        const std::size_t failures = fs.failures();
        job.step(fs);
        const std::string text = job.difference(disk, job.promised(disk.operations()));
        if (!text.empty()) return fs.first_failure() + ": " + text;
        if (job.was_written()) continue;
        if (failing.how == call_failure::shortened) return "a short read or write is not an error";
        if (fs.failures() == failures) return "after one failure the next write has failed, too";
        if (!failing.from_then_on && newest_checkpoint(disk, folder).value_or(0) != before)
            return fs.first_failure() + ": the write has failed, and the checkpoint is there";
    }
    for (std::uint64_t s = 0; s < 4; ++s) {
        const std::string text = crash(disk, job, disk.operations(), survivors::some, s);
        if (!text.empty()) return fs.first_failure() + ": when power fails after it, " + text;
    }
    return "";
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t goal = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000;
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const auto began = std::chrono::steady_clock::now();
    std::size_t runs = 0, differences = 0;
    for (std::uint64_t run = seed; runs < goal; ++run) {
        const std::size_t calls = calls_of(run);
        for (const call_failure how :
             {call_failure::before, call_failure::halfway, call_failure::afterwards, call_failure::shortened})
            for (const bool from_then_on : {false, true})
                for (std::size_t n = 1; n <= calls; ++n, ++runs) {
                    const std::string text = difference(run, {n, how, n % 2 ? EIO : ENOSPC, from_then_on, ""});
                    if (text.empty() || ++differences > 20) continue;
                    std::printf("run %llu, call %zu, failure %d%s: %s\n", static_cast<unsigned long long>(run), n,
                                static_cast<int>(how), from_then_on ? " from then on" : "", text.c_str());
                }
    }
    print_result("R6-checkpoint", runs, goal, differences, seed, began);
    return differences == 0 ? 0 : 1;
}
