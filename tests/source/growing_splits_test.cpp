// Splits that appear while a source is read.
#include <doctest/doctest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/testing/manual_source.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "tests/source/drive_stage.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using testing::manual_source;

namespace {

manual_source<int> growing(std::size_t splits) {
    manual_source<int> s(splits);
    s.splits_may_be_added();
    return s;
}
test::driven_stage<int> drive(const manual_source<int>& s, source_timing timing = {}) {
    return test::driven_stage<int>(std::make_shared<manual_source<int>>(s), std::move(timing));
}
timestamp at(int s) { return timestamp(std::chrono::seconds(s)); }
/// The last that was said about activity: 1 idle, 0 active, -1 nothing.
int last_activity(const test::driven_stage<int>& d) {
    using kind = testing::arrived_signal::kind;
    int last = -1;
    for (const auto& s : d.out.signals())
        if (s.what == kind::idle || s.what == kind::active) last = s.what == kind::idle;
    return last;
}

/// Notes what it is told, and how its splits are opened.
class noting_source final : public source<int> {
public:
    explicit noting_source(manual_source<int> inner) : inner_(std::move(inner)) {}
    std::string name() const override { return "noting"; }
    std::vector<std::string> splits() override { return inner_.splits(); }
    std::unique_ptr<split_watch> watch(std::size_t known, const reader_context& context) override {
        return inner_.watch(known, context);
    }
    void passed(const std::vector<split_position>& positions) override {
        for (const auto& [id, position] : positions) {
            byte_reader in(position);
            told.push_back(id + " at " + std::to_string(codec<std::uint64_t>::decode(in)));
        }
    }
    source_condition condition() const override { return {.trouble = "none really", .lag = 7}; }
    std::unique_ptr<split_reader<int>> open(const std::string& id, const std::string* position,
                                            const reader_context& context) override {
        opened.push_back(id + (position ? " restored" : "") + (context.appeared ? " appeared" : ""));
        return inner_.open(id, position, context);
    }

    std::vector<std::string> told, opened;

private:
    manual_source<int> inner_;
};

}  // namespace

TEST_CASE("a split that appears is read by subtask number mod parallelism, and wakes it") {
    manual_source<int> s = growing(2);
    std::deque<test::driven_stage<int>> stages;
    for (std::size_t i = 0; i != 2; ++i) {
        stages.emplace_back(std::make_shared<manual_source<int>>(s));
        stages.back().subtask = i;
        stages.back().parallelism = 2;
    }
    for (auto& d : stages) {
        d.start();
        CHECK(d.run());
    }
    for (int i = 2; i != 5; ++i) {
        CHECK(s.add_split() == static_cast<std::size_t>(i));
        s.push(static_cast<std::size_t>(i), i);
    }
    for (auto& d : stages) {
        CHECK(d.wakes > 0);
        CHECK(d.run());
    }
    CHECK(stages[0].values() == std::vector{2, 4});
    CHECK(stages[1].values() == std::vector{3});
}

TEST_CASE("a source that may get splits is idle, not finished, when those that are there have ended") {
    manual_source<int> s = growing(1);
    auto d = drive(s, test::times_of_source());
    d.start();
    s.push(0, 1, at(5));
    s.finish();
    CHECK(d.run());
    CHECK(!d.out.is_finished());
    CHECK(last_activity(d) == 1);
    s.push(s.add_split(), 2, at(6));
    CHECK(d.run());
    CHECK(last_activity(d) == 0);
    CHECK(d.values() == std::vector{1, 2});
    d.stage->drain();
    CHECK(!d.run());
    CHECK(d.out.is_finished());
}

TEST_CASE("a source that begins without a split waits for the first one") {
    manual_source<int> s = growing(0);
    auto d = drive(s, test::times_of_source());
    d.start();
    CHECK(d.run());
    CHECK(last_activity(d) == 1);
    s.push(s.add_split(), 1, at(1));
    CHECK(d.run());
    CHECK(d.values() == std::vector{1});
    CHECK(last_activity(d) == 0);
}

TEST_CASE("a split that appears behind event time neither pulls it back nor holds it up until it has caught up") {
    manual_source<int> s = growing(1);
    auto d = drive(s, test::times_of_source());
    d.start();
    s.push(0, 1, at(10));
    CHECK(d.run());
    const timestamp before = d.stage->watermark();
    CHECK(before >= at(9));
    s.add_split();
    s.push(1, 2, at(3));
    s.push(0, 3, at(20));
    CHECK(d.run());
    CHECK(d.stage->watermark() >= at(19));
    // From here on it takes part.
    s.push(1, 4, at(25));
    CHECK(d.run());
    s.push(0, 5, at(40));
    CHECK(d.run());
    CHECK(d.stage->watermark() >= at(24));
    CHECK(d.stage->watermark() < at(25));
    CHECK(d.values().size() == 5);
}

TEST_CASE("splits that have appeared are part of the state; those that the state does not know have appeared") {
    manual_source<int> s = growing(1);
    auto before = std::make_shared<noting_source>(s);
    test::driven_stage<int> d(before);
    d.start();
    s.add_split();
    s.push(0, 1);
    s.push(1, 2);
    CHECK(d.run());
    CHECK(before->opened == std::vector<std::string>{"0", "1 appeared"});
    const operator_snapshot saved = d.snapshot();
    s.add_split();
    s.push(1, 3);
    s.push(2, 4);

    std::vector<int> values;
    for (std::size_t i = 0; i != 2; ++i) {
        auto after = std::make_shared<noting_source>(s);
        test::driven_stage<int> e(after);
        e.subtask = i;
        e.parallelism = 2;
        e.start(&saved);
        CHECK(e.run());
        CHECK(after->opened == (i == 0 ? std::vector<std::string>{"0 restored", "2 appeared"}
                                       : std::vector<std::string>{"1 restored"}));
        for (const int v : e.values()) values.push_back(v);
    }
    CHECK(values == std::vector{4, 3});
}

TEST_CASE("a source is told of the positions that a complete checkpoint holds, and the status tells of its condition") {
    testing::memory_file_system files;
    testing::sim_executor executor(1);
    manual_source<int> s(2);
    auto source = std::make_shared<noting_source>(s);
    pipeline p{"told"};
    p.from(source).named("source").to(for_each([](int) {}));
    job j = std::move(p).start(
        {.executor = &executor,
         .clock = &executor.clock(),
         .checkpoints = {.folder = "c", .interval = 0s, .executor = &executor, .files = &files}});
    CHECK(j.status().operators.at(0).trouble == "none really");
    CHECK(j.status().operators.at(0).lag == 7u);
    s.push(0, 1);
    s.push(1, 2);
    s.push(1, 3);
    executor.run_until_idle();
    CHECK(source->told.empty());
    (void)j.checkpoint();
    CHECK(source->told == std::vector<std::string>{"0 at 1", "1 at 2"});
    s.push(0, 4);
    s.finish();
    executor.run_until_idle();
    j.wait();
    // The last checkpoint, of what has ended.
    CHECK(source->told == std::vector<std::string>{"0 at 1", "1 at 2", "0 at 2", "1 at 2"});
}
