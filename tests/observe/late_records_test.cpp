// What can be seen of records that are dropped as late, of bytes, and of how far a source is behind.
#include <doctest/doctest.h>

#include <algorithm>
#include <boost/describe.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runnel/graph/pipeline.hpp"
#include "runnel/observe/prometheus.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/window/count.hpp"
#include "src/observe/page_site.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct visit {
    std::string user;
    int page = 0;
};
BOOST_DESCRIBE_STRUCT(visit, (), (user, page))

/// Has no text.
struct sealed {
    std::variant<int, std::string> what;
};
BOOST_DESCRIBE_STRUCT(sealed, (), (what))

/// One record on time, then `late` of an hour before, which are dropped.
template <class T>
job_status with_late(int late, const T& value) {
    std::vector<std::pair<T, timestamp>> all{{value, timestamp(2h)}};
    for (int i = 0; i < late; ++i) all.emplace_back(value, timestamp(1h) + std::chrono::milliseconds(i));
    pipeline p{"late"};
    p.from(timed_collection<T>(std::move(all)))
        .event_time(monotonous())
        .key_by([](const T&) { return 1; })
        .window(tumbling(1s).drop_late())
        .aggregate(count())
        .named("counts")
        .to(null_sink());
    job j = std::move(p).start();
    j.wait();
    return j.status();
}

}  // namespace

TEST_CASE("of late records some are shown, with value, time and watermark: the first, second, fourth, eighth ...") {
    const job_status s = with_late(100, visit{"ann", 7});
    const auto is_it = [](const operator_status& o) { return o.name == "counts"; };
    CHECK(std::find_if(s.operators.begin(), s.operators.end(), is_it)->late_dropped == 100);
    REQUIRE(s.late_records.size() == 7);
    CHECK(s.late_records[3].where == "counts");
    CHECK(s.late_records[3].why == "late at 1970-01-01T01:00:00.007Z, watermark 1970-01-01T01:59:59.999999999Z: all windows "
                                   "of the record's time were cleared before it came");
    CHECK(s.late_records[3].raw == R"({"user":"ann","page":7})");
    CHECK(s.bad_records.empty());
    const std::string json = observe::detail::to_json({s});
    CHECK(json.find(R"("late_records":[{"where":"counts","why":"late at 1970-01-01T01:00:00Z)") != std::string::npos);
}

TEST_CASE("at most sixteen late records are shown, and a type without a text shows none") {
    CHECK(with_late(70'000, std::string(1000, 'x')).late_records.size() == 16);
    const job_status s = with_late(3, sealed{});
    REQUIRE(s.late_records.size() == 2);
    CHECK(s.late_records[0].raw.empty());
}

TEST_CASE("trouble of sources and sinks is told, bytes and lag where they are known") {
    job_status s;
    s.name = "x";
    s.operators.resize(3);
    s.operators[0].name = "in";
    s.operators[0].subtasks.resize(2);
    s.operators[0].subtasks[1].bytes = 70;
    s.operators[0].lag = 5;
    s.operators[0].lag_by_split = {{"clicks/0", 2}, {"clicks/1", 3}};
    s.operators[1].name = "out";
    s.operators[1].kind = "sink";
    s.operators[1].trouble = "cannot reach it";
    s.operators[1].inputs = {0};
    s.operators[1].subtasks.resize(1);
    s.operators[1].subtasks[0].bytes = 0;
    s.operators[2].name = "other";
    s.operators[2].inputs = {0};
    s.operators[2].subtasks.resize(1);
    std::vector<std::string> found;
    const std::string text = observe::to_prometheus(std::vector{s});
    for (const char* family : {"runnel_in_trouble", "runnel_bytes_in_total", "runnel_bytes_out_total",
                               "runnel_source_lag_records", "runnel_split_lag_records"})
        for (std::size_t at = 0; (at = text.find("\n" + std::string(family) + "{", at)) != text.npos; ++at)
            found.push_back(text.substr(at + 1, text.find('\n', at + 1) - at - 1));
    CHECK(observe::detail::to_json({s}).find(R"("trouble":"cannot reach it")") != std::string::npos);
    CHECK(found == std::vector<std::string>{R"(runnel_in_trouble{pipeline="x",operator="in"} 0)",
                                            R"(runnel_in_trouble{pipeline="x",operator="out"} 1)",
                                            R"(runnel_bytes_in_total{pipeline="x",operator="in",subtask="1"} 70)",
                                            R"(runnel_bytes_out_total{pipeline="x",operator="out",subtask="0"} 0)",
                                            R"(runnel_source_lag_records{pipeline="x",operator="in"} 5)",
                                            R"(runnel_split_lag_records{pipeline="x",operator="in",split="clicks/0"} 2)",
                                            R"(runnel_split_lag_records{pipeline="x",operator="in",split="clicks/1"} 3)"});
}
