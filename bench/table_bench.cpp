// The keyed table against the maps that a program would use instead: hash, find and update of {count, sum} by 64-bit
// keys, from 16-byte events in memory, one thread.
//
// dense: keys 0 to n - 1. spread: the same, scrambled. window: all keys are new in each round, as in a window that is
// filled, read out and cleared.
//
// What was tried for the table and given up:
// - groups of 15 slots with the count as 16th byte, and tags made by a comparison with 0 and a multiplication: ten more
//   instructions on the way to the entry; a quarter slower in the caches.
// - one pass that fetches the home slots of a table without tags (the one by hand below): half as fast at 10 M keys.
// - staged passes for tables in the first-level cache: a third slower, for all the storing and loading of guesses.
// - blocks of 32 or 128 keys for tables in memory: half, or four fifths, of the speed with 512.
// - two multiplications in the hash: a fifth slower at 1 k keys, and no better spread for keys as they occur.
// - one multiplication by a secret number: in one process of a hundred, every eighth dense key misses its home group.
// - small pages: a fifth slower from 1 M keys on.

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bench/support.hpp"
#include "runnel/state/batch_update.hpp"
#include "runnel/state/table.hpp"

namespace {

struct event {
    std::uint64_t key;
    std::int64_t value;
};

struct total {
    std::int64_t count;
    std::int64_t sum;
};

struct with_runnel {
    runnel::table<std::uint64_t, total> map;
    void add(const event* events, std::size_t n) {
        for (std::size_t at = 0; at < n; at += 512)
            runnel::update_batch(
                map, at, std::min(n, at + 512), [=](std::size_t i) -> const std::uint64_t& { return events[i].key; },
                [=](total& t, std::size_t i, bool) {
                    ++t.count;
                    t.sum += events[i].value;
                });
    }
    template <class F>
    void each(F f) {
        map.for_each(f);
    }
    void clear() { map.clear(); }
};

struct with_std {
    std::unordered_map<std::uint64_t, total> map;
    void add(const event* events, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) {
            total& t = map[events[i].key];
            ++t.count;
            t.sum += events[i].value;
        }
    }
    template <class F>
    void each(F f) {
        for (auto& [key, t] : map) f(key, t);
    }
    void clear() { map.clear(); }
};

struct with_boost {
    boost::unordered_flat_map<std::uint64_t, total> map;
    void add(const event* events, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) {
            total& t = map[events[i].key];
            ++t.count;
            t.sum += events[i].value;
        }
    }
    template <class F>
    void each(F f) {
        for (auto& [key, t] : map) f(key, t);
    }
    void clear() { map.clear(); }
};

/// Linear probing, at most half full, free slots known by count == 0, the home slots of a block fetched when large.
struct by_hand {
    struct slot {
        std::uint64_t key;
        total value;
    };
    std::vector<slot> slots = std::vector<slot>(16);
    std::size_t size = 0;
    int shift = 60;

    std::size_t home(std::uint64_t key) const { return (key * 0x9e3779b97f4a7c15u) >> shift; }
    void update(const event& e, std::size_t at) {
        for (;; at = (at + 1) & (slots.size() - 1)) {
            slot& s = slots[at];
            if (s.key == e.key && s.value.count != 0) [[likely]] {
                ++s.value.count;
                s.value.sum += e.value;
                return;
            }
            if (s.value.count == 0) {
                s = {e.key, {1, e.value}};
                if (++size * 2 > slots.size()) grow();
                return;
            }
        }
    }
    void grow() {
        std::vector<slot> old(slots.size() * 2);
        old.swap(slots);
        --shift;
        for (const slot& s : old)
            if (s.value.count != 0) {
                std::size_t at = home(s.key);
                while (slots[at].value.count != 0) at = (at + 1) & (slots.size() - 1);
                slots[at] = s;
            }
    }
    void add(const event* events, std::size_t n) {
        std::size_t homes[512];
        for (std::size_t at = 0; at < n; at += 512) {
            const std::size_t end = std::min(n, at + 512);
            if (slots.size() * sizeof(slot) < 512 * 1024) {
                for (std::size_t i = at; i < end; ++i) update(events[i], home(events[i].key));
                continue;
            }
            const int before = shift;
            for (std::size_t i = at; i < end; ++i) {
                homes[i - at] = home(events[i].key);
                __builtin_prefetch(&slots[homes[i - at]], 1);
            }
            for (std::size_t i = at; i < end; ++i)
                update(events[i], shift == before ? homes[i - at] : home(events[i].key));
        }
    }
    template <class F>
    void each(F f) {
        for (slot& s : slots)
            if (s.value.count != 0) f(s.key, s.value);
    }
    void clear() {
        std::fill(slots.begin(), slots.end(), slot{});
        size = 0;
    }
};

