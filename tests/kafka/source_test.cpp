#include "runnel/connect/kafka_source.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runnel/codec/describe.hpp"
#include "runnel/graph/dead_letter_output.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/window/count.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/kafka/source_job.hpp"

using namespace kafka_test;

namespace {

struct click {
    std::string user;
    std::int64_t amount = 0;
};
BOOST_DESCRIBE_STRUCT(click, (), (user, amount))

kafka_source_options bounded(kafka_start from = kafka_start::earliest()) {
    return {.from = std::move(from), .until = kafka_end::latest()};
}

using found = std::map<std::string, std::vector<std::string>>;

/// What a bounded run reads.
found read_all(kafka_topics topics, kafka_source_options options, job_options of_job = {}) {
    gathered out;
    job j = read_into(out, std::move(topics), std::move(options), of_job);
    j.wait();
    return out.by_partition();
}

}  // namespace

TEST_CASE("all partitions are read from the earliest to the latest, each in order") {
    admin a;
    a.create("all", 3);
    for (int p = 0; p != 3; ++p) a.produce_numbers("all", p, 100 * p, 40 + p);
    const found expected{{"all/0", numbers(0, 40)}, {"all/1", numbers(100, 41)}, {"all/2", numbers(200, 42)}};
    CHECK(read_all("all", bounded()) == expected);
    CHECK(read_all("all", bounded(), {.parallelism = 3}) == expected);
    CHECK(read_all(std::vector<std::string>{"all"}, bounded(), {.parallelism = 2, .batch_size = 7}) == expected);
}

TEST_CASE("an empty topic that is read to its end ends at once") {
    admin a;
    a.create("empty", 2);
    CHECK(read_all("empty", bounded()).empty());
}

TEST_CASE("reading begins at the latest, at a time, at offsets, and ends at offsets") {
    admin a;
    a.create("begins", 2);
    a.produce_numbers("begins", 0, 0, 20);  // The time of record i is i + 1 milliseconds.
    a.produce_numbers("begins", 1, 10, 20);
    const auto from = [](kafka_start start) { return read_all("begins", bounded(std::move(start))); };

    CHECK(from(kafka_start::latest()).empty());
    CHECK(from(kafka_start::time(timestamp(16ms))) ==
          found{{"begins/0", numbers(15, 5)}, {"begins/1", numbers(15, 15)}});
    CHECK(from(kafka_start::time(timestamp(15'000'001ns))) ==
          found{{"begins/0", numbers(15, 5)}, {"begins/1", numbers(15, 15)}});
    CHECK(from(kafka_start::time(timestamp(26ms))) == found{{"begins/1", numbers(25, 5)}});
    CHECK(from(kafka_start::time(timestamp(1h))).empty());
    CHECK(from(kafka_start::offsets({{{"begins", 1}, 18}})) ==
          found{{"begins/0", numbers(0, 20)}, {"begins/1", numbers(28, 2)}});
    CHECK(read_all("begins", {.until = kafka_end::offsets({{{"begins", 1}, 3}})}) == found{{"begins/1", numbers(10, 3)}});
    CHECK(read_all("begins", {.from = kafka_start::offsets({{{"begins", 0}, 5}}),
                              .until = kafka_end::offsets({{{"begins", 0}, 7}, {{"begins", 1}, 0}})}) ==
          found{{"begins/0", numbers(5, 2)}});
}

TEST_CASE("without an end, what comes later is read too; an end that is still to come is waited for") {
    admin a;
    a.create("later", 1);
    a.produce_numbers("later", 0, 0, 5);
    gathered endless, to_ten;
    job one = read_into(endless, "later", {.from = kafka_start::latest()});
    job two = read_into(to_ten, "later", {.until = kafka_end::offsets({{{"later", 0}, 10}})});
    to_ten.wait_for(5, two);
    CHECK(!two.is_done());
    a.produce_numbers("later", 0, 5, 7);
    two.wait();
    CHECK(to_ten.by_partition() == found{{"later/0", numbers(0, 10)}});
    endless.wait_for(7, one);
    CHECK(endless.by_partition() == found{{"later/0", numbers(5, 7)}});
    one.cancel();
    one.wait();
}

