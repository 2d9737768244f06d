// R6, for the log: whatever call to the file system fails, and however, that is reported, and nothing acknowledged
// before or after it is lost; also if power fails then.
//
// log_calls [COUNT [SEED]]: at least so many runs, each with another call that fails.
#include <cerrno>
#include <cstdlib>

#include "runnel/testing/failing_file_system.hpp"
#include "tests/torture/made_up_user.hpp"

using namespace test;

namespace {

constexpr int steps = 60;

/// Returns how many calls there were; counts and tells of what is wrong.
std::size_t run(std::uint64_t seed, const failing_calls& failing, std::size_t& differences) {
    memory_file_system disk;
    failing_file_system files(disk, failing);
    made_up_user user(seed, files, disk);
    for (int i = 0; i != steps; ++i) {
        try {
            user.step();
        } catch (const io_error&) {
            user.drop();
        }
    }
    user.drop();
    const std::size_t n = disk.operations();
    for (const survivors what : {survivors::all, survivors::none}) {
        const std::string wrong = user.difference(*disk.crash_image(n, what), n);
        if (wrong.empty() || ++differences > 20) continue;
        std::printf("run %llu, call %zu, failure %d, %s: %s\n", static_cast<unsigned long long>(seed), failing.first,
                    static_cast<int>(failing.how), files.first_failure().c_str(), wrong.c_str());
    }
    return files.calls();
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t goal = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000;
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 700;
    const auto began = std::chrono::steady_clock::now();
    std::size_t runs = 0;
    std::size_t differences = 0;
    for (std::uint64_t s = seed; runs < goal; ++s) {
        const std::size_t calls = run(s, {}, differences);
        for (const call_failure how :
             {call_failure::before, call_failure::halfway, call_failure::afterwards, call_failure::shortened})
            for (std::size_t n = 1; n <= calls; ++n, ++runs)
                run(s, {.first = n, .how = how, .code = n % 2 ? EIO : ENOSPC}, differences);
    }
    print_log_result("R6-log", runs, goal, differences, seed, began);
    return differences == 0 ? 0 : 1;
}
