#pragma once

#include <algorithm>
#include <boost/describe.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/connect/lines_sink.hpp"
#include "runnel/connect/rolling_files.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/sum.hpp"
#include "tests/torture/ledger.hpp"

/// A program that has a bit of everything: sliding windows, sessions, late records, a process function with timers, a
/// merge, a file that is cut back, files that appear when they are complete, and a ledger that results are stored in
/// together with the checkpoint's number; and the same by one pass over its events.
namespace torture {

using namespace runnel;
using namespace std::chrono_literals;

/// Times in milliseconds.
struct parameters {
    std::uint64_t events = 40'000;
    double rate = 200'000;  ///< Events per second; 0: as fast as they are taken.
    std::size_t splits = 1;
    int keys = 50;
    std::int64_t bound = 20;
    std::int64_t size = 40, slide = 10, gap = 4, silence = 25;
    /// One event in so many comes too late for its source's watermark; 0: none. Needs a single split: of several, the
    /// slowest decides what is late.
    std::uint64_t late_one_in = 500;
    std::uint64_t salt = 0;
};

/// A program in which a few events make everything happen: windows, sessions and alarms close, some events are late.
inline parameters small_program(std::uint64_t events, std::uint64_t salt) {
    return {.events = events,
            .rate = 0,
            .splits = 1,
            .keys = 3,
            .bound = 5,
            .size = 6,
            .slide = 3,
            .gap = 2,
            .silence = 4,
            .late_one_in = 20,
            .salt = salt};
}

struct event {
    int key = 0;
    int value = 0;
    timestamp at;
};
BOOST_DESCRIBE_STRUCT(event, (), (key, value, at))

inline timestamp ms(std::int64_t t) { return timestamp(std::chrono::milliseconds(t)); }

/// Makes event i: a millisecond holds ten.
struct maker {
    parameters p;
    event operator()(std::uint64_t i) const {
        std::uint64_t h = (i + 1 + p.salt) * 0x9E3779B97F4A7C15U;
        h = (h ^ h >> 29) * 0xBF58476D1CE4E5B9U;
        const bool late = p.late_one_in != 0 && h % p.late_one_in == 0;
        const auto disorder = static_cast<std::int64_t>((h >> 20) % static_cast<std::uint64_t>(p.bound)) +
                              (late ? p.bound + p.size : 0);
        return {static_cast<int>((h >> 40) % static_cast<std::uint64_t>(p.keys)), static_cast<int>(h >> 13 & 31),
                ms(static_cast<std::int64_t>(i / 10) - disorder)};
    }
};

inline std::string line(std::string kind, int key, timestamp end, std::int64_t a, std::int64_t b) {
    return kind + " " + std::to_string(key) + " " + std::to_string(end.ns() / 1'000'000) + " " + std::to_string(a) + " " +
           std::to_string(b);
}

/// Tells of a key that has been silent for a while what its records added up to.
struct silence {
    using output_type = std::string;
    duration length;
    value_state<std::int64_t> sum;
    value_state<timestamp> due;
    event_timer quiet;
    explicit silence(duration d) : length(d) {}
    void open(state_setup& s) {
        sum = s.value<std::int64_t>("sum");
        due = s.value<timestamp>("due");
        quiet = s.event_timer("quiet");
    }
    void on_record(const event& e, process_context<std::string>& c) {
        sum.set(sum.value_or(0) + e.value);
        due.set(c.time() + length);
        quiet.set(c.time() + length);
    }
    void on_timer(const timer_event& t, process_context<std::string>& c) {
        if (due.value_or(timestamp::min()) == t.time) c.emit(line("quiet", -1, t.time, sum.value_or(0), 0));
    }
};

/// Reads the events, in order, from a source, and writes to two sinks; to a third one again what the model has twice. If
/// the second is null, all goes to the first.
template <class Source, class First, class Second, class... Third>
pipeline program(const parameters& q, Source events, const First& first, const Second& second, const Third&... third) {
    using std::chrono::milliseconds;
    pipeline p("torture");
    auto all = p.from(std::move(events))
                   .named("events")
                   .event_time(&event::at, bounded_out_of_orderness(milliseconds(q.bound)));
    auto keyed = all.key_by(&event::key);
    late_output<event> late;
    auto counts = keyed.window(sliding(milliseconds(q.size), milliseconds(q.slide)).drop_late().late_to(late))
                      .aggregate(combine(count(), sum(&event::value)))
                      .named("counts")
                      .map([](const auto& r) {
                          return line("count", r.key, r.end, static_cast<std::int64_t>(std::get<0>(r.value)),
                                      std::get<1>(r.value));
                      });
    auto sessions =
        keyed.window(session(milliseconds(q.gap)).drop_late()).aggregate(count()).named("sessions").map([](const auto& r) {
            return line("session", r.key, r.end, (r.end - r.start).count(), static_cast<std::int64_t>(r.value));
        });
    auto too_late = late.stream().map(
        [](const late_record<event>& l) { return line("late", l.value.key, l.value.at, l.value.value, 0); });
    auto quiet = keyed.in_event_time_order().process(silence(milliseconds(q.silence))).named("silence");
    auto some = counts.merge(too_late);
    auto others = sessions.merge(quiet);
    if constexpr (std::is_null_pointer_v<Second>) {
        some.merge(others).to(first).named("files");
    } else {
        some.to(first).named("files");
        others.to(second).named("lines");
    }
    (quiet.merge(too_late).to(third).named("ledger"), ...);
    return p;
}

/// Writes to files in folder `out`, and to the ledger there.
inline pipeline program(const parameters& q, const std::string& out, file_system& files) {
    return program(q, generate(q.events, maker{q}, {.splits = q.splits, .rate = q.rate}),
                   text_files(out, {.prefix = "a", .files = &files}),
                   text_lines_to(out + "/lines.txt", {.files = &files}), std::make_shared<ledger>(out, files));
}

/// The same by one pass over all events in order.
inline std::vector<std::string> model(const parameters& p, bool with_ledger = true) {
    const maker make{p};
    std::vector<std::string> all;
    std::int64_t largest = INT64_MIN;  // in ms, as all times below
    std::map<std::pair<int, std::int64_t>, std::pair<std::int64_t, std::int64_t>> counts;  // by key, end
    struct one { std::int64_t at; int value; };
    std::map<int, std::vector<one>> in_order;
    struct span { std::int64_t start, end, count; };
    std::map<int, std::deque<span>> sessions;
    const std::int64_t b = p.bound;
    for (std::uint64_t i = 0; i < p.events; ++i) {
        const event e = make(i);
        const std::int64_t t = e.at.ns() / 1'000'000 - (e.at.ns() % 1'000'000 < 0);
        // The watermark, in ns, is largest - b - 1 ns: a window with this end is complete if end <= largest - b.
        const auto complete = [&](std::int64_t end) { return largest != INT64_MIN && end <= largest - b; };
        bool taken = false;
        // Windows start at multiples of the slide.
        std::int64_t start = t - ((t % p.slide) + p.slide) % p.slide;
        bool has_window = false;
        for (; start > t - p.size; start -= p.slide) {
            const std::int64_t end = start + p.size;
            has_window = true;
            if (!complete(end)) {
                auto& [n, sum] = counts[{e.key, end}];
                ++n, sum += e.value;
                taken = true;
            }
        }
        if (has_window && !taken) all.push_back(line("late", e.key, e.at, e.value, 0));
        // Judged after merging, as other windows are, though a session fires a tick later than those.
        auto& of_key = sessions[e.key];
        span s{t, t + p.gap, 1};
        std::vector<std::size_t> touched;
        for (std::size_t k = 0; k < of_key.size(); ++k)
            if (of_key[k].start <= t + p.gap && t <= of_key[k].end) {
                touched.push_back(k);
                s = {std::min(s.start, of_key[k].start), std::max(s.end, of_key[k].end), s.count + of_key[k].count};
            }
        if (!complete(s.end)) {
            for (std::size_t k = touched.size(); k-- != 0;)
                of_key.erase(of_key.begin() + static_cast<std::ptrdiff_t>(touched[k]));
            of_key.push_back(s);
        }
        if (!(largest != INT64_MIN && t < largest - b)) in_order[e.key].push_back({t, e.value});
        if (t > largest) {
            largest = t;
            for (auto& [key, list] : sessions)
                for (std::size_t k = 0; k < list.size();)
                    if (list[k].end < largest - b) {
                        all.push_back(line("session", key, ms(list[k].end),
                                           (list[k].end - list[k].start) * 1'000'000, list[k].count));
                        list.erase(list.begin() + static_cast<std::ptrdiff_t>(k));
                    } else {
                        ++k;
                    }
        }
    }
    for (auto& [key, list] : sessions)
        for (const span& s : list)
            all.push_back(line("session", key, ms(s.end),
                               (s.end - s.start) * 1'000'000, s.count));
    for (const auto& [of, c] : counts)
        all.push_back(line("count", of.first, ms(of.second), c.first, c.second));
    for (auto& [key, list] : in_order) {
        std::stable_sort(list.begin(), list.end(), [](const one& x, const one& y) { return x.at < y.at; });
        std::int64_t sum = 0;
        for (std::size_t k = 0; k < list.size(); ++k) {
            sum += list[k].value;
            // The timer at `at` + 25 fires behind records of that time.
            if (k + 1 == list.size() || list[k + 1].at > list[k].at + p.silence)
                all.push_back(line("quiet", -1, ms(list[k].at + p.silence), sum, 0));
        }
    }
    for (std::size_t i = with_ledger ? all.size() : 0; i-- != 0;)
        if (all[i].starts_with("quiet") || all[i].starts_with("late")) all.push_back("ledger " + all[i]);
    std::sort(all.begin(), all.end());
    return all;
}

/// Whole lines of all files that can be seen in folder `out`.
inline std::vector<std::string> shown(file_system& files, const std::string& out = "/out") {
    std::vector<std::string> all;
    if (!files.is_directory(out)) return all;
    for (const std::string& name : files.list(out)) {
        if (name.starts_with('.')) {
            all.push_back("left over: " + name);
            continue;
        }
        const auto f = files.open(out + "/" + name, open_mode::read);
        std::string text(static_cast<std::size_t>(f->size()), '\0');
        text.resize(f->read(0, text.data(), text.size()));
        for (std::size_t from = 0; from < text.size();) {
            const std::size_t end = std::min(text.find('\n', from), text.size());
            std::string line = text.substr(from, end - from);
            if (!line.starts_with(ledger::mark)) all.push_back(std::move(line));
            from = end + 1;
        }
    }
    std::sort(all.begin(), all.end());
    return all;
}

/// Prints the first differences of two sorted lists; how many there are.
inline std::uint64_t difference(const std::vector<std::string>& a, const std::vector<std::string>& b, const char* what) {
    std::vector<std::string> missing, unwanted;
    std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(missing));
    std::set_difference(b.begin(), b.end(), a.begin(), a.end(), std::back_inserter(unwanted));
    for (std::size_t i = 0; i < missing.size() && i < 5; ++i) std::printf("%s: missing %s\n", what, missing[i].c_str());
    for (std::size_t i = 0; i < unwanted.size() && i < 5; ++i)
        std::printf("%s: not wanted %s\n", what, unwanted[i].c_str());
    return missing.size() + unwanted.size();
}

}  // namespace torture
