// Rescaling: a job in one subtask is stopped with a savepoint in the middle of its windows; another one with four
// subtasks begins from it, and counts on. The savepoint may lie anywhere, and be moved.
//   rescale [--describe]
#include <cstdio>
#include <filesystem>
#include <string>

#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
using runnel::timestamp;

struct ride {
    int city = 0;
    timestamp at;
};

/// A ride every second, in six cities in turn.
ride nth(std::uint64_t n) { return {static_cast<int>(n % 6), timestamp(std::chrono::seconds(n))}; }

runnel::pipeline rides_per_half_hour(const std::string& folder, double per_second) {
    runnel::pipeline p{"rides"};
    p.from(runnel::generate(3'600, nth, {.splits = 4, .rate = per_second})).named("rides")
        .event_time(&ride::at, runnel::bounded_out_of_orderness(5s))
        .key_by(&ride::city)
        .window(runnel::tumbling(30min).drop_late())
        .aggregate(runnel::count()).named("counts")
        .to(runnel::text_lines_to(folder + "/rides.txt")).named("file");
    return p;
}

int main(int argc, char**) {
    const std::string folder = (std::filesystem::temp_directory_path() / "runnel_rescale").string();
    std::filesystem::remove_all(folder);
    std::filesystem::create_directory(folder);
    if (argc > 1) return std::fputs(rides_per_half_hour(folder, 0).describe(4).c_str(), stdout), 0;
    {
        // Slow enough to be stopped before its end.
        auto job = rides_per_half_hour(folder, 500).start({.checkpoints = {.folder = folder + "/one"}});
        job.stop_with_savepoint(folder + "/savepoint");
        job.wait();
    }
    std::filesystem::rename(folder + "/savepoint", folder + "/moved");
    rides_per_half_hour(folder, 0)
        .start({.parallelism = 4, .checkpoints = {.folder = folder + "/four"}, .restore = folder + "/moved"})
        .wait();
    std::FILE* file = std::fopen((folder + "/rides.txt").c_str(), "r");
    for (int c; file && (c = std::fgetc(file)) != EOF;) std::putchar(c);
    if (file) std::fclose(file);
    std::filesystem::remove_all(folder);
}
