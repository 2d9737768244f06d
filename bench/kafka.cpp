// Kafka, with a real broker on the same two cores: run it by tests/servers/kafka.py --sustained.
//
// W5: 5 M records of 16 bytes on four partitions, 100 k keys, count and sum per key and second, results to a topic when
// a window closes; at least once, and exactly once with a checkpoint each 100 ms and each second; one thread and two.
// Each run is a process of its own, from whose start time counts until all is committed, in turn with the twin: a bare
// librdkafka loop with a hash map, which commits a transaction for each of the five windows. The results are read back,
// and must have the checksum that other engines found.
// Kafka Streams 4.1, on a machine where that loop did 1.3 M/s, did 0.18 M/s with one thread, 0.25 with two, at 6.8 to
// 7.8 CPU-seconds per million records and 3 GB; the comparison with it is scaled by the loop.
// Then records of 100 bytes that are only read, and only written, against bare loops; and how long it takes a process
// that starts to have its first result in a topic.
//
// The broker takes a good part of both cores, so that figures move by a third from run to run, and by three with what
// else the machine does: read the ratios of medians.
//
// What made a difference, to the loops too: queues of librdkafka's that are never found full (or are looked at again
// when they have room, as the source does it); not to wait for the event at the end of a partition, which comes half a
// second late; no rd_kafka_assign, which begins half a second late; no time to wait for a batch, which is then waited
// for until it is full. Reading, nearly all time is librdkafka's own; runnel also has it check the brokers' checksums.
//
// bench_kafka [RECORDS [ROUNDS [NAME...]]]: a quick run, and only those, such as W5, exactly_once_1s, consume, produce,
// start.
#include <algorithm>
#include <array>
#include <boost/describe/class.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <future>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/folder.hpp"
#include "bench/machine.hpp"
#include "bench/support.hpp"
#include "runnel/connect/kafka_sink.hpp"
#include "runnel/connect/kafka_source.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/window/combine.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/sum.hpp"
#include "src/connect/kafka_client.hpp"

