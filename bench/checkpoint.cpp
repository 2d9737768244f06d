// What checkpoints cost: the longest pause of the data path per checkpoint (99 in 100 are shorter), how much slower a
// job gets with one checkpoint a second, and how long a job takes from its start on a checkpoint to its first output;
// with 10 k, 1 M and 10 M keys of 8 bytes and 16-byte sums in one long window. One subtask, default options, the
// folder for temporary files. The same for a process function that keeps a value and a timer for each key, and for as
// many events that are held back to be taken in order of time.
//
// A pause is seen by the source: the longest time between two of its polls in the second around a checkpoint.
//
// Dead ends: encoding the tables at the barrier (440 ms at 1 M keys, 2.5 s at 10 M, busy machine); copying them whole.
//
// bench_checkpoint [NAME...]: only those, such as 1M.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/checkpoint.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/sum.hpp"

namespace {

using namespace bench;

runnel::pipeline program(stop_watch& w, std::atomic<bool>* first_output = nullptr) {
    runnel::pipeline p("checkpoint");
    auto all = events_of(p, w);
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

struct pass_on {
    using output_type = std::int64_t;
    void on_record(const event& e, runnel::process_context<std::int64_t>& c) { c.emit(e.value); }
};

/// Holds as many events as there are keys.
runnel::pipeline holding_program(stop_watch& w) {
    runnel::pipeline p("checkpoint");
    events_of(p, w, runnel::bounded_out_of_orderness(runnel::duration(static_cast<std::int64_t>(w.keys))))
        .key_by(&event::key)
        .in_event_time_order()
        .process(pass_on{})
        .named("in order")
        .to(runnel::null_sink());
    return p;
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
        const std::string name = s.name;
        const auto print_pause = [&](const std::string& of, double ms) {
            bench::print_ratio("checkpoint_pause_" + of, s.pause_floor_ms / ms, 1, s.pause_floor_ms / s.pause_goal_ms,
                               std::to_string(ms) + " ms");
        };
        const auto windows = [](stop_watch& w) { return program(w); };
        print_pause(name, pause_ms(windows, in_memory, s.keys, s.checkpoints));
        print_pause("process_" + name, pause_ms(process_program, in_memory, s.keys, s.checkpoints));
        print_pause("held_" + name, pause_ms(holding_program, in_memory, s.keys, s.checkpoints));
        if (s.keys <= 1'000'000) {
            const char* const note = "with one a second, of without";
            bench::print_ratio("checkpoint_throughput_" + name, throughput(windows, in_memory, s.keys, 60'000'000),
                               0.8, 0.95, note);
            bench::print_ratio("checkpoint_throughput_process_" + name,
                               throughput(process_program, in_memory, s.keys, 60'000'000), 0.8, 0.95, note);
        }
        if (s.recovery_floor_s != 0) {
            const double recovery = recovery_seconds(s.keys);
            bench::print_ratio("recovery_" + name, s.recovery_floor_s / recovery, 1,
                               s.recovery_floor_s / s.recovery_goal_s, std::to_string(recovery) + " s");
        }
    }
}
