#include "runnel/source/hybrid.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "runnel/source/collection.hpp"
#include "runnel/source/inlet.hpp"
#include "runnel/source/rate_limited.hpp"
#include "runnel/testing/manual_source.hpp"
#include "tests/source/drive_stage.hpp"
#include "tests/support/print.hpp"

using namespace runnel;
using test::driven_stage;
using test::times_of_source;
using testing::manual_source;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

template <class History, class Live>
auto drive(History history, Live live) {
    auto s = hybrid(std::move(history), std::move(live));
    return driven_stage(std::static_pointer_cast<source<int>>(std::make_shared<decltype(s)>(std::move(s))),
                        times_of_source());
}

/// Watermarks as they came.
template <class Driven>
std::vector<timestamp> watermarks(const Driven& d) {
    std::vector<timestamp> all;
    for (const auto& s : d.out.signals())
        if (s.what == testing::arrived_signal::kind::watermark) all.push_back(s.watermark);
    return all;
}

}  // namespace

TEST_CASE("all of the history is read first, then the live source, split by split to the end") {
    manual_source<int> history(2), live(2);
    auto d = drive(history, live);
    d.start();
    live.push(0, 100, at(100));
    live.push(1, 101, at(101));
    history.push(0, 1, at(1));
    CHECK(d.run());
    CHECK(d.values() == std::vector{1});
    history.finish(0);
    CHECK(d.run());
    history.push(1, 2, at(2));
    CHECK(d.run());
    CHECK(d.values() == std::vector{1, 2});  // One split of the history is still being read.
    history.finish(1);
    CHECK(d.run());
    while (d.wakes > 0) CHECK(d.run());
    std::vector<int> all = d.values();
    std::sort(all.begin(), all.end());
    CHECK(all == std::vector{1, 2, 100, 101});
    live.finish();
    CHECK_FALSE(d.run());
    CHECK(d.out.is_finished());
}

TEST_CASE("live splits that wait do not hold event time back, and the watermark goes on from the history's, never back") {
    manual_source<int> history(1), live(2);
    auto d = drive(history, live);
    d.start();
    history.push(0, 1, at(50));
    CHECK(d.run());
    CHECK(d.stage->watermark() == at(49));
    CHECK(d.stage->held_by() == 2U);
    history.finish();
    live.push(0, 2, at(30));
    live.push(0, 3, at(80));
    while (d.values().size() < 3) CHECK(d.run());
    CHECK(d.values() == std::vector{1, 2, 3});
    CHECK(d.stage->watermark() == at(49));  // The other live split has begun: it counts.
    live.push(1, 4, at(70));
    CHECK(d.run());
    CHECK(d.stage->watermark() == at(69));
    live.finish();
    CHECK_FALSE(d.run());
    const auto w = watermarks(d);
    CHECK(std::is_sorted(w.begin(), w.end()));
}

TEST_CASE("which records of the history are late does not depend on the live splits or on batches") {
    for (std::size_t batch : {1, 2, 100}) {
        CAPTURE(batch);
        manual_source<int> live;
        auto d = drive(timed_collection<int>({{1, at(10)}, {2, at(30)}, {3, at(20)}, {4, at(40)}}), live);
        d.batch_size = batch;
        d.start();
        live.finish();
        while (d.run()) {}
        // The record of time 20 has been overtaken by the watermark 29.
        std::size_t before = 0;
        for (const auto& s : d.out.signals())
            if (s.watermark == at(29)) before = s.records_before;
        CHECK(before == 2);
    }
}

