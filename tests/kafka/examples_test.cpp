#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "tests/core/temporary_folder.hpp"
#include "tests/kafka/broker.hpp"

namespace {

/// The lines that an example prints, sorted; it runs in `folder`.
std::vector<std::string> lines_of(const std::string& folder, const std::string& example, const std::string& what = "") {
    const std::string command = "cd '" + folder + "' && '" + RUNNEL_EXAMPLES_FOLDER "/" + example + "' '" +
                                kafka_test::cluster().brokers + "' " + what;
    std::FILE* const out = ::popen(command.c_str(), "r");
    REQUIRE(out != nullptr);
    std::string text;
    char bytes[4096];
    for (std::size_t n = 0; (n = std::fread(bytes, 1, sizeof bytes, out)) != 0;) text.append(bytes, n);
    CHECK(::pclose(out) == 0);
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    std::sort(lines.begin(), lines.end());
    return lines;
}

}  // namespace

TEST_CASE("the example of clicks counts them per user in 10 s, and a replay from the start prints the same") {
    kafka_test::admin a;
    a.create("clicks", 2);
    const test::temporary_folder folder;
    CHECK(lines_of(folder.path(), "kafka_clicks", "--click").empty());
    const std::vector<std::string> expected{"ann [1970-01-01T00:00:00Z, 1970-01-01T00:00:10Z) 2",
                                            "ann [1970-01-01T00:00:10Z, 1970-01-01T00:00:20Z) 1",
                                            "bob [1970-01-01T00:00:00Z, 1970-01-01T00:00:10Z) 2",
                                            "eve [1970-01-01T00:00:30Z, 1970-01-01T00:00:40Z) 1"};
    CHECK(lines_of(folder.path(), "kafka_clicks") == expected);
    CHECK(lines_of(folder.path(), "kafka_clicks") == expected);
}

TEST_CASE("the example of card fraud writes each alert once, however often it is started") {
    kafka_test::admin a;
    a.create("payments", 2);
    a.create("alerts", 1);
    const test::temporary_folder folder;
    CHECK(lines_of(folder.path(), "kafka_fraud", "--pay").empty());
    for (int run = 0; run < 2; ++run) {
        CHECK(lines_of(folder.path(), "kafka_fraud", "--until-now").empty());
        std::vector<std::string> alerts;
        for (const auto& r : kafka_test::records_in("alerts")) alerts.push_back(r.value.value_or("none"));
        std::sort(alerts.begin(), alerts.end());
        CHECK(alerts == std::vector<std::string>{R"({"card":"1234","amount":800})", R"({"card":"4711","amount":900})"});
    }
}
