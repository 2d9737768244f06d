// What the sink promises that rolls back, against a real broker: each line of what may happen to a process that dies. One
// that has died is a sink whose transaction nobody ends. tests/torture/kafka_kills.cpp has processes that are killed.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runnel/checkpoint/checkpoint_store.hpp"
#include "runnel/connect/kafka_sink.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/source/generator.hpp"
#include "src/connect/kafka_producer.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/kafka/broker.hpp"
#include "tests/kafka/committed.hpp"
#include "tests/support/error_text.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using kafka_test::cluster;
using tests::failure_of;
namespace rd = runnel::detail;
using strings = std::vector<std::string>;

namespace {

/// The values that readers of committed records see, sorted.
strings values_in(const std::string& topic) {
    strings values;
    for (const auto& r : kafka_test::committed_records_in(topic)) values.push_back(r.value.value_or("(none)"));
    std::sort(values.begin(), values.end());
    return values;
}

auto rolling_back(const std::string& topic, std::map<std::string, std::string> settings = {},
                  kafka_recovery how = kafka_recovery::roll_back) {
    return to_kafka(cluster(), topic, delivery::exactly_once, nullptr,
                    {.settings = std::move(settings), .recovery = how});
}

std::string owner_of(const std::string& topic) { return "job/" + topic; }

/// What a job keeps of itself: its durable checkpoints.
struct saved {
    checkpoint_id id = 0;
    strings prepared = {};
};
using folder = std::vector<saved>;

/// One life of a sink with two writers, as a job leads it.
struct life {
    std::string owner;
    std::shared_ptr<sink<std::string>> to;
    std::vector<std::unique_ptr<sink_writer<std::string>>> writers;
    std::atomic<int> woken = 0;
    bool gave_up = false;

