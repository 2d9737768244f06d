// How long after its scheduled time an event reaches the sink: source, map, sink at 1 M events/s for some seconds.
// The schedule does not wait for the job: an event that the source makes late is as late as that. Between events the
// source rests (`poll_result::until`), so nothing spins. Times are of the job's clock; latency counts up to the call
// of the sink's function. The notes tell what a thread by hand gets that sleeps until the next event is due: on a busy
// machine that is the time slice of others, and no program does better.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/machine.hpp"
#include "bench/support.hpp"
#include "runnel/core/real_clock.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/source.hpp"

namespace {

struct event {
    std::uint64_t number;
    runnel::timestamp due;
};

/// Event i is due i microseconds after the start.
class scheduled final : public runnel::source<event> {
public:
    explicit scheduled(std::uint64_t count) : count_(count) {}
    std::string name() const override { return "scheduled"; }
    std::vector<std::string> splits() override { return {"0"}; }
    std::unique_ptr<runnel::split_reader<event>> open(const std::string&, const std::string*,
                                                      const runnel::reader_context& context) override {
        return std::make_unique<reader>(count_, *context.clock);
    }

private:
    class reader final : public runnel::split_reader<event> {
    public:
        reader(std::uint64_t count, const runnel::clock& clock)
            : count_(count), clock_(clock), start_(clock.now() + std::chrono::milliseconds(50)) {}

        runnel::poll_result poll(runnel::batch<event>& into, std::size_t limit) override {
            const runnel::duration running = clock_.now() - start_;
            const std::uint64_t due =
                running.count() < 0 ? 0 : std::min(count_, static_cast<std::uint64_t>(running.count()) / 1000 + 1);
            const std::size_t n = std::min<std::uint64_t>(limit, due - next_);
            into.append_made(
                n, [&](std::size_t k) { return event{next_ + k, due_time(next_ + k)}; }, runnel::timestamp());
            next_ += n;
            if (next_ == count_) return runnel::poll_result::finished();
            return n == limit ? runnel::poll_result::more() : runnel::poll_result::until(due_time(next_));
        }
        std::string position() const override { return {}; }

    private:
        runnel::timestamp due_time(std::uint64_t i) const {
            return start_ + std::chrono::microseconds(static_cast<std::int64_t>(i));
        }
        const std::uint64_t count_;
        const runnel::clock& clock_;
        const runnel::timestamp start_;
        std::uint64_t next_ = 0;
    };

    const std::uint64_t count_;
};

constexpr std::uint64_t count = 4'000'000;

/// Latencies in nanoseconds, and the time of a core that it took.
struct measured {
    std::vector<std::int32_t> latency;
    double share = 0;

    measured() {
        latency.reserve(count);
        share = -bench::cpu_seconds();
    }
    void add(runnel::duration d) {
        latency.push_back(static_cast<std::int32_t>(std::min<std::int64_t>(d.count(), INT32_MAX)));
    }
    void finish(std::uint64_t sum) {
        share = (share + bench::cpu_seconds()) / (count / 1e6);
        if (latency.size() != count || sum != 3 * (count * (count - 1) / 2) + count) bench::fail("events are missing");
        std::sort(latency.begin(), latency.end());
    }
    double us_at(double quantile) const {
        return latency[static_cast<std::size_t>(quantile * (count - 1))] / 1000.0;
    }
};

measured with_runnel() {
    runnel::real_clock clock;
    measured m;
    std::uint64_t sum = 0;
    runnel::pipeline p{"latency"};
    p.from(scheduled(count))
        .map([](event e) {
            e.number = e.number * 3 + 1;
            return e;
        })
        .to(runnel::for_each([&](const event& e) {
            sum += e.number;
            m.add(clock.now() - e.due);
        }));
    std::move(p).start({.clock = &clock}).wait();
    m.finish(sum);
    return m;
}

measured by_hand() {
    using clock = std::chrono::steady_clock;
    measured m;
    std::uint64_t sum = 0;
    const clock::time_point start = clock::now() + std::chrono::milliseconds(50);
    for (std::uint64_t next = 0; next < count;) {
        const clock::time_point due = start + std::chrono::microseconds(next);
        const clock::time_point now = clock::now();
        if (due > now) {
            std::this_thread::sleep_until(due);
            continue;
        }
        sum += next * 3 + 1;
        m.add(now - due);
        ++next;
    }
    m.finish(sum);
    return m;
}

}  // namespace

int main() {
    const measured hand = by_hand();
    const measured ours = with_runnel();
    const struct {
        const char* name;
        double quantile;
        double limit_us;
    } lines[] = {{"latency_p50", 0.5, 50}, {"latency_p99", 0.99, 500}, {"latency_p99.9", 0.999, 5000}};
    for (const auto& line : lines) {
        const double us = ours.us_at(line.quantile);
        bench::print_ratio(line.name, line.limit_us / std::max(us, 0.001), 1, 5,
                           bench::text("%.1f us, %.2f of a core busy; by hand %.1f us, %.2f of a core; floor %.0f us; ",
                                       us, ours.share, hand.us_at(line.quantile), hand.share, line.limit_us) +
                               bench::load_average());
    }
}
