#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runnel/connect/kafka_sink.hpp"
#include "runnel/connect/kafka_source.hpp"
#include "runnel/connect/kafka_values.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/source/generator.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/kafka/committed.hpp"
#include "tests/kafka/source_job.hpp"

namespace kafka_test {

/// Keeps up what is wrong with the brokers for as long as RUNNEL_KAFKA_OUTAGE says, in seconds; without it, no longer
/// than it takes until the jobs say so.
inline void keep_up_outage() {
    if (const char* const seconds = std::getenv("RUNNEL_KAFKA_OUTAGE"))
        std::this_thread::sleep_for(std::chrono::seconds(std::atoi(seconds)));
}

/// What a job says of itself.
inline std::string state_of(job& j) {
    const job_status s = j.status();
    std::string text = "failed last with \"" + s.failure + "\", " + std::to_string(s.checkpoints.restarts) +
                       " restarts, " + std::to_string(s.checkpoints.completed) + " checkpoints";
    for (const operator_status& o : s.operators)
        text += "; " + o.name + ": " + std::to_string(o.records_in) + " in, " + std::to_string(o.records_out) +
                " out, trouble \"" + o.trouble + "\"";
    return text;
}

/// Waits until `is_so`, as long as `j` runs.
template <class F>
void wait_until(job& j, const std::string& what, F is_so) {
    const auto end = std::chrono::steady_clock::now() + 120s;
    while (!is_so()) {
        if (j.is_done()) FAIL("the job has ended: " << failure_of(j));
        if (std::chrono::steady_clock::now() > end) FAIL("not in time: " << what << "; " << state_of(j));
        std::this_thread::sleep_for(5ms);
    }
}

inline operator_status status_of(job& j, const std::string& name) {
    for (operator_status& o : j.status().operators)
        if (o.name == name) return std::move(o);
    return {};
}

/// Two jobs: one writes numbers to topic "NAME_in", at least once, the other takes them to "NAME_out", exactly once.
/// All that Kafka is used for is under load, then, and what is lost or comes twice shows.
class traffic {
public:
    static constexpr std::uint64_t rate = 5'000;
    /// Of records that wait to be written.
    static constexpr std::uint64_t queue = 1'000;

    /// `through`: how the jobs reach the brokers.
    explicit traffic(std::string name, const kafka_cluster& through = cluster(),
                     kafka_recovery how = kafka_recovery::write_ahead)
        : name_(std::move(name)) {
        admin_.create(name_ + "_in", 4);
        admin_.create(name_ + "_out", 2);
        pipeline w(name_ + " writes");
        w.from(generate(100'000'000, [this](std::uint64_t i) { return ++made_, std::to_string(i); }, {.rate = rate}))
            .named("numbers")
            .to(to_kafka(through, name_ + "_in", delivery::at_least_once, [](const std::string& s) { return s; },
                         {.settings = {{"queue.buffering.max.messages", std::to_string(queue)}}}))
            .named("out");
        writes_ = std::make_unique<job>(std::move(w).start({.batch_size = 64}));
        pipeline c(name_ + " copies");
        c.from(from_kafka(through, name_ + "_in", kafka_bytes<>(), {.discovery = 200ms}))
            .named("in")
            .to(to_kafka(through, name_ + "_out", delivery::exactly_once, [](const std::string& s) { return s; },
                         {.recovery = how}))
            .named("out");
        job_options options{.parallelism = 2, .threads = 2};
        options.checkpoints = {.folder = folder_ / "c", .interval = 100ms};
        options.restart = fixed_delay(100, 100ms);
        copies_ = std::make_unique<job>(std::move(c).start(options));
        flow();
    }
    ~traffic() {
        // After a failure, too.
        writes_->cancel();
        copies_->cancel();
    }

    job& writes() { return *writes_; }
    job& copies() { return *copies_; }
    std::uint64_t made() const { return made_; }
    /// What is wrong, as the statuses tell.
    std::string trouble_of_writing() { return status_of(*writes_, "out").trouble; }
    std::string trouble_of_reading() { return status_of(*copies_, "in").trouble; }
    std::string trouble_of_committing() { return status_of(*copies_, "out").trouble; }

    /// Returns when records that are made from now on have come through all of it.
    void flow() {
        // Of those that are under way now, the writer's queue holds the last: it is full at most.
        const std::uint64_t arrives = arrived() + queue;
        wait_until(*writes_, "records are written", [&] { return arrived() >= arrives; });
        const std::uint64_t before = copies_->status().checkpoints.completed;
        wait_until(*copies_, "records are copied",
                   [&] { return copies_->status().checkpoints.completed >= before + 2; });
    }
    /// Ends all, and compares.
    void check() {
        writes_->drain();
        writes_->wait();
        std::vector<std::string> expected = numbers(0, static_cast<int>(made_.load()));
        std::sort(expected.begin(), expected.end());
        CHECK((values_in("_in") == expected));
        std::vector<std::string> found;
        wait_until(*copies_, "all has been copied",
                   [&] { return (found = values_in("_out")).size() >= expected.size(); });
        copies_->cancel();
        copies_->wait();
        CHECK(found.size() == expected.size());
        CHECK((found == expected));
        CHECK((values_in("_out") == expected));
    }

private:
    /// How many records the writing sink has taken.
    std::uint64_t arrived() { return status_of(*writes_, "out").records_in; }
    std::vector<std::string> values_in(const std::string& suffix) {
        std::vector<std::string> values;
        for (record& r : committed_records_in(name_ + suffix)) values.push_back(std::move(*r.value));
        std::sort(values.begin(), values.end());
        return values;
    }

    const std::string name_;
    admin admin_;
    const test::temporary_folder folder_;
    std::atomic<std::uint64_t> made_ = 0;
    std::unique_ptr<job> writes_, copies_;
};

}  // namespace kafka_test
