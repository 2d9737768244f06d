// R11: memory stays within the budget however slow a sink is, however long a branch is stuck, however many results a
// record has, and however unlike keys and inputs are; nothing is lost, and checkpoints are completed meanwhile.
//
// bounded_memory [RECORDS [SEED]]: so many records into each of the graphs; those that reach the sinks are counted. Slowness goes by virtual time, so that all
// channels are full all the time; but for the last graph, which has real threads.
#include <algorithm>
#include <array>
#include <atomic>
#include <boost/describe.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <malloc.h>

#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/sink.hpp"
#include "runnel/source/alignment.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/count.hpp"
#include "tests/core/temporary_folder.hpp"

namespace {

std::atomic<std::size_t> live{0}, peak{0};

void* note(void* p) {
    if (!p) throw std::bad_alloc();
    const std::size_t now = live.fetch_add(::malloc_usable_size(p), std::memory_order_relaxed) + ::malloc_usable_size(p);
    std::size_t most = peak.load(std::memory_order_relaxed);
    while (now > most && !peak.compare_exchange_weak(most, now, std::memory_order_relaxed)) {}
    return p;
}
void forget(void* p) {
    if (p) live.fetch_sub(::malloc_usable_size(p), std::memory_order_relaxed);
    std::free(p);
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t n) { return note(std::malloc(n == 0 ? 1 : n)); }
[[gnu::noinline]] void* operator new(std::size_t n, std::align_val_t a) {
    return note(std::aligned_alloc(static_cast<std::size_t>(a), (n + static_cast<std::size_t>(a) - 1) &
                                                                    ~(static_cast<std::size_t>(a) - 1)));
}
// Sanitizers have one of their own, which does not call the first.
[[gnu::noinline]] void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
    void* const p = std::malloc(n == 0 ? 1 : n);
    return p ? note(p) : nullptr;
}
[[gnu::noinline]] void operator delete(void* p) noexcept { forget(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { forget(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { forget(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { forget(p); }

namespace {

using namespace runnel;
using namespace std::chrono_literals;

constexpr std::size_t budget = 2 << 20;
/// What a run of the simulated executor, of up to a batch, takes: so a record of a source takes two nanoseconds.
constexpr duration run_takes = 1us;
constexpr duration slow = 2us;

struct event {
    std::uint64_t key = 0, n = 0;
    std::array<std::uint64_t, 6> more = {};
};
BOOST_DESCRIBE_STRUCT(event, (), (key, n, more))

event made(std::uint64_t i) { return {i, 1, {}}; }
timestamp time_of(const event& e) { return timestamp(std::chrono::microseconds(e.key)); }

/// What a sink has got: to be compared with what was sent.
struct total {
    std::atomic<std::uint64_t> records{0}, sum{0};
};

/// Takes a batch, and then nothing until it has had its time for each record; and is stuck for an hour now and then.
class slow_sink final : public sink<event> {
public:
    slow_sink(total& to, duration per_record, std::uint64_t stuck_every = 0)
        : to_(to), per_record_(per_record), stuck_every_(stuck_every) {}
    std::string name() const override { return "slow"; }
    std::unique_ptr<sink_writer<event>> open(const sink_context& context) override {
        return std::make_unique<writer>(*this, context);
    }

private:
    class writer final : public sink_writer<event> {
    public:
        writer(const slow_sink& of, const sink_context& context) : of_(of), context_(context) {}
        ~writer() override {
            if (call_ != 0) context_.clock->cancel(call_);
        }
        progress write(batch<event>& records) override {
            const timestamp now = context_.clock->now();
            if (now < free_) {
                if (call_ == 0) call_ = context_.clock->call_at(free_, context_.wake);
                return progress::blocked;
            }
            call_ = 0;
            free_ = now + static_cast<std::int64_t>(records.remaining()) * of_.per_record_;
            const std::uint64_t before = of_.to_.records;
            std::uint64_t sum = 0;
            for (std::size_t i = records.cursor(); i < records.size(); ++i) sum += std::as_const(records).value(i).n;
            of_.to_.records += records.remaining();
            of_.to_.sum += sum;
            if (of_.stuck_every_ != 0 && before / of_.stuck_every_ != of_.to_.records / of_.stuck_every_)
                free_ = now + 1h;
            records.consume_until(records.size());
            return progress::done;
        }

    private:
        const slow_sink& of_;
        const sink_context context_;
        timestamp free_ = timestamp::min();
        std::uint64_t call_ = 0;
    };

    total& to_;
    const duration per_record_;
    const std::uint64_t stuck_every_;
};

/// Emits a thousand results for each record.
struct thousandfold {
    using output_type = event;
    void on_record(const event& e, process_context<event>& c) {
        for (std::uint64_t i = 0; i != 1000; ++i) c.emit({e.key, 1, {}});
    }
};

/// Passes records on, in order of time.
struct pass_on {
    using output_type = event;
    void on_record(const event& e, process_context<event>& c) { c.emit(e); }
};

/// A graph, and what its sinks are to get.
struct shape {
    std::string name;
    std::function<void(pipeline&, total&)> build;
    std::uint64_t records, sum;
    std::size_t state = 0;  ///< Bytes that its operators may keep besides.
    std::size_t batch_size = 512;
    bool virtual_time = true;
};

std::vector<shape> shapes(std::uint64_t n) {
    const auto source = [](pipeline& p, std::uint64_t count) {
        return p.from(generate(count, made, {.splits = 4})).named("source").event_time(time_of, monotonous());
    };
    // Enough that not all are under way at once.
    const std::uint64_t thousands = std::max<std::uint64_t>(n / 1000, 2000);
    // What one record brings, in each subtask, in memory that has doubled as it came.
    constexpr std::size_t many = 4 * 2048 * (sizeof(event) + sizeof(timestamp));
    return {
        {"a slow sink",
         [=](pipeline& p, total& t) {
             source(p, n).map([](event e) { return e; }).key_by([](const event& e) { return e.key % 100; })
                 .process(pass_on()).named("pass on").to(slow_sink(t, slow)).named("sink");
         }, n, n},
        {"a branch that is stuck",
         [=](pipeline& p, total& t) {
             auto all = source(p, n).rebalance();
             all.filter([](const event& e) { return e.key % 2 == 0; }).to(slow_sink(t, 0us)).named("quick");
             all.to(slow_sink(t, 1ns, n / 4)).named("stuck");
         }, n + (n + 1) / 2, n + (n + 1) / 2},
        {"a thousand results for each record, without state",
         [=](pipeline& p, total& t) {
             source(p, thousands).flat_map([](const event& e) { return std::vector<event>(1000, e); })
                 .to(slow_sink(t, slow)).named("sink");
         }, 1000 * thousands, 1000 * thousands, many, 16},
        {"a thousand results for each record, of a process function",
         [=](pipeline& p, total& t) {
             source(p, thousands).key_by([](const event& e) { return e.key % 100; })
                 .process(thousandfold()).named("many").to(slow_sink(t, slow)).named("sink");
         }, 1000 * thousands, 1000 * thousands, many, 4},
        {"windows that close for ten thousand keys at once",
         [=](pipeline& p, total& t) {
             source(p, n).key_by([](const event& e) { return e.key % 10'000; })
                 .window(tumbling(50ms).drop_late())
                 .aggregate(count()).named("counts")
                 .map([](const windowed<std::uint64_t, std::uint64_t>& w) { return event{w.key, w.value, {}}; })
                 .to(slow_sink(t, slow)).named("sink");
         }, (n + 49'999) / 50'000 * 10'000, n, 4 << 20},
        {"99 of 100 records with one key",
         [=](pipeline& p, total& t) {
             source(p, n).key_by([](const event& e) { return e.key % 100 == 0 ? e.key % 1000 : 1; })
                 .reduce([](const event& a, const event& b) { return event{b.key, a.n + b.n, {}}; }).named("sums")
                 .map([](const event& e) { return event{e.key, 1, {}}; })
                 .to(slow_sink(t, slow)).named("sink");
         }, n, n},
        {"an input far behind the other",
         [=](pipeline& p, total& t) {
             alignment_group together;
             // A hundredth of the records, as far apart, and no faster than their times go by.
             auto behind = p.from(generate(n / 100, [](std::uint64_t i) { return made(100 * i); }, {.rate = 1e4}))
                               .named("slow source").event_time(time_of, monotonous().align(together, 20ms));
             p.from(generate(n, made, {.splits = 4})).named("source")
                 .event_time(time_of, monotonous().align(together, 20ms))
                 .merge(behind).key_by([](const event& e) { return e.key % 100; })
                 .in_event_time_order().process(pass_on()).named("in order").to(slow_sink(t, 1ns)).named("sink");
         }, n + n / 100, n + n / 100, 8 << 20},
        {"a slow sink, on real threads",
         [=](pipeline& p, total& t) {
             source(p, n / 4).key_by([](const event& e) { return e.key % 100; })
                 .process(pass_on()).named("pass on").to(slow_sink(t, 5us)).named("sink");
         }, n / 4, n / 4, 0, 512, false},
    };
}

std::filesystem::path quick_folder() {
    const std::filesystem::path memory = "/dev/shm";
    return std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
}

std::uint64_t run(const shape& s, std::uint64_t seed, std::uint64_t& got) {
    const test::temporary_folder folder(quick_folder());
    testing::sim_executor sim(seed, {.run_takes = run_takes});
    job_options options{.parallelism = 4, .batch_size = s.batch_size, .memory_budget = budget};
    options.checkpoints = {.folder = folder / "checkpoints", .interval = 10ms, .tolerated_failures = SIZE_MAX};
    if (s.virtual_time) {
        options.executor = options.checkpoints.executor = &sim;
        options.clock = &sim.clock();
    }
    // What any job has: threads, tasks, and what is on its way to a file.
    constexpr std::size_t by_itself = 768 << 10;
    total t;
    checkpoint_status checkpoints;
    std::size_t reserved = 0, most = 0, before = 0;
    {
        pipeline p("bounded");
        s.build(p, t);
        before = live;
        peak.store(before);
        job running = std::move(p).start(options);
        if (!s.virtual_time) running.checkpoint();
        running.wait();
        most = peak - before;
        reserved = running.status().memory_reserved;
        checkpoints = running.status().checkpoints;
    }
    const std::size_t allowed = reserved + reserved / 10 + s.state + by_itself;
    std::printf("%s: peak %.1f MB of %.1f, channels %.1f; %llu checkpoints, %llu failed\n", s.name.c_str(),
                static_cast<double>(most) / (1 << 20), static_cast<double>(allowed) / (1 << 20),
                static_cast<double>(reserved) / (1 << 20), static_cast<unsigned long long>(checkpoints.completed),
                static_cast<unsigned long long>(checkpoints.failed));
    got += t.records;
    std::uint64_t differences = 0;
    const auto expect = [&](bool is_so, const std::string& what) {
        if (!is_so) std::printf("%s: %s\n", s.name.c_str(), what.c_str()), ++differences;
    };
    expect(most <= allowed && reserved <= budget, "more memory than is allowed");
    expect(t.records == s.records && t.sum == s.sum,
           "got " + std::to_string(t.records) + " of " + std::to_string(s.records) + " records, that add up to " +
               std::to_string(t.sum) + " instead of " + std::to_string(s.sum));
    // The last one comes when all is over.
    expect(checkpoints.completed >= 2, "no checkpoint while it ran");
    return differences;
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t records = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200'000;
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    const auto began = std::chrono::steady_clock::now();
    std::uint64_t differences = 0, got = 0, goal = 0;
    for (const shape& s : shapes(records)) {
        try {
            goal += s.records;
            differences += run(s, seed, got);
        } catch (const std::exception& e) {
            std::printf("%s: %s\n", s.name.c_str(), e.what());
            ++differences;
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("torture R11 %llu of %llu differences %llu seed %llu seconds %.1f\n",
                static_cast<unsigned long long>(got), static_cast<unsigned long long>(goal),
                static_cast<unsigned long long>(differences), static_cast<unsigned long long>(seed), took.count());
    return differences == 0 ? 0 : 1;
}
