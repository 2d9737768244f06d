// R3, for checkpoints: whenever power fails, the newest checkpoint that was acknowledged is there, each one that is there
// is exactly what was written, and the job goes on from it; also if power fails again then.
//
// checkpoint_power [COUNT [SEED]]: so many random images of short runs; and five of every moment of one run, of 2,000
// operations if so many are asked for.
#include <cstdlib>

#include "tests/torture/made_up_job.hpp"

using namespace test;

int main(int argc, char** argv) {
    const std::size_t goal = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2'000;
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const auto began = std::chrono::steady_clock::now();
    std::size_t images = 0, differences = 0;
    const auto check = [&](const memory_file_system& fs, const made_up_job& job, std::uint64_t run, std::size_t n,
                           survivors what, std::uint64_t image) {
        ++images;
        const std::string text = crash(fs, job, n, what, image);
        if (text.empty() || ++differences > 20) return;
        std::printf("run %llu, power fails behind operation %zu, image %d of seed %llu: %s\n",
                    static_cast<unsigned long long>(run), n, static_cast<int>(what),
                    static_cast<unsigned long long>(image), text.c_str());
    };
    std::size_t moments = 0;
    {
        memory_file_system fs;
        made_up_job job(seed, fs);
        for (int i = 0; i < 30 || fs.operations() < std::min<std::size_t>(goal / 50, 2'000); ++i) job.step(fs);
        for (; moments <= fs.operations(); ++moments)
            for (const survivors what :
                 {survivors::none, survivors::all, survivors::names, survivors::contents, survivors::some})
                check(fs, job, seed, moments, what, moments);
    }
    std::size_t drawn = 0;
    for (std::uint64_t run = seed + 1; drawn < goal; ++run) {
        memory_file_system fs;
        made_up_job job(run, fs);
        for (int i = 0; i < 8; ++i) job.step(fs);
        std::mt19937_64 random(run);
        std::vector<std::size_t> when(std::min<std::size_t>(goal - drawn, 200));
        for (std::size_t& n : when) n = random() % (fs.operations() + 1);
        std::sort(when.begin(), when.end());
        for (const std::size_t n : when) check(fs, job, run, n, survivors::some, random());
        drawn += when.size();
    }
    std::printf("%zu images: of each of the %zu moments of one run, and random ones\n", images, moments);
    print_result("R3-checkpoint", drawn, goal, differences, seed, began);
    return differences == 0 ? 0 : 1;
}
