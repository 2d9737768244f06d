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
#include <boost/describe.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "runnel/connect/lines_sink.hpp"
#include "runnel/connect/rolling_files.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/sum.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t all_events = 40'000;
constexpr double events_per_second = 200'000;
constexpr auto bound = 20ms;
constexpr int keys = 50;

struct event {
    int key = 0;
    int value = 0;
    timestamp at;
};
BOOST_DESCRIBE_STRUCT(event, (), (key, value, at))

/// Event i of the program: a millisecond holds ten; out of order within the bound; one in 500 far too late.
event make(std::uint64_t i) {
    const std::uint64_t h = (i + 1) * 0x9E3779B97F4A7C15U ^ i << 7;
    const std::int64_t disorder = h % 500 == 0 ? 60 : static_cast<std::int64_t>(h >> 20) % 20;
    return {static_cast<int>((h >> 40) % keys), static_cast<int>(h >> 13 & 31),
            timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(i / 10) - disorder))};
}

std::string line(std::string kind, int key, timestamp end, std::int64_t a, std::int64_t b) {
    return kind + " " + std::to_string(key) + " " + std::to_string(end.ns() / 1'000'000) + " " + std::to_string(a) + " " +
           std::to_string(b);
}

/// Tells of a key that has been silent for 25 ms what its records added up to.
struct silence {
    using output_type = std::string;
    value_state<std::int64_t> sum;
    value_state<timestamp> due;
    event_timer quiet;
    void open(state_setup& s) {
        sum = s.value<std::int64_t>("sum");
        due = s.value<timestamp>("due");
        quiet = s.event_timer("quiet");
    }
    void on_record(const event& e, process_context<std::string>& c) {
        sum.set(sum.value_or(0) + e.value);
        due.set(c.time() + 25ms);
        quiet.set(c.time() + 25ms);
    }
    void on_timer(const timer_event& t, process_context<std::string>& c) {
        if (due.value_or(timestamp::min()) == t.time) c.emit(line("quiet", -1, t.time, sum.value_or(0), 0));
    }
};

pipeline program(const std::string& out, file_system& files) {
    pipeline p("kills");
    auto all = p.from(generate(all_events, make, {.rate = events_per_second}))
                   .named("events")
                   .event_time(&event::at, bounded_out_of_orderness(bound));
    auto keyed = all.key_by(&event::key);
    late_output<event> late;
    auto counts = keyed.window(sliding(40ms, 10ms).drop_late().late_to(late))
                      .aggregate(combine(count(), sum(&event::value)))
                      .named("counts")
                      .map([](const auto& r) {
                          return line("count", r.key, r.end, static_cast<std::int64_t>(std::get<0>(r.value)),
                                      std::get<1>(r.value));
                      });
    auto sessions = keyed.window(session(4ms).drop_late()).aggregate(count()).named("sessions").map([](const auto& r) {
        return line("session", r.key, r.end, (r.end - r.start).count(), static_cast<std::int64_t>(r.value));
    });
    auto too_late = late.stream().map([](const late_record<event>& l) {
        return line("late", l.value.key, l.value.at, l.value.value, 0);
    });
    counts.merge(too_late).to(text_files(out, {.prefix = "a", .files = &files})).named("files");
    sessions.merge(keyed.in_event_time_order().process(silence{}).named("silence"))
        .to(text_lines_to(out + "/lines.txt", {.files = &files}))
        .named("lines");
    return p;
}

