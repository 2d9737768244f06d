#include "runnel/source/source_stage.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runnel/testing/recording.hpp"
#include "tests/support/hand_clock.hpp"
#include "tests/support/print.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using testing::recorder;
using tests::hand_clock;
using state = source_stage_base::state;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

struct row {
    std::size_t split = 0;
    std::size_t number = 0;
    std::optional<timestamp> time;
    friend bool operator==(const row&, const row&) = default;
};

/// What a split does, poll by poll.
struct act {
    enum class kind { record, wait, idle, until };
    kind what = kind::record;
    std::optional<timestamp> time;
};
using play = std::vector<act>;

act record(std::int64_t t) { return {act::kind::record, at(t)}; }
act record_without_time() { return {act::kind::record, std::nullopt}; }
act wait() { return {act::kind::wait, {}}; }
act idle() { return {act::kind::idle, {}}; }
act until(std::int64_t t) { return {act::kind::until, at(t)}; }

/// Plays what is written down for each split; the position is the number of acts played.
class played_source final : public source<row> {
public:
    explicit played_source(std::vector<play> plays) : plays(std::move(plays)) {}
    std::string name() const override { return "played"; }
    std::vector<std::string> splits() override {
        if (broken_splits) throw io_error("no such folder", 2);
        std::vector<std::string> ids;
        for (std::size_t i = 0; i < plays.size(); ++i) ids.push_back("split" + std::to_string(i));
        return ids;
    }
    std::unique_ptr<split_reader<row>> open(const std::string& id, const std::string* position,
                                            const reader_context&) override {
        const std::size_t i = std::stoul(id.substr(5));
        ++opened[i];
        return std::make_unique<reader>(*this, i, position ? std::stoul(*position) : 0);
    }

    std::vector<play> plays;
    bool broken_splits = false;
    std::map<std::size_t, int> opened;
    int polls_after_end = 0;
    bool broken_poll = false;

private:
    class reader final : public split_reader<row> {
    public:
        reader(played_source& of, std::size_t split, std::size_t next) : of_(of), split_(split), next_(next) {}
        poll_result poll(batch<row>& into, std::size_t limit) override {
            if (of_.broken_poll) throw io_error("connection lost", 104);
            const play& p = of_.plays[split_];
            if (ended_) ++of_.polls_after_end;
            for (; limit != 0 && next_ < p.size(); --limit) {
                const act a = p[next_++];
                if (a.what == act::kind::wait) return poll_result::wait();
                if (a.what == act::kind::idle) return poll_result::idle();
                if (a.what == act::kind::until) return poll_result::until(*a.time);
                into.append_raw(row{split_, next_ - 1, a.time}, {});
            }
            if (next_ < p.size()) return poll_result::more();
            ended_ = true;
            return poll_result::finished();
        }
        std::string position() const override { return std::to_string(next_); }

    private:
        played_source& of_;
        std::size_t split_;
        std::size_t next_;
        bool ended_ = false;
    };
};

using time_of_row = std::optional<timestamp> row::*;

/// A source stage in the hands of a test.
template <class Generator = bounded_generator>
struct driven {
    using timing = event_timing<time_of_row, Generator>;

    std::shared_ptr<played_source> from;
    watermark_strategy<Generator> strategy;
    hand_clock clock;
    recorder<row> own;
    recorder<row>& out;
    operator_metrics metrics;
    std::vector<std::string> bad;
    bool fail_on_bad = false;
    std::size_t batch_size;
    std::size_t subtask = 0;
    std::size_t parallelism = 1;
    std::unique_ptr<source_stage_base> stage;

    driven(std::vector<play> plays, watermark_strategy<Generator> s, std::size_t batch = 4, recorder<row>* to = nullptr)
        : from(std::make_shared<played_source>(std::move(plays))), strategy(std::move(s)), out(to ? *to : own),
          batch_size(batch) {}

