// What becomes of a sink whose topic changes while it writes.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "runnel/connect/kafka_sink.hpp"
#include "runnel/testing/manual_source.hpp"
#include "tests/connect/sink_driver.hpp"
#include "tests/kafka/traffic.hpp"

using namespace kafka_test;

namespace {

using ints = std::vector<int>;

/// Where the Java client puts a key, too.
std::int32_t partition_of(const std::string& key, std::int32_t partitions) {
    admin a;
    const rd::kafka_topic any(rd_kafka_topic_new(a.client().get(), "any", nullptr));
    return rd_kafka_msg_partitioner_murmur2(any.get(), key.data(), key.size(), partitions, nullptr, nullptr);
}

template <class F>
std::string what_of(F f) {
    try {
        f();
    } catch (const std::exception& e) {
        std::string text = e.what();
        try {
            std::rethrow_if_nested(e);
        } catch (const std::exception& cause) {
            text += std::string(" <- ") + cause.what();
        }
        return text;
    }
    return {};
}

}  // namespace

TEST_CASE("partitions that are added while a job writes are written to: a key may have another one from then on") {
    admin a;
    a.create("sink_grows", 2);
    auto to = to_kafka(cluster(), "sink_grows", delivery::at_least_once,
                       [](const std::string& s) { return kafka_output{.key = s.substr(0, s.find(' ')), .value = s}; },
                       {.settings = {{"topic.metadata.refresh.interval.ms", "100"}}})
                  .bind<std::string>();
    test::sink_driver<std::string> d(*to);
    std::vector<std::string> keys;
    for (int k = 0; k != 20; ++k) keys.push_back("key" + std::to_string(k));
    const auto write = [&](int n) {
        std::vector<std::string> values;
        for (const std::string& k : keys) values.push_back(k + " " + std::to_string(n));
        d.write(values);
        d.settle();
    };
    write(0);
    a.add_partitions("sink_grows", 5);
    int written = 1;
    std::map<std::string, std::vector<std::pair<std::int32_t, int>>> found;
    std::set<std::int32_t> used;
    for (; used.size() < 5 && written < 2'000; ++written) {
        write(written);
        if (written % 20 != 0) continue;
        found.clear();
        used.clear();
        for (const auto& r : kafka_test::records_in("sink_grows")) {
            used.insert(r.partition);
            found[*r.key].emplace_back(r.partition, std::stoi(r.value->substr(r.value->find(' '))));
        }
    }
    d.finish();
    CHECK(used.size() == 5);
    for (const std::string& k : keys) {
        CAPTURE(k);
        std::set<int> all;
        // The first records are where they were, later ones where the key belongs now: once, and each part in order.
        for (const auto& at : found[k]) {
            const std::int32_t partition = at.first;
            const int n = at.second;
            CHECK(all.insert(n).second);
            if (n == 0) CHECK(partition == partition_of(k, 2));
            else CHECK((partition == partition_of(k, 2) || partition == partition_of(k, 5)));
        }
    }
}

TEST_CASE("a partition that was added while a job writes can be asked for") {
    admin a;
    a.create("sink_asked", 1);
    auto to = to_kafka(cluster(), "sink_asked", delivery::at_least_once,
                       [](int partition) { return kafka_output{.partition = partition, .value = "x"}; })
                  .bind<int>();
    test::sink_driver<int> d(*to);
    d.write(ints{0});
    d.settle();
    CHECK(what_of([&] { d.write(ints{1}); }).find("a record for partition 1, and there are 1") != std::string::npos);
    a.add_partitions("sink_asked", 2);
    // It is not looked for with each record.
    while (!what_of([&] { d.write(ints{1}); }).empty()) continue;
    d.finish();
    std::vector<std::int32_t> partitions;
    for (const auto& r : kafka_test::records_in("sink_asked")) partitions.push_back(r.partition);
    CHECK(partitions == std::vector<std::int32_t>{0, 1});
}

TEST_CASE("a topic that is deleted while a job writes to it ends the job, which names it") {
    admin a;
    for (const delivery how : {delivery::at_least_once, delivery::exactly_once}) {
        const std::string topic = how == delivery::at_least_once ? "sink_deleted_a" : "sink_deleted_e";
        CAPTURE(topic);
        a.create(topic, 2);
        const test::temporary_folder folder;
        pipeline p(topic);
        p.from(generate(100'000'000, [](std::uint64_t i) { return std::to_string(i); }, {.rate = 1'000}))
            .named("numbers")
            .to(to_kafka(cluster({{"topic.metadata.propagation.max.ms", "500"}}), topic, how))
            .named("out");
        job_options options;
        if (how == delivery::exactly_once) options.checkpoints = {.folder = folder / "c", .interval = 50ms};
        job j = std::move(p).start(options);
        wait_until(j, "records are written", [&] { return !kafka_test::records_in(topic).empty(); });
        a.remove(topic);
        const std::string why = failure_of(j);
        check_contains(why, {"operator 'out'", topic, "Create the topic, or correct its name"});
    }
}
