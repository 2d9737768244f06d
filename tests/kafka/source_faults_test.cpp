#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/kafka/source_job.hpp"

using namespace kafka_test;

namespace {

using found = std::map<std::string, std::vector<std::string>>;

/// The error of a job that cannot start, or fails.
std::string failure_of_reading(kafka_topics topics, kafka_source_options options, kafka_cluster from) {
    gathered out;
    try {
        job j = read_into(out, std::move(topics), std::move(options), {}, std::move(from));
        return failure_of(j);
    } catch (const std::exception& e) {
        return e.what();
    }
}

}  // namespace

TEST_CASE("a wrong address fails the start in the time that is given, with the reason") {
    const auto begun = std::chrono::steady_clock::now();
    check_contains(failure_of_reading("any", {}, {.brokers = "127.0.0.1:1", .timeout = 300ms}),
                   {"cannot reach Kafka at \"127.0.0.1:1\"", "Connection refused", "Check that the cluster runs"});
    CHECK(std::chrono::steady_clock::now() - begun < 30s);
}

TEST_CASE("a topic that is not there is named, and so is a name that cannot be one") {
    check_contains(failure_of_reading("fault_none", {}, cluster()),
                   {"\"fault_none\"", "Unknown topic", "Create the topic, or correct its name."});
    check_contains(failure_of_reading("no topic!", {}, cluster()), {"\"no topic!\""});
}

TEST_CASE("a broker is killed and started again: the source says what is wrong, and goes on where it was") {
    if (!can_control()) return;
    admin a;
    a.create("fault_killed", 2);
    a.produce_numbers("fault_killed", 0, 0, 1000);
    a.produce_numbers("fault_killed", 1, 0, 1000);
    gathered out;
    job j = read_into(out, "fault_killed", {.discovery = 100ms}, {.parallelism = 2});
    out.wait_for(2000, j);
    CHECK(wait_for_status(j, [](const operator_status& s) { return s.lag == 0u; }).trouble.empty());

    control("kill 1");
    check_contains(wait_for_status(j, [](const operator_status& s) { return !s.trouble.empty(); }).trouble,
                   {"127.0.0.1:"});
    control("start 1");
    a.produce_numbers("fault_killed", 0, 1000, 500);
    a.produce_numbers("fault_killed", 1, 1000, 500);
    out.wait_for(3000, j);
    (void)wait_for_status(j, [](const operator_status& s) { return s.trouble.empty(); });
    j.cancel();
    j.wait();
    CHECK(out.by_partition() == found{{"fault_killed/0", numbers(0, 1500)}, {"fault_killed/1", numbers(0, 1500)}});
}

TEST_CASE("a broker that does not answer for a while is waited for") {
    if (!can_control()) return;
    admin a;
    a.create("fault_paused", 1);
    a.produce_numbers("fault_paused", 0, 0, 10);
    gathered out;
    job j = read_into(out, "fault_paused", {.discovery = 100ms},
                      {}, cluster({{"socket.timeout.ms", "1000"}, {"session.timeout.ms", "1000"}}));
    out.wait_for(10, j);
    control("pause 1");
    (void)wait_for_status(j, [](const operator_status& s) { return !s.trouble.empty(); });
    control("resume 1");
    a.produce_numbers("fault_paused", 0, 10, 10);
    out.wait_for(20, j);
    j.cancel();
    j.wait();
    CHECK(out.by_partition() == found{{"fault_paused/0", numbers(0, 20)}});
}

TEST_CASE("of a topic that is deleted while it is read the status tells") {
    admin a;
    a.create("fault_deleted", 1);
    a.produce_numbers("fault_deleted", 0, 0, 5);
    gathered out;
    job j = read_into(out, "fault_deleted", {.discovery = 100ms});
    out.wait_for(5, j);
    a.remove("fault_deleted");
    (void)wait_for_status(j, [](const operator_status& s) {
        return s.trouble.find("\"fault_deleted\"") != std::string::npos;
    });
    j.cancel();
    j.wait();
    CHECK(out.by_partition() == found{{"fault_deleted/0", numbers(0, 5)}});
}

TEST_CASE("records that retention has removed before they were read are an error, or are left out where that is accepted") {
    admin a;
    a.create("fault_removed", 1);
    a.produce_numbers("fault_removed", 0, 0, 100);
    a.remove_before("fault_removed", 0, 60);
    const kafka_source_options from_five{.from = kafka_start::offsets({{{"fault_removed", 0}, 5}}),
                                         .until = kafka_end::latest()};
    check_contains(failure_of_reading("fault_removed", from_five, cluster()),
                   {"fault_removed/0 at offset 5", "offsets 60 to 100", "retention", "kafka_lost::earliest"});

    kafka_source_options accepting = from_five;
    accepting.on_lost = kafka_lost::earliest;
    accepting.until = kafka_end::never();
    gathered out;
    job j = read_into(out, "fault_removed", accepting);
    out.wait_for(40, j);
    check_contains(j.status().operators.at(0).trouble, {"fault_removed/0 at offset 5", "gone on at offset 60"});
    j.cancel();
    j.wait();
    CHECK(out.by_partition() == found{{"fault_removed/0", numbers(60, 40)}});

    // The earliest is what is there.
    gathered all;
    job k = read_into(all, "fault_removed", {.until = kafka_end::latest()});
    k.wait();
    CHECK(all.by_partition() == found{{"fault_removed/0", numbers(60, 40)}});
}

TEST_CASE("an offset behind the end, as of a topic that was made anew, is an error") {
    admin a;
    a.create("fault_beyond", 1);
    a.produce_numbers("fault_beyond", 0, 0, 10);
    check_contains(failure_of_reading("fault_beyond", {.from = kafka_start::offsets({{{"fault_beyond", 0}, 500}})}, cluster()),
                   {"fault_beyond/0 at offset 500", "offsets 0 to 10", "made anew"});
}

TEST_CASE("state of a topic that is gone, or of another source, is refused") {
    auto s = from_kafka(cluster(), "any", kafka_bytes<>());
    const reader_context context{.wake = [] {}, .bad_record = {}};
    for (const char* bad : {"", "x", "5/", "5/6/7", "5x", "99999999999999999999"}) {
        const std::string position = bad;
        CHECK_THROWS_AS((void)s.open("any/0", &position, context), error);
    }
    for (const char* bad : {"", "any", "/0", "any/", "any/x"}) CHECK_THROWS_AS((void)s.open(bad, nullptr, context), error);
}
