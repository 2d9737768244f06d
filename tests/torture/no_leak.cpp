// R12: a job that runs on and on, with keys that come and go, takes no more and no more memory, descriptors, threads and
// room on the disk; nor does a log that is appended to, read, and kept to a size.
//
// no_leak [RECORDS [CHECKPOINTS]]: a record every ten microseconds of event time, and so many checkpoints meanwhile. The
// first quarter of the run is not looked at; the most of anything in the second half is compared with that in the second
// quarter.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/log/log_folder.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/sum.hpp"
#include "tests/core/temporary_folder.hpp"

namespace {

using namespace runnel;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

fs::path quick_folder() {
    const fs::path memory = "/dev/shm";
    return fs::is_directory(memory) ? memory : fs::temp_directory_path();
}

std::uint64_t entries(const char* folder) {
    return static_cast<std::uint64_t>(std::distance(fs::directory_iterator(folder), {}));
}

/// What must not grow.
struct usage {
    std::uint64_t memory = 0, descriptors = 0, threads = 0, files = 0, disk = 0;

    static usage now(const std::string& folder) {
        usage u;
        std::uint64_t all = 0, resident = 0;
        std::ifstream("/proc/self/statm") >> all >> resident;
        u.memory = resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
        u.descriptors = entries("/proc/self/fd");
        u.threads = entries("/proc/self/task");
        std::error_code gone;
        for (const auto& entry : fs::recursive_directory_iterator(folder)) {
            ++u.files;
            if (const auto size = entry.file_size(gone); !gone) u.disk += size;
        }
        return u;
    }
    void raise(const usage& u) {
        memory = std::max(memory, u.memory);
        descriptors = std::max(descriptors, u.descriptors);
        threads = std::max(threads, u.threads);
        files = std::max(files, u.files);
        disk = std::max(disk, u.disk);
    }
};

/// Compares the second half of a run with its second quarter.
class watch {
public:
    watch(std::string what, std::string folder, std::uint64_t samples)
        : what_(std::move(what)), folder_(std::move(folder)), samples_(samples) {}
    void sample(std::uint64_t i) {
        if (4 * i < samples_) return;
        (2 * i < samples_ ? early_ : late_).raise(usage::now(folder_));
    }
    /// How many things have grown.
    std::uint64_t verdict(std::uint64_t records) const {
        std::uint64_t grown = 0;
        const auto compare = [&](const char* name, std::uint64_t usage::*of, std::uint64_t tolerated) {
            const bool is_flat = late_.*of <= early_.*of + tolerated;
            std::printf("%s: %s %llu, later %llu%s\n", what_.c_str(), name, static_cast<unsigned long long>(early_.*of),
                        static_cast<unsigned long long>(late_.*of), is_flat ? "" : ": GROWS");
            grown += !is_flat;
        };
        // The system counts resident pages no more exactly than this.
        compare("resident bytes", &usage::memory, (1 << 20) + (records >> 10));
        compare("descriptors", &usage::descriptors, 0);
        compare("threads", &usage::threads, 0);
        // One checkpoint more or less may be there, or be half written.
        compare("files", &usage::files, 3);
        compare("bytes on disk", &usage::disk, early_.disk / 4);
        return grown;
    }

private:
    const std::string what_, folder_;
    const std::uint64_t samples_;
    usage early_, late_;
};

struct event {
    std::uint64_t n = 0, key = 0;
};

/// Each key is seen for a while, and never again.
event made(std::uint64_t i) {
    const std::uint64_t h = (i + 1) * 0x9e3779b97f4a7c15u;
    return {i, i / 64 + (h >> 40) % 500};
}

/// How far a source has come, and how far it may go.
struct pace {
    std::atomic<std::uint64_t> read{0}, allowed{0};
    void wait_until(std::uint64_t n) const {
        for (std::uint64_t now = read; now < n; now = read) read.wait(now);
    }
};

/// Another source, which reads no further than it may.
class paced_source final : public source<event> {
public:
    paced_source(std::shared_ptr<source<event>> inner, std::shared_ptr<pace> by)
        : inner_(std::move(inner)), by_(std::move(by)) {}
    std::string name() const override { return "paced"; }
    std::vector<std::string> splits() override { return inner_->splits(); }
    std::unique_ptr<split_reader<event>> open(const std::string& id, const std::string* position,
                                              const reader_context& context) override {
        return std::make_unique<reader>(inner_->open(id, position, context), *by_, *context.clock);
    }

private:
    class reader final : public split_reader<event> {
    public:
        reader(std::unique_ptr<split_reader<event>> inner, pace& by, const runnel::clock& clock)
            : inner_(std::move(inner)), by_(by), clock_(clock) {}
        poll_result poll(batch<event>& into, std::size_t limit) override {
            const std::uint64_t read = by_.read, allowed = by_.allowed;
            if (read >= allowed) return poll_result::until(clock_.now() + 100us);
            const std::size_t before = into.size();
            const poll_result result = inner_->poll(into, std::min<std::uint64_t>(limit, allowed - read));
            by_.read += into.size() - before;
            by_.read.notify_one();
            return result;
        }
        std::string position() const override { return inner_->position(); }

    private:
        std::unique_ptr<split_reader<event>> inner_;
        pace& by_;
        const runnel::clock& clock_;
    };

