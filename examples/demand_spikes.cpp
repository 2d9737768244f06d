// Demand spikes: views of each product per minute, told early every ten seconds of event time; the first early result
// that is far above the usual triggers an instant offer, once a minute and product, without waiting for the minute.
//   demand_spikes [--describe]
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
using runnel::timestamp;

struct view {
    std::string product;
    timestamp at;
};

using views = runnel::paned<std::string, std::uint64_t>;

struct instant_offer {
    using output_type = std::string;
    runnel::value_state<timestamp> offered_in;  // the minute of the last offer

    void open(runnel::state_setup& s) { offered_in = s.value<timestamp>("offered_in"); }
    void on_record(const views& v, runnel::process_context<std::string>& c) {
        if (v.value < 20 || offered_in.value_or(timestamp::min()) == v.start) return;
        offered_in.set(v.start);
        c.emit("offer for " + v.key + ": " + std::to_string(v.value) + " views in the minute from " +
               to_string(v.start).substr(11, 5));
    }
};

int main(int argc, char**) {
    std::vector<view> seen;
    for (int s = 0; s < 180; ++s) {
        const timestamp at{std::chrono::seconds(s)};
        if (s % 5 == 0) seen.push_back({"lamp", at});
        for (int i = 0; i < (s >= 75 && s < 95 ? 3 : 0); ++i) seen.push_back({"kite", at});
    }
    runnel::pipeline p{"demand_spikes"};
    auto counts = p.from(runnel::collection(seen))
                      .event_time(&view::at, runnel::bounded_out_of_orderness(2s))
                      .key_by(&view::product)
                      .window(runnel::tumbling(1min).drop_late().early(runnel::every(10s)).accumulating())
                      .aggregate(runnel::count())
                      .named("views");
    counts.key_by(&views::key).process(instant_offer{}).named("offers").to(
        runnel::for_each([](const std::string& offer) { std::puts(offer.c_str()); }));
    counts.filter([](const views& v) { return v.pane.timing == runnel::pane_timing::on_time; })
        .to(runnel::for_each([](const views& v) {
            std::printf("%s %s %d\n", to_string(v.start).substr(11, 5).c_str(), v.key.c_str(),
                        static_cast<int>(v.value));
        }));
    if (argc > 1) return std::puts(p.describe(2).c_str()) < 0;
    std::move(p).start({.parallelism = 2}).wait();
}