    driven& start(const operator_snapshot* restored = nullptr) {
        stage = std::make_unique<source_stage<row>>(
            from, timing_of<row>(timing{&row::time, strategy.generator, strategy.idle}));
        stage->connect(0, out, batch_size);
        auto on_bad = [this](std::string_view where, std::string_view why, std::string_view) {
            if (fail_on_bad) throw decode_error(std::string(where) + ": " + std::string(why));
            bad.push_back(std::string(where) + ": " + std::string(why));
        };
        stage->open({"rows", subtask, parallelism, &clock, [] {}, on_bad, &metrics});
        if (restored) {
            snapshot_reader in(*restored, {0, 128});
            stage->load(in);
        }
        stage->begin();
        return *this;
    }
    void flush() {
        while (stage->flush() == progress::blocked) {
        }
    }
    /// One run as the runtime would make it: until there is nothing to read, or the end. False at the end.
    bool run(int most_steps = 1'000'000) {
        stage->woken();
        for (int i = 0; i < most_steps; ++i) {
            const auto r = stage->step();
            if (r.what == state::finished) return false;
            if (r.what == state::waiting) {
                flush();
                return true;
            }
        }
        return true;
    }
    void run_to_end() {
        for (int i = 0; run(); ++i) REQUIRE(i < 100'000);
    }
    operator_snapshot snapshot() {
        flush();
        operator_snapshot s;
        snapshot_writer to(s);
        stage->save(to);
        return s;
    }
};

/// For each record that has arrived: whether it stood at or below a watermark that had come before it.
std::vector<bool> lateness(const recorder<row>& out) {
    std::vector<bool> late;
    timestamp w = timestamp::min();
    std::size_t signal = 0;
    for (std::size_t i = 0; i < out.records().size(); ++i) {
        for (; signal < out.signals().size() && out.signals()[signal].records_before == i; ++signal)
            if (out.signals()[signal].what == testing::arrived_signal::kind::watermark) w = out.signals()[signal].watermark;
        late.push_back(w != timestamp::min() && out.records()[i].time <= w);
    }
    return late;
}

std::string signals(const recorder<row>& out) {
    std::string all;
    for (const auto& s : out.signals()) {
        using kind = testing::arrived_signal::kind;
        if (!all.empty()) all += ' ';
        if (s.what == kind::watermark)
            all += s.watermark == timestamp::max() ? "max" : std::to_string(s.watermark.ns());
        else
            all += s.what == kind::idle ? "idle" : "active";
        all += "@" + std::to_string(s.records_before);
    }
    return all;
}

/// What the rule says: the generator speaks after every record, and a record is judged by what was said before it.
template <class Generator>
std::vector<bool> lateness_by_record(Generator g, const std::vector<row>& rows) {
    std::vector<bool> late;
    timestamp value = timestamp::min();
    for (const row& r : rows) {
        late.push_back(value != timestamp::min() && *r.time <= value);
        if constexpr (requires { g.on_record(*r.time); }) value = std::max(value, g.on_record(*r.time));
        else value = std::max(value, g.on_record(r, *r.time));
    }
    return late;
}

/// The same over several splits: the combined watermark is the minimum of what the unfinished ones have said.
template <class Generator>
std::vector<bool> lateness_by_record(Generator g, const std::vector<row>& rows, const std::vector<play>& plays) {
    std::vector<bool> late;
    std::vector<Generator> generators(plays.size(), g);
    std::vector<timestamp> values(plays.size(), timestamp::min());
    std::vector<std::size_t> left;
    for (const play& p : plays)
        left.push_back(static_cast<std::size_t>(
            std::count_if(p.begin(), p.end(), [](const act& a) { return a.what == act::kind::record; })));
    timestamp combined = timestamp::min();
    for (const row& r : rows) {
        late.push_back(combined != timestamp::min() && *r.time <= combined);
        values[r.split] = std::max(values[r.split], generators[r.split].on_record(*r.time));
        --left[r.split];
        timestamp lowest = timestamp::max();
        for (std::size_t i = 0; i < values.size(); ++i)
            if (left[i] != 0) lowest = std::min(lowest, values[i]);
        if (lowest != timestamp::max()) combined = std::max(combined, lowest);
    }
    return late;
}

std::vector<row> rows_of(const recorder<row>& out) {
    std::vector<row> all;
    for (const auto& r : out.records()) all.push_back(r.value);
    return all;
}

std::vector<row> rows_of(const play& p, std::size_t split = 0) {
    std::vector<row> all;
    for (std::size_t i = 0; i < p.size(); ++i)
        if (p[i].what == act::kind::record) all.push_back({split, i, p[i].time});
    return all;
}

play random_play(tests::random_numbers& random, std::size_t records, unsigned wait_percent = 5) {
    play p;
    std::int64_t now = random.between(-50, 50);
    for (std::size_t i = 0; i < records; ++i) {
        now += random.between(0, 6);
        p.push_back(record(now - (random.chance(30) ? random.between(0, 25) : 0)));
        // Not at the end: a split is to be seen ending with its last record.
        if (i + 1 != records && random.chance(wait_percent)) p.push_back(random.chance(50) ? wait() : until(0));
    }
    return p;
}

/// Reads to the end, by single steps, with flushes in between at random.
template <class Driven>
void run_randomly(Driven& d, tests::random_numbers& random) {
    bool going = true;
    for (int i = 0; going; ++i) {
        REQUIRE(i < 100'000);
        if (random.chance(20)) d.flush();
        going = d.run(1 + static_cast<int>(random.below(10)));
    }
}

}  // namespace

TEST_CASE("exactness: which records are late is the same for every batch size, and as if the generator spoke after each") {
    auto check = [](auto strategy) {
        for (std::uint64_t seed = 1; seed <= 40; ++seed) {
            CAPTURE(seed);
            tests::random_numbers random(seed);
            const play p = random_play(random, 60);
            const std::vector<bool> expected = lateness_by_record(strategy.generator, rows_of(p));
            for (std::size_t batch_size : {1, 2, 3, 7, 20, 256}) {
                CAPTURE(batch_size);
                driven d({p}, strategy, batch_size);
                if (random.chance(60)) d.out.refuse_at_random(random.seed(), 60);
                d.start();
                run_randomly(d, random);
                REQUIRE(rows_of(d.out) == rows_of(p));
                REQUIRE(lateness(d.out) == expected);
                REQUIRE(d.out.is_finished());
            }
        }
    };
    SUBCASE("monotonous") { check(monotonous()); }
    SUBCASE("bounded") { check(bounded_out_of_orderness(duration(8))); }
    SUBCASE("punctuated") {
        check(punctuated([](const row& r, timestamp t) -> std::optional<timestamp> {
            if (r.number % 5 != 0) return std::nullopt;
            return t - duration(3);
        }));
    }
    SUBCASE("a generator of the user's own, whose value falls") {
        struct erratic {
            timestamp on_record(timestamp t) { return t.ns() % 3 == 0 ? t : timestamp::min(); }
        };
        check(strategy(erratic{}));
    }
}

TEST_CASE("exactness over several splits: each record is judged by the minimum over the unfinished splits before it") {
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        std::vector<play> plays;
        const std::size_t count = 2 + random.below(3);
        for (std::size_t i = 0; i < count; ++i) plays.push_back(random_play(random, 1 + random.below(50)));
        driven d(plays, bounded_out_of_orderness(duration(random.between(0, 10))), 1 + random.below(20));
        if (random.chance(60)) d.out.refuse_at_random(random.seed(), 60);
        d.start();
        run_randomly(d, random);
        const std::vector<row> rows = rows_of(d.out);
        REQUIRE(lateness(d.out) == lateness_by_record(d.strategy.generator, rows, plays));
        for (std::size_t i = 0; i < count; ++i) {
            std::vector<row> mine;
            std::copy_if(rows.begin(), rows.end(), std::back_inserter(mine), [&](const row& r) { return r.split == i; });
            REQUIRE(mine == rows_of(plays[i], i));
        }
        REQUIRE(d.from->polls_after_end == 0);
    }
}

