#pragma once

#include <chrono>
#include <utility>
#include <vector>

#include "runnel/core/timed.hpp"
#include "runnel/operators/operator.hpp"

namespace tests {

/// Holds every record back for ten seconds of processing time.
struct delay {
    using input_type = int;
    using output_type = int;
    void open(const runnel::operator_context& context) { clock = context.clock; }
    void on_record(int&& n, runnel::timestamp t, runnel::output<int>&) {
        held.push_back({clock->now() + std::chrono::seconds(10), {n, t}});
    }
    runnel::timestamp next_tick() const { return held.empty() ? runnel::timestamp::max() : held.front().first; }
    runnel::progress tick(runnel::timestamp now, runnel::output<int>& out) {
        for (; !held.empty() && next_tick() <= now; held.erase(held.begin())) {
            if (!out.ready()) return runnel::progress::blocked;
            out.emit(held.front().second.value, held.front().second.time);
        }
        return runnel::progress::done;
    }
    runnel::progress advance(runnel::timestamp w, runnel::output<int>& out) {
        return w == runnel::timestamp::max() ? tick(w, out) : runnel::progress::done;
    }
    const runnel::clock* clock = nullptr;
    std::vector<std::pair<runnel::timestamp, runnel::timed<int>>> held;
};

}  // namespace tests
