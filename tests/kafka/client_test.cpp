#include "doctest/doctest.h"

#include <string>

#include "src/connect/kafka_client.hpp"
#include "tests/kafka/broker.hpp"

using namespace std::chrono_literals;
namespace rd = runnel::detail;

TEST_CASE("settings are checked by librdkafka before anything is opened") {
    const auto problems = [](std::map<std::string, std::string> settings) {
        return rd::kafka_problems({"127.0.0.1:1", std::move(settings)}, {}, {{"enable.idempotence", "true"}});
    };
    CHECK(problems({{"linger.ms", "7"}, {"request.required.acks", "-1"}}).empty());
    REQUIRE(problems({{"no.such.setting", "1"}}).size() == 1);
    CHECK(problems({{"no.such.setting", "1"}})[0].find("\"no.such.setting\"") != std::string::npos);
    CHECK(problems({{"linger.ms", "soon"}}).size() == 1);
    CHECK(problems({{"bootstrap.servers", "a:1"}})[0].find("`brokers`") != std::string::npos);
    CHECK(problems({{"enable.idempotence", "false"}})[0].find("has to be \"true\"") != std::string::npos);
    CHECK(rd::kafka_problems({""}, {}, {}).size() == 1);
}

TEST_CASE("where no broker is, connecting fails in time, and says where and why") {
    rd::kafka_client client(RD_KAFKA_CONSUMER, {.brokers = "127.0.0.1:1", .timeout = 500ms}, {}, {});
    std::string text;
    try {
        client.connect();
    } catch (const rd::kafka_error& e) {
        text = e.what();
    }
    CHECK(text.starts_with("cannot reach Kafka at \"127.0.0.1:1\""));
    CHECK(text.find("Connection refused") != std::string::npos);
    CHECK(text.find("Check that the cluster runs") != std::string::npos);
}

TEST_CASE("a topic's partitions are found; one that is not there is named") {
    kafka_test::admin admin;
    admin.create("client_three", 3);
    CHECK(admin.client().partitions("client_three") == std::vector<std::int32_t>{0, 1, 2});
    CHECK_THROWS_WITH_AS(admin.client().partitions("client_none"),
                         "cannot find topic \"client_none\": Broker: Unknown topic or partition. Create the topic, or "
                         "correct its name.",
                         rd::kafka_error);
}

TEST_CASE("records come back as they were written") {
    kafka_test::admin admin;
    admin.create("client_records", 2);
    const std::vector<kafka_test::record> records{
        {.key = "k", .value = "v", .partition = 0, .time_ms = 5, .headers = {{"h", "1"}, {"h", std::nullopt}}, .offset = 0},
        {.key = {}, .value = "", .partition = 0, .time_ms = 4, .offset = 1},
        {.key = "", .value = {}, .partition = 1, .time_ms = 6, .offset = 0}};
    admin.produce("client_records", records);
    CHECK(kafka_test::records_in("client_records") == records);
}

TEST_CASE("a broker that was killed and started again is used again") {
    if (!kafka_test::can_control()) return;
    kafka_test::admin admin;
    admin.create("client_restart", 1);
    admin.produce_numbers("client_restart", 0, 0, 10);
    kafka_test::control("kill 1");
    kafka_test::control("start 1");
    admin.produce_numbers("client_restart", 0, 10, 10);
    CHECK(kafka_test::records_in("client_restart").size() == 20);
}