TEST_CASE("a record that keeps its own split's promise is never late, however the splits interleave") {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        std::vector<play> plays;
        std::vector<std::vector<bool>> own_late;
        const auto strategy = bounded_out_of_orderness(duration(random.between(0, 15)));
        for (std::size_t i = 0; i < 3; ++i) {
            plays.push_back(random_play(random, random.below(60)));
            own_late.push_back(lateness_by_record(strategy.generator, rows_of(plays[i], i)));
        }
        driven d(plays, strategy, 1 + random.below(9));
        d.start();
        run_randomly(d, random);
        const std::vector<bool> late = lateness(d.out);
        std::vector<std::size_t> seen(3);
        for (std::size_t i = 0; i < late.size(); ++i) {
            const std::size_t split = d.out.records()[i].value.split;
            const bool broke_its_promise = own_late[split][seen[split]++];
            if (late[i]) REQUIRE(broke_its_promise);
        }
    }
}

TEST_CASE("survival: after a restore in the middle the same records are late, and none is lost or read twice") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        std::vector<play> plays;
        const std::size_t count = 1 + random.below(3);
        for (std::size_t i = 0; i < count; ++i) plays.push_back(random_play(random, 1 + random.below(40)));
        recorder<row> out;
        if (random.chance(50)) out.refuse_at_random(random.seed(), 50);
        const auto strategy = bounded_out_of_orderness(duration(random.between(0, 10)));
        driven d(plays, strategy, 1 + random.below(9), &out);
        d.start();
        bool going = true;
        for (int i = 0; going; ++i) {
            REQUIRE(i < 100'000);
            going = d.run(1 + static_cast<int>(random.below(5)));
            if (random.chance(25) && !out.is_finished()) {
                const operator_snapshot s = d.snapshot();
                if (!out.is_finished()) d.start(&s);
            }
        }
        const std::vector<row> rows = rows_of(out);
        REQUIRE(lateness(out) == lateness_by_record(strategy.generator, rows, plays));
        for (std::size_t i = 0; i < count; ++i) {
            std::vector<row> mine;
            std::copy_if(rows.begin(), rows.end(), std::back_inserter(mine), [&](const row& r) { return r.split == i; });
            REQUIRE(mine == rows_of(plays[i], i));
        }
    }
}

