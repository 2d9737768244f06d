// Device telemetry: how long each device was in use (sessions: readings at most 30 s apart), and an alarm when a device
// has been silent for two minutes. Both come from one stream; event time decides, so a replay gives the same.
//   device_telemetry [--describe]
#include <cstdio>
#include <string>
#include <vector>

#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
using runnel::timestamp;

struct reading {
    std::string device;
    double watts = 0;
    timestamp at;
};

struct silence_alarm {
    using output_type = std::string;
    runnel::value_state<timestamp> due;
    runnel::event_timer silent;

    void open(runnel::state_setup& s) {
        due = s.value<timestamp>("due");
        silent = s.event_timer("silent");
    }
    void on_record(const reading&, runnel::process_context<std::string>& c) {
        if (const timestamp* old = due.get()) silent.cancel(*old);
        due.set(c.time() + 2min);
        silent.set(c.time() + 2min);
    }
    void on_timer(const runnel::timer_event&, runnel::process_context<std::string>& c) {
        c.emit("silent: " + c.key<std::string>());
        due.clear();
    }
};

int main(int argc, char**) {
    std::vector<reading> readings;
    for (int s = 0; s < 600; s += 10) {
        const timestamp at{std::chrono::seconds(s)};
        if (s < 60 || (s >= 300 && s < 330)) readings.push_back({"pump", 100.0 + s, at});
        if (s < 200 || s >= 260) readings.push_back({"fan", 20, at});
    }
    runnel::pipeline p{"device_telemetry"};
    auto all = p.from(runnel::collection(readings)).event_time(&reading::at, runnel::bounded_out_of_orderness(5s));
    auto in_use = all.key_by(&reading::device)
                      .window(runnel::session(30s).drop_late())
                      .aggregate(runnel::combine(runnel::count(), runnel::max(&reading::watts)))
                      .map([](const auto& s) {
                          const auto& [count, most] = s.value;
                          return s.key + " in use from " + to_string(s.start).substr(11, 8) + " to " +
                                 to_string(s.end).substr(11, 8) + ", " + std::to_string(count) + " readings, at most " +
                                 std::to_string(static_cast<int>(most)) + " W";
                      });
    auto alarms = all.key_by(&reading::device).in_event_time_order().process(silence_alarm{}).named("silence_alarm");
    in_use.merge(alarms).to(runnel::for_each([](const std::string& text, timestamp at) {
        std::printf("%s %s\n", to_string(at).substr(11, 8).c_str(), text.c_str());
    }));
    if (argc > 1) return std::puts(p.describe(2).c_str()) < 0;
    std::move(p).start().wait();
}
