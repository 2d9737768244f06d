#include "runnel/window/count_window_operator.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <utility>
#include <vector>

#include "differential.hpp"
#include "runnel/core/error.hpp"
#include "runnel/testing/harness.hpp"
#include "runnel/window/window_operator.hpp"

using namespace runnel;
using test::bag;
using test::bag_result;
using test::event;

namespace {

auto make(std::int64_t n, std::int64_t slide) {
    return make_window_operator<std::int64_t, event>(&event::key, count(n, slide), bag{});
}

/// The last n values of a key, whenever `slide` have come.
struct count_oracle {
    std::int64_t n, slide;
    std::map<std::int64_t, std::vector<std::int64_t>> seen;
    std::vector<bag_result> results;
    std::vector<late_record<event>> late;
    void record(const event& e, std::int64_t) {
        auto& all = seen[e.key];
        all.push_back(e.value);
        if (static_cast<std::int64_t>(all.size()) % slide != 0) return;
        const auto from = std::max<std::int64_t>(0, static_cast<std::int64_t>(all.size()) - n);
        std::vector<std::int64_t> values(all.begin() + from, all.end());
        std::sort(values.begin(), values.end());
        results.push_back({e.key, timestamp::min(), timestamp::max(), values});
    }
    void advance(std::int64_t) {}
};

/// All results of an operator over some steps, in several instances, with restarts.
std::map<std::int64_t, std::vector<bag_result>> run(std::int64_t n, std::int64_t slide,
                                                    const std::vector<test::step>& steps, test::drive_options options,
                                                    std::size_t restart_every) {
    operator_snapshot saved;
    std::vector<bag_result> results;
    auto d = std::make_unique<test::driver<decltype(make(n, slide))>>(make(n, slide), options);
    const auto gather = [&] {
        d->flush();
        for (auto& [value, time] : d->results()) {
            CHECK(time == timestamp::max());
            results.push_back(value);
        }
        d->results().clear();
    };
    std::size_t i = 0;
    for (const test::step& s : steps) {
        if (s.is_watermark) continue;
        d->record(s.record, s.time);
        if (restart_every == 0 || ++i % restart_every != 0) continue;
        operator_snapshot one;
        d->save(one);
        gather();
        d = std::make_unique<test::driver<decltype(make(n, slide))>>(make(n, slide), options);
        d->load(one);
    }
    gather();
    return test::by_key(results);
}

}  // namespace

TEST_CASE("count(n): a result after every n records of a key, whatever their times; the rest gives none") {
    std::vector<test::step> steps;
    for (std::int64_t i = 0; i != 7; ++i) steps.push_back({false, 100 - i, {i % 2, i}});
    CHECK(run(2, 2, steps, {}, 0) ==
          std::map<std::int64_t, std::vector<bag_result>>{{0,
                                                           {{0, timestamp::min(), timestamp::max(), {0, 2}},
                                                            {0, timestamp::min(), timestamp::max(), {4, 6}}}},
                                                          {1, {{1, timestamp::min(), timestamp::max(), {1, 3}}}}});
}

TEST_CASE("count(n, slide): after every slide records the last n, or as many as there are") {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        std::mt19937_64 random(seed);
        const auto n = static_cast<std::int64_t>(1 + random() % 20), slide = static_cast<std::int64_t>(1 + random() % 12);
        INFO("seed " << seed << " n " << n << " slide " << slide);
        count_oracle oracle{n, slide, {}, {}, {}};
        const auto steps = test::random_stream(random, {});
        for (const test::step& s : steps)
            if (!s.is_watermark) oracle.record(s.record, s.time);
        const test::drive_options options{.batch_size = seed % 3 == 0 ? 1u : 64u,
                                          .output_batch = 7,
                                          .refuse_every = seed % 4 == 0 ? 3u : 0u};
        CHECK(run(n, slide, steps, options, seed % 2 == 0 ? 13 : 0) == test::by_key(oracle.results));
    }
}

TEST_CASE("count(n) forgets a key whose window has fired") {
    test::driver d(make(2, 2));
    d.record({1, 1}, 0);
    d.record({1, 2}, 0);
    d.record({2, 1}, 0);
    d.flush();
    CHECK(d.op().live_keys() == 1);
}

TEST_CASE("a record whose key cannot be had is named, and those before it count") {
    for (const std::int64_t bad : {0, 1, 63, 64, 70, 199}) {
        CAPTURE(bad);
        const auto key = [bad](const event& e) {
            if (e.value == bad) throw std::runtime_error("no key");
            return e.key;
        };
        auto op = make_window_operator<std::int64_t, event>(key, count(1), bag{});
        testing::operator_harness h(std::move(op));
        std::vector<timed<event>> records;
        for (std::int64_t i = 0; i != 200; ++i) records.push_back({{i % 7, i}, timestamp(1000 + i)});
        try {
            h.push_batch(records);
            FAIL("no error");
        } catch (const job_error& e) {
            CHECK(e.record_time() == timestamp(1000 + bad));
        }
        h.flush();
        CHECK(h.outputs().size() == static_cast<std::size_t>(bad));
    }
}