TEST_CASE("a restore at another parallelism reads every record once") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        std::vector<play> plays;
        for (std::size_t i = 0; i < 4; ++i) plays.push_back(random_play(random, random.below(30)));
        const auto strategy = bounded_out_of_orderness(100ns);
        std::vector<row> rows;
        auto keep = [&](driven<>& d) {
            for (const row& r : rows_of(d.out)) rows.push_back(r);
            const auto late = lateness(d.out);
            REQUIRE(std::count(late.begin(), late.end(), true) == 0);  // The bound is larger than the disorder.
        };
        const std::size_t before = 1 + random.below(5);
        const std::size_t after = 1 + random.below(5);
        operator_snapshot all;
        for (std::size_t subtask = 0; subtask < before; ++subtask) {
            driven d(plays, strategy, 3);
            d.subtask = subtask;
            d.parallelism = before;
            d.start();
            d.run(static_cast<int>(random.below(20)));
            all.add(d.snapshot());
            keep(d);
        }
        for (std::size_t subtask = 0; subtask < after; ++subtask) {
            driven d(plays, strategy, 3);
            d.subtask = subtask;
            d.parallelism = after;
            d.start(&all);
            d.run_to_end();
            REQUIRE(d.out.is_finished());
            keep(d);
        }
        for (std::size_t i = 0; i < 4; ++i) {
            std::vector<row> mine;
            std::copy_if(rows.begin(), rows.end(), std::back_inserter(mine), [&](const row& r) { return r.split == i; });
            REQUIRE(mine == rows_of(plays[i], i));
        }
    }
}

TEST_CASE("finished splits are remembered: a source restored after its end reads nothing again") {
    driven d({{record(1), record(2)}, {record(3)}}, monotonous());
    d.start();
    d.run_to_end();
    const operator_snapshot s = d.snapshot();
    driven again(d.from->plays, monotonous());
    again.start(&s);
    again.run_to_end();
    CHECK(again.out.records().empty());
    CHECK(again.out.is_finished());
    CHECK(again.from->opened.empty());
}

