// How records find their subtask, and how many subtasks there are: rebalance, broadcast, partition_by,
// with_parallelism, in whole jobs.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/runtime/pool_executor.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/count.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

std::vector<int> numbers(int n) {
    std::vector<int> all;
    for (int i = 0; i < n; ++i) all.push_back(i);
    return all;
}

timestamp at_ns(const int& i) { return timestamp(i); }

template <class T>
std::vector<T> sorted(std::vector<T> all) {
    std::sort(all.begin(), all.end());
    return all;
}

void run(pipeline&& p, job_options options = {}) { std::move(p).start(options).wait(); }

/// Says of each record which subtask has seen it.
struct where {
    using input_type = int;
    using output_type = std::pair<std::size_t, int>;
    std::size_t subtask = 0;
    void open(const operator_context& context) { subtask = context.subtask; }
    void on_record(int&& x, timestamp t, output<output_type>& out) { out.emit({subtask, x}, t); }
};

/// Adds to each record the sum of what has come by the second input.
struct plus_second {
    using input_type = int;
    using output_type = int;
    using second_type = int;
    int sum = 0;
    void on_record(int&& x, timestamp t, output<int>& out) { out.emit(x + 0 * sum, t); }
    void on_second(int&& y, timestamp t, output<int>& out) {
        sum += y;
        out.emit(-y, t);
    }
};

bool mentions(const std::vector<std::string>& problems, const std::string& text) {
    return std::any_of(problems.begin(), problems.end(),
                       [&](const std::string& p) { return p.find(text) != std::string::npos; });
}

std::string message_of(const auto& f) {
    try {
        f();
    } catch (const std::exception& e) {
        return e.what();
    }
    return "nothing was thrown";
}

}  // namespace

TEST_CASE("rebalance deals records out evenly to as many subtasks as the job has") {
    pipeline p;
    std::vector<std::pair<std::size_t, int>> out;
    p.from(collection(numbers(1000))).rebalance().then(where{}).to(collect(out));
    CHECK(p.describe(4).find("operator x4 <- source_1 [rebalance]") != std::string::npos);
    run(std::move(p), {.parallelism = 4});
    std::vector<int> seen;
    std::map<std::size_t, int> count;
    for (const auto& [subtask, x] : out) {
        seen.push_back(x);
        ++count[subtask];
    }
    CHECK(sorted(seen) == numbers(1000));
    CHECK(count == std::map<std::size_t, int>{{0, 250}, {1, 250}, {2, 250}, {3, 250}});
}

TEST_CASE("with one subtask rebalance and partition_by cost nothing: the operators are chained") {
    pipeline p;
    std::vector<int> out;
    p.from(collection(numbers(10)))
        .rebalance()
        .map([](int x) { return x; })
        .partition_by([](int, std::size_t) { return 99; })
        .map([](int x) { return x; })
        .to(collect(out));
    CHECK(p.describe().find("[rebalance]") == std::string::npos);
    run(std::move(p));
    CHECK(out == numbers(10));
}

TEST_CASE("partition_by sends each record where the function says, in order") {
    pipeline p;
    std::vector<std::pair<std::size_t, int>> out;
    p.from(collection(numbers(1000)))
        .partition_by([](int x, std::size_t subtasks) { return x % 7 == 0 ? 0 : subtasks - 1; })
        .then(where{})
        .to(collect(out));
    CHECK(p.describe(3).find("[custom]") != std::string::npos);
    run(std::move(p), {.parallelism = 3, .batch_size = 7});
    std::map<std::size_t, int> last{{0, -1}, {2, -1}};
    CHECK(out.size() == 1000);
    for (const auto& [subtask, x] : out) {
        CHECK(subtask == (x % 7 == 0 ? 0 : 2));
        CHECK(x > last[subtask]);
        last[subtask] = x;
    }
}

TEST_CASE("partition_by with an index out of range ends the job with an error that names record time and index") {
    for (const int wrong : {3, -1}) {
        pipeline p;
        p.from(collection(numbers(1000)))
            .event_time(at_ns, monotonous())
            .partition_by([wrong](int x, std::size_t) { return x == 777 ? wrong : 0; })
            .map([](int x) { return x; })
            .to(null_sink());
        const std::string text = message_of([&] { run(std::move(p), {.parallelism = 3}); });
        CHECK(text.find("partition_by: the function gave subtask " + std::to_string(wrong)) != std::string::npos);
        CHECK(text.find("1970-01-01T00:00:00.000000777Z") != std::string::npos);
    }
}

