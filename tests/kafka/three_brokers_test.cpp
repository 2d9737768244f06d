// A cluster of three: what is acknowledged by two of them outlives each. Run by tests/servers/kafka.py --brokers 3.
#include <doctest/doctest.h>

#include <cstdlib>
#include <set>
#include <string>

#include "tests/kafka/traffic.hpp"

using namespace kafka_test;

namespace {

/// Which broker leads a partition; 0: none now.
int leader_of(admin& a, const std::string& topic, std::int32_t partition) {
    const rd_kafka_metadata_t* answer = nullptr;
    rd::kafka_topic t(rd_kafka_topic_new(a.client().get(), topic.c_str(), nullptr));
    if (rd_kafka_metadata(a.client().get(), 0, t.get(), &answer, 20'000) != RD_KAFKA_RESP_ERR_NO_ERROR) return 0;
    const std::unique_ptr<const rd_kafka_metadata_t, rd::kafka_free<&rd_kafka_metadata_destroy>> owned(answer);
    for (int p = 0; p < answer->topics[0].partition_cnt; ++p)
        if (answer->topics[0].partitions[p].id == partition) return std::max(0, answer->topics[0].partitions[p].leader);
    return 0;
}

}  // namespace

TEST_CASE("each of three brokers is killed under load, and its partitions move away and back: each record once") {
    if (!can_control()) return;
    traffic t("three");
    admin a;
    std::set<int> led;
    for (int broker = 1; broker <= 3; ++broker) {
        const std::string number = std::to_string(broker);
        for (std::int32_t p = 0; p != 4; ++p)
            if (leader_of(a, "three_in", p) == broker) led.insert(broker);
        control("kill " + number);
        t.flow();
        control("start " + number);
        t.flow();
    }
    CHECK(led.size() == 3);
    t.check();
}