TEST_CASE("topics by pattern: whole names, later ones included; new partitions are read from their beginning") {
    admin a;
    a.create("like_one", 1);
    a.create("unlike_one", 1);
    a.create("like_one_not", 1);
    a.produce_numbers("like_one", 0, 0, 3);
    a.produce_numbers("unlike_one", 0, 50, 3);
    gathered out;
    job j = read_into(out, kafka_topics::pattern("like_(one|two)"), {.from = kafka_start::latest(), .discovery = 50ms},
                      {.parallelism = 2});
    a.create("like_two", 2);
    a.produce_numbers("like_two", 0, 10, 3);
    a.produce_numbers("like_two", 1, 20, 3);
    out.wait_for(6, j);
    a.add_partitions("like_one", 2);
    a.produce_numbers("like_one", 1, 30, 3);
    out.wait_for(9, j);
    CHECK(out.by_partition() ==
          found{{"like_two/0", numbers(10, 3)}, {"like_two/1", numbers(20, 3)}, {"like_one/1", numbers(30, 3)}});
    j.cancel();
    j.wait();
}

TEST_CASE("a job waits for the first topic that fits its pattern") {
    admin a;
    gathered out;
    job j = read_into(out, kafka_topics::pattern("first_of_.+"), {.discovery = 50ms});
    a.create("first_of_all", 1);
    a.produce_numbers("first_of_all", 0, 0, 3);
    out.wait_for(3, j);
    j.cancel();
    j.wait();
}

TEST_CASE("records come with key, headers and time; values as bytes, JSON or by codec") {
    admin a;
    a.create("parts", 1);
    a.produce("parts", {{.key = "k", .value = "v", .time_ms = 7, .headers = {{"a", "1"}, {"b", std::nullopt}, {"a", "2"}}},
                        {.key = {}, .value = {}, .time_ms = 8},
                        {.key = "", .value = "", .time_ms = 9}});
    std::vector<timed<std::string>> out;
    pipeline p;
    p.from(from_kafka(cluster(), "parts",
                      [](const kafka_record& r) {
                          std::string text = std::string(r.key.value_or("no key")) + "=" +
                                             std::string(r.value.value_or("no value"));
                          for (const auto& [name, value] : r.headers())
                              text += " " + std::string(name) + ":" + std::string(value.value_or("none"));
                          CHECK(r.header("none of these") == std::nullopt);
                          return text + " " + std::string(r.header("a").value_or("-"));
                      },
                      bounded()))
        .event_time(monotonous())
        .to(collect(out));
    std::move(p).start().wait();
    CHECK(out == std::vector<timed<std::string>>{{"k=v a:1 b:none a:2 2", timestamp(7ms)},
                                                 {"no key=no value -", timestamp(8ms)},
                                                 {"= -", timestamp(9ms)}});

    a.create("formats", 3);
    std::string encoded;
    codec<std::int64_t>::encode(41, encoded);
    a.produce("formats", {{.key = {}, .value = R"({"user":"ann","amount":3})", .partition = 0},
                          {.key = {}, .value = std::string("\0\n\xff", 3), .partition = 1},
                          {.key = {}, .value = encoded, .partition = 2}});
    const auto part = [](int n) {
        return kafka_source_options{.until = kafka_end::offsets({{{"formats", n}, 1}})};
    };
    std::vector<click> clicks;
    std::vector<std::string> bytes;
    std::vector<std::vector<unsigned char>> octets;
    std::vector<std::int64_t> decoded;
    pipeline q;
    q.from(from_kafka(cluster(), "formats", kafka_json<click>(), part(0))).to(collect(clicks));
    q.from(from_kafka(cluster(), "formats", kafka_bytes<>(), part(1))).to(collect(bytes));
    q.from(from_kafka(cluster(), "formats", kafka_bytes<std::vector<unsigned char>>(), part(1))).to(collect(octets));
    q.from(from_kafka(cluster(), "formats", kafka_binary<std::int64_t>(), part(2))).to(collect(decoded));
    std::move(q).start().wait();
    REQUIRE(clicks.size() == 1);
    CHECK(clicks[0].user == "ann");
    CHECK(clicks[0].amount == 3);
    CHECK(bytes == std::vector{std::string("\0\n\xff", 3)});
    CHECK(octets == std::vector<std::vector<unsigned char>>{{0, 10, 255}});
    CHECK(decoded == std::vector<std::int64_t>{41});
}

