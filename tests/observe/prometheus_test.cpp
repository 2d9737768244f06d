#include "runnel/observe/prometheus.hpp"

#include <doctest/doctest.h>

#include <map>
#include <sstream>

#include "runnel/codec/utf8.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/observe/job_list.hpp"
#include "runnel/observe/metric.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/window/count.hpp"
#include "tests/observe/observed_job.hpp"

using namespace runnel;
using namespace runnel::observe;
using namespace std::chrono_literals;

namespace {

using samples = std::map<std::string, double>;

/// Every sample of a text, by name and labels. Checks what every text must be like on the way.
samples read(const std::string& text) {
    samples all;
    std::istringstream lines(text);
    std::string family;
    std::vector<std::string> families;
    for (std::string line; std::getline(lines, line);) {
        CHECK(is_valid_utf8(line));
        if (line.starts_with("# HELP ")) {
            family = line.substr(7, line.find(' ', 7) - 7);
            CHECK(std::find(families.begin(), families.end(), family) == families.end());
            families.push_back(family);
            continue;
        }
        if (line.starts_with("# TYPE ")) continue;
        CHECK(line.starts_with(family));
        const std::size_t space = line.rfind(' ');
        REQUIRE(space != line.npos);
        CHECK(all.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second);
    }
    return all;
}

double sum_of(const samples& all, const std::string& name, const std::string& label = "") {
    double sum = 0;
    for (const auto& [sample, value] : all)
        if (sample.starts_with(name + "{") && sample.find(label) != sample.npos) sum += value;
    return sum;
}

}  // namespace

TEST_CASE("records, errors and late records are counted per pipeline, operator and subtask") {
    job j = test::observed_job("clicks", 1000, 3);
    j.wait();
    const samples all = read(to_prometheus(j));
    CHECK(sum_of(all, "runnel_records_out_total", "operator=\"numbers\"") == 1000);
    CHECK(sum_of(all, "runnel_records_in_total", "operator=\"counts\"") == 900);
    CHECK(sum_of(all, "runnel_errors_total", "operator=\"picky\",subtask=\"0\",reason=\"process\"") == 100);
    CHECK(sum_of(all, "runnel_late_records_dropped_total", "operator=\"counts\"") == 0);
    CHECK(all.contains(R"(runnel_records_in_total{pipeline="clicks",operator="counts",subtask="2"})"));
    CHECK_FALSE(all.contains(R"(runnel_records_in_total{pipeline="clicks",operator="numbers",subtask="0"})"));
    CHECK(all.at(R"(runnel_job_state{pipeline="clicks",state="finished"})") == 1);
    CHECK(all.at(R"(runnel_job_state{pipeline="clicks",state="running"})") == 0);
    CHECK(sum_of(all, "runnel_busy_seconds_total", "operator=\"numbers\"") > 0);
    // At the end there is no watermark to be behind.
    CHECK(sum_of(all, "runnel_watermark_lag_seconds") == 0);
    CHECK(all.at(R"(runnel_latency_seconds_count{pipeline="clicks",operator="out"})") > 0);
}

TEST_CASE("buckets of a histogram add up, and the last one counts all") {
    job_status s;
    s.name = "x";
    s.checkpoints.durations.record(1us);
    s.checkpoints.durations.record(3us);
    s.checkpoints.durations.record(3ms);
    s.checkpoints.durations.record(1h);
    const samples all = read(to_prometheus({s}));
    const std::string name = R"(runnel_checkpoint_duration_seconds_bucket{pipeline="x",le=")";
    CHECK(all.at(name + "1e-06\"}") == 1);
    CHECK(all.at(name + "2e-06\"}") == 1);
    CHECK(all.at(name + "4e-06\"}") == 2);
    CHECK(all.at(name + "0.004096\"}") == 3);
    CHECK(all.at(name + "33.554432\"}") == 3);
    CHECK(all.at(name + "+Inf\"}") == 4);
    CHECK(all.at(R"(runnel_checkpoint_duration_seconds_count{pipeline="x"})") == 4);
    CHECK(all.at(R"(runnel_checkpoint_duration_seconds_sum{pipeline="x"})") == doctest::Approx(3600.003004));
}

