// Avro from topic to topic, against a real broker; tests/connect/avro_values_test.cpp has the registry's side.
#include <doctest/doctest.h>

#include <algorithm>
#include <boost/describe.hpp>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/json.hpp"
#include "runnel/connect/kafka_avro.hpp"
#include "runnel/connect/kafka_source.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/source/collection.hpp"
#include "tests/connect/http_server.hpp"
#include "tests/kafka/broker.hpp"
#include "tests/kafka/source_job.hpp"

using namespace runnel;
using namespace std::string_literals;
using kafka_test::cluster;

namespace {

struct sale {
    std::string shop;
    std::int64_t cents = 0;
    friend auto operator<=>(const sale&, const sale&) = default;
};
BOOST_DESCRIBE_STRUCT(sale, (), (shop, cents))

struct schema_answer {
    std::string schema;
};
BOOST_DESCRIBE_STRUCT(schema_answer, (), (schema))

test::http_reply schema_of(const std::string& topic) {
    std::string body;
    append_json(body, schema_answer{avro_schema_of<sale>(topic)});
    return test::http_answer(200, body);
}

}  // namespace

TEST_CASE("what several subtasks write as Avro is read back") {
    kafka_test::admin().create("avro_sales", 3);
    test::http_server registry({test::http_answer(200, R"({"id":5})"), schema_of("avro_sales")});
    std::vector<sale> sales;
    for (int i = 0; i < 300; ++i) sales.push_back({"s" + std::to_string(i % 7), i});
    pipeline p{"sales"};
    p.from(collection(sales))
        .to(to_kafka(cluster(), "avro_sales", delivery::at_least_once,
                     kafka_avro_output<sale>({.url = registry.url("")}, &sale::shop)));
    std::move(p).start({.parallelism = 2}).wait();
    CHECK(registry.requests().size() == 1);

    std::vector<sale> found;
    pipeline q{"readers"};
    q.from(from_kafka(cluster(), "avro_sales", kafka_avro<sale>({.url = registry.url("")}),
                      {.until = kafka_end::latest()}))
        .to(collect(found));
    std::move(q).start({.parallelism = 2}).wait();
    CHECK(registry.requests().size() == 2);
    std::sort(found.begin(), found.end());
    std::sort(sales.begin(), sales.end());
    CHECK(found == sales);
}

TEST_CASE("a bad value is named by topic, partition, offset and schema, and follows the policy") {
    kafka_test::admin admin;
    admin.create("avro_bad", 1);
    std::vector<kafka_test::record> records;
    for (const std::string& value : {"\0\0\0\0\5\2a\2"s, "\0\0\0\0\5\2a"s, "\0\0\0\0\6\2a\2"s, "\0\0\0\0\5\2b\4"s})
        records.push_back({.key = {}, .value = value, .time_ms = 1});
    admin.produce("avro_bad", records);
    test::http_server registry({schema_of("r"), schema_of("r"),
                                test::http_answer(404, R"({"error_code":40403,"message":"not found"})")});
    const auto read = [&](auto policy) {
        std::vector<sale> found;
        pipeline p{"reader"};
        p.from(from_kafka(cluster(), "avro_bad", kafka_avro<sale>({.url = registry.url("")}),
                          {.until = kafka_end::latest()}))
            .on_error(policy)
            .to(collect(found));
        auto j = std::move(p).start();
        const std::string failure = kafka_test::failure_of(j);
        return std::pair(failure, found);
    };
    const std::string failure = read(on_error::fail).first;
    INFO(failure);
    CHECK(failure.find("avro_bad/0 offset 1: schema 5: byte 3, member 'cents': the bytes end in a number") !=
          std::string::npos);
    const auto skipped = read(on_error::skip);
    CHECK(skipped.first.empty());
    CHECK(skipped.second == std::vector<sale>{{"a", 1}, {"b", 2}});
}

TEST_CASE("a job whose registry refuses the schema does not begin") {
    kafka_test::admin().create("avro_refused", 1);
    test::http_server registry({test::http_answer(409, "no")});
    pipeline p{"refused"};
    p.from(collection(std::vector<sale>{{"a", 1}}))
        .to(to_kafka(cluster(), "avro_refused", delivery::at_least_once,
                     kafka_avro_output<sale>({.url = registry.url("")})));
    auto j = std::move(p).start();
    CHECK(kafka_test::failure_of(j).find("it answers 409 Conflict") != std::string::npos);
    CHECK(kafka_test::records_in("avro_refused").empty());
}
