#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/window/count.hpp"

namespace test {

/// A job that counts numbers, of which each tenth is bad: numbers -> picky -> counts -> out.
inline runnel::job observed_job(std::string name, int n, std::size_t parallelism) {
    std::vector<int> numbers;
    for (int i = 0; i < n; ++i) numbers.push_back(i);
    runnel::pipeline p{std::move(name)};
    p.from(runnel::collection(std::move(numbers)))
        .event_time([](const int& i) { return runnel::timestamp(i); }, runnel::monotonous())
        .named("numbers")
        .map([](int i) {
            if (i % 10 == 7) throw std::invalid_argument("<b>seven</b>");
            return i;
        })
        .named("picky")
        .on_error(runnel::on_error::skip)
        .key_by([](const int& i) { return i % 100; })
        .window(runnel::tumbling(std::chrono::nanoseconds(1000)).drop_late())
        .aggregate(runnel::count())
        .named("counts")
        .to(runnel::null_sink())
        .named("out");
    return std::move(p).start({.parallelism = parallelism});
}

}  // namespace test
