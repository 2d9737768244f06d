#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/testing/graph_harness.hpp"
#include "runnel/window/calendar_windows.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/min_max.hpp"
#include "runnel/window/sum.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct order {
    std::string item;
    std::int64_t amount;
    timestamp at;
    friend bool operator==(const order&, const order&) = default;
};

std::vector<order> orders() {
    std::vector<order> all;
    for (std::int64_t i = 0; i != 60; ++i) all.push_back({i % 3 == 0 ? "tea" : "cup", i, timestamp(i * 1s)});
    return all;
}

auto timed_orders(pipeline& p, std::size_t splits = 1) {
    return p.from(collection(orders(), splits)).event_time(&order::at, bounded_out_of_orderness(1s));
}

template <class T>
std::vector<std::string> texts_of(const std::vector<T>& values) {
    std::vector<std::string> all;
    for (const T& v : values) {
        all.emplace_back();
        string_stream to(all.back());
        display(to, v);
    }
    std::sort(all.begin(), all.end());
    return all;
}

}  // namespace

TEST_CASE("a function behind the aggregate gets key, window and the finished value") {
    pipeline p;
    std::vector<windowed<std::string, std::string>> results;
    timed_orders(p)
        .key_by(&order::item)
        .window(tumbling(1min).drop_late())
        .aggregate(count(), [](const std::string& item, const window& w, std::uint64_t n) {
            return std::to_string(n) + " x " + item + " by " + to_string(w.end);
        })
        .to(collect(results));
    std::move(p).start({.parallelism = 2}).wait();
    REQUIRE(results.size() == 2);
    std::sort(results.begin(), results.end(), [](auto& a, auto& b) { return a.key < b.key; });
    CHECK(results[0].value == "40 x cup by 1970-01-01T00:01:00Z");
    CHECK(results[1].value == "20 x tea by 1970-01-01T00:01:00Z");
}

TEST_CASE("process_window gets all records of a window in order of time, whatever the order in which they came") {
    pipeline p;
    std::vector<order> shuffled = orders();
    std::swap(shuffled[3], shuffled[4]);
    std::vector<windowed<std::string, bool>> results;
    p.from(collection(shuffled))
        .event_time(&order::at, bounded_out_of_orderness(5s))
        .key_by(&order::item)
        .window(sliding(20s, 10s).drop_late())
        .process_window([](const std::string&, const window& w, const std::vector<timed<order>>& records) {
            return std::is_sorted(records.begin(), records.end(), [](auto& a, auto& b) { return a.time < b.time; }) &&
                   w.contains(records.front().time) && w.contains(records.back().time);
        })
        .to(collect(results));
    std::move(p).start().wait();
    CHECK(results.size() == 14);
    CHECK(std::all_of(results.begin(), results.end(), [](auto& r) { return r.value; }));
}

TEST_CASE("an evictor removes records before the window gives them") {
    const auto amounts = [](const std::string&, const window&, const std::vector<timed<order>>& records) {
        std::vector<std::int64_t> all;
        for (const auto& r : records) all.push_back(r.value.amount);
        return all;
    };
    const auto of_tea = [&](auto evictor) {
        pipeline p;
        std::vector<windowed<std::string, std::vector<std::int64_t>>> results;
        timed_orders(p)
            .filter([](const order& o) { return o.item == "tea"; })
            .key_by(&order::item)
            .window(tumbling(1min).drop_late())
            .evict(evictor)
            .process_window(amounts)
            .to(collect(results));
        std::move(p).start().wait();
        REQUIRE(results.size() == 1);
        return results[0].value;
    };
    CHECK(of_tea(keep_last(3)) == std::vector<std::int64_t>{51, 54, 57});
    CHECK(of_tea(keep_recent(4s)) == std::vector<std::int64_t>{54, 57});
    CHECK(of_tea([](std::vector<timed<order>>& records, const window&) { records.resize(1); }) ==
          std::vector<std::int64_t>{0});
}