TEST_CASE("what partition_by's function throws ends the job") {
    pipeline p;
    p.from(collection(numbers(10)))
        .partition_by([](int x, std::size_t) -> std::size_t {
            if (x == 5) throw std::invalid_argument("five");
            return 0;
        })
        .map([](int x) { return x; })
        .to(null_sink());
    CHECK(message_of([&] { run(std::move(p), {.parallelism = 2}); }).find("five") != std::string::npos);
}

TEST_CASE("a stream may be used rebalanced and as it is, and be merged with itself") {
    pipeline p;
    std::vector<int> in_turn, as_is, both;
    auto s = p.from(collection(numbers(100))).map([](int x) { return x; });
    auto spread = s.rebalance();
    spread.map([](int x) { return x; }).to(collect(in_turn));
    s.map([](int x) { return x; }).to(collect(as_is));
    merge(s, spread).map([](int x) { return x; }).to(collect(both));
    run(std::move(p), {.parallelism = 3});
    CHECK(sorted(in_turn) == numbers(100));
    CHECK(as_is == numbers(100));
    CHECK(both.size() == 200);
}

TEST_CASE("every subtask gets all records of a broadcast stream, and its share of the other") {
    for (const std::size_t parallelism : {1, 3}) {
        CAPTURE(parallelism);
        pipeline p;
        auto main = p.from(collection(numbers(100)));
        const broadcast_stream<int> rules = p.from(collection({1000, 2000})).broadcast();
        std::vector<int> out;
        // As a two-input operator is written down: the first input placed in turn, the second everywhere.
        const auto graph = rules.graph();
        const auto id = graph->add(detail::operator_node("rules", plus_second{}));
        graph->edges.push_back({0, 0, id, 0, detail::placed_in_turn<int>()});
        detail::add_edges(*graph, rules.origins(), id, 1);
        stream<int>(graph, {{id, 0}}).to(collect(out));
        CHECK((p.describe(3).find("source_2 [broadcast]") != std::string::npos));
        run(std::move(p), {.parallelism = parallelism});
        std::vector<int> expected = numbers(100);
        for (std::size_t i = 0; i < parallelism; ++i) expected.insert(expected.end(), {-1000, -2000});
        CHECK(sorted(out) == sorted(expected));
    }
}

TEST_CASE("with_parallelism: the operator runs in that many subtasks, whatever the job's parallelism") {
    pipeline p;
    std::vector<std::pair<std::size_t, int>> out;
    p.from(collection(numbers(100), 4))
        .with_parallelism(2)
        .event_time(at_ns, bounded_out_of_orderness(1s))
        .map([](int x) { return x; })
        .filter([](int) { return true; })
        .rebalance()
        .map([](int x) { return x; })
        .with_parallelism(5)
        .named("five")
        .then(where{})
        .to(collect(out))
        .with_parallelism(1);
    const std::string text = p.describe(3);
    CHECK(text.find("source (collection) x2") != std::string::npos);
    CHECK(text.find("map, filter x2 <- source_1 [chained]") != std::string::npos);
    CHECK(text.find("five: map x5 <- map_filter_2 [rebalance]") != std::string::npos);
    CHECK(text.find("operator x5 <- five [chained]") != std::string::npos);
    run(std::move(p), {.parallelism = 3});
    std::map<std::size_t, int> count;
    for (const auto& [subtask, x] : out) ++count[subtask];
    CHECK(count.size() == 5);
    CHECK(out.size() == 100);
}

TEST_CASE("with_parallelism works on a stream kept in a variable, before and after it is used") {
    pipeline p;
    auto s = p.from(collection(numbers(100), 4)).map([](int x) { return x; });
    s.with_parallelism(2);
    s.to(null_sink());
    CHECK(p.describe(4).find("map x2 <- source_1") != std::string::npos);
    s.with_parallelism(3);
    CHECK(p.describe(4).find("map x3 <- source_1") != std::string::npos);
    auto [even, odd] = p.from(collection(numbers(10), 4)).split([](int x) { return x % 2 == 0; });
    even.to(null_sink());
    odd.with_parallelism(2).to(null_sink());
    CHECK(p.describe(4).find("split x2") != std::string::npos);
}

