#include "runnel/graph/two_stage.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/best_by.hpp"
#include "runnel/window/collect.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/distinct_count.hpp"
#include "runnel/window/first_last.hpp"
#include "runnel/window/sum.hpp"
#include "runnel/window/top.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

using click = std::pair<int, int>;  // user, weight

const auto user_of = [](const click& c) { return c.first; };
const auto weight_of = [](const click& c) { return c.second; };

/// Most clicks are of one user, or no user has many. `disorder`: how far, in ns, times scatter; no two are equal.
std::vector<timed<click>> clicks(std::uint64_t seed, std::int64_t disorder, bool is_hot = true) {
    std::mt19937_64 random(seed);
    std::vector<timed<click>> all;
    for (std::int64_t i = 0; i != 3000; ++i) {
        const int user = is_hot && random() % 3 ? 7 : static_cast<int>(random() % (is_hot ? 20 : 500));
        const auto back = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(disorder));
        all.push_back({{user, static_cast<int>(random() % 100)}, timestamp((i - back) * 5000 + i)});
    }
    return all;
}

/// All results per key in order, and the number of late records.
template <class R>
struct outcome {
    std::map<int, std::vector<windowed<int, R>>> results;
    std::uint64_t late = 0;
    friend bool operator==(const outcome&, const outcome&) = default;
};

template <class Spec, class Agg>
auto run(bool two_stages, const std::vector<timed<click>>& input, std::size_t splits, duration bound, const Spec& spec,
         const Agg& aggregate, std::uint64_t seed, std::size_t batch_size) {
    using R = result_of<bound_aggregate<click, Agg>>;
    testing::sim_executor simulated(seed);
    std::vector<windowed<int, R>> results;
    pipeline p;
    auto in = p.from(timed_collection<click>(input, splits)).event_time(bounded_out_of_orderness(bound));
    if (two_stages)
        aggregate_in_two_stages(in, user_of, spec, aggregate).to(runnel::collect(results));
    else
        in.key_by(user_of).window(spec).aggregate(aggregate).to(runnel::collect(results));
    job j = std::move(p).start(
        {.parallelism = 3, .batch_size = batch_size, .executor = &simulated, .clock = &simulated.clock()});
    j.wait();
    outcome<R> all;
    for (auto& r : results) all.results[r.key].push_back(std::move(r));
    for (const auto& op : j.status().operators) all.late += op.late_dropped;
    return all;
}

template <class Spec, class Agg>
void compare(std::size_t splits, std::int64_t disorder, duration bound, const Spec& spec, const Agg& aggregate) {
    for (std::uint64_t seed = 1; seed != 6; ++seed) {
        CAPTURE(seed);
        CAPTURE(spec.text());
        const auto input = clicks(seed, disorder, seed % 2 == 0);
        const auto one = run(false, input, splits, bound, spec, aggregate, seed, 256);
        REQUIRE(!one.results.empty());
        for (std::size_t batch_size : {1, 7, 256})
            REQUIRE(run(true, input, splits, bound, spec, aggregate, seed + 100, batch_size) == one);
    }
}

template <class Agg>
void compare_all(const Agg& aggregate) {
    // Late records, decided by one split.
    compare(1, 100, 100us, tumbling(1ms).drop_late(), aggregate);
    compare(1, 100, 100us, tumbling(700us, 100us).lateness(200us), aggregate);
    compare(1, 100, 100us, sliding(1ms, 300us).lateness(100us), aggregate);
    compare(1, 100, 100us, sliding(100us, 300us).drop_late(), aggregate);
    // Several splits; each keeps its promise, so that it doesn't matter how they come together.
    compare(3, 20, 200us, tumbling(1ms).drop_late(), aggregate);
    compare(3, 20, 200us, sliding(1ms, 250us).lateness(1ms), aggregate);
}

}  // namespace

TEST_CASE("two stages give what one gives: exact aggregates, late records, windows that fire again") {
    compare_all(combine(count(), sum(weight_of), top(3, weight_of), distinct_count(weight_of)));
}

TEST_CASE("two stages give what one gives: aggregates that go by time") {
    compare_all(combine(first(), last(), min_by(weight_of), max_by(weight_of)));
    compare_all(runnel::collect(weight_of));
}

TEST_CASE("the hot key's records don't go through the exchange one by one") {
    std::vector<windowed<int, std::uint64_t>> results;
    pipeline p;
    auto in = p.from(timed_collection<click>(clicks(1, 1))).event_time(monotonous());
    aggregate_in_two_stages(in, user_of, tumbling(1s).drop_late(), count()).to(runnel::collect(results));
    job j = std::move(p).start({.parallelism = 2, .batch_size = 256});
    j.wait();
    REQUIRE(j.status().operators.size() == 4);
    CHECK(j.status().operators[1].records_in == 3000);
    CHECK(j.status().operators[1].records_out < 3000 / 5);
}