TEST_CASE("names are escaped, and what is no UTF-8 becomes the replacement character") {
    job_status s;
    s.name = "a\\b\"c\nd\xFF{}";
    s.operators.resize(1);
    s.operators[0].name = "\"} 1\n# HELP";
    s.operators[0].subtasks.resize(1);
    const samples all = read(to_prometheus({s}));
    CHECK(all.contains("runnel_job_uptime_seconds{pipeline=\"a\\\\b\\\"c\\nd\xEF\xBF\xBD{}\"}"));
    CHECK(sum_of(all, "runnel_busy_seconds_total", R"(operator="\"} 1\n# HELP")") == 0);
    CHECK(all.contains("runnel_busy_seconds_total{pipeline=\"a\\\\b\\\"c\\nd\xEF\xBF\xBD{}\",operator=\"\\\"} 1\\n# HELP\","
                       "subtask=\"0\"}"));
}

TEST_CASE("watermark lag is processing time minus event time; held event time tells since when") {
    job_status s;
    s.name = "x";
    s.at = timestamp(100s);
    s.operators.resize(1);
    s.operators[0].name = "o";
    s.operators[0].subtasks.resize(4);
    s.operators[0].subtasks[1].watermark = timestamp(97'500ms);
    s.operators[0].subtasks[1].held_by = "split";
    s.operators[0].subtasks[1].held_since = timestamp(90s);
    s.operators[0].subtasks[2].watermark = timestamp::max();
    const samples all = read(to_prometheus({s}));
    const std::string labels = R"({pipeline="x",operator="o",subtask="1"})";
    CHECK(all.at("runnel_watermark_timestamp_seconds" + labels) == 97.5);
    CHECK(all.at("runnel_watermark_lag_seconds" + labels) == 2.5);
    CHECK(all.at("runnel_watermark_stalled_seconds" + labels) == 10);
    s.operators[0].subtasks[3].held_by = "never spoke";
    s.operators[0].subtasks[3].held_since = timestamp(40s);
    CHECK(read(to_prometheus({s})).at(R"(runnel_watermark_stalled_seconds{pipeline="x",operator="o",subtask="3"})") == 60);
    for (const char* other : {"0", "2", "3"})
        CHECK_FALSE(all.contains(std::string(R"(runnel_watermark_lag_seconds{pipeline="x",operator="o",subtask=")") +
                                 other + "\"}"));
}

TEST_CASE("of jobs with one name each is told apart") {
    job_status s;
    s.name = "twin";
    const samples all = read(to_prometheus({s, s, s}));
    for (const char* name : {"twin", "twin#2", "twin#3"})
        CHECK(all.contains(std::string("runnel_job_uptime_seconds{pipeline=\"") + name + "\"}"));
}

TEST_CASE("without jobs there are families without samples, and a visitor sees what the text has") {
    CHECK(read(to_prometheus(std::vector<job_status>())).empty());
    job j = test::observed_job("clicks", 100, 2);
    j.wait();
    const std::vector<job_status> jobs{j.status()};
    std::size_t plain = 0, histograms = 0;
    visit_metrics(jobs, [&](const metric& m) {
        CHECK(m.labels.at(0).first == "pipeline");
        CHECK(m.labels.at(0).second == "clicks");
        CHECK((m.kind == metric_kind::histogram) == (m.counts != nullptr));
        ++(m.counts ? histograms : plain);
    });
    CHECK(read(to_prometheus(jobs)).size() == plain + histograms * (duration_counts::bound_count + 3));
}

TEST_CASE("a list shows jobs that are gone as they were, until another takes the name") {
    job_list list;
    {
        job first = test::observed_job("a", 10, 1);
        list.add(first);
        list.add(first);
        first.wait();
    }
    REQUIRE(list.statuses().size() == 1);
    CHECK(list.statuses()[0].operators[0].records_out == 10);
    job second = test::observed_job("a", 20, 1);
    job twin = test::observed_job("a", 30, 1);
    list.add(second);
    list.add(twin);
    second.wait();
    twin.wait();
    REQUIRE(list.statuses().size() == 2);
    CHECK(list.statuses()[0].operators[0].records_out == 20);
    CHECK(list.statuses()[1].operators[0].records_out == 30);
    for (int i = 0; i < 40; ++i) {
        job j = test::observed_job("job " + std::to_string(i), 1, 1);
        list.add(j);
        j.wait();
    }
    CHECK(list.statuses().size() <= 2 + 18);
    CHECK(list.statuses().back().name == "job 39");
}