/// The same by one pass over all events in order.
std::vector<std::string> model() {
    std::vector<std::string> all;
    std::int64_t largest = INT64_MIN;  // in ms, as all times below
    std::map<std::pair<int, std::int64_t>, std::pair<std::int64_t, std::int64_t>> counts;  // by key, end
    struct one { std::int64_t at; int value; };
    std::map<int, std::vector<one>> in_order;
    struct span { std::int64_t start, end, count; };
    std::map<int, std::deque<span>> sessions;
    const std::int64_t b = std::chrono::duration_cast<std::chrono::milliseconds>(bound).count();
    for (std::uint64_t i = 0; i < all_events; ++i) {
        const event e = make(i);
        const std::int64_t t = e.at.ns() / 1'000'000 - (e.at.ns() % 1'000'000 < 0);
        // The watermark, in ns, is largest - b - 1 ns: a window with this end is complete if end <= largest - b.
        const auto complete = [&](std::int64_t end) { return largest != INT64_MIN && end <= largest - b; };
        bool taken = false;
        const std::int64_t first = (t >= 0 ? t / 10 : -((-t + 9) / 10)) * 10 + 10;
        for (std::int64_t end = first; end < first + 40; end += 10)
            if (!complete(end)) {
                auto& [n, sum] = counts[{e.key, end}];
                ++n, sum += e.value;
                taken = true;
            }
        if (!taken) all.push_back(line("late", e.key, e.at, e.value, 0));
        // A session is complete a tick later, when the watermark reaches its end; judged after merging.
        auto& of_key = sessions[e.key];
        span s{t, t + 4, 1};
        std::vector<std::size_t> touched;
        for (std::size_t k = 0; k < of_key.size(); ++k)
            if (of_key[k].start <= t + 4 && t <= of_key[k].end) {
                touched.push_back(k);
                s = {std::min(s.start, of_key[k].start), std::max(s.end, of_key[k].end), s.count + of_key[k].count};
            }
        const bool session_complete = largest != INT64_MIN && s.end < largest - b;
        if (!session_complete) {
            for (std::size_t k = touched.size(); k-- != 0;)
                of_key.erase(of_key.begin() + static_cast<std::ptrdiff_t>(touched[k]));
            of_key.push_back(s);
        }
        if (!(largest != INT64_MIN && t < largest - b)) in_order[e.key].push_back({t, e.value});
        if (t > largest) {
            largest = t;
            for (auto& [key, list] : sessions)
                for (std::size_t k = 0; k < list.size();)
                    if (list[k].end < largest - b) {
                        all.push_back(line("session", key, timestamp(std::chrono::milliseconds(list[k].end)),
                                           (list[k].end - list[k].start) * 1'000'000, list[k].count));
                        list.erase(list.begin() + static_cast<std::ptrdiff_t>(k));
                    } else {
                        ++k;
                    }
        }
    }
    for (auto& [key, list] : sessions)
        for (const span& s : list)
            all.push_back(line("session", key, timestamp(std::chrono::milliseconds(s.end)),
                               (s.end - s.start) * 1'000'000, s.count));
    for (const auto& [of, c] : counts)
        all.push_back(line("count", of.first, timestamp(std::chrono::milliseconds(of.second)), c.first, c.second));
    for (auto& [key, list] : in_order) {
        std::stable_sort(list.begin(), list.end(), [](const one& x, const one& y) { return x.at < y.at; });
        std::int64_t sum = 0;
        for (std::size_t k = 0; k < list.size(); ++k) {
            sum += list[k].value;
            // The timer at `at` + 25 fires behind records of that time.
            if (k + 1 == list.size() || list[k + 1].at > list[k].at + 25)
                all.push_back(line("quiet", -1, timestamp(std::chrono::milliseconds(list[k].at + 25)), sum, 0));
        }
    }
    std::sort(all.begin(), all.end());
    return all;
}

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
        program(folder + "/out", files).start(options).wait();
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

std::uint64_t difference(const std::vector<std::string>& a, const std::vector<std::string>& b, const char* what) {
    std::vector<std::string> missing, unwanted;
    std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(missing));
    std::set_difference(b.begin(), b.end(), a.begin(), a.end(), std::back_inserter(unwanted));
    for (std::size_t i = 0; i < missing.size() && i < 5; ++i) std::printf("%s: missing %s\n", what, missing[i].c_str());
    for (std::size_t i = 0; i < unwanted.size() && i < 5; ++i)
        std::printf("%s: not wanted %s\n", what, unwanted[i].c_str());
    return missing.size() + unwanted.size();
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
    const std::vector<std::string> expected = model();
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
        for (bool again = false;;) {
            s.in_files.store(0);
            // Half of the lives end at a random moment, half at a random step of a checkpoint.
            const bool at_step = random.chance(50);
            s.calls_left.store(at_step ? 1 + static_cast<int>(random.below(again ? 60 : 250)) : 0);
            s.after = random.chance(50);
            const pid_t child = start(folder.path(), 1 + random.below(4), true, s);
            const auto wait = again ? std::chrono::microseconds(random.below(2'000))
                                    : std::chrono::microseconds(random.below(12'000));
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
