// What users may do, and how the cluster is reached, is settled by librdkafka's settings alone. Started by
// tests/servers/kafka.py --secured.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "runnel/connect/kafka_sink.hpp"
#include "runnel/source/collection.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/kafka/committed.hpp"
#include "tests/kafka/source_job.hpp"

using namespace kafka_test;

namespace {

/// True if the brokers take clients by SASL and TLS. Else the case is reported as skipped.
bool is_secured() {
    if (std::getenv("KAFKA_SASL") != nullptr) return true;
    std::printf("SKIPPED %s\n", doctest::getContextOptions()->currentTest->m_name);
    return false;
}
kafka_cluster as(const std::string& user, const std::string& password) {
    kafka_cluster c = cluster({{"security.protocol", "sasl_plaintext"},
                               {"sasl.mechanism", "PLAIN"},
                               {"sasl.username", user},
                               {"sasl.password", password}});
    c.brokers = std::getenv("KAFKA_SASL");
    return c;
}
kafka_cluster as(const std::string& user) { return as(user, "secret of " + user); }
kafka_cluster by_tls(std::map<std::string, std::string> settings) {
    settings["security.protocol"] = "ssl";
    kafka_cluster c = cluster(std::move(settings));
    c.brokers = std::getenv("KAFKA_TLS");
    return c;
}

/// Why the topic cannot be read to its end; empty: it can, and `count` records were in it.
std::string failure_of_reading(const std::string& topic, const kafka_cluster& from, std::size_t count,
                               kafka_source_options options = {}) {
    options.until = kafka_end::latest();
    gathered out;
    try {
        job j = read_into(out, topic, std::move(options), {}, from);
        const std::string failure = failure_of(j);
        if (failure.empty()) CHECK(out.all().size() == count);
        return failure;
    } catch (const std::exception& e) {
        return e.what();
    }
}
/// Why nothing can be written to the topic; empty: "a" and "b" have been.
std::string failure_of_writing(const std::string& topic, const kafka_cluster& to, delivery how) {
    const test::temporary_folder folder;
    pipeline p(topic + " job");
    p.from(collection(std::vector<std::string>{"a", "b"})).named("in").to(to_kafka(to, topic, how)).named("out");
    job_options options;
    if (how == delivery::exactly_once) options.checkpoints = {.folder = folder / "c", .interval = 0s};
    try {
        job j = std::move(p).start(options);
        return failure_of(j);
    } catch (const std::exception& e) {
        return e.what();
    }
}

}  // namespace

TEST_CASE("a wrong password fails the start in the time that is given, and the settings for SASL are named") {
    if (!is_secured()) return;
    admin().create("secured_password", 1);
    kafka_cluster wrong = as("ann", "guessed");
    wrong.timeout = 1s;
    for (const std::string& why : {failure_of_reading("secured_password", wrong, 0),
                                   failure_of_writing("secured_password", wrong, delivery::at_least_once),
                                   failure_of_writing("secured_password", wrong, delivery::exactly_once)})
        check_contains(why, {"cannot reach Kafka", "Invalid username or password", "SASL"});
}

TEST_CASE("who may not read a topic, or look at a group, is told so, and what to do") {
    if (!is_secured()) return;
    admin a;
    a.create("secured_read", 1);
    a.produce_numbers("secured_read", 0, 0, 10);
    const std::string advice = "Give this user the right to do that.";
    const kafka_source_options from_group{.from = kafka_start::committed(), .group = "secured_group"};
    check_contains(failure_of_reading("secured_read", as("bob"), 10),
                   {"\"secured_read\"", "Topic authorization failed", advice});
    // To know of a topic is not to read it.
    control("allow bob describe topic secured_read");
    check_contains(failure_of_reading("secured_read", as("bob"), 10),
                   {"secured_read/0", "Topic authorization failed", advice});
    control("allow bob read topic secured_read");
    check_contains(failure_of_reading("secured_read", as("bob"), 10, from_group),
                   {"\"secured_group\"", "Group authorization failed", advice});
    CHECK(failure_of_reading("secured_read", as("bob"), 10) == "");
    control("allow bob read group secured_group");
    CHECK(failure_of_reading("secured_read", as("bob"), 10, from_group) == "");
}

TEST_CASE("who may not write to a topic, use a transactional id or set its marker is told so, and what to do") {
    if (!is_secured()) return;
    admin a;
    a.create("secured_write", 1);
    const std::string advice = "Give this user the right to do that.";
    for (const delivery how : {delivery::at_least_once, delivery::exactly_once})
        check_contains(failure_of_writing("secured_write", as("bob"), how),
                       {"\"secured_write\"", "Topic authorization failed", advice});
    control("allow bob describe topic secured_write");
    // Who may write to no topic at all may not number records, either.
    check_contains(failure_of_writing("secured_write", as("bob"), delivery::at_least_once),
                   {"secured_write", "Cluster authorization failed", advice});
    check_contains(failure_of_writing("secured_write", as("bob"), delivery::exactly_once),
                   {"'secured_write job/out'", "ransactional Id authorization failed", advice});
    control("allow bob write transactional_id secured_write job/out");
    check_contains(failure_of_writing("secured_write", as("bob"), delivery::exactly_once),
                   {"group 'secured_write job/out'", "Group authorization failed", advice});
    control("allow bob read group secured_write job/out");
    check_contains(failure_of_writing("secured_write", as("bob"), delivery::exactly_once),
                   {"Topic authorization failed", advice});
    control("allow bob read topic secured_write");
    check_contains(failure_of_writing("secured_write", as("bob"), delivery::exactly_once),
                   {"Topic authorization failed"});
    CHECK(committed_records_in("secured_write").empty());
    control("allow bob write topic secured_write");
    CHECK(failure_of_writing("secured_write", as("bob"), delivery::at_least_once) == "");
    CHECK(committed_records_in("secured_write").size() == 2);
    CHECK(failure_of_writing("secured_write", as("bob"), delivery::exactly_once) == "");
    CHECK(committed_records_in("secured_write").size() == 4);
}

TEST_CASE("TLS by settings: brokers whose certificate is trusted are talked to, others are not") {
    if (!is_secured()) return;
    admin a;
    a.create("secured_tls", 1);
    a.produce_numbers("secured_tls", 0, 0, 10);
    const kafka_cluster trusting = by_tls({{"ssl.ca.location", std::getenv("KAFKA_CA")}});
    CHECK(failure_of_reading("secured_tls", trusting, 10) == "");
    CHECK(failure_of_writing("secured_tls", trusting, delivery::at_least_once) == "");
    kafka_cluster not_trusting = by_tls({});
    not_trusting.timeout = 1s;
    check_contains(failure_of_reading("secured_tls", not_trusting, 10),
                   {"cannot reach Kafka", "certificate verify failed", "TLS"});
    check_contains(failure_of_reading("secured_tls", by_tls({{"ssl.ca.location", "/no/such/file"}}), 10),
                   {"the settings do not fit", "ssl.ca.location"});
}
