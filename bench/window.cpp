// Keyed tumbling and sliding windows, count and sum per key, 16-byte events in memory, one thread, default options;
// against the best of three loops by hand that find window bounds by comparing times and keep one map per window.
//
// bench_window [NAME...]: only those, such as 1k or sliding.
//
// Dead ends at 1,000 keys: keeping the place of a failure in a register instead of storing it for each record, and
// the table's pointers in registers (fewer instructions, 8 % slower with gcc 12).
#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/support.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/sum.hpp"

namespace {

using namespace std::chrono_literals;

struct event {
    std::uint64_t key;
    std::int32_t value;
    std::uint32_t ms;
};
static_assert(sizeof(event) == 16);

using events = std::shared_ptr<const std::vector<event>>;

events make(std::size_t n, std::uint64_t keys, std::size_t per_ms) {
    auto all = std::make_shared<std::vector<event>>(n);
    for (std::size_t i = 0; i < n; ++i)
        (*all)[i] = {bench::splitmix64(i) % keys, static_cast<std::int32_t>(i & 1023),
                     static_cast<std::uint32_t>(i / per_ms)};
    return all;
}

/// Cheap, so that it is the window that is measured.
std::uint64_t mix(std::uint64_t key, std::int64_t end_ms, std::int64_t count, std::int64_t sum) {
    return (key + 0x9E3779B97F4A7C15U) * static_cast<std::uint64_t>(end_ms * 31 + count * 1'000'003 + sum);
}

template <class Spec>
std::uint64_t with_runnel(const events& all, Spec spec) {
    std::uint64_t checksum = 0;
    runnel::pipeline p{"window"};
    p.from(runnel::collection(all))
        .event_time([](const event& e) { return runnel::timestamp(std::chrono::milliseconds(e.ms)); },
                    runnel::monotonous())
        .key_by(&event::key)
        .window(spec)
        .aggregate(runnel::combine(runnel::count(), runnel::sum(&event::value)))
        .to(runnel::for_each([&checksum](const auto& r) {
            checksum += mix(r.key, r.end.ns() / 1'000'000, static_cast<std::int64_t>(std::get<0>(r.value)),
                            std::get<1>(r.value));
        }));
    std::move(p).start().wait();
    return checksum;
}

struct total {
    std::int64_t count = 0;
    std::int64_t sum = 0;
};

template <class Map>
std::uint64_t map_by_hand(const events& all, std::int64_t size) {
    std::uint64_t checksum = 0;
    Map map;
    std::int64_t end = size;
    auto close = [&] {
        for (const auto& [key, t] : map) checksum += mix(key, end, t.count, t.sum);
        map.clear();
    };
    for (const event& e : *all) {
        while (e.ms >= end) {
            close();
            end += size;
        }
        total& t = map[e.key];
        ++t.count;
        t.sum += e.value;
    }
    close();
    return checksum;
}

/// Linear probing, at most half full, prefetched 256 events ahead once it is too large for the cache.
class open_addressing {
public:
    template <class F>
    void close(F f) {
        for (slot& s : slots_)
            if (s.t.count != 0) {
                f(s.key, s.t);
                s = {};
            }
        used_ = 0;
    }
    void add(const event* first, std::size_t n) {
        if (slots_.size() * sizeof(slot) > 512 * 1024)
            for (std::size_t i = 0; i < n; ++i) __builtin_prefetch(&slots_[home(first[i].key)], 1);
        for (std::size_t i = 0; i < n; ++i) update(first[i]);
    }

private:
    struct slot {
        std::uint64_t key = 0;
        total t;
    };
    std::size_t home(std::uint64_t key) const { return (key * 0x9E3779B97F4A7C15U) >> shift_; }
    void update(const event& e) {
        std::size_t i = home(e.key);
        while (slots_[i].t.count != 0 && slots_[i].key != e.key) i = (i + 1) & (slots_.size() - 1);
        slot& s = slots_[i];
        s.key = e.key;
        s.t.sum += e.value;
        if (s.t.count++ == 0 && ++used_ * 2 > slots_.size()) grow();
    }
    void grow() {
        std::vector<slot> old(slots_.size() * 2);
        old.swap(slots_);
        --shift_;
        for (const slot& s : old) {
            if (s.t.count == 0) continue;
            std::size_t i = home(s.key);
            while (slots_[i].t.count != 0) i = (i + 1) & (slots_.size() - 1);
            slots_[i] = s;
        }
    }
    std::vector<slot> slots_ = std::vector<slot>(1024);
    std::size_t used_ = 0;
    int shift_ = 54;
};

std::uint64_t open_addressing_by_hand(const events& all, std::int64_t size) {
    std::uint64_t checksum = 0;
    open_addressing map;
    std::int64_t end = size;
    auto close = [&] {
        map.close([&](std::uint64_t key, const total& t) { checksum += mix(key, end, t.count, t.sum); });
        end += size;
    };
    const event* next = all->data();
    const event* const last = next + all->size();
    while (next != last) {
        const std::size_t n = std::min<std::size_t>(256, static_cast<std::size_t>(last - next));
        std::size_t in_window = n;
        if (next[n - 1].ms >= end)
            in_window = static_cast<std::size_t>(
                std::find_if(next, next + n, [&](const event& e) { return e.ms >= end; }) - next);
        map.add(next, in_window);
        next += in_window;
        if (in_window != n) close();
    }
    close();
    return checksum;
}

void tumbling(const std::string& name, std::size_t n, std::uint64_t keys, std::size_t per_ms, int rounds) {
    const events all = make(n, keys, per_ms);
    bench::ratio("tumbling_" + name, 0.4, 0.7, static_cast<double>(n),
                 [&] { return with_runnel(all, runnel::tumbling(10s).drop_late()); },
                 {{"unordered_map",
                   [&] { return map_by_hand<std::unordered_map<std::uint64_t, total>>(all, 10'000); }, {}},
                  {"unordered_flat_map",
                   [&] { return map_by_hand<boost::unordered_flat_map<std::uint64_t, total>>(all, 10'000); }, {}},
                  {"open addressing", [&] { return open_addressing_by_hand(all, 10'000); }, {}}},
                 rounds);
}

void sliding() {
    // 50 events a millisecond for 100 s and 100 keys: 10 events per key and slide. The input is five times as long as
    // the longest window, so that windows are full most of the time and their tails at both ends weigh little.
    const std::size_t n = 5'000'000;
    const events all = make(n, 100, 50);
    auto seconds = [&](auto spec) { return bench::seconds_of([&] { with_runnel(all, spec); }); };
    std::vector<double> of_tumbling, of_60, of_1000;
    for (int r = 0; r < 6; ++r) {
        const double t = seconds(runnel::tumbling(20ms).drop_late());
        const double s60 = seconds(runnel::sliding(1200ms, 20ms).drop_late());
        const double s1000 = seconds(runnel::sliding(20s, 20ms).drop_late());
        if (r == 0) continue;
        of_tumbling.push_back(t);
        of_60.push_back(s60);
        of_1000.push_back(s1000);
    }
    const double t = bench::median(of_tumbling), s60 = bench::median(of_60), s1000 = bench::median(of_1000);
    bench::print_ratio("sliding_60_of_tumbling", t / s60, 0.25, 0.4,
                       "tumbling " + bench::million_per_second(n, t) + ", 60 slices " +
                           bench::million_per_second(n, s60));
    bench::print_ratio("sliding_1000_of_60", s60 / s1000, 0.7, 0.9,
                       "1,000 slices " + bench::million_per_second(n, s1000));
}

}  // namespace

int main(int argc, char** argv) {
    const auto wanted = [&](const std::string& name) {
        return argc == 1 || std::find(argv + 1, argv + argc, name) != argv + argc;
    };
    if (wanted("1k")) tumbling("1k", 20'000'000, 1'000, 1'000, 7);
    if (wanted("100k")) tumbling("100k", 20'000'000, 100'000, 1'000, 7);
    if (wanted("1M")) tumbling("1M", 20'000'000, 1'000'000, 1'000, 5);
    if (wanted("10M")) tumbling("10M", 20'000'000, 10'000'000, 1'000, 3);
    if (wanted("sliding")) sliding();
}
