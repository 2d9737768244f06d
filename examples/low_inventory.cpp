// Low stock: an alert when fewer than ten pieces of an item are left, and then none for an hour, whatever happens.
//   low_inventory [--describe]
#include <cstdio>
#include <string>
#include <vector>

#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
using runnel::timestamp;

struct movement {  // pieces that come into the store, or go out
    std::string item;
    int pieces = 0;
    timestamp at;
};

struct shortage {
    std::string item;
    int left = 0;
};

struct watch_stock {
    using output_type = shortage;
    runnel::value_state<int> left;
    runnel::value_state<bool> told;  // expires by itself

    void open(runnel::state_setup& s) {
        left = s.value<int>("left");
        told = s.value<bool>("told", {.ttl = 1h});
    }
    void on_record(const movement& m, runnel::process_context<shortage>& c) {
        const int now = left.value_or(0) + m.pieces;
        left.set(now);
        if (now >= 10 || told.has_value()) return;
        told.set(true);
        c.emit({m.item, now});
    }
};

int main(int argc, char**) {
    const std::vector<movement> movements{
        {"bolts", 40, timestamp(0h)},     {"nuts", 15, timestamp(1min)},   {"bolts", -33, timestamp(10min)},
        {"bolts", -2, timestamp(15min)},  {"nuts", -4, timestamp(20min)},  {"bolts", 30, timestamp(30min)},
        {"bolts", -28, timestamp(40min)}, {"nuts", -3, timestamp(45min)},  {"bolts", -1, timestamp(75min)},
    };
    runnel::pipeline p{"low_inventory"};
    p.from(runnel::collection(movements))
        .event_time(&movement::at, runnel::monotonous())
        .key_by(&movement::item)
        .in_event_time_order()
        .process(watch_stock{})
        .named("watch_stock")
        .to(runnel::for_each([](const shortage& s, timestamp at) {  // here an SMS would be sent
            std::printf("%s only %d %s left\n", to_string(at).c_str(), s.left, s.item.c_str());
        }));
    if (argc > 1) return std::puts(p.describe(2).c_str()) < 0;
    std::move(p).start({.parallelism = 2}).wait();
}