TEST_CASE("window_all gives the same at any parallelism, in two stages where it can") {
    const auto run = [](std::size_t parallelism, auto make) {
        pipeline p;
        std::vector<std::string> texts;
        make(timed_orders(p, 4), texts);
        std::move(p).start({.parallelism = parallelism}).wait();
        std::sort(texts.begin(), texts.end());
        return texts;
    };
    const auto text = [](const auto& r) { return texts_of(std::vector{r})[0]; };
    const auto all_of = [&](const auto& spec) {
        return [&](auto s, std::vector<std::string>& texts) {
            s.window_all(spec).aggregate(count()).map(text).to(collect(texts));
        };
    };
    const auto same = [&](const auto& spec, std::size_t results) {
        const auto one = run(1, all_of(spec));
        CHECK(one.size() == results);
        CHECK(run(2, all_of(spec)) == one);
        CHECK(run(4, all_of(spec)) == one);
        CHECK(run(7, all_of(spec)) == one);
    };
    same(tumbling(10s).drop_late(), 6);
    same(sliding(20s, 10s).lateness(5s), 7);
    same(cumulative(30s, 10s).drop_late(), 6);
    same(daily("Europe/Berlin").drop_late(), 1);
    same(session(1s).drop_late(), 1);
    same(global(), 1);
    same(tumbling(30s).drop_late().early(every(10s)).discarding(), 6);
    CHECK(run(3, all_of(tumbling(1min).drop_late())) ==
          std::vector<std::string>{"[1970-01-01T00:00:00Z, 1970-01-01T00:01:00Z) 60"});
}

TEST_CASE("the first stage of window_all runs beside what comes before, and is named after the window") {
    pipeline p;
    timed_orders(p, 3).window_all(tumbling(10s).drop_late()).aggregate(count()).named("total").to(null_sink());
    const std::string text = p.describe(3);
    CHECK(text.find("total, first stage: window, first stage (tumbling(10s)) x3") != std::string::npos);
    CHECK(text.find("total: window (tumbling(10s)) x1 <- total, first stage [gathered]") != std::string::npos);
}

TEST_CASE("describe warns of a global window that is never purged") {
    const auto described = [](const auto& spec) {
        pipeline p;
        p.from(collection(orders())).key_by(&order::item).window(spec).aggregate(count()).to(null_sink());
        return p.describe();
    };
    CHECK(described(global()).find("warning: what it holds is never purged") != std::string::npos);
    CHECK(described(global().early(every_records(3)).accumulating()).find("warning") != std::string::npos);
    CHECK(described(global().early(every_records(3)).discarding()).find("warning") == std::string::npos);
    CHECK(described(count(3)).find("warning") == std::string::npos);
}

TEST_CASE("windows by count, by processing time and for all time need no event time; early ones by event time do") {
    const auto problems = [](const auto& spec) {
        pipeline p;
        p.from(collection(orders())).key_by(&order::item).window(spec).aggregate(count()).to(null_sink());
        try {
            std::move(p).start().wait();
        } catch (const graph_error& e) {
            return e.problems().size();
        }
        return std::size_t{0};
    };
    CHECK(problems(count(3)) == 0);
    CHECK(problems(global()) == 0);
    CHECK(problems(session(1h).by_processing_time()) == 0);
    CHECK(problems(tumbling(1s).drop_late()) == 1);
    CHECK(problems(global().early(every(1s)).discarding()) == 1);
    CHECK(problems(daily("Europe/Nowhere").drop_late()) == 2);
}

TEST_CASE("windows by processing time fire when the job's clock reaches their end, without new input") {
    testing::manual_source<order> source;
    std::vector<windowed<std::string, std::uint64_t>> results;
    pipeline p;
    p.from(source).key_by(&order::item).window(tumbling(10s).by_processing_time()).aggregate(count()).to(
        collect(results));
    testing::graph_harness h(std::move(p), {.job = {.parallelism = 2}});
    source.push({"tea", 1, timestamp(0)});
    source.push({"tea", 2, timestamp(0)});
    h.run_until_idle();
    h.advance(9s);
    CHECK(results.empty());
    h.advance(1s);
    CHECK(texts_of(results) == std::vector<std::string>{"tea [1970-01-01T00:00:00Z, 1970-01-01T00:00:10Z) 2"});
    source.push({"cup", 3, timestamp(0)});
    source.finish();
    h.finish();
    CHECK(results.size() == 2);
}
