// Random graphs over random streams, against the sequential model of oracle.hpp.
//
// RUNNEL_PROGRAMS says how many programs to try, RUNNEL_SEED the first seed. A failure prints the line that replays it.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/runtime/pool_executor.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/min_max.hpp"
#include "runnel/window/sum.hpp"
#include "tests/graph/oracle.hpp"
#include "tests/seeds.hpp"

namespace {

using namespace runnel;
using oracle::rec;
using std::int64_t;

/// Everything that a random program consists of.
struct program {
    std::vector<std::vector<rec>> splits;
    std::vector<rec> second_source;  ///< Merged in, if not empty.
    int64_t bound = 0;               ///< Out-of-orderness bound of the sources.
    bool keeps_promise = true;       ///< No record is late for its source's watermark.
    int64_t map_add = 0, map_times = 1;
    int64_t filter_modulus = 0;  ///< 0: no filter.
    int64_t copies = 1;          ///< flat_map gives value mod copies + 1 records.
    bool fused = true;
    bool split_and_merge = false;
    int64_t keys = 1;
    bool reduce = false;
    bool late_output = false;
    bool without_key = false;
    oracle::window_rule window;
    int64_t second_window = 0;  ///< Size of a tumbling window over the results; 0: none.
};

struct shape {
    std::size_t parallelism, batch_size, channel_capacity;
    std::optional<std::uint64_t> simulated;  ///< Seed of the simulated executor; none: real threads.
};

class dice {
public:
    explicit dice(std::uint64_t seed) : engine_(seed) {}
    int64_t operator()(int64_t low, int64_t high) {
        return low + static_cast<int64_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
    }
    bool one_in(int64_t n) { return (*this)(1, n) == 1; }

private:
    std::mt19937_64 engine_;
};

std::vector<rec> records(dice& d, const program& p, int64_t base) {
    std::vector<rec> all;
    const int64_t n = d.one_in(10) ? 0 : d(1, 120);
    int64_t now = base + d(-20, 20);
    int64_t largest = std::numeric_limits<int64_t>::min();
    for (int64_t i = 0; i < n; ++i) {
        now += d.one_in(20) ? d(0, 100) : d(0, 4);
        int64_t t = now - d(0, p.keeps_promise ? p.bound : p.bound * 2 + 15);
        if (p.keeps_promise && largest != std::numeric_limits<int64_t>::min()) t = std::max(t, largest - p.bound);
        largest = std::max(largest, t);
        all.push_back({d(0, 5), d(-50, 50), timestamp(t)});
    }
    return all;
}

oracle::window_rule make_window(dice& d, bool ordered) {
    using kind = oracle::window_kind;
    oracle::window_rule w;
    w.kind = static_cast<kind>(d(0, ordered ? 6 : 5));
    w.size = d(1, 40);
    w.slide = w.kind == kind::sliding ? d(1, 50) : w.size;
    w.offset = d(-w.slide + 1, w.slide - 1);
    if (w.kind == kind::tumbling || w.size < w.slide) w.offset %= w.size;
    if (w.is_session() || w.is_late_free()) w.offset = 0;
    if (w.kind == kind::cumulative) w.size *= d(1, 6);
    if (w.kind == kind::count) {
        w.size = d(1, 12);
        w.slide = d.one_in(2) ? w.size : d(1, 12);
    }
    w.lateness = w.is_late_free() || d.one_in(2) ? 0 : d(1, 60);
    if (w.kind == kind::count || !d.one_in(3)) return w;
    w.panes = true;
    w.discards = d.one_in(2);
    if (ordered && d.one_in(2))
        w.early_records = d(1, 6);
    else if (!w.is_session() && d.one_in(2))  // How long a session is by then depends on what else has come.
        w.early_every = d(1, 30);
    return w;
}

program make_program(std::uint64_t seed) {
    dice d(seed);
    program p;
    const int64_t bases[] = {0, -1000, 1'700'000'000'000'000'000, std::numeric_limits<int64_t>::min() + 500,
                             std::numeric_limits<int64_t>::max() - 20'000};
    const int64_t base = bases[d(0, 3)];
    p.bound = d.one_in(3) ? 0 : d(1, 30);
    const int64_t splits = d.one_in(2) ? 1 : d(2, 4);
    const bool merged = d.one_in(4);
    p.split_and_merge = d.one_in(4);
    p.keeps_promise = splits > 1 || merged || p.split_and_merge || d.one_in(3);
    for (int64_t i = 0; i < splits; ++i) p.splits.push_back(records(d, p, base));
    if (merged) p.second_source = records(d, p, base);
    p.map_add = d(-3, 3);
    p.map_times = d(1, 3);
    p.filter_modulus = d.one_in(2) ? d(2, 5) : 0;
    p.copies = d.one_in(3) ? d(2, 3) : 1;
    p.fused = d.one_in(2);
    p.keys = d(1, 6);
    p.reduce = p.keeps_promise && splits == 1 && !merged && !p.split_and_merge && d.one_in(6);
    p.late_output = d.one_in(2);
    const bool ordered = splits == 1 && !merged && !p.split_and_merge;
    // What depends on the order of records of different splits is no property of the data.
    p.window = make_window(d, ordered);
    if (p.window.is_late_free() || p.window.panes) p.late_output = false;
    p.without_key = !p.window.panes && !p.late_output && !p.window.is_late_free() && d.one_in(3);
    if (p.without_key) p.keys = 1;
    p.second_window = p.keeps_promise && !p.window.is_late_free() && d.one_in(3) ? d(1, 100) : 0;
    return p;
}

/// The stateless part, as the model does it.
std::vector<rec> stateless(const program& p, const rec& r) {
    rec m = r;
    m.value = m.value * p.map_times + p.map_add;
    if (p.filter_modulus != 0 && oracle::floor_mod(m.value, p.filter_modulus) == 0) return {};
    std::vector<rec> out;
    for (int64_t i = 0; i <= oracle::floor_mod(m.value, p.copies); ++i) out.push_back({m.key, m.value + i, m.at});
    return out;
}

/// What reduce does to two values: depends on their order, and stays small.
int64_t folded(int64_t kept, int64_t next) { return (kept * 3 + next) % 1'000'003; }

/// Results of one run, of the model or of runnel; records in the order in which they came out.
struct run_result {
    std::vector<oracle::result> results;
    std::vector<oracle::late> late;
    std::uint64_t dropped = 0;
};

run_result expected(const program& p) {
    run_result out;
    if (p.reduce) {
        std::map<int64_t, int64_t> kept;
        for (const rec& r : p.splits[0])
            for (const rec& s : stateless(p, r)) {
                const int64_t key = oracle::floor_mod(s.key, p.keys);
                const auto [it, fresh] = kept.try_emplace(key, s.value);
                if (!fresh) it->second = folded(it->second, s.value);
                out.results.emplace_back(key, 0, s.at.ns(), 0, it->second, 0, 0, 0);
            }
        return out;
    }
    oracle::windows model(p.window);
    std::vector<std::vector<rec>> sources = p.splits;
    if (!p.second_source.empty()) sources.push_back(p.second_source);
    int64_t w = std::numeric_limits<int64_t>::min();
    for (const auto& source : sources)
        for (const rec& r : source) {
            // With several splits no record is late, so the model needs no watermark but the last.
            if (sources.size() == 1) model.advance(w);
            for (rec s : stateless(p, r)) {
                s.key = oracle::floor_mod(s.key, p.keys);
                model.add(s);
            }
            w = std::max(w, detail::saturating_sub(r.at.ns(), p.bound + 1));
        }
    model.advance(std::numeric_limits<int64_t>::max());
    out.results = model.out.results;
    out.late = model.out.late_records;
    if (!p.late_output) {
        out.dropped = out.late.size();
        out.late.clear();
    }
    if (p.second_window != 0) {
        oracle::windows second({oracle::window_kind::tumbling, p.second_window, p.second_window, 0, 0});
        for (const auto& [key, start, end, count, sum, low, high, pane] : out.results)
            second.add({oracle::floor_mod(key, 2), sum, timestamp(end - 1)});
        second.advance(std::numeric_limits<int64_t>::max());
        out.results = second.out.results;
    }
    return out;
}

/// Count, sum, min, max; all 0 of no records, which a window may give that has been emptied.
struct totals {
    int64_t count = 0, sum = 0, min = 0, max = 0;
};
struct summary {
    totals create() const { return {}; }
    void add(totals& a, const rec& r) const { merge(a, {1, r.value, r.value, r.value}); }
    void merge(totals& a, const totals& b) const {
        if (b.count == 0) return;
        a = a.count == 0 ? b : totals{a.count + b.count, a.sum + b.sum, std::min(a.min, b.min), std::max(a.max, b.max)};
    }
    totals result(const totals& a) const { return a; }
};

struct combined {
    std::uint64_t count;
    int64_t sum, min, max;
};
template <class Spec>
auto aggregate_for_results() {
    if constexpr (Spec::firing_type::has_panes) return summary();
    else return combine<combined>(count(), sum(&rec::value), runnel::min(&rec::value), runnel::max(&rec::value));
}

template <class Result>
int64_t key_of(const Result& r) {
    if constexpr (requires { static_cast<int64_t>(r.key); }) return r.key;
    else return 0;
}
template <class Result>
oracle::result flat(const Result& r) {
    int64_t pane = 0;
    if constexpr (requires { r.pane; }) pane = static_cast<int64_t>(r.pane.index * 3) + static_cast<int64_t>(r.pane.timing);
    return {key_of(r), r.start.ns(), r.end.ns(), static_cast<int64_t>(r.value.count), r.value.sum, r.value.min, r.value.max, pane};
}

struct outputs {
    std::vector<oracle::result> results;
    std::vector<oracle::late> late;
};

/// Where results go: no template, since there are many kinds of windows.
void attach_results(const program& p, const stream<oracle::result>& results, outputs& out) {
    if (p.second_window == 0) {
        results.to(collect(out.results));
        return;
    }
    results
        .map([](const oracle::result& r) { return rec{std::get<0>(r), std::get<4>(r), timestamp(std::get<2>(r) - 1)}; })
        .key_by([](const rec& r) { return oracle::floor_mod(r.key, 2); })
        .window(tumbling(duration(p.second_window)).drop_late())
        .aggregate(summary())
        .map([](const windowed<int64_t, totals>& r) { return flat(r); })
        .to(collect(out.results));
}

struct key_of_rec {
    int64_t keys;
    int64_t operator()(const rec& r) const { return oracle::floor_mod(r.key, keys); }
};
struct flatten {
    template <class Result>
    oracle::result operator()(const Result& r) const {
        return flat(r);
    }
};

/// The results of windows whose spec is complete.
template <class Spec>
void attach_complete(const program& p, const stream<rec>& s, const Spec& spec, outputs& out) {
    if constexpr (!Spec::has_side && !Spec::firing_type::has_panes)
        if (p.without_key)
            return attach_results(p, s.window_all(spec).aggregate(aggregate_for_results<Spec>()).map(flatten()), out);
    attach_results(p, s.key_by(key_of_rec{p.keys}).window(spec).aggregate(aggregate_for_results<Spec>()).map(flatten()),
                   out);
}

template <class Spec>
void attach_fired(const program& p, const stream<rec>& s, const Spec& spec, outputs& out) {
    if (!p.window.panes) return attach_complete(p, s, spec, out);
    firing_rule early;
    if (p.window.early_records != 0) early = every_records(p.window.early_records);
    if (p.window.early_every != 0) early = every(duration(p.window.early_every));
    if (p.window.discards)
        attach_complete(p, s, spec.early(early).discarding(), out);
    else
        attach_complete(p, s, spec.early(early).accumulating(), out);
}

template <class Spec>
void attach_windows(const program& p, const stream<rec>& s, const Spec& spec, outputs& out) {
    const auto timed_spec = spec.lateness(duration(p.window.lateness));
    if (!p.late_output) return attach_fired(p, s, timed_spec, out);
    late_output<rec> late;
    attach_complete(p, s, timed_spec.late_to(late), out);
    late.stream()
        .map([keys = p.keys](const late_record<rec>& r) {
            return oracle::late(oracle::floor_mod(r.value.key, keys), r.value.value, r.time.ns());
        })
        .to(collect(out.late));
}

run_result run(const program& p, const shape& how, executor& threads) {
    outputs out;
    pipeline pipe{"differential"};
    const auto strategy = bounded_out_of_orderness(duration(p.bound));
    // One split per vector: a collection deals its elements to splits of equal size, so each gets a source of its own.
    std::optional<stream<rec>> s;
    auto add_source = [&](const std::vector<rec>& all) {
        stream<rec> next = pipe.from(collection(all)).event_time(&rec::at, strategy);
        s = s ? s->merge(next) : next;
    };
    for (const auto& split : p.splits) add_source(split);
    if (!p.second_source.empty()) add_source(p.second_source);

    auto times = [p](rec r) {
        r.value = r.value * p.map_times + p.map_add;
        return r;
    };
    auto keep = [m = p.filter_modulus](const rec& r) { return m == 0 || oracle::floor_mod(r.value, m) != 0; };
    auto copy = [c = p.copies](const rec& r) {
        std::vector<rec> all;
        for (int64_t i = 0; i <= oracle::floor_mod(r.value, c); ++i) all.push_back({r.key, r.value + i, r.at});
        return all;
    };
    if (p.fused) {
        s = std::move(*s).map(times).filter(keep).flat_map(copy);
    } else {
        s = s->map(times);
        s = s->filter(keep);
        s = s->flat_map(copy);
    }
    if (p.split_and_merge) {
        auto [odd, even] = s->split([](const rec& r) { return r.value % 2 != 0; });
        s = odd.merge(even.peek([](const rec&) {}));
    }
    if (p.reduce) {
        s->map([keys = p.keys](rec r) {
             r.key = oracle::floor_mod(r.key, keys);
             return r;
         })
            .key_by(&rec::key)
            .reduce([](const rec& a, const rec& b) { return rec{b.key, folded(a.value, b.value), b.at}; })
            .map([](const rec& r) { return oracle::result(r.key, 0, r.at.ns(), 0, r.value, 0, 0, 0); })
            .to(collect(out.results));
    } else {
        const auto& w = p.window;
        const duration size(w.size), slide(w.slide), offset(w.offset);
        switch (w.kind) {
            case oracle::window_kind::tumbling: attach_windows(p, *s, tumbling(size, offset), out); break;
            case oracle::window_kind::sliding: attach_windows(p, *s, sliding(size, slide, offset), out); break;
            case oracle::window_kind::session: attach_windows(p, *s, session(size), out); break;
            case oracle::window_kind::cumulative: attach_windows(p, *s, cumulative(size, slide, offset), out); break;
            case oracle::window_kind::dynamic_session:
                attach_windows(p, *s, session([w](const rec& r) { return duration(oracle::gap_of(w, r)); }), out);
                break;
            case oracle::window_kind::global: attach_fired(p, *s, global(), out); break;
            case oracle::window_kind::count: attach_complete(p, *s, count(w.size, w.slide), out); break;
        }
    }

    job_options options{.parallelism = how.parallelism,
                        .batch_size = how.batch_size,
                        .channel_capacity = how.channel_capacity,
                        .executor = &threads};
    std::optional<testing::sim_executor> simulated;
    if (how.simulated) {
        simulated.emplace(*how.simulated);
        options.executor = &*simulated;
        options.clock = &simulated->clock();
    }
    run_result result;
    {
        job j = std::move(pipe).start(options);
        j.wait();
        for (const operator_status& o : j.status().operators) result.dropped += o.late_dropped;
    }
    result.results = std::move(out.results);
    result.late = std::move(out.late);
    return result;
}

/// Empty if equal: as multisets, and per key in order.
std::string difference(run_result want, run_result got, bool in_order) {
    if (got.dropped != want.dropped)
        return "dropped " + std::to_string(got.dropped) + " late records instead of " + std::to_string(want.dropped);
    auto by_key = [](const oracle::result& a, const oracle::result& b) { return std::get<0>(a) < std::get<0>(b); };
    if (in_order) {
        std::stable_sort(want.results.begin(), want.results.end(), by_key);
        std::stable_sort(got.results.begin(), got.results.end(), by_key);
    } else {
        std::sort(want.results.begin(), want.results.end());
        std::sort(got.results.begin(), got.results.end());
    }
    std::sort(want.late.begin(), want.late.end());
    std::sort(got.late.begin(), got.late.end());
    if (want.late != got.late)
        return std::to_string(got.late.size()) + " late records instead of " + std::to_string(want.late.size());
    for (std::size_t i = 0; i < std::max(want.results.size(), got.results.size()); ++i) {
        auto text = [&](const std::vector<oracle::result>& all) {
            if (i >= all.size()) return std::string("nothing");
            return std::apply([](auto... v) { return ((std::to_string(v) + " ") + ...); }, all[i]);
        };
        if (text(want.results) != text(got.results))
            return "result " + std::to_string(i) + " is " + text(got.results) + "instead of " + text(want.results);
    }
    return "";
}

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

TEST_CASE("random graphs give what the sequential model gives, at any parallelism, batch size and schedule") {
    const std::uint64_t programs = from_environment("RUNNEL_PROGRAMS", test::seeds(5000));
    const std::uint64_t first = from_environment("RUNNEL_SEED", 1);
    const auto begin = std::chrono::steady_clock::now();
    pool_executor threads(3);
    std::uint64_t differences = 0, tried = 0;
    for (std::uint64_t seed = first; tried < programs && differences < 5; ++seed, ++tried) {
        const program p = make_program(seed);
        const run_result want = expected(p);
        // Records of one key come from one place only if there is one split: then their order is defined too.
        // When an early result comes, between those of other windows, depends on when the watermark does.
        const bool in_order = p.window.early_records == 0 && p.splits.size() == 1 && p.second_source.empty() && !p.split_and_merge && p.second_window == 0;
        dice d(seed * 7919);
        const std::size_t parallelisms[] = {1, 2, 4, 7};
        const std::size_t batches[] = {1, 7, 256};
        for (int i = 0; i < 3; ++i) {
            shape how{parallelisms[d(0, 3)], batches[d(0, 2)], static_cast<std::size_t>(d(1, 8)), std::nullopt};
            if (i != 0) how.simulated = static_cast<std::uint64_t>(d(0, 1'000'000'000));
            const std::string found = difference(want, run(p, how, threads), in_order);
            if (found.empty()) continue;
            ++differences;
            std::printf("program %llu, parallelism %zu, batches of %zu, channels of %zu, %s: %s\n"
                        "replay: RUNNEL_SEED=%llu RUNNEL_PROGRAMS=1 runnel_test_graph -tc='random graphs*'\n",
                        static_cast<unsigned long long>(seed), how.parallelism, how.batch_size, how.channel_capacity,
                        how.simulated ? "simulated" : "on threads", found.c_str(), static_cast<unsigned long long>(seed));
            break;
        }
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("torture R13 %llu of 100000 differences %llu seed %llu seconds %.1f\n",
                static_cast<unsigned long long>(tried), static_cast<unsigned long long>(differences),
                static_cast<unsigned long long>(first), seconds);
    CHECK(differences == 0);
}
