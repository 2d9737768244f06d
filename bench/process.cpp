// Process functions, one thread, default options, 16-byte events in memory. A value and a timer per key, against a hash
// map and a heap by hand. Event-time order, against a buffer that is sorted and merged by hand.
//
// Dead ends, at 100 k and 1 M keys: fetching what the next timers' slots hold while a timer runs; a heap of four
// children a node. Comparing timers without a branch, and fetching where their keys are found, took 10 % each.
#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bench/support.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/collection.hpp"

namespace {

using namespace std::chrono_literals;

struct event {
    std::uint64_t key;
    std::int32_t value;
    std::uint32_t ms;
};
static_assert(sizeof(event) == 16);

using events = std::shared_ptr<const std::vector<event>>;

/// `disorder`: how many milliseconds an event may be behind.
events make(std::size_t n, std::uint64_t keys, std::size_t per_ms, std::uint32_t disorder) {
    auto all = std::make_shared<std::vector<event>>(n);
    for (std::size_t i = 0; i < n; ++i) {
        const auto behind = static_cast<std::uint32_t>(bench::splitmix64(i + n) % (disorder + 1));
        (*all)[i] = {bench::splitmix64(i) % keys, static_cast<std::int32_t>(i & 1023),
                     static_cast<std::uint32_t>(i / per_ms) + disorder - behind};
    }
    return all;
}

runnel::timestamp time_of(const event& e) { return runnel::timestamp(std::chrono::milliseconds(e.ms)); }

/// Linear in the sum, so that it does not matter which events come before a timer in the same batch.
std::uint64_t mix(std::uint64_t key, std::int64_t sum) {
    return (key + 0x9E3779B97F4A7C15U) * static_cast<std::uint64_t>(sum);
}

constexpr std::uint32_t span_ms = 1000;

/// Adds up the values of a key for a second, beginning with its first event.
struct sum_for_a_second {
    using output_type = std::uint64_t;
    runnel::value_state<std::int64_t> sum;
    runnel::event_timer over;
    void open(runnel::state_setup& s) {
        sum = s.value<std::int64_t>("sum");
        over = s.event_timer("over");
    }
    void on_record(const event& e, runnel::process_context<std::uint64_t>& c) {
        if (!sum.has_value()) over.set(c.time() + std::chrono::milliseconds(span_ms));
        sum.get_or_create() += e.value;
    }
    void on_timer(const runnel::timer_event&, runnel::process_context<std::uint64_t>& c) {
        c.emit(mix(c.key<std::uint64_t>(), *sum.get()));
        sum.clear();
    }
};

std::uint64_t value_and_timer(const events& all) {
    std::uint64_t checksum = 0;
    runnel::pipeline p{"process"};
    p.from(runnel::collection(all))
        .event_time(time_of, runnel::monotonous())
        .key_by(&event::key)
        .process(sum_for_a_second{})
        .to(runnel::for_each([&checksum](std::uint64_t x) { checksum += x; }));
    std::move(p).start().wait();
    return checksum;
}

template <class Map>
std::uint64_t map_and_heap(const events& all) {
    using timer = std::pair<std::uint32_t, std::uint64_t>;
    std::uint64_t checksum = 0;
    Map sums;
    std::priority_queue<timer, std::vector<timer>, std::greater<>> timers;
    auto fire_until = [&](std::uint32_t ms) {
        while (!timers.empty() && timers.top().first < ms) {
            const auto it = sums.find(timers.top().second);
            checksum += mix(it->first, it->second);
            sums.erase(it);
            timers.pop();
        }
    };
    for (const event& e : *all) {
        fire_until(e.ms);
        const auto [it, is_new] = sums.try_emplace(e.key, 0);
        if (is_new) timers.push({e.ms + span_ms, e.key});
        it->second += e.value;
    }
    fire_until(UINT32_MAX);
    return checksum;
}

/// Gives for each event what depends on all events of its key so far, in their order.
struct chain_of_events {
    using output_type = std::uint64_t;
    runnel::value_state<std::uint64_t> so_far;
    void open(runnel::state_setup& s) { so_far = s.value<std::uint64_t>("so_far"); }
    void on_record(const event& e, runnel::process_context<std::uint64_t>& c) {
        std::uint64_t& x = so_far.get_or_create();
        c.emit(x = x * 31 + static_cast<std::uint64_t>(e.value));
    }
};

constexpr std::uint32_t disorder_ms = 5;

std::uint64_t in_order(const events& all) {
    std::uint64_t checksum = 0;
    runnel::pipeline p{"in order"};
    p.from(runnel::collection(all))
        .event_time(time_of, runnel::bounded_out_of_orderness(std::chrono::milliseconds(disorder_ms)))
        .key_by(&event::key)
        .in_event_time_order()
        .process(chain_of_events{})
        .to(runnel::for_each([&checksum](std::uint64_t x) { checksum += x; }));
    std::move(p).start().wait();
    return checksum;
}

std::uint64_t sort_and_merge(const events& all) {
    constexpr std::size_t block = 512;
    const auto earlier = [](const event& a, const event& b) { return a.ms < b.ms; };
    std::uint64_t checksum = 0;
    boost::unordered_flat_map<std::uint64_t, std::uint64_t> chains;
    std::vector<event> held;
    std::uint32_t newest = 0;
    auto take_until = [&](std::uint32_t ms) {
        auto end = held.begin();
        for (; end != held.end() && end->ms < ms; ++end) {
            std::uint64_t& x = chains[end->key];
            checksum += x = x * 31 + static_cast<std::uint64_t>(end->value);
        }
        held.erase(held.begin(), end);
    };
    for (std::size_t i = 0; i < all->size(); i += block) {
        const auto sorted = static_cast<std::ptrdiff_t>(held.size());
        const auto first = all->begin() + static_cast<std::ptrdiff_t>(i);
        held.insert(held.end(), first, first + static_cast<std::ptrdiff_t>(std::min(block, all->size() - i)));
        std::stable_sort(held.begin() + sorted, held.end(), earlier);
        newest = std::max(newest, held.back().ms);
        std::inplace_merge(held.begin(), held.begin() + sorted, held.end(), earlier);
        take_until(newest - std::min(newest, disorder_ms));
    }
    take_until(UINT32_MAX);
    return checksum;
}

void value_and_timer_per_key(const std::string& name, std::size_t n, std::uint64_t keys, int rounds) {
    const events all = make(n, keys, 1'000, 0);
    bench::ratio("process_" + name, 0.4, 0.7, static_cast<double>(n), [&] { return value_and_timer(all); },
                 {{"unordered_map and heap",
                   [&] { return map_and_heap<std::unordered_map<std::uint64_t, std::int64_t>>(all); }, {}},
                  {"unordered_flat_map and heap",
                   [&] { return map_and_heap<boost::unordered_flat_map<std::uint64_t, std::int64_t>>(all); }, {}}},
                 rounds);
}

}  // namespace

int main() {
    value_and_timer_per_key("1k", 10'000'000, 1'000, 5);
    value_and_timer_per_key("100k", 10'000'000, 100'000, 5);
    value_and_timer_per_key("1M", 10'000'000, 1'000'000, 3);
    const std::size_t n = 5'000'000;
    const events all = make(n, 1'000, 1'000, disorder_ms);
    bench::ratio("event_time_order", 0.4, 0.7, static_cast<double>(n), [&] { return in_order(all); },
                 {{"sort and merge", [&] { return sort_and_merge(all); }, {}}}, 5);
}