namespace {

using namespace std::chrono_literals;
using runnel::delivery;
using runnel::detail::kafka_client;
using settings = std::map<std::string, std::string>;

constexpr std::int32_t partitions = 4;
constexpr std::uint64_t keys = 100'000;
constexpr std::uint64_t per_ms = 1000;
constexpr std::int64_t base_ms = 1'700'000'000'000;
constexpr std::uint64_t golden_records = 5'000'000;
constexpr std::uint64_t golden_results = 499'985;
constexpr std::uint64_t golden_checksum = 15368896421008080489U;

runnel::kafka_cluster cluster() {
    const char* const brokers = std::getenv("KAFKA_BOOTSTRAP");
    if (brokers == nullptr) bench::fail("KAFKA_BOOTSTRAP is not set: run this by tests/servers/kafka.py --sustained");
    return {.brokers = brokers};
}

template <class T>
T read_as(const void* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

// --- topics --------------------------------------------------------------------------------------------------------

void create(const std::string& topic, std::int32_t count) {
    kafka_client client(RD_KAFKA_PRODUCER, cluster(), {}, {});
    char text[256];
    rd_kafka_NewTopic_t* wanted = rd_kafka_NewTopic_new(topic.c_str(), count, 1, text, sizeof text);
    const runnel::detail::kafka_queue queue(rd_kafka_queue_new(client.get()));
    rd_kafka_CreateTopics(client.get(), &wanted, 1, nullptr, queue.get());
    rd_kafka_NewTopic_destroy(wanted);
    const runnel::detail::kafka_event done(rd_kafka_queue_poll(queue.get(), 30'000));
    if (!done || rd_kafka_event_error(done.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) bench::fail("cannot create " + topic);
    for (;;) {
        const auto found = client.topics(&topic, 30s).at(0);
        if (found.failure == RD_KAFKA_RESP_ERR_NO_ERROR && found.partitions.size() == static_cast<std::size_t>(count))
            return;
        rd_kafka_poll(client.get(), 10);
    }
}

runnel::detail::kafka_topic topic_of(kafka_client& of, const std::string& name) {
    return runnel::detail::kafka_topic(rd_kafka_topic_new(of.get(), name.c_str(), nullptr));
}

using offsets = std::vector<std::int64_t>;

/// Where each partition ends.
offsets ends_of(const std::string& topic) {
    kafka_client client(RD_KAFKA_CONSUMER, cluster(), {}, {{"isolation.level", "read_uncommitted"}});
    offsets ends;
    for (const std::int32_t p : client.partitions(topic)) {
        std::int64_t low = 0, high = 0;
        rd_kafka_resp_err_t failure;
        // Right after it was made, a partition looks for its leader.
        do {
            failure = rd_kafka_query_watermark_offsets(client.get(), topic.c_str(), p, &low, &high, 30'000);
        } while (failure == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
        client.check("ask for the end", failure);
        ends.push_back(high);
    }
    return ends;
}

/// A bare loop over a topic from `from` on: `f(message)` for each record, `batch_over()` after each batch; until each
/// partition has been read up to `until`. With rd_kafka_assign and the consumer's queue it would begin half a second
/// later.
template <class F, class G>
void read_topic(kafka_client& client, const std::string& topic, const offsets& from, const offsets& until, F f,
                G batch_over) {
    const runnel::detail::kafka_queue queue(rd_kafka_queue_new(client.get()));
    const runnel::detail::kafka_topic of = topic_of(client, topic);
    std::size_t left = 0;
    std::vector<bool> reads(from.size());
    for (std::size_t p = 0; p < from.size(); ++p) {
        reads[p] = from[p] < until[p];
        if (!reads[p]) continue;
        ++left;
        if (rd_kafka_consume_start_queue(of.get(), static_cast<std::int32_t>(p), from[p], queue.get()) != 0)
            client.fail("read", rd_kafka_last_error());
    }
    std::array<rd_kafka_message_t*, 1000> messages;
    while (left != 0) {
        // Given a time to wait, it would wait until the batch is full.
        ssize_t n = rd_kafka_consume_batch_queue(queue.get(), 0, messages.data(), messages.size());
        if (n < 0) bench::fail("cannot read " + topic);
        if (n == 0 && (messages[0] = rd_kafka_consume_queue(queue.get(), 1000)) != nullptr) n = 1;
        for (rd_kafka_message_t* m : std::span(messages.data(), static_cast<std::size_t>(n))) {
            const auto p = static_cast<std::size_t>(m->partition);
            if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR && reads[p]) f(*m);
            else if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) client.check("read", m->err);
            // Behind the last record there may be marks of transactions: then there is an event at the end.
            const bool is_record = m->err == RD_KAFKA_RESP_ERR_NO_ERROR;
            if (reads[p] && m->offset + (is_record ? 1 : 0) >= until[p]) {
                reads[p] = false;
                --left;
                rd_kafka_consume_stop(of.get(), m->partition);
            }
            rd_kafka_message_destroy(m);
        }
        batch_over();
    }
}

/// librdkafka of this age looks only once a second whether a queue that was full has been emptied: the loops have ones
/// that are never full, which costs them memory. And they are told soon that a partition has no more records.
settings reading(const std::string& isolation) {
    return {{"group.id", "bench"},
            {"fetch.wait.max.ms", "20"},
            {"queued.min.messages", "10000000"},
            {"queued.max.messages.kbytes", "1048576"},
            {"enable.auto.commit", "false"},
            {"auto.offset.reset", "error"},
            {"enable.partition.eof", "true"},
            {"isolation.level", isolation}};
}

/// What a bare producer is given.
struct message {
    std::int32_t partition = RD_KAFKA_PARTITION_UA;
    std::string_view key = {}, value = {};
};

void produce(kafka_client& to, rd_kafka_topic_t* topic, const message& m) {
    while (rd_kafka_produce(topic, m.partition, RD_KAFKA_MSG_F_COPY, const_cast<char*>(m.value.data()), m.value.size(),
                            m.key.data(), m.key.size(), nullptr) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) to.fail("produce", rd_kafka_last_error());
        rd_kafka_poll(to.get(), 10);
    }
}

void flush(kafka_client& of) { of.check("flush", rd_kafka_flush(of.get(), 60'000)); }

// --- W5 ------------------------------------------------------------------------------------------------------------

struct event {
    std::uint64_t key;
    std::int64_t value;
};
BOOST_DESCRIBE_STRUCT(event, (), (key, value))

/// What is written of a window, beside the key.
struct result {
    std::int64_t end_ms, count, sum;
};

struct outcome {
    std::uint64_t results = 0;
    std::uint64_t checksum = 0;
    friend bool operator==(const outcome&, const outcome&) = default;
};

template <class T>
std::string_view bytes_of(const T& value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// Writes the first `n` events, in their order, with their times as Kafka's.
void write_events(const std::string& topic, std::uint64_t n) {
    kafka_client client(RD_KAFKA_PRODUCER, cluster(), {{"linger.ms", "20"}}, {{"enable.idempotence", "true"}});
    const runnel::detail::kafka_topic to = topic_of(client, topic);
    for (std::uint64_t i = 0; i < n; ++i) {
        const event e{bench::splitmix64(i) % keys, static_cast<std::int64_t>(i & 1023)};
        rd_kafka_vu_t parts[5];
        parts[0] = {.vtype = RD_KAFKA_VTYPE_RKT, .u = {.rkt = to.get()}};
        parts[1] = {.vtype = RD_KAFKA_VTYPE_PARTITION, .u = {.i32 = static_cast<std::int32_t>(e.key % partitions)}};
        parts[2] = {.vtype = RD_KAFKA_VTYPE_VALUE,
                    .u = {.mem = {const_cast<char*>(bytes_of(e).data()), sizeof e}}};
        parts[3] = {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u = {.i = RD_KAFKA_MSG_F_COPY}};
        parts[4] = {.vtype = RD_KAFKA_VTYPE_TIMESTAMP,
                    .u = {.i64 = base_ms + static_cast<std::int64_t>(i / per_ms)}};
        for (;;) {
            const runnel::detail::kafka_error_ptr failure(rd_kafka_produceva(client.get(), parts, 5));
            if (!failure) break;
            if (rd_kafka_error_code(failure.get()) != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                client.fail("write events", failure.get());
            rd_kafka_poll(client.get(), 10);
        }
    }
    flush(client);
}

/// The results that are in a topic from `from` on, without what was not committed.
outcome results_in(const std::string& topic, const offsets& from) {
    outcome found;
    kafka_client client(RD_KAFKA_CONSUMER, cluster(), {}, reading("read_committed"));
    read_topic(
        client, topic, from, ends_of(topic),
        [&](const rd_kafka_message_t& m) {
            if (m.key_len != sizeof(std::uint64_t) || m.len != sizeof(result)) bench::fail("a result of another size");
            const auto r = read_as<result>(m.payload);
            ++found.results;
            found.checksum += bench::h(read_as<std::uint64_t>(m.key), static_cast<std::uint64_t>(r.end_ms - base_ms),
                                       static_cast<std::uint64_t>(r.count), static_cast<std::uint64_t>(r.sum));
        },
        [] {});
    return found;
}

struct how {
    delivery delivered = delivery::at_least_once;
    std::chrono::milliseconds interval{};
    std::size_t threads = 1;
};

void w5_with_runnel(const std::string& from, const std::string& to, const std::string& run, const how& h) {
    const bench::folder folder;
    const auto output_of = [](const auto& r) {
        const auto& [count, sum] = r.value;
        const result made{r.end.ns() / 1'000'000, static_cast<std::int64_t>(count), sum};
        return runnel::kafka_output{.key = std::string(bytes_of(r.key)), .value = std::string(bytes_of(made))};
    };
    runnel::pipeline p{"W5"};
    p.from(runnel::from_kafka(cluster(), from, runnel::kafka_binary<event>(), {.until = runnel::kafka_end::latest()}))
        .named("events")
        .event_time(runnel::monotonous())
        .key_by(&event::key)
        .window(runnel::tumbling(1s).drop_late())
        .aggregate(runnel::combine(runnel::count(), runnel::sum(&event::value)))
        .named("windows")
        .to(runnel::to_kafka(cluster(), to, h.delivered, output_of, {.transactional_id = run}))
        .named("results");
    runnel::checkpoint_options checkpoints;
    if (h.delivered == delivery::exactly_once) checkpoints = {.folder = folder.path, .interval = h.interval};
    std::move(p).start({.parallelism = h.threads, .checkpoints = checkpoints}).wait();
}

void w5_by_hand(const std::string& from, const std::string& to, const std::string& run) {
    struct total {
        std::int64_t count = 0, sum = 0;
    };
    using table = boost::unordered_flat_map<std::uint64_t, total>;
    kafka_client in(RD_KAFKA_CONSUMER, cluster(), {}, reading("read_committed"));
    kafka_client out(RD_KAFKA_PRODUCER, cluster(), {{"partitioner", "murmur2_random"}}, {{"transactional.id", run}});
    out.check("begin", rd_kafka_init_transactions(out.get(), 30'000));
    const runnel::detail::kafka_topic results = topic_of(out, to);
    std::map<std::int64_t, table> open;
    std::int64_t end = 0;
    table* now = nullptr;
    std::array<std::int64_t, partitions> times{};
    std::array<std::int64_t, partitions> next{};
    const auto close = [&] {
        out.check("begin", rd_kafka_begin_transaction(out.get()));
        const std::int64_t end_ms = open.begin()->first;
        for (const auto& [key, t] : open.begin()->second)
            produce(out, results.get(), {.key = bytes_of(key), .value = bytes_of(result{end_ms, t.count, t.sum})});
        const runnel::detail::kafka_offsets read(rd_kafka_topic_partition_list_new(partitions));
        for (std::int32_t p = 0; p < partitions; ++p)
            rd_kafka_topic_partition_list_add(read.get(), from.c_str(), p)->offset = next[static_cast<std::size_t>(p)];
        const runnel::detail::kafka_group_metadata group(rd_kafka_consumer_group_metadata_new("bench"));
        out.check("send", rd_kafka_send_offsets_to_transaction(out.get(), read.get(), group.get(), 30'000));
        out.check("commit", rd_kafka_commit_transaction(out.get(), 30'000));
        open.erase(open.begin());
        now = nullptr;
    };
    read_topic(
        in, from, offsets(partitions), ends_of(from),
        [&](const rd_kafka_message_t& m) {
            const std::int64_t ms = rd_kafka_message_timestamp(&m, nullptr);
            const auto p = static_cast<std::size_t>(m.partition);
            times[p] = ms;
            next[p] = m.offset + 1;
            if (now == nullptr || ms >= end || ms < end - 1000) {
                end = ms - ms % 1000 + 1000;
                now = &open[end];
                now->reserve(keys);
            }
            const auto e = read_as<event>(m.payload);
            total& t = (*now)[e.key];
            ++t.count;
            t.sum += e.value;
        },
        [&] {
            while (!open.empty() && *std::min_element(times.begin(), times.end()) >= open.begin()->first) close();
        });
    while (!open.empty()) close();
}

// --- processes -----------------------------------------------------------------------------------------------------

/// The most memory that this process has had, in MB.
double peak_mb() {
    double kb = 0;
    if (std::FILE* f = std::fopen("/proc/self/status", "r")) {
        char line[256];
        while (std::fgets(line, sizeof line, f) != nullptr)
            if (std::sscanf(line, "VmHWM: %lf", &kb) == 1) break;
        std::fclose(f);
    }
    return kb / 1024;
}

std::string self;

struct measured {
    double seconds = 0, cpu = 0, mb = 0;
};

/// Runs this program as a process of its own, to do one thing. See `child`.
measured run_process(const std::string& arguments) {
    measured m;
    m.seconds = bench::seconds_of([&] {
        std::FILE* const out = popen(("exec '" + self + "' --run " + arguments).c_str(), "r");
        if (out == nullptr) bench::fail("cannot start a process");
        const bool told = std::fscanf(out, "%lf %lf", &m.cpu, &m.mb) == 2;
        if (pclose(out) != 0 || !told) bench::fail(arguments);
    });
    return m;
}

int child(const std::vector<std::string>& a) {
    if (a[0] == "twin") {
        w5_by_hand(a[1], a[2], a[3]);
    } else {
        const std::chrono::milliseconds interval(std::atoi(a[4].c_str()));
        w5_with_runnel(a[1], a[2], a[3],
                       {interval == 0ms ? delivery::at_least_once : delivery::exactly_once, interval,
                        static_cast<std::size_t>(std::atoi(a[5].c_str()))});
    }
    std::printf("%f %f\n", bench::cpu_seconds(), peak_mb());
    return 0;
}

std::string next_run() {
    static int count = 0;
    return "run" + std::to_string(++count);
}

// --- the lines -----------------------------------------------------------------------------------------------------

struct variant {
    std::string name;
    std::string role;       ///< What the process is told to be.
    std::string arguments;  ///< Of its own.
    double streams = 0;     ///< What Kafka Streams does, in M/s.
    std::vector<double> seconds = {}, cpu = {}, mb = {};
};

void w5(std::uint64_t n, int rounds, const std::function<bool(const std::string&)>& wanted) {
    std::vector<variant> all{{"loop", "twin", ""}};
    for (const int threads : {1, 2})
        for (const auto& [name, interval] : {std::pair{"at_least_once", 0}, {"exactly_once_100ms", 100},
                                             {"exactly_once_1s", 1000}})
            all.push_back({std::string(name) + (threads == 1 ? "" : "_2_threads"), "runnel",
                           std::to_string(interval) + " " + std::to_string(threads), threads == 1 ? 0.18 : 0.25});
    std::erase_if(all, [&](const variant& v) { return v.role != "twin" && !wanted("W5") && !wanted(v.name); });
    if (all.size() == 1) return;
    create("events", partitions);
    create("results", partitions);
    write_events("events", n);
    outcome expected{golden_results, golden_checksum};
    for (int r = 0; r < rounds; ++r)
        for (variant& v : all) {
            const offsets before = ends_of("results");
            const measured m = run_process(v.role + " events results " + next_run() + " " + v.arguments);
            v.seconds.push_back(m.seconds);
            v.cpu.push_back(m.cpu);
            v.mb.push_back(m.mb);
            const outcome found = results_in("results", before);
            if (r == 0 && v.role == "twin" && n != golden_records) expected = found;
            if (found != expected)
                bench::fail("W5 by " + v.name + bench::text(": %" PRIu64 " results, checksum %" PRIu64 ", not %" PRIu64
                                                            ", %" PRIu64,
                                                            found.results, found.checksum, expected.results,
                                                            expected.checksum));
        }
    const double millions = static_cast<double>(n) / 1e6;
    const auto rate = [&](const variant& v) { return millions / bench::median(v.seconds); };
    const auto words = [&](const variant& v) {
        return bench::text("%.2f M/s, %.2f CPU-s per M, %.0f MB", rate(v), bench::median(v.cpu) / millions,
                           bench::median(v.mb));
    };
    const variant& loop = all[0];
    for (const variant& v : std::span(all).subspan(1))
        bench::print_ratio("kafka_W5_" + v.name, rate(v) / rate(loop), 0.5, 0.8,
                           "runnel " + words(v) + "; loop " + words(loop));
    for (const variant& v : std::span(all).subspan(1)) {
        bench::print_ratio("kafka_W5_" + v.name + "_of_streams", rate(v) / v.streams * 1.3 / rate(loop), 4, 6,
                           bench::text("Kafka Streams %.2f M/s there", v.streams));
        bench::print_ratio("kafka_W5_" + v.name + "_memory_of_streams", 3000 / bench::median(v.mb), 10, 20,
                           "Kafka Streams 3 GB");
    }
}

constexpr std::size_t record_size = 100;

void write_bytes(const std::string& topic, std::uint64_t n, std::int32_t among) {
    kafka_client client(RD_KAFKA_PRODUCER, cluster(), {{"linger.ms", "20"}}, {{"enable.idempotence", "true"}});
    const runnel::detail::kafka_topic to = topic_of(client, topic);
    std::string value(record_size, 'x');
    for (std::uint64_t i = 0; i < n; ++i) {
        const std::uint64_t word = bench::splitmix64(i);
        std::memcpy(value.data(), &word, sizeof word);
        produce(client, to.get(), {.partition = static_cast<std::int32_t>(i) % among, .value = value});
    }
    flush(client);
}

std::uint64_t word_of(const runnel::kafka_record& r) { return read_as<std::uint64_t>(r.value->data()); }

std::uint64_t read_with_runnel(const std::string& topic, std::size_t queue_bytes) {
    std::uint64_t sum = 0;
    runnel::pipeline p{"consume"};
    p.from(runnel::from_kafka(cluster(), topic, word_of,
                              {.until = runnel::kafka_end::latest(), .queue_bytes = queue_bytes}))
        .to(runnel::for_each([&sum](std::uint64_t w) { sum += w; }));
    std::move(p).start().wait();
    return sum;
}

/// Reading does not end: it is ended when `n` records have been seen.
std::uint64_t follow_with_runnel(const std::string& topic, std::uint64_t n) {
    std::uint64_t sum = 0, seen = 0;
    std::promise<void> all;
    runnel::pipeline p{"consume"};
    p.from(runnel::from_kafka(cluster(), topic, word_of)).to(runnel::for_each([&](std::uint64_t w) {
        sum += w;
        if (++seen == n) all.set_value();
    }));
    runnel::job job = std::move(p).start();
    all.get_future().wait();
    job.cancel();
    return sum;
}

std::uint64_t read_by_hand(const std::string& topic) {
    std::uint64_t sum = 0;
    kafka_client in(RD_KAFKA_CONSUMER, cluster(), {}, reading("read_committed"));
    read_topic(
        in, topic, offsets(partitions), ends_of(topic),
        [&](const rd_kafka_message_t& m) { sum += read_as<std::uint64_t>(m.payload); }, [] {});
    return sum;
}

void consume(std::uint64_t n) {
    const auto against = [](const std::string& name, const std::string& topic, std::uint64_t records,
                            std::function<std::uint64_t()> ours) {
        bench::ratio(name, 0.6, 0.85, static_cast<double>(records), std::move(ours),
                     {{"loop", [topic] { return read_by_hand(topic); }, {}}}, 3);
    };
    create("bytes", partitions);
    write_bytes("bytes", n, partitions);
    const std::size_t queue_bytes = runnel::kafka_source_options().queue_bytes;
    against("kafka_consume", "bytes", n, [&] { return read_with_runnel("bytes", queue_bytes); });
    // Its queues are full again and again.
    against("kafka_consume_8MB", "bytes", n, [] { return read_with_runnel("bytes", 8 << 20); });
    create("one_of_four", partitions);
    n /= 2;
    write_bytes("one_of_four", n, 1);
    against("kafka_consume_one_of_four", "one_of_four", n, [n] { return follow_with_runnel("one_of_four", n); });
}

/// Returns how many records have come into the topic meanwhile.
template <class F>
std::uint64_t arrived(const std::string& topic, F f) {
    const auto count = [&] {
        std::uint64_t sum = 0;
        for (const std::int64_t end : ends_of(topic)) sum += static_cast<std::uint64_t>(end);
        return sum;
    };
    const std::uint64_t before = count();
    f();
    return count() - before;
}

void produce(std::uint64_t n) {
    create("written", partitions);
    bench::ratio(
        "kafka_produce", 0.6, 0.85, static_cast<double>(n),
        [n] {
            return arrived("written", [n] {
                const auto output_of = [](std::uint64_t i) {
                    runnel::kafka_output r{.value = std::string(record_size, 'x')};
                    std::memcpy(r.value->data(), &i, sizeof i);
                    return r;
                };
                runnel::pipeline p{"produce"};
                p.from(runnel::generate(n, [](std::uint64_t i) { return i; }))
                    .to(runnel::to_kafka(cluster(), "written", delivery::at_least_once, output_of));
                std::move(p).start().wait();
            });
        },
        {{"loop", [n] {
              return arrived("written", [n] {
                  kafka_client out(RD_KAFKA_PRODUCER, cluster(), {}, {{"enable.idempotence", "true"}});
                  const runnel::detail::kafka_topic to = topic_of(out, "written");
                  std::string value(record_size, 'x');
                  for (std::uint64_t i = 0; i < n; ++i) {
                      std::memcpy(value.data(), &i, sizeof i);
                      produce(out, to.get(), {.value = value});
                      if (i % 1024 == 0) rd_kafka_poll(out.get(), 0);
                  }
                  flush(out);
              });
          }, {}}},
        5);
}

/// From the start of a process to the moment at which somebody sees its first result.
void start(int rounds) {
    create("few", partitions);
    create("first", 1);
    write_events("few", 1000);
    for (const auto& [name, interval] : {std::pair{"at_least_once", "0"}, {"exactly_once", "100"}}) {
        std::vector<double> seconds;
        for (int r = 0; r < rounds; ++r) {
            const offsets before = ends_of("first");
            kafka_client client(RD_KAFKA_CONSUMER, cluster(), {}, reading("read_committed"));
            const runnel::detail::kafka_offsets list(rd_kafka_topic_partition_list_new(1));
            rd_kafka_topic_partition_list_add(list.get(), "first", 0)->offset = before[0];
            client.check("assign", rd_kafka_assign(client.get(), list.get()));
            const auto see = [&] {
                for (;;) {
                    const runnel::detail::kafka_message m(rd_kafka_consumer_poll(client.get(), 30'000));
                    if (!m) bench::fail("there is no first result");
                    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR || m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
                        return m->err == RD_KAFKA_RESP_ERR_NO_ERROR;
                }
            };
            if (see()) bench::fail("a result that nobody has written");
            std::thread process([&, interval = interval] {
                run_process(std::string("runnel few first ") + next_run() + " " + interval + " 1");
            });
            seconds.push_back(bench::seconds_of([&] {
                while (!see()) continue;
            }));
            process.join();
        }
        const double s = bench::median(seconds);
        bench::print_ratio(std::string("kafka_first_result_") + name, 1 / s, 1, 2,
                           bench::text("%.0f ms from the start of a process; floor 1 s", s * 1e3));
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 2 && std::string(argv[1]) == "--run") return child({argv + 2, argv + argc});
    self = argv[0];
    const auto records = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : golden_records;
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 3;
    const auto wanted = [&](const std::string& name) {
        return argc <= 3 || std::find(argv + 3, argv + argc, name) != argv + argc;
    };
    if (wanted("consume")) consume(records * 2 / 5);
    if (wanted("produce")) produce(records / 10);
    if (wanted("start")) start(5);
    w5(records, rounds, wanted);
}
