// What checkpoints cost: the longest pause of the data path per checkpoint (99 in 100 are shorter), how much slower a
// job gets with one checkpoint a second, and how long a job takes from its start on a checkpoint to its first output;
// with 10 k, 1 M and 10 M keys of 8 bytes and 16-byte sums in one long window. One subtask, default options, the
// folder for temporary files.
//
// A pause is seen by the source: the longest time between two of its polls in the second around a checkpoint.
//
// Dead ends: encoding the tables at the barrier (440 ms at 1 M keys, 2.5 s at 10 M, busy machine); copying them whole.
//
// bench_checkpoint [NAME...]: only those, such as 1M.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bench/folder.hpp"
#include "bench/support.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/source.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/sum.hpp"

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct event {
    std::uint64_t key;
    std::int64_t value;
};

/// What the source and the benchmark tell each other.
struct stop_watch {
    std::uint64_t keys;
    std::uint64_t count = std::numeric_limits<std::uint64_t>::max();  ///< Events in all.
    // Pair with nothing: figures, read by whoever is curious.
    std::atomic<std::int64_t> longest_ns{0};
    std::atomic<std::uint64_t> made{0};
    std::atomic<bool> stop{false};
};

/// Each key in turn at first, then in no order; event time moves a nanosecond an event.
class keys_source final : public runnel::source<event> {
public:
    explicit keys_source(stop_watch& w) : watch_(w) {}
    std::string name() const override { return "keys"; }
    std::vector<std::string> splits() override { return {"0"}; }
    std::unique_ptr<runnel::split_reader<event>> open(const std::string&, const std::string* position,
                                                      const runnel::reader_context&) override {
        return std::make_unique<reader>(watch_, position ? std::stoull(*position) : 0);
    }

private:
    class reader final : public runnel::split_reader<event> {
    public:
        reader(stop_watch& w, std::uint64_t next) : watch_(w), next_(next) {}
        runnel::poll_result poll(runnel::batch<event>& into, std::size_t limit) override {
            const auto now = steady::now();
            const std::int64_t gap = last_ ? (now - *last_).count() : 0;
            last_ = now;
            if (gap > watch_.longest_ns.load(std::memory_order_relaxed))
                watch_.longest_ns.store(gap, std::memory_order_relaxed);
            const std::size_t n = std::min<std::uint64_t>(limit, watch_.count - next_);
            into.append_made(
                n,
                [&](std::size_t k) {
                    const std::uint64_t i = next_ + k;
                    return event{i < watch_.keys ? i : bench::splitmix64(i) % watch_.keys, 1};
                },
                runnel::timestamp());
            next_ += n;
            watch_.made.store(next_, std::memory_order_relaxed);
            const bool over = next_ == watch_.count || watch_.stop.load(std::memory_order_relaxed);
            return over ? runnel::poll_result::finished() : runnel::poll_result::more();
        }
        std::string position() const override { return std::to_string(next_); }

    private:
        stop_watch& watch_;
        std::uint64_t next_;
        std::optional<steady::time_point> last_;
    };
    stop_watch& watch_;
};

runnel::pipeline program(stop_watch& w, std::atomic<bool>* first_output = nullptr) {
    runnel::pipeline p("checkpoint");
    auto all = p.from(std::make_shared<keys_source>(w)).named("keys").event_time(
        [t = std::int64_t{0}](const event&) mutable { return runnel::timestamp(++t); }, runnel::monotonous());
    all.key_by(&event::key)
        .window(runnel::tumbling(1h).drop_late())
        .aggregate(runnel::combine(runnel::count(), runnel::sum(&event::value)))
        .named("sums")
        .to(runnel::null_sink());
    // Told by a second branch, behind the first.
    if (first_output)
        all.to(runnel::for_each(
            [first_output](const event&) { first_output->store(true, std::memory_order_release); }));
    return p;
}

