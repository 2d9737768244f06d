#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runnel/connect/kafka_source.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "tests/kafka/broker.hpp"

namespace kafka_test {

using namespace runnel;
using namespace std::chrono_literals;

/// A value and where it stood.
struct seen {
    std::string value;
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t offset = 0;
};

/// Makes the record of the stream; text that begins with '!' is bad.
inline seen see(const kafka_record& r) {
    std::string value(r.value.value_or("(none)"));
    if (value.starts_with('!')) throw decode_error("a bad one");
    return {std::move(value), std::string(r.topic), r.partition, r.offset};
}

/// The text of the error that a job ends with, and of those that are nested in it.
inline std::string failure_of(job& j) {
    std::string text;
    const auto add = [&](const std::exception& e, const auto& again) -> void {
        text += std::string(text.empty() ? "" : " <- ") + e.what();
        try {
            std::rethrow_if_nested(e);
        } catch (const std::exception& cause) {
            again(cause, again);
        }
    };
    try {
        j.wait();
    } catch (const std::exception& e) {
        add(e, add);
    }
    return text;
}

/// What a running job has given so far. Thread safety: safe.
class gathered {
public:
    auto sink() {
        return for_each([this](const seen& s) {
            {
                std::lock_guard lock(mutex_);
                all_.push_back(s);
            }
            more_.notify_all();
        });
    }
    /// Waits until there are so many. The job is one that goes on.
    void wait_for(std::size_t count, job& j) {
        std::unique_lock lock(mutex_);
        const auto end = std::chrono::steady_clock::now() + 60s;
        while (all_.size() < count && !j.is_done() && std::chrono::steady_clock::now() < end) more_.wait_for(lock, 100ms);
        INFO("of " << count << " records have come: " << all_.size());
        if (j.is_done()) FAIL("the job has ended: " << failure_of(j));
        REQUIRE(all_.size() >= count);
    }
    std::vector<seen> all() const {
        std::lock_guard lock(mutex_);
        return all_;
    }
    /// Values partition by partition, in the order in which they came.
    std::map<std::string, std::vector<std::string>> by_partition() const {
        std::map<std::string, std::vector<std::string>> values;
        for (const seen& s : all()) values[s.topic + "/" + std::to_string(s.partition)].push_back(s.value);
        return values;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable more_;
    std::vector<seen> all_;
};

/// "FIRST", "FIRST + 1", ...: what `admin::produce_numbers` has written.
inline std::vector<std::string> numbers(int first, int count) {
    std::vector<std::string> all;
    for (int i = first; i < first + count; ++i) all.push_back(std::to_string(i));
    return all;
}

/// A job that reads topics into `into`.
inline job read_into(gathered& into, kafka_topics topics, kafka_source_options options, job_options of_job = {},
                     kafka_cluster from = cluster()) {
    pipeline p{"reader"};
    p.from(from_kafka(std::move(from), std::move(topics), see, std::move(options))).named("topics").to(into.sink());
    return std::move(p).start(of_job);
}

/// Waits until the status of the job's source is as wanted.
template <class F>
operator_status wait_for_status(job& j, F is_so) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    for (;;) {
        operator_status s = j.status().operators.at(0);
        if (is_so(s)) return s;
        if (j.is_done()) FAIL("the job has ended: " << failure_of(j));
        if (std::chrono::steady_clock::now() > end) FAIL("the status is not so in time; trouble: " << s.trouble);
        std::this_thread::sleep_for(5ms);
    }
}

inline void check_contains(const std::string& text, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) {
        INFO(text);
        CHECK(text.find(part) != std::string::npos);
    }
}

}  // namespace kafka_test
