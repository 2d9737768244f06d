// Errors that no real cluster gives when it is asked to: librdkafka's own stand-in for one answers with them.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "runnel/connect/kafka_sink.hpp"
#include "tests/connect/sink_driver.hpp"
#include "tests/kafka/source_job.hpp"
// Behind the header that it needs.
#include <librdkafka/rdkafka_mock.h>

using namespace kafka_test;

namespace {

using errors = std::vector<rd_kafka_resp_err_t>;

/// Which requests are answered with errors, as Kafka's protocol numbers them.
enum api : std::int16_t {
    produce = 0, fetch = 1, list_offsets = 2, offset_fetch = 9, find_coordinator = 10, init_producer_id = 22,
    add_partitions = 24, add_offsets = 25, end_txn = 26, txn_offset_commit = 28
};

/// A cluster of three that is none.
class stand_in {
public:
    explicit stand_in(const std::string& topic, int partitions = 1)
        : host_(RD_KAFKA_PRODUCER, {.brokers = "127.0.0.1:1"}, {}, {}), of_(rd_kafka_mock_cluster_new(host_.get(), 3)) {
        REQUIRE(of_ != nullptr);
        rd_kafka_mock_topic_create(of_, topic.c_str(), partitions, 1);
    }
    ~stand_in() { rd_kafka_mock_cluster_destroy(of_); }

    kafka_cluster cluster() const {
        return {.brokers = rd_kafka_mock_cluster_bootstraps(of_), .timeout = std::chrono::seconds(10)};
    }
    /// The next requests of this kind fail, one after the other.
    void fail(api which, const errors& with) {
        rd_kafka_mock_push_request_errors_array(of_, which, with.size(), with.data());
    }

private:
    rd::kafka_client host_;
    rd_kafka_mock_cluster_t* of_;
};

std::vector<std::string> read(const stand_in& from, const std::string& topic, std::string* failure = nullptr) {
    gathered out;
    try {
        job j = read_into(out, topic, {.until = kafka_end::latest(), .read_uncommitted = true}, {}, from.cluster());
        const std::string why = failure_of(j);
        if (failure) *failure = why;
        else CHECK(why == "");
    } catch (const std::exception& e) {
        REQUIRE(failure != nullptr);
        *failure = e.what();
    }
    std::vector<std::string> values;
    for (const seen& s : out.all()) values.push_back(s.value);
    return values;
}

/// An exactly-once sink that has recovered, and what it says when it is given checkpoint after checkpoint.
struct committing {
    explicit committing(const stand_in& to)
        : sink_(to_kafka(to.cluster(), "mocked", delivery::exactly_once).bind<std::string>()) {
        sink_->recover(0, "job/out", {});
        writer_ = sink_->open({.owner = "job/out"});
    }
    std::string failure_of(const std::string& value) {
        batch<std::string> records;
        records.append(std::string(value), timestamp(1s));
        REQUIRE(writer_->write(records) == progress::done);
        const std::string prepared = writer_->prepare();
        try {
            sink_->commit(++id_, "job/out", {prepared});
            return {};
        } catch (const std::exception& e) {
            return e.what();
        }
    }
private:
    std::shared_ptr<sink<std::string>> sink_;
    std::unique_ptr<sink_writer<std::string>> writer_;
    checkpoint_id id_ = 0;
};

}  // namespace

