// A cluster of three: what is acknowledged by two of them outlives each. Run by tests/servers/kafka.py --brokers 3, with
// brokers that soon lead again what they have led.
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>

#include "tests/kafka/traffic.hpp"

using namespace kafka_test;

namespace {

/// Whether a broker leads some partition of a topic now; nothing if nobody can tell.
std::optional<bool> leads(admin& a, const std::string& topic, int broker) {
    const rd_kafka_metadata_t* answer = nullptr;
    const rd::kafka_topic t(rd_kafka_topic_new(a.client().get(), topic.c_str(), nullptr));
    if (rd_kafka_metadata(a.client().get(), 0, t.get(), &answer, 20'000) != RD_KAFKA_RESP_ERR_NO_ERROR) return {};
    const std::unique_ptr<const rd_kafka_metadata_t, rd::kafka_free<&rd_kafka_metadata_destroy>> owned(answer);
    const rd_kafka_metadata_topic& found = answer->topics[0];
    if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR) return {};
    for (int p = 0; p < found.partition_cnt; ++p)
        if (found.partitions[p].leader == broker) return true;
    return false;
}

void kill_each_under_load(const std::string& name, kafka_recovery how) {
    if (!can_control()) return;
    traffic t(name, cluster(), how);
    admin a;
    for (int broker = 1; broker <= 3; ++broker) {
        const std::string number = std::to_string(broker);
        const auto leading = [&](bool is_so) {
            return [&, is_so] { return leads(a, name + "_in", broker) == is_so; };
        };
        // On a busy machine the others may take one for dead, and its partitions, for a moment.
        wait_until(t.copies(), "broker " + number + " leads partitions", leading(true));
        control("kill " + number);
        wait_until(t.copies(), "its partitions have moved away", leading(false));
        t.flow();
        control("start " + number);
        wait_until(t.copies(), "its partitions have moved back", leading(true));
        t.flow();
    }
    t.check();
}

}  // namespace

TEST_CASE("each of three brokers is killed under load, and its partitions move away and back: each record once") {
    kill_each_under_load("three", kafka_recovery::write_ahead);
}

TEST_CASE("each of three brokers is killed under load of a job that rolls back: each record once") {
    kill_each_under_load("three_back", kafka_recovery::roll_back);
}
