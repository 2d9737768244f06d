// Card fraud: a tiny payment followed within a minute by a large one on the same card raises an alert. Payments come
// out of order; they are looked at in the order in which they happened, so the alerts don't depend on the network.
//   card_fraud [--describe]
#include <cstdio>
#include <string>
#include <vector>

#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
using runnel::timestamp;

struct payment {
    std::string card;
    double amount = 0;
    timestamp at;
};

struct alert {
    std::string card;
    double amount = 0;
};

struct small_then_large {
    using output_type = alert;
    runnel::value_state<bool> small;  // there only while a small payment is less than a minute ago
    runnel::event_timer forget;

    void open(runnel::state_setup& s) {
        small = s.value<bool>("small");
        forget = s.event_timer("forget");
    }
    void on_record(const payment& p, runnel::process_context<alert>& c) {
        if (small.has_value() && p.amount > 500) c.emit({p.card, p.amount});
        small.clear();
        if (p.amount >= 1) return;
        small.set(true);
        forget.set(c.time() + 1min);
    }
    void on_timer(const runnel::timer_event&, runnel::process_context<alert>&) { small.clear(); }
};

int main(int argc, char**) {
    const std::vector<payment> payments{
        {"4711", 0.50, timestamp(10s)},  {"0815", 0.20, timestamp(12s)},  {"4711", 900, timestamp(40s)},
        {"0815", 20, timestamp(35s)},    {"0815", 700, timestamp(50s)},  // not an alert: 20 came in between
        {"1234", 800, timestamp(75s)},   {"1234", 0.99, timestamp(70s)},  // out of order, and still an alert
        {"4711", 0.10, timestamp(100s)}, {"4711", 999, timestamp(161s)},  // a second too late for one
    };
    runnel::pipeline p{"card_fraud"};
    p.from(runnel::collection(payments))
        .event_time(&payment::at, runnel::bounded_out_of_orderness(30s))
        .key_by(&payment::card)
        .in_event_time_order()
        .process(small_then_large{})
        .named("small_then_large")
        .to(runnel::for_each([](const alert& a, timestamp at) {
            std::printf("%s card %s: %.2f right after a tiny payment\n", to_string(at).c_str(), a.card.c_str(),
                        a.amount);
        }));
    if (argc > 1) return std::puts(p.describe(2).c_str()) < 0;
    std::move(p).start({.parallelism = 2}).wait();
}
