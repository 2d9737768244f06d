#include "runnel/testing/graph_harness.hpp"

#include <string>

namespace runnel::testing {

graph_harness::graph_harness(pipeline p, graph_harness_options options)
    : executor_(options.seed, {.start = options.start, .run_takes = duration::zero()}),
      job_(std::move(p).start(on(executor_, options.job))) {}

job_options graph_harness::on(sim_executor& executor, job_options options) {
    options.executor = &executor;
    options.clock = &executor.clock();
    return options;
}

void graph_harness::run_until_idle() {
    executor_.run_until_idle(clock().now());
    if (job_.is_done()) job_.wait();  // Rethrows what made it end.
}

void graph_harness::advance(duration d) {
    const timestamp until = clock().now() + d;
    run_until_idle();
    while (clock().step(until)) run_until_idle();
    clock().pass(until - clock().now());
}

void graph_harness::finish(duration limit) {
    const timestamp until = clock().now() + limit;
    do executor_.run_ready();
    while (!job_.is_done() && clock().step(until));
    if (!job_.is_done()) {
        std::string text = "the job has not ended. Finish its manual sources first. Still running:";
        for (const operator_status& o : job_.status().operators) {
            if (o.watermark == timestamp::max()) continue;
            text += "\n  " + o.name;
            if (!o.held_by.empty()) text += ", waiting for " + o.held_by;
        }
        throw error(text);
    }
    job_.wait();
}

}  // namespace runnel::testing