TEST_CASE("a split that is gone at a restore is an error, unless it had been read to its end") {
    driven d({{record(1), record(2), record(3)}, {record(3), record(4), record(5)}}, monotonous(), 1);
    d.start();
    d.run(1);
    const operator_snapshot half = d.snapshot();
    d.run_to_end();
    const operator_snapshot whole = d.snapshot();
    driven again({d.from->plays[0]}, monotonous());
    CHECK_THROWS_WITH_AS(again.start(&half), doctest::Contains("split \"split1\" had not been read to its end"), error);
    driven later({d.from->plays[0]}, monotonous());
    later.start(&whole).run_to_end();
    CHECK(later.out.records().empty());
}

TEST_CASE("a drained source remembers where it stopped") {
    driven d({{record(1), record(2), record(3), record(4), record(5)}}, monotonous(), 2);
    d.start();
    d.run(1);
    d.stage->drain();
    d.run_to_end();
    const std::size_t read = d.out.records().size();
    CHECK(read < 5);
    CHECK(d.out.is_finished());
    const operator_snapshot s = d.snapshot();
    driven again(d.from->plays, monotonous());
    again.start(&s);
    again.run_to_end();
    CHECK(again.out.records().size() == 5 - read);
}

TEST_CASE("a split that has finished does not hold back the others, and the end comes once, after all") {
    driven d({{record(10)}, {record(20), wait(), record(30), wait(), record(5)}}, monotonous());
    d.start();
    CHECK(d.run());
    CHECK(d.stage->watermark() == at(19));
    CHECK(d.run());
    CHECK(d.stage->watermark() == at(29));
    CHECK_FALSE(d.run());
    CHECK(signals(d.out) == "19@2 29@3 max@4");
    CHECK(lateness(d.out) == std::vector<bool>{false, false, false, true});
    CHECK(d.metrics.watermark.get() == timestamp::max().ns());
    CHECK(d.metrics.records_out.get() == 4);
}

TEST_CASE("an empty source, and a subtask without splits, end at once") {
    driven no_splits({}, monotonous());
    no_splits.start();
    CHECK_FALSE(no_splits.run());
    CHECK(signals(no_splits.out) == "max@0");
    driven idle_hand({{record(1)}}, monotonous());
    idle_hand.subtask = 1;
    idle_hand.parallelism = 2;
    idle_hand.start();
    CHECK_FALSE(idle_hand.run());
    CHECK(signals(idle_hand.out) == "max@0");
    CHECK(idle_hand.stage->split_ids().empty());
}

TEST_CASE("splits are dealt to subtasks in turn") {
    driven d({{record(1)}, {record(2)}, {record(3)}, {record(4)}}, monotonous());
    d.subtask = 1;
    d.parallelism = 3;
    d.start();
    CHECK(d.stage->split_ids() == std::vector<std::string>{"split1"});
    d.run_to_end();
    CHECK(rows_of(d.out) == rows_of(d.from->plays[1], 1));
}

TEST_CASE("a waiting source says when to look again: the earliest time of its splits") {
    driven d({{until(500)}, {until(300)}, {wait()}}, monotonous());
    d.start();
    d.stage->woken();
    const auto r = d.stage->step();
    CHECK(r.what == state::waiting);
    CHECK(r.until == at(300));
}

TEST_CASE("without event time the only watermark is the end") {
    auto from = std::make_shared<played_source>(std::vector<play>{{record(5), record(3), wait(), record(4)}});
    source_stage<row> stage(from);
    recorder<row> out;
    hand_clock clock;
    stage.connect(0, out, 2);
    stage.open({"rows", 0, 1, &clock, [] {}, {}, nullptr});
    stage.begin();
    stage.woken();
    for (int i = 0; i < 100; ++i) {
        const auto r = stage.step();
        if (r.what == state::finished) break;
        if (r.what == state::waiting) {
            CHECK(stage.flush() == progress::done);
            CHECK_FALSE(stage.held_by().has_value());
            stage.woken();
        }
    }
    CHECK(signals(out) == "max@3");
    CHECK(rows_of(out) == rows_of(from->plays[0]));
}

