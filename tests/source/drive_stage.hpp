#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/source/source_stage.hpp"
#include "runnel/testing/recording.hpp"
#include "tests/support/hand_clock.hpp"

namespace test {

/// One subtask of a source in the hands of a test.
template <class T>
struct driven_stage {
    using state = runnel::source_stage_base::state;

    explicit driven_stage(std::shared_ptr<runnel::source<T>> source, runnel::source_timing t = {},
                          std::size_t batch = 4)
        : from(std::move(source)), timing(std::move(t)), batch_size(batch) {}

    driven_stage& start(const runnel::operator_snapshot* restored = nullptr) {
        stage = std::make_unique<runnel::source_stage<T>>(from, timing);
        stage->connect(0, out, batch_size);
        auto on_bad = [](std::string_view, std::string_view why, std::string_view) {
            throw runnel::decode_error(std::string(why));
        };
        stage->open({"source", subtask, parallelism, &clock, [this] { ++wakes; }, on_bad, nullptr});
        if (restored) {
            runnel::snapshot_reader in(*restored, {0, 128});
            stage->load(in);
        }
        stage->begin();
        return *this;
    }
    /// One run as the runtime would make it: until there is nothing to read. False at the end.
    bool run() {
        wakes = 0;
        stage->woken();
        for (int i = 0; i < 1'000'000; ++i) {
            const auto r = stage->step();
            if (r.what == state::finished) return false;
            if (r.what != state::waiting) continue;
            CHECK(stage->flush() == runnel::progress::done);
            until = r.until;
            return true;
        }
        FAIL("the source does not come to rest");
        return false;
    }
    runnel::operator_snapshot snapshot() {
        CHECK(stage->flush() == runnel::progress::done);
        runnel::operator_snapshot s;
        runnel::snapshot_writer to(s);
        stage->save(to);
        return s;
    }
    std::vector<T> values() const {
        std::vector<T> all;
        for (const auto& r : out.records()) all.push_back(r.value);
        return all;
    }

    std::shared_ptr<runnel::source<T>> from;
    runnel::source_timing timing;
    runnel::tests::hand_clock clock;
    runnel::testing::recorder<T> out;
    std::size_t batch_size;
    std::size_t subtask = 0;
    std::size_t parallelism = 1;
    int wakes = 0;
    runnel::timestamp until;
    std::unique_ptr<runnel::source_stage_base> stage;
};

/// Times that the source brings along, watermarks close behind.
template <class T = int>
runnel::source_timing times_of_source(runnel::duration idle = {}) {
    return runnel::timing_of<T>(
        runnel::event_timing<runnel::time_of_source, runnel::bounded_generator>{{}, {}, idle});
}

}  // namespace test
