// What the sink promises, against a real broker. A process that dies is a sink whose transaction nobody ends: as for a
// broker, there is no difference. tests/torture/kafka_kills.cpp has processes that are killed.
#include "runnel/connect/kafka_sink.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <boost/describe.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/testing/manual_source.hpp"
#include "runnel/window/count.hpp"
#include "src/connect/kafka_producer.hpp"
#include "tests/connect/sink_driver.hpp"
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

struct alert {
    std::string card;
    int amount = 0;
};
BOOST_DESCRIBE_STRUCT(alert, (), (card, amount))

timestamp ms(std::int64_t n) { return timestamp(std::chrono::milliseconds(n)); }

/// The values in a topic, sorted.
strings values_in(const std::string& topic, const std::string& isolation = "read_committed") {
    strings values;
    if (isolation == "read_committed") kafka_test::wait_until_committed(topic);
    for (const auto& r : kafka_test::records_in(topic, isolation)) values.push_back(r.value.value_or("(none)"));
    std::sort(values.begin(), values.end());
    return values;
}

/// What a job keeps of itself: its newest durable checkpoint.
struct saved {
    checkpoint_id id = 0;
    strings prepared = {};
};

constexpr const char* owner = "job/out";

/// One life of a sink, as a job leads it.
struct life {
    std::shared_ptr<sink<std::string>> to;
    std::unique_ptr<sink_writer<std::string>> writer;
    /// Owners differ from test to test, as jobs do.
    std::string named;
    explicit life(const std::string& topic, const saved& from = {}, std::map<std::string, std::string> settings = {})
        : to(to_kafka(cluster(), topic, delivery::exactly_once, nullptr, {.settings = std::move(settings)})
                 .bind<std::string>()),
          named(owner + topic) {
        REQUIRE(to->problems().empty());
        to->recover(from.id, named, from.prepared);
        writer = to->open({.owner = named});
    }
    void write(strings values) {
        batch<std::string> records;
        for (std::string& v : values) records.append(std::move(v), ms(1'700'000'000'000));
        REQUIRE(writer->write(records) == progress::done);
        CHECK(records.empty());
    }
    /// What is durable when checkpoint `id` is.
    saved prepare(checkpoint_id id) {
        REQUIRE(writer->settle() == progress::done);
        return {id, {writer->prepare()}};
    }
    void commit(const saved& s) { to->commit(s.id, named, s.prepared); }
};

std::vector<kafka_output> as_records(const strings& values) {
    std::vector<kafka_output> records;
    for (const std::string& v : values) records.push_back({.value = v});
    return records;
}

}  // namespace

