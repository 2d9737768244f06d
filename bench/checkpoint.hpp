#pragma once

#include <algorithm>
#include <atomic>
#include <boost/describe/class.hpp>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bench/folder.hpp"
#include "bench/support.hpp"
#include "runnel/codec/describe.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/source.hpp"

/// What is measured of checkpoints, for jobs that read from `keys_source`.
namespace bench {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct event {
    std::uint64_t key;
    std::int64_t value;
};
BOOST_DESCRIBE_STRUCT(event, (), (key, value))

/// What the source and the benchmark tell each other.
struct stop_watch {
    std::uint64_t keys;
    std::uint64_t count = std::numeric_limits<std::uint64_t>::max();  ///< Events in all.
    // Pair with nothing: figures, read by whoever is curious.
    std::atomic<std::int64_t> longest_ns{0};
    std::atomic<std::uint64_t> made{0};
    std::atomic<bool> stop{false};
};

/// Each key in turn at first, then in no order; event time moves a nanosecond an event.
class keys_source final : public runnel::source<event> {
public:
    explicit keys_source(stop_watch& w) : watch_(w) {}
    std::string name() const override { return "keys"; }
    std::vector<std::string> splits() override { return {"0"}; }
    std::unique_ptr<runnel::split_reader<event>> open(const std::string&, const std::string* position,
                                                      const runnel::reader_context&) override {
        return std::make_unique<reader>(watch_, position ? std::stoull(*position) : 0);
    }

private:
    class reader final : public runnel::split_reader<event> {
    public:
        reader(stop_watch& w, std::uint64_t next) : watch_(w), next_(next) {}
        runnel::poll_result poll(runnel::batch<event>& into, std::size_t limit) override {
            const auto now = steady::now();
            const std::int64_t gap = last_ ? (now - *last_).count() : 0;
            last_ = now;
            if (gap > watch_.longest_ns.load(std::memory_order_relaxed))
                watch_.longest_ns.store(gap, std::memory_order_relaxed);
            const std::size_t n = std::min<std::uint64_t>(limit, watch_.count - next_);
            into.append_made(
                n,
                [&](std::size_t k) {
                    const std::uint64_t i = next_ + k;
                    return event{i < watch_.keys ? i : splitmix64(i) % watch_.keys, 1};
                },
                runnel::timestamp());
            next_ += n;
            watch_.made.store(next_, std::memory_order_relaxed);
            const bool over = next_ == watch_.count || watch_.stop.load(std::memory_order_relaxed);
            return over ? runnel::poll_result::finished() : runnel::poll_result::more();
        }
        std::string position() const override { return std::to_string(next_); }

    private:
        stop_watch& watch_;
        std::uint64_t next_;
        std::optional<steady::time_point> last_;
    };
    stop_watch& watch_;
};

/// Keeps the sum of each key, and a timer that is never called.
struct keep_sum {
    using output_type = std::int64_t;
    runnel::value_state<std::int64_t> sum;
    runnel::event_timer over;
    void open(runnel::state_setup& s) {
        sum = s.value<std::int64_t>("sum");
        over = s.event_timer("over");
    }
    void on_record(const event& e, runnel::process_context<std::int64_t>&) {
        if (!sum.has_value()) over.set(runnel::timestamp(1h));
        sum.get_or_create() += e.value;
    }
    void on_timer(const runnel::timer_event&, runnel::process_context<std::int64_t>&) {}
};

template <class Strategy>
auto events_of(runnel::pipeline& p, stop_watch& w, Strategy watermarks) {
    return p.from(std::make_shared<keys_source>(w)).named("keys").event_time(
        [t = std::int64_t{0}](const event&) mutable { return runnel::timestamp(++t); }, watermarks);
}
inline auto events_of(runnel::pipeline& p, stop_watch& w) { return events_of(p, w, runnel::monotonous()); }

inline runnel::pipeline process_program(stop_watch& w) {
    runnel::pipeline p("checkpoint");
    events_of(p, w).key_by(&event::key).process(keep_sum{}).named("sums").to(runnel::null_sink());
    return p;
}

inline runnel::job_options with_checkpoints(const folder& f, runnel::duration interval,
                                            std::shared_ptr<runnel::state_backend> state = nullptr) {
    runnel::job_options options;
    options.checkpoints = {.folder = f.path + "/checkpoints", .interval = interval, .keep = 1};
    options.state = std::move(state);
    return options;
}

inline void wait_until_made(const stop_watch& w, std::uint64_t n) {
    while (w.made.load() < n) std::this_thread::sleep_for(1ms);
}

/// The longest pause around each of `n` checkpoints, in milliseconds. `program(w)` makes the pipeline, `state()` what
/// keeps its state, if that is not memory.
template <class Program, class State>
double pause_ms(Program program, State state, std::uint64_t keys, int n) {
    folder f;
    stop_watch w{keys};
    auto job = program(w).start(with_checkpoints(f, {}, state(f)));
    wait_until_made(w, 2 * keys);
    job.checkpoint();
    std::vector<double> pauses;
    for (int i = 0; i < n; ++i) {
        std::this_thread::sleep_for(50ms);
        w.longest_ns.store(0);
        job.checkpoint();
        pauses.push_back(static_cast<double>(w.longest_ns.load()) / 1e6);
    }
    w.stop.store(true);
    job.cancel();
    std::sort(pauses.begin(), pauses.end());
    return pauses[(pauses.size() * 99 + 99) / 100 - 1];
}

/// Seconds for `events` events when each key has come.
template <class Program>
double seconds_for(Program program, const runnel::job_options& options, std::uint64_t keys, std::uint64_t events) {
    stop_watch w{keys};
    auto job = program(w).start(options);
    wait_until_made(w, 2 * keys);
    const std::uint64_t first = w.made.load();
    const double s = seconds_of([&] { wait_until_made(w, first + events); });
    job.cancel();
    return s;
}

/// With one checkpoint a second, as a share of without.
template <class Program, class State>
double throughput(Program program, State state, std::uint64_t keys, std::uint64_t events, int rounds = 3) {
    std::vector<double> without, with;
    for (int round = 0; round < rounds; ++round) {
        folder f, g;
        runnel::job_options options;
        options.state = state(f);
        without.push_back(seconds_for(program, options, keys, events));
        with.push_back(seconds_for(program, with_checkpoints(g, 1s, state(g)), keys, events));
    }
    return median(without) / median(with);
}

inline std::shared_ptr<runnel::state_backend> in_memory(const folder&) { return nullptr; }

}  // namespace bench