/// A map under test: takes events, and gives a checksum over its keys.
struct subject {
    std::string name;
    std::function<void(const std::vector<event>&)> add;
    std::function<std::uint64_t()> checksum;
    std::function<void()> clear;
    std::vector<double> seconds{};
};

template <class Map>
subject make(std::string name) {
    auto map = std::make_shared<Map>();
    return {std::move(name), [=](const std::vector<event>& events) { map->add(events.data(), events.size()); },
            [=] {
                std::uint64_t sum = 0;
                map->each([&](std::uint64_t key, const total& t) {
                    sum += key * static_cast<std::uint64_t>(t.count) ^ static_cast<std::uint64_t>(t.sum);
                });
                return sum;
            },
            [=] { map->clear(); }};
}

enum class way { update, window };

void measure(const std::string& name, std::size_t keys, bool spread, way how, double floor, double goal) {
    constexpr int rounds = 9;
    const auto key_of = [=](std::uint64_t i) { return spread ? bench::splitmix64(i % keys) : i % keys; };
    std::vector<subject> all;
    all.push_back(make<with_runnel>("runnel"));
    all.push_back(make<by_hand>("by hand"));
    all.push_back(make<with_boost>("boost"));
    all.push_back(make<with_std>("std"));
    if (how == way::update) {
        std::vector<event> each_key_once(keys);
        for (std::size_t i = 0; i != keys; ++i) each_key_once[i] = {key_of(i), 1};
        for (subject& s : all) s.add(each_key_once);
    }
    std::vector<event> events(4'000'000);
    for (int round = 0; round != rounds; ++round) {
        for (std::size_t i = 0; i != events.size(); ++i)
            events[i] = {key_of(bench::splitmix64(static_cast<std::uint64_t>(round) * events.size() + i)),
                         static_cast<std::int64_t>(i & 1023)};
        std::uint64_t expected = 0;
        for (subject& s : all) {
            std::uint64_t sum = 0;
            s.seconds.push_back(bench::seconds_of([&] {
                s.add(events);
                if (how == way::update) return;
                sum = s.checksum();
                s.clear();
            }));
            if (how == way::update) sum = s.checksum();
            if (&s == &all[0]) expected = sum;
            if (sum != expected) bench::fail("checksum of " + s.name + " differs from runnel's in " + name);
        }
    }
    double best = 1e9;
    std::string note;
    for (subject& s : all) {
        const double m = bench::median(s.seconds);
        if (&s != &all[0]) best = std::min(best, m);
        if (!note.empty()) note += ", ";
        note += s.name + " " + bench::million_per_second(static_cast<double>(events.size()), m);
    }
    bench::print_ratio(name, best / bench::median(all[0].seconds), floor, goal, note);
}

/// Bytes a key while a table grows, on average over its sizes; and the most, with both memories of a growing table.
void measure_memory() {
    runnel::table<std::uint64_t, total> t;
    double sum = 0, count = 0, peak = 0;
    std::size_t sample = 1'000, before = 0;
    for (std::uint64_t k = 0; k != 10'000'000; ++k) {
        t.create(k, t.hash(k));
        if (t.memory_bytes() != before && t.size() >= 1'000)
            peak = std::max(peak, static_cast<double>(before + t.memory_bytes()) / static_cast<double>(t.size()));
        before = t.memory_bytes();
        if (t.size() != sample) continue;
        sum += static_cast<double>(before) / static_cast<double>(t.size());
        ++count;
        sample += sample / 50;
    }
    char note[80];
    std::snprintf(note, sizeof note, "%.1f B a key, %.1f while growing", sum / count, peak);
    bench::print_ratio("table_memory", 48 / (sum / count), 0.5, 1, note);
}

}  // namespace

/// Arguments: the beginning of the names to run; none: all.
int main(int argc, char** argv) {
    const std::string wanted = argc > 1 ? argv[1] : "";
    const auto run = [&](const std::string& name, auto f) {
        if (name.starts_with(wanted)) f(name);
    };
    const std::vector<std::pair<std::string, std::size_t>> sizes{
        {"1k", 1'000}, {"100k", 100'000}, {"1m", 1'000'000}, {"10m", 10'000'000}};
    for (const auto& size : sizes)
        for (const bool spread : {true, false})
            run(std::string(spread ? "table_spread_" : "table_dense_") + size.first,
                [&](const std::string& name) { measure(name, size.second, spread, way::update, 0.5, 0.9); });
    for (const auto& size : sizes)
        if (size.second < 10'000'000)
            run("table_window_" + size.first,
                [&](const std::string& name) { measure(name, size.second, true, way::window, 0.5, 0.9); });
    run("table_memory", [](const std::string&) { measure_memory(); });
}
