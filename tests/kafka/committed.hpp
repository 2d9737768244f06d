#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/kafka/broker.hpp"

namespace kafka_test {

/// Returns when no transaction is open in a topic. What has been committed is seen by readers a moment after the
/// producer has been told so, when the brokers of its partitions know.
inline void wait_until_committed(const std::string& topic) {
    rd::kafka_client of_all(RD_KAFKA_CONSUMER, cluster(),
                            {{"group.id", "reader"}, {"isolation.level", "read_uncommitted"}}, {});
    rd::kafka_client of_committed(RD_KAFKA_CONSUMER, cluster(),
                                  {{"group.id", "reader"}, {"isolation.level", "read_committed"}}, {});
    const auto end = [&](rd::kafka_client& c, std::int32_t partition) {
        std::int64_t first = 0, last = 0;
        // A topic that has just been made may still look for who leads its partitions.
        rd_kafka_resp_err_t failure;
        do {
            rd_kafka_poll(c.get(), 10);
            failure = rd_kafka_query_watermark_offsets(c.get(), topic.c_str(), partition, &first, &last, 30'000);
        } while (failure == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
        c.check("ask for the end", failure);
        return last;
    };
    for (const std::int32_t partition : of_all.partitions(topic)) {
        const std::int64_t last = end(of_all, partition);
        while (end(of_committed, partition) < last) continue;
    }
}

/// All that readers of committed records see in a topic where nobody writes any more.
inline std::vector<record> committed_records_in(const std::string& topic) {
    wait_until_committed(topic);
    return records_in(topic);
}

}  // namespace kafka_test