    std::shared_ptr<source<event>> inner_;
    std::shared_ptr<pace> by_;
};

/// One record in a thousand comes too late for everything.
timestamp time_of(const event& e) {
    const auto t = timestamp(static_cast<std::int64_t>(e.n) * 10us);
    return e.n % 1000 == 999 ? t - 1h : t;
}

struct visit {
    std::string who;
    std::uint64_t n = 0;
};

/// Remembers visitors for a while, by lists, values that expire, and timers.
struct visits {
    using output_type = std::uint64_t;
    value_state<std::string> name;
    list_state<std::uint64_t> times;
    event_timer leave;
    void open(state_setup& s) {
        name = s.value<std::string>("name", {.ttl = 50ms});
        times = s.list<std::uint64_t>("times");
        leave = s.event_timer("leave");
    }
    void on_record(const visit& v, process_context<std::uint64_t>& c) {
        name.set(v.who + " was here");
        times.add(v.n);
        leave.set(c.time() + 20ms);
    }
    void on_timer(const timer_event&, process_context<std::uint64_t>& c) {
        c.emit(1);
        times.clear();
    }
};

std::uint64_t run_job(std::uint64_t records, std::uint64_t checkpoints) {
    const test::temporary_folder folder(quick_folder());
    auto by = std::make_shared<pace>();
    std::atomic<std::uint64_t> counted{0}, left{0};
    pipeline p("on and on");
    auto all = p.from(paced_source(detail::shared_source(generate(records, made)), by))
                   .named("events")
                   .event_time(time_of, bounded_out_of_orderness(1ms));
    auto keyed = all.key_by(&event::key);
    keyed.window(tumbling(100ms).drop_late())
        .aggregate(count())
        .named("counts")
        .to(for_each([&](const windowed<std::uint64_t, std::uint64_t>& w) { counted += w.value; }))
        .named("total");
    auto few = all.filter([](const event& e) { return e.n % 16 == 0; });
    few.key_by(&event::key)
        .window(session(5ms).drop_late())
        .aggregate(sum(&event::n))
        .named("sessions")
        .to(for_each([](const auto&) {}))
        .named("nothing");
    few.map([](const event& e) { return visit{"visitor number " + std::to_string(e.key), e.n}; })
        .key_by(&visit::who)
        .process(visits())
        .named("visits")
        .to(for_each([&](std::uint64_t n) { left += n; }))
        .named("visitors");
    job running = std::move(p).start(
        {.parallelism = 2, .checkpoints = {.folder = folder / "checkpoints", .interval = {}, .tolerated_failures = 0}});
    watch w("job", folder.path(), checkpoints);
    // Evenly over the run. The source reads on meanwhile, but not so far that the job could end before the last one.
    const std::uint64_t apart = records / (checkpoints + 1);
    for (std::uint64_t i = 0; i != checkpoints; ++i) {
        by->allowed = i + 1 == checkpoints ? records - 1 : (i + 2) * apart;
        by->wait_until((i + 1) * apart);
        running.checkpoint();
        w.sample(i);
    }
    by->allowed = records;
    running.wait();
    const job_status status = running.status();
    std::uint64_t differences = w.verdict(records);
    std::uint64_t late = 0;
    for (const operator_status& o : status.operators)
        if (o.name == "counts") late = o.late_dropped;
    std::printf("%llu records counted, %llu late; %llu visitors have left; %llu checkpoints\n",
                static_cast<unsigned long long>(counted), static_cast<unsigned long long>(late),
                static_cast<unsigned long long>(left), static_cast<unsigned long long>(status.checkpoints.completed));
    if (counted + late != records || late != records / 1000) std::printf("records are missing\n"), ++differences;
    if (left == 0 || status.checkpoints.completed < checkpoints) ++differences;
    return differences;
}

std::uint64_t run_log(std::uint64_t records) {
    const test::temporary_folder folder(quick_folder());
    const log_topic topic = log_folder(folder / "log").topic("t", {});
    log_writer out = topic.writer(0, {.sync = log_sync::never, .segment_bytes = 256 << 10, .retain_bytes = 1 << 20});
    log_reader in = topic.reader(0);
    log_group group = topic.group("g");
    constexpr std::uint64_t samples = 200;
    watch w("log", folder.path(), samples);
    std::uint64_t read = 0, n = 0;
    for (std::uint64_t i = 0; i != samples; ++i) {
        for (; n != (i + 1) * records / samples; ++n) {
            const std::string key = std::to_string(n), value = "value of " + key;
            out.append({.time = timestamp(static_cast<std::int64_t>(n)), .key = key, .value = value});
            // What is not read in time is removed.
            if (n % 1000 == 0)
                for (out.flush(); in.next();) ++read;
        }
        for (out.flush(); in.next();) ++read;
        group.commit(0, in.position());
        w.sample(i);
    }
    std::uint64_t differences = w.verdict(records);
    if (read != records) std::printf("log: read %llu\n", static_cast<unsigned long long>(read)), ++differences;
    return differences;
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t records = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 4'000'000;
    const std::uint64_t checkpoints = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 200;
    const auto began = std::chrono::steady_clock::now();
    std::uint64_t differences = 0;
    try {
        differences += run_log(records / 20);
        differences += run_job(records, checkpoints);
    } catch (const std::exception& e) {
        std::printf("%s\n", e.what());
        ++differences;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("torture R12 %llu of %llu differences %llu seed 0 seconds %.1f\n",
                static_cast<unsigned long long>(records), static_cast<unsigned long long>(records),
                static_cast<unsigned long long>(differences), took.count());
    return differences == 0 ? 0 : 1;
}