TEST_CASE("a poison record fails the job, is skipped, or is a dead letter with its bytes, partition and offset") {
    admin a;
    a.create("poison", 2);
    a.produce("poison", {{.key = {}, .value = "good", .partition = 1},
                         {.key = {}, .value = "!bad", .partition = 1},
                         {.key = {}, .value = "also good", .partition = 1}});
    gathered failed;
    job j = read_into(failed, "poison", bounded());
    const std::string text = failure_of(j);
    CHECK(text.find("poison/1 offset 1") != std::string::npos);
    CHECK(text.find("a bad one") != std::string::npos);

    gathered skipped, with_letters;
    std::vector<dead_letter<std::string>> letters;
    pipeline p;
    dead_letter_output<std::string> bad;
    p.from(from_kafka(cluster(), "poison", see, bounded())).on_error(on_error::skip).named("skips").to(skipped.sink());
    p.from(from_kafka(cluster(), "poison", see, bounded())).on_error(bad).to(with_letters.sink());
    bad.stream().to(collect(letters));
    job k = std::move(p).start();
    k.wait();
    const found good{{"poison/1", {"good", "also good"}}};
    CHECK(skipped.by_partition() == good);
    CHECK(k.status().operators.at(0).skipped == 1);
    CHECK(with_letters.by_partition() == good);
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].value == "!bad");
    CHECK(letters[0].details.where == "poison/1 offset 1");
    CHECK(letters[0].details.error == "a bad one");
}

TEST_CASE("a job goes on from its checkpoint at another parallelism: nothing is missing, nothing comes twice") {
    admin a;
    a.create("restored", 3);
    const test::temporary_folder folder;
    const job_options with_checkpoints{.parallelism = 3, .checkpoints = {.folder = folder / "c", .interval = 0s}};
    found all;
    const auto add = [&](const gathered& out) {
        for (const auto& [partition, values] : out.by_partition())
            all[partition].insert(all[partition].end(), values.begin(), values.end());
    };
    const kafka_source_options options{.from = kafka_start::latest(), .group = "monitor", .discovery = 50ms};
    {
        gathered out;
        job j = read_into(out, "restored", options, with_checkpoints);
        for (int p = 0; p != 3; ++p) a.produce_numbers("restored", p, 0, 10 + p);
        out.wait_for(33, j);
        a.add_partitions("restored", 4);
        a.produce_numbers("restored", 3, 0, 5);
        out.wait_for(38, j);
        j.checkpoint();
        add(out);
        j.cancel();
        j.wait();
    }
    // What comes while no job runs: in old partitions, and in one that appears.
    a.produce_numbers("restored", 0, 10, 5);
    a.produce_numbers("restored", 3, 5, 5);
    a.add_partitions("restored", 5);
    a.produce_numbers("restored", 4, 0, 2);
    {
        gathered out;
        job_options other = with_checkpoints;
        other.parallelism = 2;
        job j = read_into(out, "restored", options, other);
        out.wait_for(12, j);
        j.stop_with_savepoint(folder / "s");
        j.wait();
        add(out);
    }
    CHECK(all == found{{"restored/0", numbers(0, 15)},
                       {"restored/1", numbers(0, 11)},
                       {"restored/2", numbers(0, 12)},
                       {"restored/3", numbers(0, 10)},
                       {"restored/4", numbers(0, 2)}});
    // The group shows how far the job has come, and a new job can begin there.
    a.produce_numbers("restored", 2, 12, 4);
    CHECK(read_all("restored", {.from = kafka_start::committed(), .until = kafka_end::latest(), .group = "monitor"}) ==
          found{{"restored/2", numbers(12, 4)}});
    CHECK(read_all("restored", {.from = kafka_start::committed_or_latest(), .until = kafka_end::latest(),
                                .group = "nobody"}) == found{});
}

TEST_CASE("the end of a bounded run is part of its checkpoint") {
    admin a;
    a.create("ends", 1);
    a.produce_numbers("ends", 0, 0, 100);
    std::mutex mutex;
    std::condition_variable woken;
    int wakes = 0;
    const reader_context context{.wake =
                                     [&] {
                                         std::lock_guard lock(mutex);
                                         ++wakes;
                                         woken.notify_all();
                                     },
                                 .bad_record = {}};
    auto before = from_kafka(cluster(), "ends", kafka_bytes<>(), bounded());
    REQUIRE(before.splits() == std::vector<std::string>{"ends/0"});
    const std::string position = before.open("ends/0", nullptr, context)->position();
    CHECK(position == "0/100");

    a.produce_numbers("ends", 0, 100, 50);
    auto after = from_kafka(cluster(), "ends", kafka_bytes<>(), bounded());
    const auto reader = after.open("ends/0", &position, context);
    batch<std::string> records;
    for (;;) {
        std::unique_lock lock(mutex);
        const int had = wakes;
        lock.unlock();
        const poll_result r = reader->poll(records, 7);
        if (r.what == poll_result::kind::finished) break;
        if (r.what != poll_result::kind::wait) continue;
        lock.lock();
        REQUIRE(woken.wait_for(lock, 60s, [&] { return wakes != had; }));
    }
    CHECK(reader->position() == "100/100");
    CHECK(std::vector<std::string>(records.values(), records.values() + records.size()) == numbers(0, 100));
}

