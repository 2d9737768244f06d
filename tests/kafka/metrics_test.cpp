// What a job's status tells of topics: how far it is behind in each partition, and bytes.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "runnel/connect/kafka_sink.hpp"
#include "runnel/source/collection.hpp"
#include "tests/kafka/source_job.hpp"

using namespace kafka_test;

TEST_CASE("the status tells of each partition how many records wait, and of source and sink how many bytes went by") {
    admin().create("metrics", 2);
    const std::vector<std::string> values(50, "four");
    pipeline w{"writer"};
    w.from(collection(values))
        .to(to_kafka(cluster(), "metrics", delivery::at_least_once,
                     [](const std::string& s) -> kafka_output {
                         return {.partition = 1, .key = "key", .value = s};
                     }))
        .named("out");
    auto writer = std::move(w).start();
    writer.wait();
    for (const operator_status& o : writer.status().operators) CHECK(o.bytes == (o.name == "out" ? 50 * 7 : -1));

    gathered all;
    job reader = read_into(all, "metrics", {});
    all.wait_for(50, reader);
    // The end of a partition is known a moment after its records.
    operator_status topics;
    const auto end = std::chrono::steady_clock::now() + 60s;
    do {
        topics = reader.status().operators.at(0);
    } while ((topics.lag != 0 || topics.bytes != 50 * 7) && std::chrono::steady_clock::now() < end);
    CHECK(topics.bytes == 50 * 7);
    CHECK(topics.lag == 0);
    CHECK(topics.lag_by_split == std::map<std::string, std::uint64_t>{{"metrics/0", 0}, {"metrics/1", 0}});
    reader.cancel();
    reader.wait();
}