TEST_CASE("a record without a time is reported: left out if that returns, the end of the job if it throws") {
    const play p{record(1), record_without_time(), record(3), record_without_time()};
    SUBCASE("skip") {
        driven d({p}, monotonous());
        d.start();
        d.run_to_end();
        CHECK(rows_of(d.out) == std::vector<row>{{0, 0, at(1)}, {0, 2, at(3)}});
        REQUIRE(d.bad.size() == 2);
        CHECK(d.bad[0] == "rows split0: the record has no event time");
    }
    SUBCASE("fail") {
        driven d({p}, monotonous());
        d.fail_on_bad = true;
        d.start();
        try {
            d.run_to_end();
            FAIL("nothing was thrown");
        } catch (const job_error& e) {
            CHECK(e.operator_name() == "rows");
            CHECK_THROWS_AS(std::rethrow_if_nested(e), decode_error);
        }
    }
}

TEST_CASE("a failing source is named, with its subtask, and the cause is nested") {
    driven d({{record(1)}, {record(2)}}, monotonous());
    d.subtask = 1;
    d.parallelism = 2;
    SUBCASE("when it lists its splits") {
        d.from->broken_splits = true;
        try {
            d.start();
            FAIL("nothing was thrown");
        } catch (const job_error& e) {
            CHECK(e.operator_name() == "rows");
            CHECK(e.subtask() == 1);
            CHECK(e.record_time() == timestamp::min());
            CHECK_THROWS_AS(std::rethrow_if_nested(e), io_error);
        }
    }
    SUBCASE("when it reads") {
        d.from->broken_poll = true;
        d.start();
        try {
            d.run_to_end();
            FAIL("nothing was thrown");
        } catch (const job_error& e) {
            CHECK(e.subtask() == 1);
            CHECK_THROWS_AS(std::rethrow_if_nested(e), io_error);
        }
    }
}

TEST_CASE("a silent split holds back the others until it is idle, and wakes by a record") {
    driven d({{record(10), wait(), record(20), wait(), record(30), wait(), wait(), record(40)},
              {wait(), wait(), wait(), record(25)}},
             monotonous().idle_after(100ns));
    d.start();
    CHECK(d.run());
    CHECK(d.stage->watermark() == timestamp::min());
    CHECK(d.stage->held_by() == 1U);
    d.clock.time = at(99);
    CHECK(d.run());
    CHECK(d.stage->watermark() == timestamp::min());
    d.clock.time = at(100);
    CHECK(d.run());
    CHECK(d.stage->held_by() == 0U);
    CHECK(d.stage->watermark() == at(29));
    CHECK(d.run());
    CHECK(d.out.records().back().value.split == 1);
    CHECK(lateness(d.out).back());  // 25 came when event time was at 29.
    CHECK_FALSE(d.run());
}

TEST_CASE("when all splits are idle the largest watermark goes out, then idleness, and a record makes it active first") {
    driven d({{record(10), wait(), wait(), wait(), record(40)}, {record(20), wait(), wait(), wait(), wait()}},
             monotonous().idle_after(100ns));
    d.start();
    CHECK(d.run());
    CHECK(signals(d.out) == "9@2");
    d.clock.time = at(100);
    CHECK(d.run());
    CHECK(signals(d.out) == "9@2 19@2 idle@2");
    CHECK(d.run());
    CHECK(signals(d.out) == "9@2 19@2 idle@2");
    CHECK(d.run());
    // The first split has woken by a record and ended with it; the second is idle still.
    CHECK(signals(d.out) == "9@2 19@2 idle@2 active@2 39@3 idle@3");
    CHECK_FALSE(d.run());
    CHECK(signals(d.out) == "9@2 19@2 idle@2 active@2 39@3 idle@3 active@3 max@3");
}

TEST_CASE("a split falls idle though another one never pauses") {
    play busy;
    for (int i = 0; i < 1000; ++i) busy.push_back(record(i));
    driven d({busy, {wait(), wait(), wait(), wait()}}, monotonous().idle_after(100ns));
    d.start();
    CHECK(d.run(16));
    CHECK(d.stage->watermark() == timestamp::min());
    d.clock.time = at(150);
    CHECK(d.run(16));
    CHECK(d.stage->watermark() > at(0));
}