TEST_CASE("a key goes to the partition that the Java client gives it") {
    kafka_test::admin admin;
    admin.create("sink_keys", 7);
    // Hashes that are known of the Java client's murmur2; partition = (hash & 0x7fffffff) % partitions.
    const std::map<std::string, std::int32_t> known{{"21", -973932308},
                                                    {"foobar", -790332482},
                                                    {"a-little-bit-long-string", -985981536},
                                                    {"a-little-bit-longer-string", -1486304829},
                                                    {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
                                                    {"abc", 479470107}};
    std::vector<std::string> keys;
    for (const auto& [key, hash] : known) keys.push_back(key);
    pipeline p;
    p.from(collection(keys)).to(
        to_kafka(cluster(), "sink_keys", delivery::at_least_once, [](const std::string& s) { return s; }));
    std::move(p).start().wait();
    const auto found = kafka_test::committed_records_in("sink_keys");
    CHECK(found.size() == known.size());
    for (const auto& r : found) {
        CAPTURE(*r.key);
        CHECK(r.partition == (known.at(*r.key) & 0x7fffffff) % 7);
        CHECK(r.key == r.value);
    }
}

TEST_CASE("keys and values: text as it is, the rest as JSON, an empty optional as none") {
    kafka_test::admin admin;
    admin.create("sink_json", 1);
    pipeline p;
    auto alerts = p.from(timed_collection<alert>({{{"c1", 7}, ms(1'700'000'000'001)}})).event_time(monotonous());
    alerts.to(to_kafka(cluster(), "sink_json", delivery::at_least_once, &alert::card));
    std::move(p).start().wait();
    auto found = kafka_test::committed_records_in("sink_json");
    REQUIRE(found.size() == 1);
    CHECK(found[0].key == "c1");
    CHECK(found[0].value == R"({"card":"c1","amount":7})");
    CHECK(found[0].time_ms == 1'700'000'000'001);

    admin.create("sink_json_2", 1);
    pipeline q;
    q.from(collection(std::vector<alert>{{"", 5}, {"x", 6}}))
        .to(to_kafka(cluster(), "sink_json_2", delivery::at_least_once, [](const alert& a) {
            return a.card.empty() ? std::optional<int>(a.amount) : std::nullopt;
        }));
    const auto before = std::chrono::system_clock::now().time_since_epoch() / 1ms;
    std::move(q).start().wait();
    found = kafka_test::committed_records_in("sink_json_2");
    REQUIRE(found.size() == 2);
    CHECK(found[0].key == "5");
    CHECK(found[1].key == std::nullopt);
    // Without event time, the time of writing.
    CHECK(found[0].time_ms >= before);
}

TEST_CASE("a record says what it wants: headers, partition, time, a topic of its own, no value") {
    kafka_test::admin admin;
    admin.create("sink_whole", 3);
    admin.create("sink_other", 1);
    for (const delivery how : {delivery::at_least_once, delivery::exactly_once}) {
        CAPTURE(static_cast<int>(how));
        pipeline p(how == delivery::at_least_once ? "whole a" : "whole b");
        p.from(collection(std::vector<int>{0, 1, 2, 3}))
            .named("numbers")
            .to(to_kafka(cluster(), "sink_whole", how, [](int n) {
                const std::string text = std::to_string(n);
                switch (n) {
                    case 0:
                        return kafka_output{.partition = 2,
                                            .key = "k",
                                            .value = "v",
                                            .headers = {{"a", "1"}, {"a", {}}},
                                            .time = ms(1'600'000'000'000)};
                    case 1: return kafka_output{.partition = 1, .key = "gone", .time = ms(5)};
                    case 2: return kafka_output{.topic = "sink_other", .value = std::string("a\0b", 3), .time = ms(6)};
                    default: return kafka_output{.partition = 0, .key = "", .value = "", .time = ms(7)};
                }
            }))
            .named("out");
        test::temporary_folder folder;
        job_options options;
        if (how == delivery::exactly_once) options.checkpoints.folder = folder / "c";
        std::move(p).start(options).wait();
    }
    using record = kafka_test::record;
    std::vector<record> found = kafka_test::committed_records_in("sink_whole");
    const std::vector<record> others = kafka_test::committed_records_in("sink_other");
    REQUIRE(found.size() == 6);
    for (record& r : found) r.offset = -1;
    for (std::size_t i = 0; i != 6; i += 2) CHECK(found[i] == found[i + 1]);
    CHECK(found[0] == record{.key = "", .value = "", .partition = 0, .time_ms = 7});
    CHECK(found[2] == record{.key = "gone", .value = {}, .partition = 1, .time_ms = 5});
    CHECK(found[4] == record{.key = "k", .value = "v", .partition = 2, .time_ms = 1'600'000'000'000,
                             .headers = {{"a", "1"}, {"a", std::nullopt}}});
    REQUIRE(others.size() == 2);
    CHECK(others[0].value == std::string("a\0b", 3));
}

TEST_CASE("several subtasks share a producer: all that they write is there once, in order by key") {
    kafka_test::admin admin;
    admin.create("sink_parallel", 4);
    constexpr std::uint64_t count = 20'000;
    pipeline p;
    p.from(generate(count, [](std::uint64_t i) { return i; }))
        .key_by([](std::uint64_t i) { return i % 50; })
        .reduce([](std::uint64_t, std::uint64_t b) { return b; })
        .to(to_kafka(cluster(), "sink_parallel", delivery::at_least_once, [](std::uint64_t i) { return i % 50; },
                     {.settings = {{"compression.type", "zstd"}, {"linger.ms", "2"}}}));
    std::move(p).start({.parallelism = 3}).wait();
    const auto found = kafka_test::committed_records_in("sink_parallel");
    CHECK(found.size() == count);
    std::map<std::string, std::uint64_t> last;
    bool in_order = true;
    for (const auto& r : found) {
        const std::uint64_t i = std::stoull(*r.value);
        auto [at, is_first] = last.emplace(*r.key, i);
        in_order &= is_first ? i < 50 : i == at->second + 50;
        at->second = i;
    }
    CHECK(in_order);
    CHECK(last.size() == 50);
}

TEST_CASE("a checkpoint waits until the cluster has acknowledged") {
    if (!kafka_test::can_control()) return;
    kafka_test::admin admin;
    admin.create("sink_settle", 1);
    auto to = to_kafka(cluster(), "sink_settle", delivery::at_least_once).bind<std::string>();
    test::sink_driver<std::string> d(*to);
    d.write({"a"});
    d.settle();
    CHECK(values_in("sink_settle") == strings{"a"});
    kafka_test::control("pause 1");
    d.write({"b"});
    d.flush();
    int refused = 0;
    d.refused = [&] {
        if (refused++ == 0) kafka_test::control("resume 1");
    };
    d.settle();
    CHECK(refused >= 1);
    CHECK(values_in("sink_settle") == strings{"a", "b"});
}

TEST_CASE("a full queue holds the stream back, and nothing is lost") {
    kafka_test::admin admin;
    admin.create("sink_full", 1);
    auto to = to_kafka(cluster(), "sink_full", delivery::at_least_once, nullptr,
                       {.settings = {{"queue.buffering.max.messages", "10"}, {"linger.ms", "1"}}})
                  .bind<std::string>();
    test::sink_driver<std::string> d(*to);
    int refused = 0;
    d.refused = [&] { ++refused; };
    strings all;
    for (int i = 0; i < 100; ++i) all.push_back(std::to_string(1000 + i));
    d.write(all);
    CHECK(refused > 0);
    d.finish();
    CHECK(values_in("sink_full") == all);
}

TEST_CASE("a job whose brokers are away is held back, and can be cancelled") {
    if (!kafka_test::can_control()) return;
    kafka_test::admin admin;
    admin.create("sink_cancel", 1);
    pipeline p;
    std::atomic<std::uint64_t> made = 0;
    p.from(generate(1'000'000, [&](std::uint64_t i) { return ++made, std::to_string(i); }))
        .to(to_kafka(cluster(), "sink_cancel", delivery::at_least_once, nullptr,
                     {.settings = {{"queue.buffering.max.messages", "1000"}}}));
    auto job = std::move(p).start();
    kafka_test::control("pause 1");
    job.cancel();
    job.wait();
    kafka_test::control("resume 1");
    CHECK(made < 1'000'000);
}

TEST_CASE("readers of committed records see results when the checkpoint is complete, all at once") {
    kafka_test::admin admin;
    admin.create("sink_seen", 2);
    life a("sink_seen");
    a.write({"1", "2"});
    const saved first = a.prepare(1);
    CHECK(values_in("sink_seen", "read_uncommitted").empty());
    a.write({"3"});
    a.commit(first);
    CHECK(values_in("sink_seen") == strings{"1", "2"});
    a.commit(first);
    const saved second = a.prepare(2);
    a.commit(second);
    const saved empty = a.prepare(3);
    a.commit(empty);
    CHECK(values_in("sink_seen") == strings{"1", "2", "3"});
}

TEST_CASE("wherever a process dies, its results are there once when the next has recovered") {
    enum step { prepared, begun, produced, marked, committed };
    kafka_test::admin admin;
    for (int at = prepared; at <= committed; ++at) {
        for (const bool twice : {false, true}) {
            if (twice && at != marked) continue;
            CAPTURE(at);
            CAPTURE(twice);
            const std::string topic = "sink_dies_" + std::to_string(at) + (twice ? "_twice" : "");
            admin.create(topic, 2);
            saved durable;
            {
                life a(topic);
                a.write({"1"});
                durable = a.prepare(1);
                a.commit(durable);
                a.write({"2", "3"});
                durable = a.prepare(2);
                // Not durable any more: comes again.
                a.write({"lost"});
            }
            std::vector<std::unique_ptr<rd::kafka_transactions>> dead;
            const auto die = [&] {
                // What remains of the dead: its transaction is open, or whatever it was, and it never speaks again.
                auto& t = *dead.emplace_back(
                    std::make_unique<rd::kafka_transactions>(rd::kafka_target{cluster(), topic}, owner + topic));
                if (at >= begun) t.begin();
                if (at >= produced) t.produce(as_records({"2", "3"}));
                if (at >= marked) t.mark(2);
                if (at >= committed) t.commit();
            };
            die();
            // During recovery, too.
            if (twice) die();
            life b(topic, durable);
            CHECK(values_in(topic) == strings{"1", "2", "3"});
            b.write({"4"});
            b.commit(b.prepare(3));
            CHECK(values_in(topic) == strings{"1", "2", "3", "4"});
        }
    }
}

TEST_CASE("what died before its checkpoint was durable comes again, once") {
    kafka_test::admin admin;
    admin.create("sink_again", 1);
    saved durable;
    {
        life a("sink_again");
        a.write({"1"});
        durable = a.prepare(1);
        a.commit(durable);
        a.write({"2"});
        (void)a.prepare(2);
    }
    life b("sink_again", durable);
    b.write({"2"});
    b.commit(b.prepare(2));
    CHECK(values_in("sink_again") == strings{"1", "2"});
}

TEST_CASE("mistakes that the comparison would find: results written without a look at the marker, and a commit before "
          "the checkpoint") {
    kafka_test::admin admin;
    admin.create("sink_mistakes", 1);
    const std::string id = std::string(owner) + "sink_mistakes";
    saved durable;
    {
        life a("sink_mistakes");
        a.write({"1"});
        durable = a.prepare(1);
        a.commit(durable);
        SUBCASE("a recovery that ignores the marker") {
            rd::kafka_transactions careless({cluster(), "sink_mistakes"}, id);
            careless.store(1, as_records({"1"}));
            CHECK(values_in("sink_mistakes") == strings{"1", "1"});
        }
        SUBCASE("a commit before the checkpoint") {
            a.write({"2"});
            a.commit(a.prepare(2));  // And dies; the newest durable checkpoint is 1, from which "2" comes again.
            CHECK(failure_of([&] { life b("sink_mistakes", durable); }).find("holds the results up to checkpoint 2") !=
                  std::string::npos);
            rd::kafka_transactions careless({cluster(), "sink_mistakes"}, id);
            careless.store(2, as_records({"2"}));
            CHECK(values_in("sink_mistakes") == strings{"1", "2", "2"});
        }
    }
    // Subcases share the topic.
    admin.remove("sink_mistakes");
}

TEST_CASE("a zombie cannot write any more") {
    kafka_test::admin admin;
    admin.create("sink_zombie", 1);
    life zombie("sink_zombie");
    zombie.write({"1"});
    const saved durable = zombie.prepare(1);
    life successor("sink_zombie", durable);
    CHECK(values_in("sink_zombie") == strings{"1"});
    zombie.write({"2"});
    const std::string why = failure_of([&] { zombie.commit(zombie.prepare(2)); });
    CHECK(why.find("Another process runs the same job") != std::string::npos);
    successor.write({"3"});
    successor.commit(successor.prepare(2));
    CHECK(values_in("sink_zombie") == strings{"1", "3"});
}

TEST_CASE("a recovery that is shut out by what a dead process has asked for begins once more") {
    kafka_test::admin admin;
    admin.create("sink_late", 1);
    life a("sink_late");
    a.write({"1"});
    a.commit(a.prepare(1));
    a.write({"2"});
    const saved second = a.prepare(2);
    // What the cluster is told by the dead one, and hears only now.
    const rd::kafka_transactions late({cluster(), "sink_late"}, owner + std::string("sink_late"));
    a.to->recover(second.id, a.named, second.prepared);
    CHECK(values_in("sink_late") == strings{"1", "2"});
    a.write({"3"});
    a.commit(a.prepare(3));
    CHECK(values_in("sink_late") == strings{"1", "2", "3"});
}

TEST_CASE("a marker that does not fit the checkpoint stops the job, and says what to do") {
    kafka_test::admin admin;
    admin.create("sink_marker", 1);
    saved first, second;
    {
        life a("sink_marker");
        a.write({"1"});
        first = a.prepare(1);
        a.commit(first);
        a.write({"2"});
        second = a.prepare(2);
        a.commit(second);
    }
    CHECK(failure_of([&] { life b("sink_marker", first); }).find("holds the results up to checkpoint 2") !=
          std::string::npos);
    CHECK(failure_of([&] { life b("sink_marker"); }).find("begins without a checkpoint") != std::string::npos);
    // The group is forgotten.
    rd_kafka_DeleteGroup_t* group = rd_kafka_DeleteGroup_new((std::string(owner) + "sink_marker").c_str());
    const rd::kafka_queue queue(rd_kafka_queue_new(admin.client().get()));
    rd_kafka_DeleteGroups(admin.client().get(), &group, 1, nullptr, queue.get());
    const rd::kafka_event deleted(rd_kafka_queue_poll(queue.get(), 30'000));
    rd_kafka_DeleteGroup_destroy(group);
    REQUIRE(deleted);
    const std::string why = failure_of([&] { life b("sink_marker", second); });
    CHECK(why.find("the marker is gone") != std::string::npos);
    CHECK(why.find("group 'job/outsink_marker'") != std::string::npos);
    CHECK(why.find("kafka-consumer-groups --reset-offsets") != std::string::npos);
    CHECK(values_in("sink_marker") == strings{"1", "2"});
}

TEST_CASE("a bad record follows the policy for errors, and costs nothing else") {
    kafka_test::admin admin;
    for (const delivery how : {delivery::at_least_once, delivery::exactly_once}) {
        const std::string topic = how == delivery::at_least_once ? "sink_bad_a" : "sink_bad_b";
        CAPTURE(topic);
        admin.create(topic, 2);
        const auto made = [&](bool skips) {
            pipeline p(topic);
            auto numbers = p.from(collection(std::vector<int>{0, 1, 2, 3, 4, 5})).named("numbers");
            auto to = to_kafka(cluster(), topic, how, [](int n) -> kafka_output {
                switch (n) {
                    case 1: return {.value = std::string(2'000'000, 'x')};
                    case 2: return {.topic = "sink_no_such_topic", .value = "?"};
                    case 3: return {.partition = 2, .value = "?"};
                    case 4: return {.value = "?", .time = ms(-1)};
                    default: return {.value = std::to_string(n)};
                }
            });
            auto s = numbers.to(to).named("out");
            if (skips) s.on_error(on_error::skip);
            return p;
        };
        test::temporary_folder folder;
        job_options options;
        if (how == delivery::exactly_once) options.checkpoints.folder = folder / "c";
        auto job = made(true).start(options);
        job.wait();
        CHECK(values_in(topic) == strings{"0", "5"});
        std::uint64_t skipped = 0;
        for (const auto& o : job.status().operators)
            if (o.name == "out") skipped = o.skipped;
        CHECK(skipped == 4);
        test::temporary_folder other;
        if (how == delivery::exactly_once) {
            // A job of its own, since this folder is new.
            continue;
        }
        const std::string why = failure_of([&] { made(false).start(options).wait(); });
        CHECK(why.find("operator 'out'") != std::string::npos);
        CHECK(why.find("message.max.bytes") != std::string::npos);
    }
}

TEST_CASE("what the cluster alone finds too large is a failure with the record's time") {
    kafka_test::admin admin;
    admin.create("sink_small", 1, {{"max.message.bytes", "1000"}});
    auto to = to_kafka(cluster(), "sink_small", delivery::at_least_once).bind<std::string>();
    test::sink_driver<std::string> d(*to);
    d.write({std::string(5000, 'x')});
    const std::string why = failure_of([&] { d.settle(); });
    CHECK(why.find("cannot write to sink_small/0") != std::string::npos);
    CHECK(why.find("max.message.bytes of the topic") != std::string::npos);
    d.write({"y"});
    d.finish();
    CHECK(values_in("sink_small") == strings{"y"});

    admin.create("sink_small_2", 1, {{"max.message.bytes", "1000"}});
    life a("sink_small_2");
    a.write({std::string(5000, 'x')});
    const std::string refused = failure_of([&] { a.commit(a.prepare(1)); });
    CAPTURE(refused);
    CHECK(refused.find("max.message.bytes of the topic") != std::string::npos);
}

TEST_CASE("what cannot work is refused at the start") {
    const auto start = [](auto to, job_options options = {}) {
        pipeline p("refused");
        p.from(collection(strings{"a"})).named("in").to(to).named("out");
        return failure_of([&] { std::move(p).start(options).wait(); });
    };
    kafka_test::admin admin;
    admin.create("sink_refused", 1);
    CHECK(start(to_kafka(cluster(), "sink_refused", delivery::exactly_once)).find("in a job without checkpoints") !=
          std::string::npos);
    CHECK(start(to_kafka(cluster(), "", delivery::at_least_once)).find("the topic has no name") != std::string::npos);
    CHECK(start(to_kafka(cluster(), "sink_refused", delivery::at_least_once, nullptr,
                         {.settings = {{"nonsense", "1"}}}))
              .find("\"nonsense\"") != std::string::npos);
    CHECK(start(to_kafka(cluster(), "sink_refused", delivery::at_least_once, nullptr,
                         {.settings = {{"enable.idempotence", "false"}}}))
              .find("has to be \"true\"") != std::string::npos);
    const auto missing = start(to_kafka(cluster(), "sink_not_there", delivery::at_least_once));
    CHECK(missing.find("cannot find topic \"sink_not_there\"") != std::string::npos);
    CHECK(missing.find("Create the topic") != std::string::npos);
    test::temporary_folder folder;
    job_options with;
    with.checkpoints.folder = folder / "c";
    CHECK(start(to_kafka(cluster(), "sink_not_there", delivery::exactly_once), with).find("cannot find topic") !=
          std::string::npos);
    const kafka_cluster wrong{.brokers = "127.0.0.1:1", .timeout = 300ms};
    for (const delivery how : {delivery::at_least_once, delivery::exactly_once}) {
        const auto away = start(to_kafka(wrong, "sink_refused", how), with);
        CHECK(away.find("cannot reach Kafka at \"127.0.0.1:1\"") != std::string::npos);
        CHECK(away.find("Check that the cluster runs") != std::string::npos);
    }
}

namespace {

/// Counts by key in windows of 100 events, to two topics.
pipeline counting(const std::string& name, const std::string& topic, std::uint64_t count, double rate = 0) {
    using namespace std::chrono;
    pipeline p(name);
    const auto time = [](std::uint64_t i) { return ms(1'000 + static_cast<std::int64_t>(i)); };
    auto events = p.from(generate(count, [](std::uint64_t i) { return i; }, {.rate = rate}))
                      .named("events")
                      .event_time(time, monotonous());
    events.filter([](std::uint64_t i) { return i % 10 == 0; })
        .map([](std::uint64_t i) { return std::to_string(i); })
        .to(to_kafka(cluster(), topic + "_tens", delivery::exactly_once, [](const std::string& s) { return s; }))
        .named("tens");
    events.key_by([](std::uint64_t i) { return i % 7; })
        .window(tumbling(100ms).drop_late())
        .aggregate(runnel::count())
        .named("counts")
        .to(to_kafka(cluster(), topic, delivery::exactly_once, [](const auto& r) { return r.key; }))
        .named("out");
    return p;
}

/// What `counting` writes; checked against what there is.
void check_counting(const std::string& topic, std::uint64_t count) {
    std::map<std::string, int> expected, found;
    std::map<std::pair<std::uint64_t, std::uint64_t>, int> windows;
    for (std::uint64_t i = 0; i != count; ++i) ++windows[{i % 7, i / 100}];
    for (const auto& [w, n] : windows) ++expected[std::to_string(w.first) + " " + std::to_string(n)];
    for (const auto& r : kafka_test::committed_records_in(topic)) {
        const std::string& v = *r.value;
        ++found[*r.key + " " + v.substr(v.rfind(':') + 1, v.size() - v.rfind(':') - 2)];
    }
    CHECK(found == expected);
    strings tens;
    for (std::uint64_t i = 0; i < count; i += 10) tens.push_back(std::to_string(i));
    std::sort(tens.begin(), tens.end());
    CHECK(values_in(topic + "_tens") == tens);
}

}  // namespace

TEST_CASE("two sinks of a job, ended again and again, restored at another parallelism: each result once in each") {
    kafka_test::admin admin;
    admin.create("sink_two", 3);
    admin.create("sink_two_tens", 2);
    test::temporary_folder folder;
    constexpr std::uint64_t count = 30'000;
    const std::size_t parallelism[] = {1, 3, 2, 1};
    for (std::size_t round = 0; round != 4; ++round) {
        job_options options{.parallelism = parallelism[round]};
        options.checkpoints = {.folder = folder / "c", .interval = 20ms};
        auto job = counting("two sinks", "sink_two", count, round == 3 ? 0 : 3'000).start(options);
        if (round == 3) {
            job.wait();
        } else {
            for (int i = 0; i != 3; ++i) job.checkpoint();
            job.cancel();
            job.wait();
        }
    }
    check_counting("sink_two", count);
}

TEST_CASE("brokers that die and come back cost nothing") {
    if (!kafka_test::can_control()) return;
    kafka_test::admin admin;
    admin.create("sink_outage", 2);
    admin.create("sink_outage_tens", 2);
    admin.create("sink_outage_a", 2);
    test::temporary_folder folder;
    job_options options;
    options.checkpoints = {.folder = folder / "c", .interval = 50ms};
    options.restart = fixed_delay(100, 100ms);
    constexpr std::uint64_t count = 25'000;
    auto exactly = counting("outage", "sink_outage", count, 5'000).start(options);
    pipeline p("outage a");
    p.from(generate(count, [](std::uint64_t i) { return std::to_string(i); }, {.rate = 5'000}))
        .named("numbers")
        .to(to_kafka(cluster(), "sink_outage_a", delivery::at_least_once))
        .named("out");
    auto at_least = std::move(p).start();
    exactly.checkpoint();
    kafka_test::control("kill 1");
    kafka_test::control("start 1");
    exactly.wait();
    at_least.wait();
    check_counting("sink_outage", count);
    strings all;
    for (std::uint64_t i = 0; i != count; ++i) all.push_back(std::to_string(i));
    std::sort(all.begin(), all.end());
    // The producer is idempotent: without a crash of the process, nothing comes twice.
    CHECK(values_in("sink_outage_a") == all);
}
