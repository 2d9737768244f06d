// Needs runnel::kafka; no broker: its source has a setting that librdkafka does not know.
#include <iostream>
#include <string>

#include <runnel/connect/kafka_source.hpp>
#include <runnel/graph/pipeline.hpp>
#include <runnel/sink/print.hpp>

int main() {
    runnel::pipeline p{"clicks"};
    p.from(runnel::from_kafka({.brokers = "127.0.0.1:1", .settings = {{"no.such.setting", "1"}}}, "clicks",
                              runnel::kafka_bytes<>()))
        .to(runnel::print());
    for (const std::string& problem : p.validate()) std::cout << problem.substr(0, problem.find(". ")) << '\n';
}
