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
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/core/temporary_folder.hpp"
#include "tests/support/random.hpp"
#include "tests/torture/program.hpp"

using namespace torture;

namespace {

/// Memory, if there is a file system of it: a killed process leaves there what it leaves on a disk, and a checkpoint takes
/// less time than a life, however busy the disk is.
std::filesystem::path quick_folder() {
    const std::filesystem::path memory = "/dev/shm";
    return std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
}

/// What parent and child tell each other, whatever happens to the child.
struct shared {
    // Pair with nothing: the parent writes before the child begins, and reads when it is gone.
    std::atomic<int> in_files{0};   ///< Calls to the file system that are under way.
    std::atomic<int> calls_left{0};  ///< The child kills itself before or after the call at which this falls to 0.
    bool after = false;
};

/// Notes which calls are under way, all of which belong to a checkpoint, a commit or a recovery; and ends the process
/// inside one, if so asked.
class watched_files final : public file_system {
public:
    explicit watched_files(shared& s) : shared_(s) {}
    std::unique_ptr<file> open(const std::string& path, open_mode mode, file_access access) override {
        return note([&] { return std::make_unique<watched_file>(*this, real_.open(path, mode, access)); });
    }
    void rename(const std::string& from, const std::string& to) override {
        note([&] { real_.rename(from, to); });
    }
    void remove(const std::string& path) override {
        note([&] { real_.remove(path); });
    }
    void sync_directory(const std::string& path) override {
        note([&] { real_.sync_directory(path); });
    }
    void make_directories(const std::string& path, file_access access) override {
        note([&] { real_.make_directories(path, access); });
    }
    std::vector<std::string> list(const std::string& path) override {
        return note([&] { return real_.list(path); });
    }
    bool exists(const std::string& path) override {
        return note([&] { return real_.exists(path); });
    }
    bool is_directory(const std::string& path) override {
        return note([&] { return real_.is_directory(path); });
    }
    std::uint64_t size(const std::string& path) override {
        return note([&] { return real_.size(path); });
    }

private:
    class watched_file final : public file {
    public:
        watched_file(watched_files& of, std::unique_ptr<file> real)
            : file(real->name()), of_(of), real_(std::move(real)) {}

    private:
        std::size_t read_some(std::uint64_t offset, char* into, std::size_t n) override {
            return of_.note([&] { return real_->read(offset, into, n); });
        }
        std::size_t write_some(std::uint64_t offset, const char* from, std::size_t n) override {
            return of_.note([&] {
                real_->write(offset, {from, n});
                return n;
            });
        }
        void do_sync() override {
            of_.note([&] { real_->sync(); });
        }
        std::uint64_t do_size() override { return real_->size(); }
        file_id do_id() override { return real_->id(); }
        void do_truncate(std::uint64_t size) override {
            of_.note([&] { real_->truncate(size); });
        }
        bool do_try_lock() override { return real_->try_lock(); }
        watched_files& of_;
        std::unique_ptr<file> real_;
    };

    template <class F>
    std::invoke_result_t<F> note(F f) {
        struct in {
            shared& s;
            const bool last;
            explicit in(shared& of) : s(of), last(s.calls_left.fetch_sub(1, std::memory_order_relaxed) == 1) {
                s.in_files.fetch_add(1, std::memory_order_relaxed);
                if (last && !s.after) ::kill(::getpid(), SIGKILL);
            }
            ~in() {
                if (last) ::kill(::getpid(), SIGKILL);
                s.in_files.fetch_sub(1, std::memory_order_relaxed);
            }
        } noted(shared_);
        return f();
    }

    shared& shared_;
    file_system& real_ = default_file_system();
};

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
        std::fprintf(stderr, "a life has failed: %s\n", e.what());
        for (const std::exception* nested = &e; nested != nullptr;) try {
                std::rethrow_if_nested(*nested);
                nested = nullptr;
            } catch (const std::exception& inner) {
                std::fprintf(stderr, "  %s\n", inner.what());
                nested = nullptr;
            }
        code = 3;
    }
    std::fflush(stderr);
    ::_exit(code);
}

std::vector<std::string> shown(const std::string& folder) {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(folder + "/out")) {
        if (entry.path().filename().string().starts_with('.')) {
            all.push_back("left over: " + entry.path().string());
            continue;
        }
        std::ifstream in(entry.path());
        for (std::string text; std::getline(in, text);) all.push_back(text);
    }
    std::sort(all.begin(), all.end());
    return all;
}

/// Changes with each checkpoint.
std::string newest_manifest(const std::string& folder) {
    std::string newest;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder + "/checkpoints", none))
        if (const std::string name = entry.path().filename().string(); name.starts_with("manifest-"))
            newest = std::max(newest, std::string(20 - std::min<std::size_t>(20, name.size()), ' ') + name);
    return newest;
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
        differences += difference(expected, shown(folder.path()), "without failure against the model");
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
        if (differences == 0) differences += difference(expected, shown(folder.path()), "killed");
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