runnel::job_options with_checkpoints(const bench::folder& f, runnel::duration interval) {
    runnel::job_options options;
    options.checkpoints = {.folder = f.path + "/checkpoints", .interval = interval, .keep = 1};
    return options;
}

/// The longest pause around each of `n` checkpoints.
double pause_ms(std::uint64_t keys, int n) {
    bench::folder f;
    stop_watch w{keys};
    auto job = program(w).start(with_checkpoints(f, {}));
    while (w.made.load() < 2 * keys) std::this_thread::sleep_for(1ms);
    job.checkpoint();
    std::vector<double> pauses;
    for (int i = 0; i < n; ++i) {
        std::this_thread::sleep_for(50ms);
        w.longest_ns.store(0);
        job.checkpoint();
        pauses.push_back(static_cast<double>(w.longest_ns.load()) / 1e6);
    }
    w.stop.store(true);
    job.cancel();
    std::sort(pauses.begin(), pauses.end());
    return pauses[(pauses.size() * 99 + 99) / 100 - 1];
}

double throughput(std::uint64_t keys) {
    std::vector<double> without, with;
    const std::uint64_t events = keys * 2 + 60'000'000;
    for (int round = 0; round < 3; ++round) {
        stop_watch w{keys, events};
        without.push_back(bench::seconds_of([&] { program(w).start().wait(); }));
        bench::folder f;
        stop_watch w2{keys, events};
        with.push_back(bench::seconds_of([&] { program(w2).start(with_checkpoints(f, 1s)).wait(); }));
    }
    return bench::median(without) / bench::median(with);
}

double recovery_seconds(std::uint64_t keys) {
    bench::folder f;
    {
        stop_watch w{keys};
        auto job = program(w).start(with_checkpoints(f, {}));
        while (w.made.load() < 2 * keys) std::this_thread::sleep_for(1ms);
        job.checkpoint();
        job.cancel();
    }
    std::vector<double> took;
    for (int i = 0; i < 3; ++i) {
        stop_watch w{keys};
        std::atomic<bool> first_output{false};
        const auto begin = steady::now();
        auto job = program(w, &first_output).start(with_checkpoints(f, {}));
        // Pairs with the release of whoever had the first output.
        while (!first_output.load(std::memory_order_acquire)) std::this_thread::sleep_for(100us);
        took.push_back(std::chrono::duration<double>(steady::now() - begin).count());
        job.cancel();
    }
    return bench::median(took);
}

}  // namespace

int main(int argc, char** argv) {
    struct {
        const char* name;
        std::uint64_t keys;
        double pause_floor_ms, pause_goal_ms;
        double recovery_floor_s, recovery_goal_s;
        int checkpoints;
    } const sizes[] = {{"10k", 10'000, 2, 0.5, 0, 0, 100},
                       {"1M", 1'000'000, 20, 3, 1, 0.25, 30},
                       {"10M", 10'000'000, 100, 10, 10, 2.5, 8}};
    for (const auto& s : sizes) {
        if (argc > 1 && std::none_of(argv + 1, argv + argc, [&](const char* a) { return a == std::string(s.name); }))
            continue;
        const double pause = pause_ms(s.keys, s.checkpoints);
        bench::print_ratio(std::string("checkpoint_pause_") + s.name, s.pause_floor_ms / pause, 1,
                           s.pause_floor_ms / s.pause_goal_ms, std::to_string(pause) + " ms");
        if (s.keys <= 1'000'000)
            bench::print_ratio(std::string("checkpoint_throughput_") + s.name, throughput(s.keys), 0.8, 0.95,
                               "with one a second, of without");
        if (s.recovery_floor_s != 0) {
            const double recovery = recovery_seconds(s.keys);
            bench::print_ratio(std::string("recovery_") + s.name, s.recovery_floor_s / recovery, 1,
                               s.recovery_floor_s / s.recovery_goal_s, std::to_string(recovery) + " s");
        }
    }
}
