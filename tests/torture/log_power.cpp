// R3, for the log: a power failure at any moment loses nothing acknowledged and shows nothing in part, and the log
// opens again.
//
// log_power [COUNT [SEED]]: at least so many images, of every moment of runs of up to 2,000 operations.
#include <cstdlib>

#include "tests/torture/made_up_user.hpp"

using namespace test;

int main(int argc, char** argv) {
    const std::size_t goal = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2'000;
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 600;
    const auto began = std::chrono::steady_clock::now();
    std::size_t images = 0;
    std::size_t differences = 0;
    for (std::uint64_t run = seed; images < goal; ++run) {
        memory_file_system disk;
        made_up_user user(run, disk, disk);
        const std::size_t length = std::min<std::size_t>(2'000, 50 + goal / 50);
        while (disk.operations() < length) user.step();
        tests::random_numbers random(run);
        const auto check = [&](std::size_t n, survivors what, std::uint64_t chance) {
            const auto left = disk.crash_image(n, what, chance);
            ++images;
            const std::string wrong = user.difference(*left, n);
            if (wrong.empty() || ++differences > 20) return;
            std::printf("run %llu, power fails behind operation %zu (%s), image %d of seed %llu: %s\n",
                        static_cast<unsigned long long>(run), n, n == 0 ? "" : disk.operation(n - 1).c_str(),
                        static_cast<int>(what), static_cast<unsigned long long>(chance), wrong.c_str());
        };
        for (std::size_t n = 0; n <= disk.operations(); ++n) {
            for (const survivors what : {survivors::none, survivors::all, survivors::names, survivors::contents})
                check(n, what, 0);
            for (int i = 0; i != 6; ++i) check(n, survivors::some, random.seed());
        }
    }
    print_log_result("R3-log", images, goal, differences, seed, began);
    return differences == 0 ? 0 : 1;
}
