// What an exchange between threads costs.
// - One producing subtask, a channel, one consuming subtask, on two threads; against a bare ring of pointers to batches
//   between two threads that wait by spinning. A merge with an empty stream is what puts the channel there: a chain
//   would be one subtask. Both sides make the events themselves, so that memory is not what is measured.
// - The same keyed window on eight threads and on two: the machine is meant to have two cores, so this is the price of
//   more threads than cores, and of 8 x 8 channels instead of 2 x 2.
// The two cores of a virtual machine may move apart within seconds: the notes tell the round trip before and after.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "bench/machine.hpp"
#include "bench/support.hpp"
#include "runnel/exchange/ring.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/window/count.hpp"

namespace {

using namespace std::chrono_literals;

constexpr std::size_t batch_size = 512;
constexpr std::size_t ring_size = 8;

struct event {
    std::uint64_t key;
    std::int64_t value;
};

event make(std::uint64_t i) { return {i * 0x9E3779B97F4A7C15U, static_cast<std::int64_t>(i & 1023)}; }
event step(event e) {
    e.value = e.value * 3 + 1;
    return e;
}
std::uint64_t digest(const event& e) { return e.key * 31 + static_cast<std::uint64_t>(e.value); }

std::uint64_t with_runnel(std::size_t n) {
    std::uint64_t sum = 0;
    runnel::pipeline p{"exchange"};
    p.from(runnel::generate(n, make))
        .map(step)
        .merge(p.from(runnel::collection(std::vector<event>())))
        .to(runnel::for_each([&sum](const event& e) { sum += digest(e); }));
    std::move(p).start().wait();
    return sum;
}

struct plain_batch {
    std::size_t size = 0;
    event records[batch_size];
};
using ring = runnel::spsc_ring<plain_batch*>;

void push(ring& to, plain_batch* b) {
    for (unsigned n = 0; !to.try_push(b); ++n) bench::back_off(n);
}
plain_batch* pop(ring& from) {
    plain_batch* b = nullptr;
    for (unsigned n = 0; !from.try_pop(b); ++n) bench::back_off(n);
    return b;
}

std::uint64_t bare_ring(std::size_t n) {
    std::vector<plain_batch> batches(ring_size + 2);
    ring full(ring_size), empty(batches.size());
    for (plain_batch& b : batches) push(empty, &b);
    std::thread producer([&] {
        for (std::size_t i = 0; i < n;) {
            plain_batch* b = pop(empty);
            b->size = std::min(batch_size, n - i);
            for (std::size_t k = 0; k < b->size; ++k) b->records[k] = step(make(i + k));
            i += b->size;
            push(full, b);
        }
    });
    std::uint64_t sum = 0;
    for (std::size_t left = n; left != 0;) {
        plain_batch* b = pop(full);
        for (std::size_t k = 0; k < b->size; ++k) sum += digest(b->records[k]);
        left -= b->size;
        push(empty, b);
    }
    producer.join();
    return sum;
}

std::string round_trips(double before) {
    return bench::text("; round trip %.0f ns, then %.0f; ", before, bench::round_trip_ns()) + bench::load_average();
}

void forward() {
    constexpr std::size_t n = 20'000'000;
    const double before = bench::round_trip_ns();
    double cpu = 0;
    std::vector<double> m = bench::compare({{"runnel",
                                             [&] {
                                                 const double begin = bench::cpu_seconds();
                                                 const std::uint64_t sum = with_runnel(n);
                                                 cpu = bench::cpu_seconds() - begin;
                                                 return sum;
                                             },
                                             {}},
                                            {"bare ring", [&] { return bare_ring(n); }, {}}},
                                           9);
    bench::print_ratio("forward_exchange", m[1] / m[0], 0.4, 0.7,
                       "runnel " + bench::million_per_second(n, m[0]) +
                           bench::text(", %.4f CPU-s per million; bare ring ", cpu / (n / 1e6)) +
                           bench::million_per_second(n, m[1]) + round_trips(before));
}

struct reading {
    std::uint32_t key;
    std::uint32_t ms;
};

std::uint64_t keyed_window(std::size_t n, std::size_t threads) {
    std::atomic<std::uint64_t> sum{0};
    runnel::pipeline p{"threads"};
    p.from(runnel::generate(
               n,
               [](std::uint64_t i) {
                   return reading{static_cast<std::uint32_t>(i * 0x9E3779B97F4A7C15U >> 54),
                                  static_cast<std::uint32_t>(i / 1000)};
               },
               {.splits = 8}))
        .event_time([](const reading& r) { return runnel::timestamp(std::int64_t{r.ms} * 1'000'000); },
                    runnel::monotonous())
        .key_by(&reading::key)
        .window(runnel::tumbling(1s).drop_late())
        .aggregate(runnel::count())
        .to(runnel::for_each([&sum](const auto& r) {
            sum.fetch_add(bench::h(r.key, static_cast<std::uint64_t>(r.end.ns()), r.value, 0),
                          std::memory_order_relaxed);
        }));
    std::move(p).start({.parallelism = threads, .threads = threads}).wait();
    return sum;
}

void threads() {
    constexpr std::size_t n = 10'000'000;
    const double before = bench::round_trip_ns();
    const std::vector<double> m = bench::compare({{"two threads", [&] { return keyed_window(n, 2); }, {}},
                                                  {"eight threads", [&] { return keyed_window(n, 8); }, {}},
                                                  {"one thread", [&] { return keyed_window(n, 1); }, {}}},
                                                 5);
    bench::print_ratio("eight_threads_of_two", m[0] / m[1], 0.6, 0.85,
                       "8 threads " + bench::million_per_second(n, m[1]) + ", 2 threads " +
                           bench::million_per_second(n, m[0]) + ", 1 thread " + bench::million_per_second(n, m[2]) +
                           round_trips(before));
}

}  // namespace

int main() {
    forward();
    threads();
}
