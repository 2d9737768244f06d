// R5, for checkpoints: whatever allocation fails while checkpoints and savepoints are written, listed, read and pruned,
// the call throws or gives the right result, and no checkpoint is lost.
//
// checkpoint_memory [COUNT [SEED]]: at least so many runs, each with another allocation that fails, once or from then on.
#include <cstdlib>
#include <new>

#include "runnel/checkpoint/savepoint.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/torture/failing_memory.hpp"
#include "tests/torture/made_up_job.hpp"

using torture::has_failed;

namespace test {

/// Allocations fail inside `f` only; true if it did not throw.
template <class F>
bool attempt(F f, long after, bool on) {
    const torture::failing_allocations failing(after, on);
    try {
        f();
    } catch (const std::bad_alloc&) {
        return false;
    }
    return true;
}

/// What the `n`-th allocation failing does to each of the steps of a job; false if none has so many.
bool run(std::uint64_t seed, long n, bool on, std::size_t& differences) {
    temporary_folder place("/dev/shm");
    file_system& fs = default_file_system();
    const std::string folder = place / "job";
    const auto expect = [&](bool is_so, const char* what) {
        if (!is_so && ++differences <= 20)
            std::printf("seed %llu, allocation %ld%s: %s\n", static_cast<unsigned long long>(seed), n,
                        on ? " from then on" : "", what);
    };
    changing_state state(seed);
    bool any = false;
    checkpoint last;
    std::unique_ptr<checkpoint_store> store;
    const auto is_there = [&] { return last.id == 0 || (newest_checkpoint(fs, folder) == last.id &&
                                                        read_checkpoint(fs, folder, last.id) == last); };
    for (int i = 0; i < 4; ++i) {
        const auto open = [&] { store = std::make_unique<checkpoint_store>(fs, folder); };
        if (!store && !attempt(open, i == 3 ? n : -1, on)) {
            expect(is_there(), "opening has lost a checkpoint");
            open();
        }
        any |= has_failed;
        const checkpoint next = state.next();
        if (attempt([&] { store->write(next); }, i >= 2 ? n : -1, on)) last = next;
        any |= has_failed;
        expect(is_there(), "writing has lost a checkpoint, or left one behind");
        if (last.id != next.id) {
            store->write(next);
            last = next;
            expect(is_there(), "a checkpoint cannot be written any more");
        }
        if (i == 2) {
            attempt([&] { store->prune(1); }, n, on);
            any |= has_failed;
            expect(is_there(), "pruning has lost a checkpoint");
            store->prune(1);
            expect(is_there(), "a second try of pruning has lost a checkpoint");
            store.reset();
        }
        if (i < 2) continue;
        checkpoint seen;
        if (attempt([&] { seen = read_checkpoint(fs, folder, last.id); }, n, on))
            expect(seen == last, "what was read is wrong");
        any |= has_failed;
        std::vector<checkpoint_info> list;
        if (attempt([&] { list = list_checkpoints(fs, folder); }, n, on))
            expect(!list.empty() && list.back().id == last.id && list.back().damage.empty(), "the list is wrong");
        any |= has_failed;
    }
    store.reset();
    const std::string savepoint = place / "savepoint";
    const bool is_written = attempt([&] { write_savepoint(fs, savepoint, last); }, n, on);
    any |= has_failed;
    if (!is_written) {
        expect(newest_checkpoint(fs, savepoint) == std::nullopt, "a savepoint that failed is there");
        write_savepoint(fs, savepoint, last);
    }
    checkpoint expected = last;
    expected.is_savepoint = true;
    expect(read_savepoint(fs, savepoint) == expected, "the savepoint is wrong");
    return any;
}

}  // namespace test

int main(int argc, char** argv) {
    const std::size_t goal = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000;
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const auto began = std::chrono::steady_clock::now();
    std::size_t runs = 0, differences = 0;
    for (std::uint64_t s = seed; runs < goal; ++s)
        for (const bool on : {false, true})
            for (long n = 0; test::run(s, n, on, differences); ++n) ++runs;
    test::print_result("R5-checkpoint", runs, goal, differences, seed, began);
    return differences == 0 ? 0 : 1;
}
