// Windows beyond tumbling and sliding: sessions, windows of counts, early results every second at 100,000 keys, exact
// distinct counts, the ten largest, windows without a key. 16-byte events in memory, in order, one thread, default
// options; each against a loop by hand for that one query that keeps one hash map and finds bounds by comparing times.
// And aggregation in two stages against one, both with two subtasks: where nine of ten records have one key, and where
// no key is hot.
//
// bench_more_windows [NAME...]: only those, such as sessions.
#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/support.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/graph/two_stage.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/distinct_count.hpp"
#include "runnel/window/sum.hpp"
#include "runnel/window/top.hpp"

namespace {

using namespace std::chrono_literals;

struct event {
    std::uint64_t key;
    std::int32_t value;
    std::uint32_t ms;
};
using events = std::shared_ptr<const std::vector<event>>;
template <class V>
using map_of = boost::unordered_flat_map<std::uint64_t, V>;

events make(std::size_t n, std::uint64_t keys) {
    auto all = std::make_shared<std::vector<event>>(n);
    for (std::size_t i = 0; i < n; ++i)
        (*all)[i] = {bench::splitmix64(i) % keys, static_cast<std::int32_t>(i * 7 & 1023),
                     static_cast<std::uint32_t>(i / 1000)};
    return all;
}

std::uint64_t mix(std::uint64_t key, std::int64_t end_ms, std::int64_t a, std::int64_t b) {
    return (key + 0x9E3779B97F4A7C15U) * static_cast<std::uint64_t>(end_ms * 31 + a * 1'000'003 + b);
}

auto totals() { return runnel::combine(runnel::count(), runnel::sum(&event::value)); }

/// The checksum of a job: `windowed` makes results of the keyed stream, `digest` a number of each.
template <class Windowed, class Digest>
std::uint64_t with_runnel(const events& all, Windowed windowed, Digest digest) {
    std::uint64_t checksum = 0;
    runnel::pipeline p{"windows"};
    auto timed = p.from(runnel::collection(all))
                     .event_time([](const event& e) { return runnel::timestamp(std::chrono::milliseconds(e.ms)); },
                                 runnel::monotonous());
    windowed(timed).to(runnel::for_each([&](const auto& r) { checksum += digest(r); }));
    std::move(p).start().wait();
    return checksum;
}

std::int64_t end_ms(const auto& r) { return r.end.ns() / 1'000'000; }
std::uint64_t digest_totals(const auto& r) {
    return mix(r.key, end_ms(r), static_cast<std::int64_t>(std::get<0>(r.value)), std::get<1>(r.value));
}

struct total {
    std::int64_t count = 0;
    std::int64_t sum = 0;
    std::int64_t last_ms = 0;
    void add(const event& e) {
        ++count;
        sum += e.value;
    }
};

constexpr std::int64_t window_ms = 10'000;

/// Calls `each(event)` for all, and `close(end)` whenever a tumbling window of `size` ms has ended.
template <class Each, class Close>
void by_windows(const events& all, std::int64_t size, Each each, Close close) {
    std::int64_t end = size;
    for (const event& e : *all) {
        while (e.ms >= end) {
            close(end);
            end += size;
        }
        each(e);
    }
    close(end);
}

// --- one pair a query ------------------------------------------------------------------------------------------------

constexpr std::int64_t gap_ms = 400;

std::uint64_t sessions_by_hand(const events& all) {
    std::uint64_t checksum = 0;
    map_of<total> map;
    const auto close = [&](std::uint64_t key, const total& t) {
        checksum += mix(key, t.last_ms + gap_ms, t.count, t.sum);
    };
    for (const event& e : *all) {
        total& t = map[e.key];
        if (t.count != 0 && e.ms - t.last_ms > gap_ms) {
            close(e.key, t);
            t = {};
        }
        t.add(e);
        t.last_ms = e.ms;
    }
    for (const auto& [key, t] : map) close(key, t);
    return checksum;
}

std::uint64_t counts_by_hand(const events& all) {
    std::uint64_t checksum = 0;
    map_of<total> map;
    for (const event& e : *all) {
        total& t = map[e.key];
        t.add(e);
        if (t.count == 10) {
            checksum += mix(e.key, 0, t.count, t.sum);
            t = {};
        }
    }
    return checksum;
}

std::uint64_t early_by_hand(const events& all) {
    std::uint64_t checksum = 0;
    map_of<total> map;  // last_ms: 1 if there is something new
    by_windows(
        all, 1000,
        [&](const event& e) {
            total& t = map[e.key];
            t.add(e);
            t.last_ms = 1;
        },
        [&](std::int64_t second) {
            const std::int64_t end = (second + window_ms - 1) / window_ms * window_ms;
            for (auto& [key, t] : map) {
                if (t.last_ms != 0 || second == end) checksum += mix(key, end, t.count, t.sum);
                t.last_ms = 0;
            }
            if (second == end) map.clear();
        });
    // The input ends within a window: its last results are the on-time ones.
    if (const std::int64_t last = all->back().ms / 1000 + 1; last % 10 != 0)
        for (auto& [key, t] : map) checksum += mix(key, (last / 10 + 1) * window_ms, t.count, t.sum);
    return checksum;
}

std::uint64_t distinct_by_hand(const events& all) {
    std::uint64_t checksum = 0;
    map_of<boost::unordered_flat_set<std::int32_t>> map;
    by_windows(
        all, window_ms, [&](const event& e) { map[e.key].insert(e.value); },
        [&](std::int64_t end) {
            for (const auto& [key, values] : map)
                checksum += mix(key, end, static_cast<std::int64_t>(values.size()), 0);
            map.clear();
        });
    return checksum;
}

std::uint64_t top_by_hand(const events& all) {
    std::uint64_t checksum = 0;
    map_of<std::vector<std::int32_t>> map;  // heaps, the least of the ten on top
    by_windows(
        all, window_ms,
        [&](const event& e) {
            std::vector<std::int32_t>& ten = map[e.key];
            if (ten.size() < 10) {
                ten.push_back(e.value);
                std::push_heap(ten.begin(), ten.end(), std::greater());
            } else if (e.value > ten.front()) {
                std::pop_heap(ten.begin(), ten.end(), std::greater());
                ten.back() = e.value;
                std::push_heap(ten.begin(), ten.end(), std::greater());
            }
        },
        [&](std::int64_t end) {
            for (const auto& [key, ten] : map) {
                std::int64_t sum = 0;
                for (std::int32_t v : ten) sum += v;
                checksum += mix(key, end, sum, 0);
            }
            map.clear();
        });
    return checksum;
}

std::uint64_t all_by_hand(const events& all) {
    std::uint64_t checksum = 0;
    total t;
    by_windows(
        all, 1000, [&](const event& e) { t.add(e); },
        [&](std::int64_t end) {
            checksum += mix(0, end, t.count, t.sum);
            t = {};
        });
    return checksum;
}

const auto window_10s = runnel::tumbling(10s).drop_late();

std::uint64_t with_two_subtasks(const events& all, auto windowed) {
    std::uint64_t checksum = 0;
    runnel::pipeline p{"hot keys"};
    auto timed = p.from(runnel::collection(all, 2))
                     .event_time([](const event& e) { return runnel::timestamp(std::chrono::milliseconds(e.ms)); },
                                 runnel::monotonous());
    windowed(timed).to(runnel::for_each([&](const auto& r) { checksum += digest_totals(r); }));
    std::move(p).start({.parallelism = 2}).wait();
    return checksum;
}
std::uint64_t in_two_stages(const events& all) {
    return with_two_subtasks(all, [](auto& stream) {
        return runnel::aggregate_in_two_stages(stream, [](const event& e) { return e.key; }, window_10s, totals());
    });
}
std::uint64_t in_one_stage(const events& all) {
    return with_two_subtasks(
        all, [](auto& stream) { return stream.key_by(&event::key).window(window_10s).aggregate(totals()); });
}

}  // namespace

