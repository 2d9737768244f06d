// Card fraud, from Kafka to Kafka, exactly once: a tiny payment followed within a minute by a large one on the same
// card becomes a record of the topic "alerts", once, however often this program is killed and started again. The two
// topics have to be there.
//   kafka_fraud BROKERS              watches the topic "payments" until it is ended
//   kafka_fraud BROKERS --until-now  the same up to its present end
//   kafka_fraud BROKERS --pay        writes a few payments, as a shop would
#include <boost/describe.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "runnel/kafka.hpp"
#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
using runnel::delivery;
using runnel::timestamp;

struct payment {
    std::string card;
    double amount = 0;
    timestamp at;
};
BOOST_DESCRIBE_STRUCT(payment, (), (card, amount, at))

struct alert {
    std::string card;
    double amount = 0;
};
BOOST_DESCRIBE_STRUCT(alert, (), (card, amount))

struct small_then_large {
    using output_type = alert;
    runnel::value_state<bool> small;  // there only while a small payment is less than a minute ago
    runnel::event_timer forget;

    void open(runnel::state_setup& s) {
        small = s.value<bool>("small");
        forget = s.event_timer("forget");
    }
    void on_record(const payment& p, runnel::process_context<alert>& c) {
        if (small.has_value() && p.amount > 500) c.emit({p.card, p.amount});
        small.clear();
        if (p.amount >= 1) return;
        small.set(true);
        forget.set(c.time() + 1min);
    }
    void on_timer(const runnel::timer_event&, runnel::process_context<alert>&) { small.clear(); }
};

int main(int argc, char** argv) {
    if (argc < 2) return std::puts("usage: kafka_fraud BROKERS [--until-now | --pay]") < 0;
    const runnel::kafka_cluster cluster{argv[1]};
    const std::string what = argc > 2 ? argv[2] : "";
    runnel::pipeline p{"kafka_fraud"};
    if (what == "--pay") {
        p.from(runnel::collection(std::vector<payment>{{"4711", 0.50, timestamp(10s)}, {"0815", 0.20, timestamp(12s)},
                                                       {"4711", 900, timestamp(40s)}, {"0815", 20, timestamp(35s)},
                                                       {"0815", 700, timestamp(50s)}, {"1234", 800, timestamp(75s)},
                                                       {"1234", 0.99, timestamp(70s)}, {"9999", 1, timestamp(300s)}}))
            .to(runnel::to_kafka(cluster, "payments", delivery::at_least_once, &payment::card));
        return std::move(p).start().wait(), 0;
    }
    runnel::kafka_source_options from;
    if (what == "--until-now") from.until = runnel::kafka_end::latest();
    p.from(runnel::from_kafka(cluster, "payments", runnel::kafka_json<payment>(), from))
        .named("payments")
        .event_time(&payment::at, runnel::bounded_out_of_orderness(30s))
        .key_by(&payment::card)
        .in_event_time_order()
        .process(small_then_large{})
        .named("small_then_large")
        .to(runnel::to_kafka(cluster, "alerts", delivery::exactly_once, &alert::card))
        .named("alerts");
    std::move(p).start({.parallelism = 2, .checkpoints = {.folder = "kafka_fraud", .interval = 1s}}).wait();
}
