// What runnel takes while nothing or little happens: bytes per key, an idle graph, start and stop of a small job, and
// that the memory of channels stays within the budget when the sink is slow.
//
// Memory per key is worst right after a table has doubled, with 7 of 16 slots in use. While it doubles, the old and the
// new table exist side by side for the time of one insertion; that is not in the figure.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "bench/machine.hpp"
#include "bench/support.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/state/table.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"

namespace {

using namespace std::chrono_literals;

void print_bytes(const std::string& name, double bytes, const std::string& what) {
    bench::print_ratio(name, 96 / bytes, 1, 2,
                       bench::text("%.1f bytes per key, ", bytes) + what + "; floor 96, goal 48");
}

// --- keys ----------------------------------------------------------------------------------------------------------

struct sixteen {
    std::uint64_t a = 0, b = 0;
};

/// A table with `keys` keys by its own account, and by the system's.
void table_memory(const std::string& name, std::size_t keys) {
    const std::size_t before = bench::resident_bytes();
    runnel::table<std::uint64_t, sixteen> table;
    for (std::uint64_t k = 0; k < keys; ++k) table.get_or_create(k, table.hash(k)).a = k;
    const double n = static_cast<double>(keys);
    print_bytes(name, static_cast<double>(table.memory_bytes()) / n,
                bench::text("%.1f resident", static_cast<double>(bench::resident_bytes() - before) / n));
}

/// Keys right after the table has doubled the last time before `keys`.
std::size_t after_doubling(std::size_t keys) {
    runnel::table<std::uint64_t, sixteen> table;
    std::size_t doubled = 0;
    for (std::uint64_t k = 0; k < keys; ++k) {
        const std::size_t slots = table.slots();
        table.get_or_create(k, table.hash(k));
        if (table.slots() != slots) doubled = k + 1;
    }
    return doubled;
}

struct event {
    std::uint64_t key;
    std::int64_t value;
};

/// The whole process while a job holds an open window of a million keys, 16 bytes of accumulator each.
void job_memory() {
    constexpr std::uint64_t keys = 1'000'000;
    const std::size_t before = bench::resident_bytes();
    std::size_t after = 0;
    std::uint64_t sum = 0;
    runnel::pipeline p{"keys"};
    p.from(runnel::generate(keys + 10'000,
                            [&](std::uint64_t i) {
                                if (i == keys + 5'000) after = bench::resident_bytes();
                                return event{i % keys, 1};
                            }))
        .event_time([](const event&) { return runnel::timestamp(0); }, runnel::monotonous())
        .key_by(&event::key)
        .window(runnel::tumbling(1h).drop_late())
        .aggregate(runnel::combine(runnel::count(), runnel::count()))
        .to(runnel::for_each([&](const auto& r) { sum += std::get<0>(r.value); }));
    std::move(p).start().wait();
    if (sum != keys + 10'000) bench::fail("records are missing");
    print_bytes("job_memory_per_key", static_cast<double>(after - before) / keys, "resident, the whole job");
}

// --- an idle graph -------------------------------------------------------------------------------------------------

/// One record, then silence.
class quiet final : public runnel::source<std::uint64_t> {
public:
    std::string name() const override { return "quiet"; }
    std::vector<std::string> splits() override { return {"0", "1"}; }
    std::unique_ptr<runnel::split_reader<std::uint64_t>> open(const std::string&, const std::string*,
                                                              const runnel::reader_context&) override {
        return std::make_unique<reader>();
    }

private:
    class reader final : public runnel::split_reader<std::uint64_t> {
    public:
        runnel::poll_result poll(runnel::batch<std::uint64_t>& into, std::size_t) override {
            if (!said_) into.append_raw(1, {});
            said_ = true;
            return runnel::poll_result::wait();
        }
        std::string position() const override { return {}; }

    private:
        bool said_ = false;
    };
};

/// Source, 18 operators with an exchange before each, sink: two subtasks each, on two threads.
void idle_graph() {
    runnel::pipeline p{"idle"};
    runnel::stream<std::uint64_t> s = p.from(quiet());
    for (int i = 0; i < 18; ++i)
        s = s.key_by([](std::uint64_t x) { return x; }).reduce([](std::uint64_t a, std::uint64_t b) { return a + b; });
    s.to(runnel::for_each([](std::uint64_t) {}));
    runnel::job job = std::move(p).start({.parallelism = 2});
    std::this_thread::sleep_for(500ms);  // Until what there is has gone through.
    const double begin = bench::cpu_seconds();
    const double seconds = bench::seconds_of([] { std::this_thread::sleep_for(3s); });
    const double share = (bench::cpu_seconds() - begin) / seconds;
    job.cancel();
    job.wait();
    bench::print_ratio("idle_graph_of_20", 0.02 / std::max(share, 1e-6), 1, 6.7,
                       bench::text("%.4f %% of a core; floor 2 %%, goal 0.3 %%", share * 100));
}

// --- start and stop ------------------------------------------------------------------------------------------------

/// No floor is set for this elsewhere: a job starts one thread, and may cost as much as 20 of them.
void start_and_stop() {
    std::vector<double> ours, twin;
    std::uint64_t sum = 0;
    for (int i = 0; i < 500; ++i) {
        ours.push_back(bench::seconds_of([&] {
            runnel::pipeline p{"small"};
            p.from(runnel::collection({1, 2, 3})).map([](int x) { return x + 1; }).to(runnel::for_each([&](int x) {
                sum += static_cast<std::uint64_t>(x);
            }));
            std::move(p).start().wait();
        }));
        twin.push_back(bench::seconds_of([&] {
            std::thread([&] {
                for (int x : {1, 2, 3}) sum += static_cast<std::uint64_t>(x + 1);
            }).join();
        }));
    }
    if (sum != 500 * 18) bench::fail("records are missing");
    const double job = bench::median(ours), thread = bench::median(twin);
    bench::print_ratio("start_and_stop", thread / job, 0.05, 0.2,
                       bench::text("a job from start to end %.0f us, a thread %.0f us", job * 1e6, thread * 1e6));
}

// --- memory under backpressure -------------------------------------------------------------------------------------

/// Records of 1 KB that a sink takes at a crawl, with an exchange in between.
void memory_bound() {
    struct big {
        std::uint64_t number;
        std::array<char, 1016> rest;
    };
    constexpr std::size_t budget = 16 << 20;
    constexpr std::uint64_t slow_records = 400;
    const std::size_t before = bench::resident_bytes();
    std::size_t peak = 0;
    std::uint64_t seen = 0;
    runnel::pipeline p{"slow"};
    const auto make = [](std::uint64_t i) { return big{i, {}}; };
    p.from(runnel::generate(runnel::unbounded, make))
        .merge(p.from(runnel::generate(runnel::unbounded, make)))
        .to(runnel::for_each([&](const big&) {
            // A crawl, until the channels have long been full.
            if (++seen > slow_records) return;
            std::this_thread::sleep_for(2ms);
            peak = std::max(peak, bench::resident_bytes());
        }));
    runnel::job job = std::move(p).start({.memory_budget = budget});
    std::this_thread::sleep_for(2s);
    const runnel::job_status status = job.status();
    job.cancel();
    job.wait();
    if (status.memory_reserved > budget) bench::fail("more memory is reserved than the budget allows");
    constexpr double mb = 1 << 20;
    const double grown = static_cast<double>(peak - before) / mb;
    bench::print_ratio("memory_bound", budget / mb / grown, 1, 1,
                       bench::text("budget %.1f MB, reserved %.1f, process grew by %.1f; ", budget / mb,
                                   static_cast<double>(status.memory_reserved) / mb, grown) +
                           std::to_string(seen) + " records taken");
}

}  // namespace

int main() {
    // First what looks at the process as a whole, while it is small.
    memory_bound();
    job_memory();
    table_memory("memory_per_key_1M", 1'000'000);
    table_memory("memory_per_key_worst", after_doubling(4'000'000));
    idle_graph();
    start_and_stop();
}