int main(int argc, char** argv) {
    const auto wanted = [&](const std::string& name) {
        return argc == 1 || std::find(argv + 1, argv + argc, name) != argv + argc;
    };
    constexpr std::size_t n = 10'000'000;
    const events many_keys = make(n, 100'000), few_keys = make(n, 1'000);
    const auto line = [&](const std::string& name, const events& all, auto windowed, auto digest, auto by_hand) {
        if (!wanted(name)) return;
        bench::ratio(name, 0.4, 0.7, static_cast<double>(n), [&] { return with_runnel(all, windowed, digest); },
                     {{"by hand", [&] { return by_hand(all); }, {}}}, 5);
    };
    const auto by_key = [](auto spec, auto aggregate) {
        return [=](auto& stream) { return stream.key_by(&event::key).window(spec).aggregate(aggregate); };
    };
    line("sessions", many_keys, by_key(runnel::session(std::chrono::milliseconds(gap_ms)).drop_late(), totals()),
         [](const auto& r) { return digest_totals(r); }, sessions_by_hand);
    line("count_windows", many_keys, by_key(runnel::count(10), totals()),
         [](const auto& r) {
             return mix(r.key, 0, static_cast<std::int64_t>(std::get<0>(r.value)), std::get<1>(r.value));
         },
         counts_by_hand);
    line("early_every_second", many_keys,
         by_key(runnel::tumbling(10s).drop_late().early(runnel::every(1s)).accumulating(), totals()),
         [](const auto& r) { return digest_totals(r); }, early_by_hand);
    line("distinct_count", few_keys, by_key(runnel::tumbling(10s).drop_late(), runnel::distinct_count(&event::value)),
         [](const auto& r) { return mix(r.key, end_ms(r), static_cast<std::int64_t>(r.value), 0); }, distinct_by_hand);
    line("top_10", few_keys, by_key(runnel::tumbling(10s).drop_late(), runnel::top(10, &event::value)),
         [](const auto& r) {
             std::int64_t sum = 0;
             for (const auto v : r.value) sum += v;
             return mix(r.key, end_ms(r), sum, 0);
         },
         top_by_hand);
    line("window_all", few_keys,
         [](auto& stream) { return stream.window_all(runnel::tumbling(1s).drop_late()).aggregate(totals()); },
         [](const auto& r) {
             return mix(0, end_ms(r), static_cast<std::int64_t>(std::get<0>(r.value)), std::get<1>(r.value));
         },
         all_by_hand);
    const auto stages = [&](const std::string& name, double floor, double goal, const events& all) {
        if (!wanted(name)) return;
        bench::ratio(name, floor, goal, static_cast<double>(n), [&] { return in_two_stages(all); },
                     {{"in one stage", [&] { return in_one_stage(all); }, {}}}, 5);
    };
    const auto one_hot_key = std::make_shared<std::vector<event>>(*many_keys);
    for (std::size_t i = 0; i < n; ++i)
        if (i % 10 != 0) (*one_hot_key)[i].key = 7;
    stages("hot_key_in_two_stages", 1, 1.5, one_hot_key);
    stages("no_hot_key_in_two_stages", 0.5, 0.9, many_keys);
}