    /// Goes on from the newest checkpoint, or gives that up.
    explicit life(const std::string& topic, folder& checkpoints, kafka_recovery how = kafka_recovery::roll_back)
        : owner(owner_of(topic)), to(rolling_back(topic, {}, how).bind<std::string>()) {
        REQUIRE(to->problems().empty());
        const auto newest = [&] { return checkpoints.empty() ? saved() : checkpoints.back(); };
        if (!checkpoints.empty() && !to->is_at(newest().id, owner, newest().prepared)) {
            const saved given_up = newest();
            checkpoints.pop_back();
            gave_up = to->is_at(newest().id, owner, newest().prepared);
            if (!gave_up) checkpoints.push_back(given_up);
        }
        to->recover(newest().id, owner, newest().prepared);
        for (std::size_t i = 0; i != 2; ++i)
            writers.push_back(to->open({.subtask = i, .parallelism = 2, .wake = [this] { ++woken; }, .owner = owner}));
    }
    ~life() { writers.clear(); }
    progress write(std::size_t writer, strings values) {
        batch<std::string> records;
        for (std::string& v : values) records.append(std::move(v), timestamp(std::chrono::seconds(1'700'000'000)));
        return writers[writer]->write(records);
    }
    void settle() {
        for (auto& w : writers)
            for (int before = woken; w->settle() == progress::blocked; before = woken)
                while (woken == before) std::this_thread::yield();
    }
    saved prepare(checkpoint_id id) {
        settle();
        saved s{id, {}};
        for (auto& w : writers) s.prepared.push_back(w->prepare());
        return s;
    }
    void commit(const saved& s) { to->commit(s.id, owner, s.prepared); }
};

std::vector<kafka_output> as_records(const strings& values) {
    std::vector<kafka_output> records;
    for (const std::string& v : values) records.push_back({.value = v});
    return records;
}

/// Who has prepared this.
std::string life_of(const saved& s) {
    const std::string& p = s.prepared.at(0);
    const std::size_t from = std::string("rolls back ").size();
    return p.substr(from, p.find(' ', from) - from);
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

/// Sets or, without a number, removes the marker of a job.
void set_marker(const std::string& topic, std::optional<checkpoint_id> number) {
    if (number) {
        rd::kafka_transactions({cluster(), topic}, owner_of(topic)).store(*number, {});
        return;
    }
    kafka_test::admin admin;
    rd_kafka_DeleteGroup_t* group = rd_kafka_DeleteGroup_new(owner_of(topic).c_str());
    const rd::kafka_queue queue(rd_kafka_queue_new(admin.client().get()));
    rd_kafka_DeleteGroups(admin.client().get(), &group, 1, nullptr, queue.get());
    const rd::kafka_event deleted(rd_kafka_queue_poll(queue.get(), 30'000));
    rd_kafka_DeleteGroup_destroy(group);
    REQUIRE(deleted);
}

}  // namespace

TEST_CASE("a sink that rolls back keeps nothing: results are in the cluster before the checkpoint, and seen after it") {
    kafka_test::admin admin;
    admin.create("back_seen", 2);
    folder none;
    life a("back_seen", none);
    CHECK(a.to->rolls_back());
    CHECK(a.write(0, {"1", "2"}) == progress::done);
    CHECK(a.write(1, {"3"}) == progress::done);
    const saved first = a.prepare(1);
    for (const std::string& p : first.prepared) CHECK(p.size() < 100);
    CHECK(kafka_test::records_in("back_seen", "read_uncommitted").size() == 3);
    CHECK(kafka_test::records_in("back_seen").empty());
    // What comes now belongs to the next.
    CHECK(a.write(0, {"4"}) == progress::blocked);
    CHECK(a.write(1, {"5"}) == progress::blocked);
    const int before = a.woken;
    a.commit(first);
    CHECK(a.woken == before + 2);
    CHECK(values_in("back_seen") == strings{"1", "2", "3"});
    CHECK(a.write(0, {"4"}) == progress::done);
    CHECK(a.write(1, {"5"}) == progress::done);
    a.commit(a.prepare(2));
    CHECK(values_in("back_seen") == strings{"1", "2", "3", "4", "5"});
    a.commit(a.prepare(3));  // Nothing.
    CHECK(a.write(1, {"6"}) == progress::done);
    // Checkpoint 4 is given up, first for one writer: its results come with the next.
    const saved fourth = a.prepare(4);
    a.to->postpone({fourth.prepared[1]});
    CHECK(a.write(0, {"7"}) == progress::blocked);
    CHECK(a.write(1, {"8"}) == progress::done);
    a.to->postpone({fourth.prepared[0]});
    CHECK(a.write(0, {"7"}) == progress::done);
    CHECK(kafka_test::records_in("back_seen").size() == 5);
    saved fifth = a.prepare(5);
    fifth.prepared.insert(fifth.prepared.begin(), fourth.prepared.begin(), fourth.prepared.end());
    a.commit(fifth);
    a.commit(fifth);  // Asked again.
    CHECK(values_in("back_seen") == strings{"1", "2", "3", "4", "5", "6", "7", "8"});
}

TEST_CASE("wherever a process dies, its results are there once when the next has gone on or back") {
    enum step { producing, flushed, durable, marked, committed };
    kafka_test::admin admin;
    for (int at = producing; at <= committed; ++at)
        for (const bool twice : {false, true}) {
            CAPTURE(at);
            CAPTURE(twice);
            const std::string topic = "back_dies_" + std::to_string(at) + (twice ? "_twice" : "");
            admin.create(topic, 2);
            folder checkpoints;
            life a(topic, checkpoints);
            REQUIRE(a.write(0, {"1"}) == progress::done);
            checkpoints.push_back(a.prepare(1));
            a.commit(checkpoints.back());
            REQUIRE(a.write(1, {"2", "3"}) == progress::done);
            std::unique_ptr<rd::kafka_transactions> dead;
            if (at >= flushed) {
                const saved second = a.prepare(2);
                if (at >= durable) checkpoints.push_back(second);
                if (at >= marked) {
                    // The same transaction once more, by somebody who can die inside its commit.
                    dead = std::make_unique<rd::kafka_transactions>(rd::kafka_target{cluster(), topic}, owner_of(topic));
                    dead->begin();
                    dead->produce(as_records({"2", "3"}));
                    dead->mark(2, life_of(second));
                    if (at == committed) dead->commit();
                }
            }
            // Neither says anything any more. And the next dies, too, before it has written.
            const std::size_t before = checkpoints.size();
            std::unique_ptr<life> b, c;
            if (twice) b = std::make_unique<life>(topic, checkpoints);
            c = std::make_unique<life>(topic, checkpoints);
            CHECK((c->gave_up || (b && b->gave_up)) == (at == durable || at == marked));
            CHECK(checkpoints.size() == (at == durable || at == marked ? 1 : before));
            if (at != committed) {
                CHECK(values_in(topic) == strings{"1"});
                // They come again.
                REQUIRE(c->write(0, {"2", "3"}) == progress::done);
            }
            REQUIRE(c->write(0, {"4"}) == progress::done);
            checkpoints.push_back(c->prepare(checkpoints.back().id + 1));
            c->commit(checkpoints.back());
            CHECK(values_in(topic) == strings{"1", "2", "3", "4"});
        }
}

TEST_CASE("if the first checkpoint of all was not committed, everything comes again") {
    kafka_test::admin admin;
    admin.create("back_first", 1);
    folder checkpoints;
    life a("back_first", checkpoints);
    REQUIRE(a.write(0, {"1"}) == progress::done);
    checkpoints.push_back(a.prepare(1));
    life b("back_first", checkpoints);
    CHECK(b.gave_up);
    CHECK(checkpoints.empty());
    REQUIRE(b.write(0, {"1"}) == progress::done);
    b.commit(b.prepare(1));
    CHECK(values_in("back_first") == strings{"1"});
}

TEST_CASE("mistakes that the comparison would find: going on without a look at the marker, and a commit before the "
          "checkpoint") {
    kafka_test::admin admin;
    admin.create("back_careless", 1);
    folder checkpoints;
    {
        life a("back_careless", checkpoints);
        REQUIRE(a.write(0, {"1"}) == progress::done);
        checkpoints.push_back(a.prepare(1));
        a.commit(checkpoints.back());
        REQUIRE(a.write(0, {"2"}) == progress::done);
        checkpoints.push_back(a.prepare(2));
    }
    // It believes that checkpoint 2 was committed: its results are lost.
    set_marker("back_careless", 2);
    life careless("back_careless", checkpoints);
    careless.commit(careless.prepare(3));
    CHECK(values_in("back_careless") == strings{"1"});

    admin.create("back_hasty", 1);
    checkpoints.clear();
    {
        life a("back_hasty", checkpoints);
        REQUIRE(a.write(0, {"1"}) == progress::done);
        checkpoints.push_back(a.prepare(1));
        a.commit(checkpoints.back());
        REQUIRE(a.write(0, {"2"}) == progress::done);
        a.commit(a.prepare(2));  // And dies: the newest durable checkpoint is 1.
    }
    const std::string why = failure_of([&] { life b("back_hasty", checkpoints); });
    CHECK(contains(why, "holds the results up to checkpoint 2, and the job goes on from checkpoint 1: results would come "
                        "twice"));
    set_marker("back_hasty", 1);
    life b("back_hasty", checkpoints);
    REQUIRE(b.write(0, {"2"}) == progress::done);
    b.commit(b.prepare(2));
    CHECK(values_in("back_hasty") == strings{"1", "2", "2"});
}

TEST_CASE("a zombie whose transaction is open cannot write any more, and its results are not seen") {
    kafka_test::admin admin;
    admin.create("back_zombie", 1);
    folder checkpoints;
    life zombie("back_zombie", checkpoints);
    REQUIRE(zombie.write(0, {"1"}) == progress::done);
    checkpoints.push_back(zombie.prepare(1));
    zombie.commit(checkpoints.back());
    REQUIRE(zombie.write(0, {"2"}) == progress::done);
    const saved second = zombie.prepare(2);
    life successor("back_zombie", checkpoints);
    const std::string why = failure_of([&] { zombie.commit(second); });
    CHECK(contains(why, "Another process runs the same job"));
    CHECK(contains(why, "transaction.timeout.ms"));
    // A policy for errors leaves nothing out for it.
    CHECK(failure_of([&] { zombie.commit(second); }) == "an earlier transaction has failed. Start the job again.");
    REQUIRE(successor.write(0, {"2"}) == progress::done);
    successor.commit(successor.prepare(2));
    CHECK(values_in("back_zombie") == strings{"1", "2"});
}

TEST_CASE("a marker that has vanished, or fits no checkpoint that there is, stops the job, and says what to do") {
    kafka_test::admin admin;
    admin.create("back_marker", 1);
    folder checkpoints, kept;
    {
        life a("back_marker", checkpoints);
        for (checkpoint_id id = 1; id != 4; ++id) {
            REQUIRE(a.write(0, {std::to_string(id)}) == progress::done);
            checkpoints.push_back(a.prepare(id));
            a.commit(checkpoints.back());
        }
    }
    const auto refusal = [&](folder from) {
        const std::size_t before = from.size();
        const std::string why = failure_of([&] { life b("back_marker", from); });
        CHECK(from.size() == before);
        return why;
    };
    std::string why = refusal({checkpoints[0], checkpoints[1]});
    CHECK(contains(why, "holds the results up to checkpoint 3, and the job goes on from checkpoint 2"));
    CHECK(contains(why, "group 'job/back_marker' for partition 0 of topic \"back_marker\" to 2"));
    CHECK(contains(why, "kafka-consumer-groups --reset-offsets"));
    why = refusal({});
    CHECK(contains(why, "the job begins without a checkpoint"));
    why = refusal({{7, checkpoints[0].prepared}, {8, checkpoints[0].prepared}});
    CHECK(contains(why, "and has no checkpoint 3 to go back to"));
    // One that was given up, and kept elsewhere, has the same number.
    saved other = checkpoints[2];
    const std::string by = life_of(other);
    for (std::string& p : other.prepared) p.replace(p.find(by), by.size(), "abc");
    why = refusal({other});
    CHECK(contains(why, "holds the results of another checkpoint 3"));
    set_marker("back_marker", std::nullopt);
    why = refusal(checkpoints);
    CHECK(contains(why, "the marker is gone"));
    CHECK(contains(why, "set the offset to 3, else to 2"));
    CHECK(values_in("back_marker") == strings{"1", "2", "3"});
    // As it was said.
    set_marker("back_marker", 3);
    life b("back_marker", checkpoints);
    CHECK(!b.gave_up);
}

TEST_CASE("a job may change from the one form to the other, if no results are missing") {
    kafka_test::admin admin;
    admin.create("back_change", 1);
    folder checkpoints;
    {
        life ahead("back_change", checkpoints, kafka_recovery::write_ahead);
        REQUIRE(ahead.write(0, {"1"}) == progress::done);
        checkpoints.push_back(ahead.prepare(1));
        ahead.commit(checkpoints.back());
        // Without results, the marker stays where it is.
        checkpoints.push_back(ahead.prepare(2));
        ahead.commit(checkpoints.back());
        checkpoints.push_back(ahead.prepare(3));
        ahead.commit(checkpoints.back());
    }
    {
        life back("back_change", checkpoints);
        CHECK(!back.gave_up);
        REQUIRE(back.write(0, {"2"}) == progress::done);
        checkpoints.push_back(back.prepare(4));
        CHECK(contains(failure_of([&] { life b("back_change", checkpoints, kafka_recovery::write_ahead); }),
                       "the results of checkpoint 4 have not been written"));
    }
    {
        life back("back_change", checkpoints);
        CHECK(back.gave_up);
        REQUIRE(back.write(0, {"2"}) == progress::done);
        checkpoints.push_back(back.prepare(4));
        back.commit(checkpoints.back());
    }
    life ahead("back_change", checkpoints, kafka_recovery::write_ahead);
    REQUIRE(ahead.write(0, {"3"}) == progress::done);
    ahead.commit(ahead.prepare(5));
    CHECK(values_in("back_change") == strings{"1", "2", "3"});
}

TEST_CASE("what the cluster alone finds too large ends the job, whatever the policy for errors, and nothing is lost") {
    kafka_test::admin admin;
    admin.create("back_small", 1, {{"max.message.bytes", "1000"}});
    test::temporary_folder place;
    pipeline p("small");
    p.from(collection(strings{"a", std::string(5'000, 'x'), "b"}))
        .named("texts")
        .to(rolling_back("back_small"))
        .named("out")
        .on_error(on_error::skip);
    job_options o;
    o.checkpoints.folder = place / "c";
    CHECK(contains(failure_of([&] { std::move(p).start(o).wait(); }), "max.message.bytes of the topic"));
    CHECK(values_in("back_small").empty());
}

TEST_CASE("what cannot roll back is refused at the start") {
    kafka_test::admin admin;
    admin.create("back_refused", 1);
    test::temporary_folder place;
    job_options o;
    o.checkpoints.folder = place / "c";
    const auto start = [&](auto first, bool alone, bool saves) {
        pipeline p("refused");
        auto texts = p.from(collection(strings{"a"})).named("in");
        texts.to(first).named("first");
        if (!alone) texts.to(rolling_back("back_refused", {}, kafka_recovery::write_ahead)).named("second");
        return failure_of([&] { std::move(p).start(saves ? o : job_options()).wait(); });
    };
    CHECK(contains(start(rolling_back("back_refused"), false, true), "operator 'first' (kafka back_refused): it rolls back"));
    CHECK(contains(start(rolling_back("back_refused"), true, false), "in a job without checkpoints"));
    const std::string late = start(rolling_back("back_refused", {{"transaction.timeout.ms", "9500"}}), true, true);
    CHECK(contains(late, "longer than 9.5 s; but there is a checkpoint each 10 s only"));
    CHECK(contains(start(to_kafka(cluster(), "back_refused", delivery::at_least_once, nullptr,
                                  {.recovery = kafka_recovery::roll_back}),
                         true, true),
                   "results that are seen at once cannot be rolled back"));
    CHECK(values_in("back_refused").empty());
}

namespace {

/// Each number, with the sum of those before it that have its remainder by seven.
pipeline sums(const std::string& topic, std::uint64_t n, double rate = 0) {
    pipeline p(topic);
    p.from(generate(n, [](std::uint64_t i) { return std::pair(i, i); }, {.rate = rate}))
        .named("numbers")
        .key_by([](const auto& v) { return v.first % 7; })
        .reduce([](const auto& a, const auto& b) { return std::pair(b.first, a.second + b.second); })
        .named("sums")
        .map([](const auto& v) { return std::to_string(v.first) + " " + std::to_string(v.second); })
        .to(rolling_back(topic))
        .named("out");
    return p;
}

strings expected_sums(std::uint64_t n) {
    std::map<std::uint64_t, std::uint64_t> sum;
    strings all;
    for (std::uint64_t i = 0; i != n; ++i) all.push_back(std::to_string(i) + " " + std::to_string(sum[i % 7] += i));
    std::sort(all.begin(), all.end());
    return all;
}

}  // namespace

TEST_CASE("a job that is ended again and again, or whose commits fail, goes on at another parallelism: each result once") {
    kafka_test::admin admin;
    admin.create("back_job", 3);
    test::temporary_folder place;
    constexpr std::uint64_t count = 20'000;
    const std::size_t parallelism[] = {1, 3, 2, 1, 2};
    std::atomic<int> fails = 0, set_aside = 0;
    for (std::size_t round = 0; round != 5; ++round) {
        job_options o{.parallelism = parallelism[round]};
        o.checkpoints = {.folder = place / "c", .interval = 20ms, .keep = 1};
        o.restart = fixed_delay(10, 10ms);
        o.checkpoints.on_step = [&](checkpoint_step s, checkpoint_id) {
            if (s == checkpoint_step::set_aside) ++set_aside;
            // Durable, and not committed.
            if (s == checkpoint_step::commit && --fails == 0) throw std::runtime_error("the process dies here");
        };
        fails = round == 4 ? 0 : 3;
        job running = sums("back_job", count, round == 4 ? 0 : 4'000).start(o);
        if (round == 4) {
            running.wait();
        } else {
            for (int i = 0; i != 4;) {
                try {
                    running.checkpoint();
                    ++i;
                } catch (const checkpoint_error&) {
                    // That which fails.
                }
            }
            CHECK(running.status().checkpoints.restarts == 1);
            running.cancel();
            running.wait();
        }
    }
    CHECK(set_aside >= 4);
    CHECK(values_in("back_job") == expected_sums(count));
}

TEST_CASE("savepoints of a job that rolls back: what was before them can be seen, and they can be begun from") {
    kafka_test::admin admin;
    admin.create("back_saved", 2);
    test::temporary_folder place;
    constexpr std::uint64_t count = 5'000;
    {
        job_options o{.parallelism = 2};
        o.checkpoints = {.folder = place / "c", .interval = duration::zero()};
        job running = sums("back_saved", count, 100).start(o);
        running.checkpoint();
        (void)running.read_state();
        running.savepoint(place / "s");
        running.cancel();
        running.wait();
    }
    CHECK(!values_in("back_saved").empty());
    job_options o{.parallelism = 1};
    o.checkpoints = {.folder = place / "d", .interval = 20ms, .keep = 1};
    o.restore = place / "s";
    {
        job running = sums("back_saved", count, 4'000).start(o);
        running.checkpoint();
        running.stop_with_savepoint(place / "t");
        running.wait();
    }
    job_options late = o;
    late.checkpoints.folder = place / "e";
    CHECK(contains(failure_of([&] { sums("back_saved", count).start(late).wait(); }), "results would come twice"));
    late.checkpoints.folder = place / "f";
    late.restore = place / "t";
    sums("back_saved", count).start(late).wait();
    CHECK(values_in("back_saved") == expected_sums(count));
}

TEST_CASE("brokers that die and come back cost a job that rolls back nothing") {
    if (!kafka_test::can_control()) return;
    kafka_test::admin admin;
    admin.create("back_outage", 2);
    test::temporary_folder place;
    job_options o{.parallelism = 2};
    o.checkpoints = {.folder = place / "c", .interval = 50ms, .keep = 1};
    o.restart = fixed_delay(100, 100ms);
    constexpr std::uint64_t count = 20'000;
    job running = sums("back_outage", count, 5'000).start(o);
    running.checkpoint();
    kafka_test::control("kill 1");
    kafka_test::control("start 1");
    running.wait();
    CHECK(values_in("back_outage") == expected_sums(count));
}
