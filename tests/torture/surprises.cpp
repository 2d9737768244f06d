// R18: a job that nobody has asked for more opens no socket and changes nothing of the process it is in; what it keeps is
// for its owner alone under any umask; and no symbolic link is followed where its files and folders were.
//
// surprises [CASES [SEED]]: at least so many cases: files and folders whose rights are looked at, links in the place of
// one, and jobs that are watched.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <clocale>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/log/log_folder.hpp"
#include "runnel/log/log_sink.hpp"
#include "runnel/log/log_source.hpp"
#include "runnel/source/rate_limited.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/count.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/support/random.hpp"

namespace {

std::atomic<int> sockets{0};

}  // namespace

// Every socket of the program is asked for here.
extern "C" int socket(int domain, int type, int protocol) noexcept {
    ++sockets;
    return static_cast<int>(::syscall(SYS_socket, domain, type, protocol));
}
extern "C" int socketpair(int domain, int type, int protocol, int fds[2]) noexcept {
    ++sockets;
    return static_cast<int>(::syscall(SYS_socketpair, domain, type, protocol, fds));
}

namespace {

using namespace runnel;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

std::uint64_t differences = 0, cases = 0;

void expect(bool is_so, const std::string& what) {
    if (!is_so && ++differences <= 20) std::printf("%s\n", what.c_str());
}

/// Memory, if there is a file system of it.
fs::path quick_folder() {
    const fs::path memory = "/dev/shm";
    return fs::is_directory(memory) ? memory : fs::temp_directory_path();
}

/// Counts by their first letter the texts of a topic, so many a second, and writes the counts to another.
pipeline program(const std::string& root, double rate = 1e9) {
    log_folder log(root + "/log");
    pipeline p("letters");
    p.from(rate_limited(from_log<std::string>(log.topic("in"), {.bounded = true}), rate))
        .named("in")
        .event_time(monotonous())
        .key_by([](const std::string& text) { return text[0]; })
        .window(tumbling(20ms).drop_late())
        .aggregate(count())
        .named("counts")
        .map([](const windowed<char, std::uint64_t>& w) {
            return std::string(1, w.key) + to_string(w.end) + " " + std::to_string(w.value);
        })
        .to(to_log(log.topic("out", {.partitions = 2}), [](const std::string& text) { return text.substr(0, 1); }))
        .named("out");
    return p;
}

/// Runs the job to its end.
void go_on(const std::string& root, std::uint64_t seed, bool from_savepoint) {
    testing::sim_executor sim(seed);
    job_options options{.parallelism = 1 + seed % 3, .batch_size = 16, .executor = &sim, .clock = &sim.clock()};
    options.checkpoints = {.folder = root + (from_savepoint ? "/other" : "/job"),
                           .interval = 100us,
                           .keep = 1,
                           .executor = &sim};
    if (from_savepoint) options.restore = root + "/savepoint";
    program(root).start(options).wait();
}

/// A log, half of which a job has processed: with a checkpoint and a savepoint of it.
void make(const std::string& root, std::uint64_t seed) {
    tests::random_numbers random(seed);
    {
        log_topic in = log_folder(root + "/log").topic("in", {.partitions = 2});
        for (std::size_t p = 0; p != 2; ++p) {
            log_writer out = in.writer(p, {.batch_bytes = 100, .segment_bytes = 2'000});
            for (int i = 0; i != 100; ++i) {
                std::string bytes;
                codec<std::string>::encode(std::string(1 + random.below(9), static_cast<char>('a' + random.below(6))), bytes);
                out.append({.time = timestamp(std::chrono::milliseconds(i)), .value = bytes});
            }
            out.flush();
        }
        in.group("others").commit(0, 3);
    }
    testing::sim_executor sim(random.seed());
    job_options options{.parallelism = 1 + random.below(3), .batch_size = 8, .executor = &sim, .clock = &sim.clock()};
    options.checkpoints = {.folder = root + "/job", .interval = {}, .keep = 1, .executor = &sim};
    job running = program(root, 1e5).start(options);
    for (std::size_t steps = random.below(8); steps != 0; --steps) sim.step();
    running.checkpoint();
    running.savepoint(root + "/savepoint");
}

std::vector<std::string> results(const std::string& root) {
    std::vector<std::string> all;
    const log_topic out = log_folder(root + "/log").topic("out");
    for (std::size_t p = 0; p != out.partitions(); ++p) {
        log_reader in = out.reader(p);
        while (const log_record* r = in.next()) all.emplace_back(*r->value);
    }
    std::sort(all.begin(), all.end());
    return all;
}

/// All files below a path, with what is in them; of a file, itself.
std::map<std::string, std::string> contents(const fs::path& of) {
    std::map<std::string, std::string> all;
    const auto read = [&](const fs::path& path) {
        std::ifstream in(path, std::ios::binary);
        all[path.string()] = {std::istreambuf_iterator<char>(in), {}};
    };
    if (fs::is_regular_file(of)) read(of);
    if (fs::is_directory(of))
        for (const auto& entry : fs::recursive_directory_iterator(of))
            if (entry.is_regular_file()) read(entry.path());
    return all;
}

/// What is kept is for its owner alone, whatever the umask.
void try_umask(mode_t mask, std::uint64_t seed) {
    const test::temporary_folder folder(quick_folder());
    const mode_t before = ::umask(mask);
    try {
        make(folder / "state", seed);
        go_on(folder / "state", seed, false);
        go_on(folder / "state", seed, true);
    } catch (const std::exception& e) {
        expect(false, "umask " + std::to_string(mask) + ": " + e.what());
    }
    ::umask(before);
    for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
        struct stat about {};
        ::lstat(entry.path().c_str(), &about);
        const mode_t wanted = S_ISDIR(about.st_mode) ? 0700 : 0600;
        expect((about.st_mode & 07777) == wanted, "umask " + std::to_string(mask) + ": " + entry.path().string() +
                                                      " has mode " + std::to_string(about.st_mode & 07777));
        ++cases;
    }
}

/// The path with the same folder that comes last: of segments, the one that is not read to its end.
std::string last_of(const std::vector<fs::path>& paths, const fs::path& like) {
    std::string last;
    for (const fs::path& path : paths)
        if (path.parent_path() == like.parent_path() && path.extension() == like.extension())
            last = std::max(last, path.generic_string());
    return last;
}

/// A link in the place of each file and folder in turn is refused, and what it leads to stays as it is.
void try_links(std::uint64_t seed) {
    const test::temporary_folder folder(quick_folder());
    make(folder / "state", seed);
    fs::copy(folder / "state", folder / "whole", fs::copy_options::recursive);
    go_on(folder / "whole", seed, false);
    const std::vector<std::string> expected = results(folder / "whole");
    std::vector<fs::path> entries;
    for (const auto& entry : fs::recursive_directory_iterator(folder / "state"))
        entries.push_back(fs::relative(entry.path(), folder / "state"));
    for (const fs::path& entry : entries)
        for (const bool from_savepoint : {false, true})
            for (const bool leads_nowhere : {false, true}) {
                ++cases;
                const fs::path root = folder / "tried", link = root / entry, real = folder / "real";
                fs::remove_all(root), fs::remove_all(real);
                fs::copy(folder / "state", root, fs::copy_options::recursive);
                fs::rename(link, real);
                if (leads_nowhere) fs::remove_all(real);
                fs::create_symlink(real, link);
                const auto before = contents(real);
                std::string said;
                try {
                    go_on(root, seed, from_savepoint);
                } catch (const std::exception& e) {
                    said = e.what();
                    try {
                        std::rethrow_if_nested(e);
                    } catch (const std::exception& cause) {
                        said = cause.what();
                    }
                }
                const std::string name = "seed " + std::to_string(seed) + ", a link at " + entry.string() +
                                         (leads_nowhere ? " to nowhere" : "") +
                                         (from_savepoint ? ", from the savepoint" : "") + ": ";
                expect(contents(real) == before && (fs::exists(real) != leads_nowhere), name + "it was followed; " + said);
                // What this run has no need to look at.
                const std::string path = entry.generic_string();
                const bool is_read = path.starts_with("log/in/") && path.ends_with(".log") && path != last_of(entries, path);
                const bool is_unused = is_read || path == "log/in/lock" || path == "log/out/lock" ||
                                       (path.starts_with("log/in/") && path.ends_with("/lock")) ||
                                       path.starts_with("log/in/groups") ||
                                       path.starts_with(from_savepoint ? "job" : "savepoint") ||
                                       path == "savepoint/lock";
                if (said.empty()) {
                    expect(is_unused, name + "it was accepted");
                    expect(results(root.string()) == expected, name + "the results are wrong");
                } else if (!leads_nowhere) {
                    expect(said.find("it is a symbolic link, and here those are not followed") != std::string::npos &&
                               said.find(link.string()) != std::string::npos,
                           name + "the error is not clear: " + said);
                }
            }
}

/// What a job must leave alone in the process that it is in.
std::string surroundings() {
    std::string all = fs::current_path().string() + " " + std::setlocale(LC_ALL, nullptr);
    const mode_t mask = ::umask(0);
    ::umask(mask);
    all += " " + std::to_string(mask);
    for (int s = 1; s < NSIG; ++s) {
        struct sigaction now {};
        if (::sigaction(s, nullptr, &now) != 0) continue;
        all += " " + std::to_string(reinterpret_cast<std::uintptr_t>(now.sa_handler)) + "," + std::to_string(now.sa_flags);
    }
    return all;
}

/// Descriptors that are open, and what they are.
std::vector<std::string> descriptors() {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        all.push_back(fs::read_symlink(entry.path(), gone).string());
    }
    std::sort(all.begin(), all.end());
    return all;
}

/// A job as its options are by themselves, but for the folder.
void watch_a_job(std::uint64_t seed) {
    ++cases;
    const test::temporary_folder folder(quick_folder());
    make(folder / "state", seed);
    const auto before = descriptors();
    const std::string around = surroundings();
    sockets = 0;
    {
        job running = program(folder / "state").start({.checkpoints = {.folder = folder / "state/job"}});
        for (bool done = false; !done;) {
            done = running.is_done();
            for (const std::string& open : descriptors())
                expect(!open.starts_with("socket:") || std::binary_search(before.begin(), before.end(), open),
                       "seed " + std::to_string(seed) + ": there is a socket");
        }
        running.wait();
        expect(surroundings() == around, "seed " + std::to_string(seed) + ": the surroundings have changed");
    }
    expect(sockets == 0, "seed " + std::to_string(seed) + ": a socket was opened");
    expect(descriptors() == before, "seed " + std::to_string(seed) + ": descriptors are left");
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t goal = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000;
    const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const auto began = std::chrono::steady_clock::now();
    tests::random_numbers random(first);
    std::uint64_t umasks = 0, linked = 0;
    for (std::uint64_t seed = first; cases < goal && differences == 0; ++seed) {
        watch_a_job(seed);
        const std::uint64_t before = cases;
        if (seed % 4 == first % 4) try_links(seed);
        linked += cases - before;
        // The usual ones first, then any.
        static constexpr mode_t usual[] = {0, 022, 077, 0777};
        try_umask(umasks < 4 ? usual[umasks] : static_cast<mode_t>(random.below(01000)), seed);
        ++umasks;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("%llu links, %llu umasks\n", static_cast<unsigned long long>(linked),
                static_cast<unsigned long long>(umasks));
    std::printf("torture R18 %llu of %llu differences %llu seed %llu seconds %.1f\n",
                static_cast<unsigned long long>(cases), static_cast<unsigned long long>(goal),
                static_cast<unsigned long long>(differences), static_cast<unsigned long long>(first), took.count());
    return differences == 0 ? 0 : 1;
}
