// Clicks per user in 10 s, from the Kafka topic "clicks", which has to be there. It is read from its start up to its
// present end, so a second run is a replay: it prints the same counts, whatever the order in which partitions come.
//   kafka_clicks BROKERS          prints the counts
//   kafka_clicks BROKERS --click  writes a few clicks, as a web server would
#include <boost/describe.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "runnel/kafka.hpp"
#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
using runnel::timestamp;

struct click {
    std::string user, page;
    timestamp at;
};
BOOST_DESCRIBE_STRUCT(click, (), (user, page, at))

int main(int argc, char** argv) {
    if (argc < 2) return std::puts("usage: kafka_clicks BROKERS [--click]") < 0;
    const runnel::kafka_cluster cluster{argv[1]};
    runnel::pipeline p{"kafka_clicks"};
    if (argc > 2) {
        p.from(runnel::collection(std::vector<click>{{"ann", "/", timestamp(1s)}, {"bob", "/", timestamp(2s)},
                                                     {"ann", "/cart", timestamp(9s)}, {"ann", "/", timestamp(12s)},
                                                     {"bob", "/cart", timestamp(8s)}, {"eve", "/", timestamp(31s)}}))
            .to(runnel::to_kafka(cluster, "clicks", runnel::delivery::at_least_once, &click::user));
    } else {
        p.from(runnel::from_kafka(cluster, "clicks", runnel::kafka_json<click>(),
                                  {.from = runnel::kafka_start::earliest(), .until = runnel::kafka_end::latest()}))
            .event_time(&click::at, runnel::bounded_out_of_orderness(5s))
            .key_by(&click::user)
            .window(runnel::tumbling(10s).drop_late())
            .aggregate(runnel::count())
            .to(runnel::print());
    }
    std::move(p).start().wait();
}