TEST_CASE("mocked: produce errors that pass are waited out, and each record is there once") {
    stand_in c("mocked");
    auto to = to_kafka(c.cluster(), "mocked", delivery::at_least_once).bind<std::string>();
    test::sink_driver<std::string> d(*to);
    c.fail(produce, {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                     RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                     RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR});
    d.write({"a", "b"});
    d.settle();
    d.write({"c"});
    d.finish();
    CHECK(read(c, "mocked") == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("mocked: a produce error that stays is a failure of the record, and the next one is written") {
    stand_in c("mocked");
    auto to = to_kafka(c.cluster(), "mocked", delivery::at_least_once).bind<std::string>();
    test::sink_driver<std::string> d(*to);
    c.fail(produce, {RD_KAFKA_RESP_ERR_INVALID_RECORD});
    d.write({"a"});
    std::string why;
    try {
        d.settle();
    } catch (const std::exception& e) {
        try {
            std::rethrow_if_nested(e);
            why = e.what();
        } catch (const std::exception& cause) {
            why = cause.what();
        }
    }
    check_contains(why, {"cannot write to mocked/0", rd_kafka_err2str(RD_KAFKA_RESP_ERR_INVALID_RECORD)});
    d.write({"b"});
    d.finish();
    CHECK(read(c, "mocked") == std::vector<std::string>{"b"});
}

TEST_CASE("mocked: errors of a transaction that pass are waited out") {
    stand_in c("mocked");
    c.fail(init_producer_id,
           {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS});
    c.fail(offset_fetch, {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT,
                          RD_KAFKA_RESP_ERR_NOT_COORDINATOR});
    committing s(c);
    CHECK(s.failure_of("a") == "");
    c.fail(produce, {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS});
    CHECK(s.failure_of("b") == "");
    c.fail(add_partitions, {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS});
    CHECK(s.failure_of("c") == "");
    c.fail(add_offsets, {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR});
    CHECK(s.failure_of("d") == "");
    c.fail(txn_offset_commit, {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR__TRANSPORT});
    CHECK(s.failure_of("e") == "");
    c.fail(end_txn, {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
                     RD_KAFKA_RESP_ERR__TRANSPORT});
    CHECK(s.failure_of("f") == "");
    CHECK(read(c, "mocked") == std::vector<std::string>{"a", "b", "c", "d", "e", "f"});
}

TEST_CASE("mocked: an error of a transaction that stays ends it, with the reason") {
    struct fault {
        api at;
        rd_kafka_resp_err_t error;
        const char* says;
    };
    for (const fault& f : {fault{produce, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "Topic authorization failed"},
                           fault{produce, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, "epoch"},
                           fault{add_partitions, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "authorization"},
                           fault{add_offsets, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, "authorization"},
                           fault{txn_offset_commit, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, "authorization"},
                           fault{end_txn, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, "Another process runs the same job"},
                           fault{end_txn, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, "state"}}) {
        CAPTURE(static_cast<int>(f.at));
        CAPTURE(rd_kafka_err2name(f.error));
        stand_in c("mocked");
        committing s(c);
        CHECK(s.failure_of("a") == "");
        c.fail(f.at, {f.error});
        const std::string why = s.failure_of("b");
        CAPTURE(why);
        CHECK(why.find(f.says) != std::string::npos);
        // What became of it is not known here: only a recovery goes on, when it has looked at the marker.
        CHECK(s.failure_of("c").find("an earlier transaction has failed") != std::string::npos);
    }
}

TEST_CASE("mocked: fetch errors that pass are waited out; one that stays ends the job, and says where it was") {
    stand_in c("mocked");
    {
        auto to = to_kafka(c.cluster(), "mocked", delivery::at_least_once).bind<std::string>();
        test::sink_driver<std::string> d(*to);
        d.write({"a", "b", "c"});
        d.finish();
    }
    const std::vector<std::string> all{"a", "b", "c"};
    c.fail(list_offsets, {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                          RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
                          RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH});
    CHECK(read(c, "mocked") == all);
    c.fail(fetch, {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                   RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
                   RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, RD_KAFKA_RESP_ERR__TRANSPORT});
    CHECK(read(c, "mocked") == all);
    for (const rd_kafka_resp_err_t stays : {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_UNKNOWN}) {
        c.fail(fetch, {stays});
        std::string why;
        CHECK(read(c, "mocked", &why).empty());
        check_contains(why, {"cannot read mocked/0 at offset 0", rd_kafka_err2str(stays)});
    }
}
