// Parcel tracking: scanners report late and out of order. Each parcel's scans are put in the order in which they
// happened; the program tells how long it took from one place to the next, and which scans came too late to count.
//   parcel_tracking [--describe]
#include <cstdio>
#include <string>
#include <vector>

#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
using runnel::timestamp;

struct scan {
    std::string parcel, place;
    timestamp at;
};

struct legs {
    using output_type = std::string;
    runnel::value_state<std::pair<std::string, timestamp>> last;

    void open(runnel::state_setup& s) { last = s.value<std::pair<std::string, timestamp>>("last"); }
    void on_record(const scan& s, runnel::process_context<std::string>& c) {
        if (const auto* from = last.get())
            c.emit(s.parcel + ": " + from->first + " -> " + s.place + " in " +
                   std::to_string(std::chrono::duration_cast<std::chrono::hours>(s.at - from->second).count()) + " h");
        else
            c.emit(s.parcel + ": handed in at " + s.place);
        last.set({s.place, s.at});
    }
};

int main(int argc, char**) {
    const std::vector<scan> scans{
        {"P1", "Lyon", timestamp(0h)},   {"P2", "Oslo", timestamp(1h)},   {"P1", "Hof", timestamp(12h)},
        {"P1", "Metz", timestamp(7h)},   {"P2", "Kiel", timestamp(14h)},  {"P1", "Riga", timestamp(30h)},
        {"P2", "Hof", timestamp(26h)},   {"P2", "Lund", timestamp(9h)},  // 21 h behind: too late
        {"P2", "Graz", timestamp(41h)},
    };
    runnel::late_output<scan> late;
    runnel::pipeline p{"parcel_tracking"};
    p.from(runnel::collection(scans))
        .event_time(&scan::at, runnel::bounded_out_of_orderness(12h))
        .key_by(&scan::parcel)
        .in_event_time_order(late)
        .process(legs{})
        .named("legs")
        .merge(late.stream().map([](const runnel::late_record<scan>& l) {
            return l.value.parcel + ": the scan at " + l.value.place + " came too late";
        }))
        .to(runnel::for_each([](const std::string& line) { std::puts(line.c_str()); }));
    if (argc > 1) return std::puts(p.describe(2).c_str()) < 0;
    std::move(p).start().wait();
}