TEST_CASE("time spent blocked by a slow consumer does not count as idleness") {
    const std::vector<play> plays{{record(10), wait(), wait(), wait(), wait()}, {record(20), wait(), wait(), wait(), wait()}};
    SUBCASE("in a step") {
        driven d(plays, monotonous().idle_after(100ns), 2);
        d.start();
        d.stage->woken();
        CHECK(d.stage->step().what == state::progressed);
        d.out.refuse_next(1);
        CHECK(d.stage->step().what == state::blocked);
        d.clock.time = at(1000);
        CHECK(d.run());
        CHECK(signals(d.out).find("idle") == std::string::npos);
        d.clock.time = at(1099);
        CHECK(d.run());
        CHECK(signals(d.out).find("idle") == std::string::npos);
        d.clock.time = at(1100);
        CHECK(d.run());
        CHECK(signals(d.out).find("idle") != std::string::npos);
    }
    SUBCASE("in a flush") {
        driven d(plays, monotonous().idle_after(100ns), 100);
        d.start();
        d.stage->woken();
        while (d.stage->step().what != state::waiting) {
        }
        d.out.refuse_next(2);
        CHECK(d.stage->flush() == progress::blocked);
        d.clock.time = at(500);
        CHECK(d.stage->flush() == progress::blocked);
        d.clock.time = at(1000);
        CHECK(d.stage->flush() == progress::done);
        CHECK(d.run());
        CHECK(signals(d.out).find("idle") == std::string::npos);
    }
}

TEST_CASE("a split that is silent while the pipeline is blocked now and then still falls idle") {
    play busy;
    for (int i = 0; i < 1000; ++i) busy.push_back(record(i));
    driven d({busy, play(1000, wait())}, monotonous().idle_after(100ns), 1);
    d.start();
    for (int i = 0; i < 30; ++i) {
        d.stage->woken();
        d.stage->step();
        d.out.refuse_next(1);
        d.stage->step();
        d.clock.time = d.clock.time + 1ns;  // Blocked for a moment,
        d.stage->step();
        d.clock.time = d.clock.time + 9ns;  // and silent for longer.
    }
    CHECK(d.stage->watermark() > at(0));
}

TEST_CASE("a generator may advance with the clock, and a record behind that is late") {
    struct follows_clock {
        timestamp on_record(timestamp) { return timestamp::min(); }
        timestamp on_tick(timestamp now) { return now - duration(10); }
    };
    driven d({{record(5), wait(), record(60), wait(), record(3)}}, strategy(follows_clock{}));
    d.clock.time = at(11);
    d.start();
    CHECK(d.run());
    CHECK(d.stage->watermark() == at(1));
    d.clock.time = at(70);  // The generator says 60, before the record of that time comes.
    CHECK(d.run());
    CHECK_FALSE(d.run());
    CHECK(lateness(d.out) == std::vector<bool>{false, true, true});
}

TEST_CASE("a split that says it is idle does not hold back the others, and takes part again from where event time is") {
    driven d({{record(10), wait(), record(20), wait(), record(30), wait(), record(40)},
              {idle(), idle(), wait(), record(25), wait()}},
             monotonous());
    d.start();
    CHECK(d.run());
    CHECK(d.stage->held_by() == 0U);
    CHECK(d.stage->watermark() == at(9));
    CHECK(d.run());
    CHECK(d.stage->watermark() == at(19));
    CHECK(d.run());
    CHECK(d.stage->watermark() == at(29));
    CHECK(d.run());
    CHECK(d.stage->watermark() == at(29));  // It spoke behind the record of 30, and holds event time from there on.
    CHECK(d.stage->held_by() == 1U);
    CHECK(lateness(d.out) == std::vector<bool>{false, false, false, false, true});
    CHECK_FALSE(d.run());
}

TEST_CASE("a split that brings records and says it is idle is asked again: records come first") {
    driven d({{record(10), idle(), idle(), record(20)}, {record(5), wait(), wait(), record(15)}}, monotonous());
    d.start();
    CHECK(d.run());
    CHECK(d.out.records().size() == 2);
    CHECK(d.stage->watermark() == at(4));
    CHECK(d.stage->held_by() == 1U);
    CHECK(d.run());
    CHECK_FALSE(d.run());
    CHECK(lateness(d.out) == std::vector<bool>(4, false));
}