TEST_CASE("a hybrid source goes on where it was: in the history, between the two, and in the live part") {
    for (std::size_t pushed_live = 0; pushed_live < 3; ++pushed_live)
        for (std::size_t read_before = 0; read_before < 8; ++read_before) {
            CAPTURE(pushed_live);
            CAPTURE(read_before);
            const auto elements = std::make_shared<const std::vector<int>>(std::vector{1, 2, 3, 4, 5});
            manual_source<int> live;
            for (std::size_t i = 0; i < pushed_live; ++i) live.push(static_cast<int>(i) + 100);
            live.finish();
            auto s = std::make_shared<hybrid_source<int>>(hybrid(collection(elements, 2), live));
            driven_stage<int> d(s, {}, 1);
            d.start();
            d.stage->woken();
            for (std::size_t steps = 0; steps < 100 && d.values().size() < read_before; ++steps) {
                if (d.stage->step().what != source_stage_base::state::waiting) continue;
                d.stage->woken();
            }
            const operator_snapshot saved = d.snapshot();
            // A fresh process: nothing is known but the snapshot.
            auto again = std::make_shared<hybrid_source<int>>(hybrid(collection(elements, 2), live));
            driven_stage<int> r(again, {}, 1);
            r.start(&saved);
            while (r.run()) {}
            std::vector<int> all = d.values();
            for (int v : r.values()) all.push_back(v);
            REQUIRE(all.size() == 5 + pushed_live);
            std::sort(all.begin(), all.begin() + 5);
            for (std::size_t i = 0; i < all.size(); ++i)
                REQUIRE(all[i] == (i < 5 ? static_cast<int>(i) + 1 : static_cast<int>(i) + 95));
        }
}

TEST_CASE("positions say whether the live source has begun: one that cannot be read again is in the way only then") {
    manual_source<int> history;
    history.push(1, at(1));
    inlet<int> live;
    auto d = drive(history, live);
    d.start();
    CHECK(d.run());
    const operator_snapshot in_history = d.snapshot();
    history.finish();
    live.push(2, at(2));
    while (d.values().size() < 2) d.run();
    const operator_snapshot in_live = d.snapshot();

    inlet<int> fresh;
    auto r = drive(history, fresh);
    r.start(&in_history);
    fresh.push(3, at(3));
    fresh.close();
    while (r.run()) {}
    CHECK(r.values() == std::vector{3});
    auto refused = drive(history, inlet<int>());
    CHECK_THROWS_AS(refused.start(&in_live), job_error);
}

TEST_CASE("without a history the live source begins at once, and an empty one ends after the history") {
    manual_source<int> live;
    live.push(7);
    live.finish();
    auto d = drive(collection<int>({}), live);
    d.start();
    while (d.run()) {}
    CHECK(d.values() == std::vector{7});
    auto e = drive(collection({1, 2}), collection<int>({}));
    e.start();
    while (e.run()) {}
    CHECK(e.values() == std::vector{1, 2});
}

TEST_CASE("a history that cannot be listed is the failure, and whoever pushes into the live inlet is told") {
    struct broken final : source<int> {
        std::string name() const override { return "broken"; }
        std::vector<std::string> splits() override { throw io_error("no such folder", 2); }
        std::unique_ptr<split_reader<int>> open(const std::string&, const std::string*, const reader_context&) override {
            return nullptr;
        }
    };
    inlet<int> live;
    auto d = drive(broken{}, live);
    try {
        d.start();
        FAIL("nothing was thrown");
    } catch (const job_error& e) {
        CHECK(std::string(e.what()).find("no such folder") != std::string::npos);
    }
    d.stage.reset();
    CHECK_THROWS_AS(live.push(1), inlet_closed);
}

TEST_CASE("problems and names of both sources are those of the hybrid") {
    const auto h = hybrid(collection({1}, 0), inlet<int>({.capacity = 0}));
    CHECK(h.problems().size() == 2);
    CHECK(h.name() == "hybrid of collection, then inlet");
    CHECK_THROWS_AS(hybrid(collection({1}), std::shared_ptr<inlet<int>>()), graph_error);
}

TEST_CASE("a hybrid source may be read at a limited rate, without its waiting splits holding event time back") {
    manual_source<int> history, live;
    auto d = drive(history, live);
    auto limited = rate_limited(d.from, 10);
    d.from = std::make_shared<decltype(limited)>(limited);
    d.start();
    for (int i = 0; i < 5; ++i) history.push(i, at(i));
    for (int second = 0; second < 20; ++second) {
        d.run();
        d.clock.time = d.clock.time + std::chrono::milliseconds(100);
    }
    CHECK(d.values().size() == 5);
    CHECK(d.stage->watermark() == at(3));
    history.finish();
    live.push(9, at(9));
    for (int second = 0; second < 5; ++second) {
        d.run();
        d.clock.time = d.clock.time + std::chrono::milliseconds(100);
    }
    CHECK(d.stage->watermark() == at(8));
}