TEST_CASE("of transactions what is committed is read, unless asked otherwise") {
    admin a;
    a.create("transactions", 1);
    rd::kafka_client writer(RD_KAFKA_PRODUCER, cluster({{"transactional.id", "source_test"}}), {}, {});
    const auto begin_with = [&](std::string value) {
        writer.check("begin", rd_kafka_begin_transaction(writer.get()));
        writer.check("produce", rd_kafka_producev(writer.get(), RD_KAFKA_V_TOPIC("transactions"), RD_KAFKA_V_PARTITION(0),
                                                  RD_KAFKA_V_VALUE(value.data(), value.size()),
                                                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END));
        // What has not been sent when a transaction is aborted never will be.
        REQUIRE(rd_kafka_flush(writer.get(), 30'000) == RD_KAFKA_RESP_ERR_NO_ERROR);
    };
    const auto transaction = [&](const std::string& value, bool commit) {
        begin_with(value);
        if (commit) writer.check("commit", rd_kafka_commit_transaction(writer.get(), -1));
        else writer.check("abort", rd_kafka_abort_transaction(writer.get(), -1));
    };
    writer.check("init", rd_kafka_init_transactions(writer.get(), 30'000));
    transaction("1", true);
    transaction("2", false);
    transaction("3", true);
    transaction("4", false);
    // Also though the topic ends with what nobody gets to see.
    CHECK(read_all("transactions", bounded()) == found{{"transactions/0", {"1", "3"}}});
    kafka_source_options all = bounded();
    all.read_uncommitted = true;
    CHECK(read_all("transactions", all) == found{{"transactions/0", {"1", "2", "3", "4"}}});

    // One that is open holds the end back.
    begin_with("open");
    a.produce_numbers("transactions", 0, 7, 1);
    CHECK(read_all("transactions", bounded()) == found{{"transactions/0", {"1", "3"}}});
    writer.check("commit", rd_kafka_commit_transaction(writer.get(), -1));
    CHECK(read_all("transactions", bounded()) == found{{"transactions/0", {"1", "3", "open", "7"}}});
}

TEST_CASE("each partition has a watermark of its own") {
    admin a;
    a.create("times", 2);
    // Partition 0 is far behind partition 1: without watermarks of their own its records would be late.
    a.produce_numbers("times", 0, 0, 2000);
    a.produce_numbers("times", 1, 50'000, 2000);
    std::map<std::string, std::uint64_t> counts;
    pipeline p;
    auto records = p.from(from_kafka(cluster(), "times", see, bounded())).event_time(monotonous());
    records.key_by(&seen::partition)
        .window(tumbling(1s).drop_late())
        .aggregate(count())
        .to(for_each([&](const auto& w) { counts[std::to_string(w.key)] += w.value; }));
    job j = std::move(p).start();
    j.wait();
    CHECK(counts == std::map<std::string, std::uint64_t>{{"0", 2000}, {"1", 2000}});
}

TEST_CASE("what cannot work is told before anything is connected, all at once") {
    pipeline p;
    p.from(from_kafka({.brokers = "127.0.0.1:1", .settings = {{"no.such", "1"}, {"group.id", "g"}}}, "(", see,
                      {.from = kafka_start::committed(), .until = kafka_end::offsets({{{"t", 0}, -3}})}))
        .to(for_each([](const seen&) {}));
    p.from(from_kafka({"127.0.0.1:1"}, kafka_topics::pattern("("), see)).to(for_each([](const seen&) {}));
    p.from(from_kafka({""}, std::vector<std::string>{}, see)).to(for_each([](const seen&) {}));
    std::string text;
    try {
        (void)std::move(p).start();
    } catch (const graph_error& e) {
        text = e.what();
    }
    for (const char* part : {"\"no.such\"", "\"group.id\"", "name the group", "offset -3 of t/0", "no regular expression",
                             "no brokers are named", "no topic is named"}) {
        INFO(text);
        CHECK(text.find(part) != std::string::npos);
    }
}
