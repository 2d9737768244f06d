// Top pages, with late corrections: the hits of each minute are told when the minute is over, and told again when a hit
// comes late. A hit that comes more than two minutes late is shown, not counted.
//   top_pages [--describe]
#include <cstdio>
#include <string>
#include <vector>

#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
using runnel::timestamp;

struct hit {
    std::string page;
    timestamp at;
};

int main(int argc, char**) {
    const std::vector<hit> hits{
        {"/", timestamp(5s)},        {"/buy", timestamp(20s)},  {"/", timestamp(30s)},   {"/", timestamp(65s)},
        {"/buy", timestamp(70s)},    {"/", timestamp(50s)},     {"/buy", timestamp(72s)},  // 50 s: late, and counted
        {"/help", timestamp(190s)},  {"/buy", timestamp(100s)}, {"/", timestamp(10s)},     // 10 s: too late
    };
    runnel::late_output<hit> late;
    runnel::pipeline p{"top_pages"};
    auto counts = p.from(runnel::collection(hits))
                      .event_time(&hit::at, runnel::monotonous())
                      .key_by(&hit::page)
                      .window(runnel::tumbling(1min).lateness(2min).late_to(late))
                      .aggregate(runnel::count())
                      .named("per_minute");
    counts.to(runnel::for_each([](const runnel::windowed<std::string, std::uint64_t>& w) {
        std::printf("%s %-5s %d\n", to_string(w.start).substr(11, 5).c_str(), w.key.c_str(), static_cast<int>(w.value));
    }));
    late.stream().to(runnel::for_each([](const runnel::late_record<hit>& l) {
        std::printf("too late: %s at %s\n", l.value.page.c_str(), to_string(l.time).substr(11, 8).c_str());
    }));
    if (argc > 1) return std::puts(p.describe(2).c_str()) < 0;
    std::move(p).start({.batch_size = 1}).wait();
}