TEST_CASE("with_parallelism: what cannot be is reported with all other problems") {
    pipeline p;
    auto s = p.from(collection(numbers(100), 4)).with_parallelism(5);
    s.map([](int x) { return x; }).with_parallelism(0).to(null_sink());
    s.key_by([](int x) { return x; }).reduce([](int a, int) { return a; }).with_parallelism(9).to(null_sink());
    std::vector<int> out;
    s.to(collect(out)).with_parallelism(2);
    try {
        auto job = std::move(p).start({.key_groups = 8});
        FAIL("nothing was thrown");
    } catch (const graph_error& e) {
        CHECK(e.problems().size() == 4);
        CHECK(mentions(e.problems(), "its parallelism is 5, but it has 4 splits"));
        CHECK(mentions(e.problems(), "its parallelism is 0. Use at least 1"));
        CHECK(mentions(e.problems(), "its parallelism is 9, but there are only 8 key groups"));
        CHECK(mentions(e.problems(), "its parallelism is 2, but it can run in 1 at most"));
    }
}

TEST_CASE("a merged or rebalanced stream is no operator: it has neither name nor parallelism") {
    pipeline p;
    auto a = p.from(collection(numbers(3)));
    auto b = p.from(collection(numbers(3)));
    CHECK(message_of([&] { merge(a, b).with_parallelism(2); }).find("merged stream") != std::string::npos);
    CHECK(message_of([&] { a.rebalance().with_parallelism(2); }).find("behind rebalance") != std::string::npos);
    CHECK(message_of([&] { a.rebalance().named("x"); }).find("the name 'x'") != std::string::npos);
}

TEST_CASE("results are the same however records are placed and however many subtasks there are") {
    pool_executor threads(3);
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        const int n = static_cast<int>(random.below(300));
        pipeline p;
        std::vector<std::string> out;
        const std::size_t splits = random.below(4) + 1;
        auto source = p.from(collection(numbers(n), splits)).event_time(at_ns, bounded_out_of_orderness(300ns));
        if (random.chance(30)) source = source.with_parallelism(random.below(splits) + 1);
        stream<int> s = source;
        for (std::size_t steps = random.below(3); steps != 0; --steps) {
            switch (random.below(4)) {
                case 0: s = s.rebalance(); break;
                case 1:
                    s = s.partition_by([](int x, std::size_t subtasks) {
                        return static_cast<std::size_t>(x) * 7 % subtasks;
                    });
                    break;
                case 2: {
                    const auto [low, high] = s.split([n](int x) { return x < n / 2; });
                    s = low.rebalance().merge(high);
                    break;
                }
                default: break;
            }
            s = s.map([](int x) { return x; });
            if (random.chance(30)) {
                auto spread = s.rebalance().map([](int x) { return x; });
                s = spread.with_parallelism(random.below(6) + 1);
            }
        }
        auto counts = s.key_by([](int x) { return x % 5; }).window(tumbling(50ns).drop_late()).aggregate(count());
        if (random.chance(50)) counts.with_parallelism(random.below(9) + 1);
        counts.map([](const auto& w) {
                  return std::to_string(w.key) + " " + std::to_string(w.start.ns()) + " " + std::to_string(w.value);
              })
            .to(collect(out));
        job_options options{.parallelism = random.below(5) + 1,
                            .batch_size = random.below(20) + 1,
                            .channel_capacity = random.below(4) + 1,
                            .executor = &threads};
        std::optional<testing::sim_executor> simulated;
        if (seed % 4 != 0) {
            simulated.emplace(seed);
            options.executor = &*simulated;
            options.clock = &simulated->clock();
        }
        run(std::move(p), options);
        std::map<std::pair<int, int>, int> expected;
        for (int i = 0; i < n; ++i) ++expected[{i % 5, i / 50 * 50}];
        std::vector<std::string> want;
        for (const auto& [window, count] : expected)
            want.push_back(std::to_string(window.first) + " " + std::to_string(window.second) + " " +
                           std::to_string(count));
        CHECK(sorted(out) == sorted(want));
    }
}
