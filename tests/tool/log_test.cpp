#include <doctest/doctest.h>

#include <string>

#include "runnel/log/log_folder.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "tests/tool/run.hpp"

using namespace runnel;
using runnel::testing::memory_file_system;
using test::outcome;
using test::run;

namespace {

/// A topic of two partitions: three records in the first.
void write_log(file_system& fs) {
    log_folder log("/log", {.files = &fs});
    log_writer w = log.topic("clicks", {.partitions = 2}).writer(0);
    w.append({.time = timestamp(1'700'000'000'000'000'000), .key = "ann", .value = "/"});
    w.append({.time = timestamp(0), .key = "bob"});
    const log_header header{"from", "\x1b[2J"};
    w.append({.time = timestamp(1), .value = "line\n", .headers = {&header, 1}});
    w.flush();
}

}  // namespace

TEST_CASE("the tool lists the topics of a log, and verifies them") {
    memory_file_system fs;
    write_log(fs);
    const outcome o = run(fs, {"topics", "/log"});
    CHECK(o.err == "");
    CHECK(o.out == R"(topic 'clicks', 2 partitions
  0: offsets 0 to 3, 3 records, 12 bytes of keys and values, times 1970-01-01T00:00:00Z to 2023-11-14T22:13:20Z: verified
  1: offsets 0 to 0, 0 records: verified
)");
    CHECK(o.code == 0);
    CHECK(run(fs, {"topics", "/log", "clicks"}).out == o.out);
}

TEST_CASE("the tool prints records, from an offset on, as many as asked") {
    memory_file_system fs;
    write_log(fs);
    const std::string all = R"(0 2023-11-14T22:13:20Z 'ann' '/'
1 1970-01-01T00:00:00Z 'bob' deleted
2 1970-01-01T00:00:00.000000001Z without-key 'line\x0a' 'from'='\x1b[2J'
)";
    CHECK(run(fs, {"records", "/log", "clicks", "0"}).out == all);
    CHECK(run(fs, {"records", "/log", "clicks", "0", "2"}).out == all.substr(all.find("2 19")));
    CHECK(run(fs, {"records", "/log", "clicks", "0", "0", "1"}).out == all.substr(0, all.find("1 19")));
    CHECK(run(fs, {"records", "/log", "clicks", "1"}).out == "");
    CHECK(run(fs, {"records", "/log", "clicks", "0", "0", "0"}).out == "");
}

TEST_CASE("the tool says what is undecided, damaged or missing in a log") {
    memory_file_system fs;
    write_log(fs);
    {
        log_writer w = log_folder("/log", {.files = &fs}).topic("clicks").writer(1);
        log_transaction t = w.begin("sink");
        t.append({.time = timestamp(5), .value = "held back"});
        t.prepare(1);
    }
    const outcome undecided = run(fs, {"topics", "/log"});
    CHECK(undecided.code == 0);
    CHECK(undecided.out.find("0 records, undecided from offset 1 on: verified up to there") != std::string::npos);

    const std::string segment = "/log/clicks/0/00000000000000000000.log";
    std::string bytes = fs.get(segment);
    bytes[bytes.size() - 3] ^= 1;
    fs.put(segment, bytes);
    const outcome damaged = run(fs, {"topics", "/log"});
    CHECK(damaged.code == 1);
    CHECK(damaged.out.find("  0: CANNOT BE READ: \"" + segment + "\": at byte ") != std::string::npos);
    CHECK(damaged.out.find("  1: offsets") != std::string::npos);
    CHECK(run(fs, {"records", "/log", "clicks", "0"}).code == 1);
    fs.put("/log/clicks/topic", "?");
    CHECK(run(fs, {"topics", "/log"}).out.find("topic 'clicks', CANNOT BE READ: \"/log/clicks/topic\"") == 0);

    CHECK(run(fs, {"records", "/log", "orders", "0"}).code == 1);
    CHECK(run(fs, {"records", "/log", "clicks", "7"}).code == 1);
    CHECK(run(fs, {"topics", "/none"}).code == 1);
    fs.make_directories("/empty");
    CHECK(run(fs, {"topics", "/empty"}).out == "there is no topic in \"/empty\"\n");
    CHECK(run(fs, {"topics"}).code == 2);
    CHECK(run(fs, {"records", "/log", "clicks"}).code == 2);
    CHECK(run(fs, {"records", "/log", "clicks", "0", "-1"}).code == 2);
}

TEST_CASE("the tool copies what can be read of a damaged topic into a new log, and says what is lost") {
    memory_file_system fs;
    write_log(fs);
    const outcome whole = run(fs, {"repair", "/log", "clicks", "/whole"});
    CHECK(whole.out == "topic 'clicks', 2 partitions, copied to \"/whole\": 3 records, 12 bytes of keys and values\n"
                       "  nothing is lost\n");
    CHECK(whole.code == 0);
    CHECK(run(fs, {"topics", "/whole"}).out == run(fs, {"topics", "/log"}).out);

    {
        log_writer w = log_folder("/log", {.files = &fs}).topic("clicks").writer(0);
        w.append({.time = timestamp(7), .value = "last"});
    }
    const std::string segment = "/log/clicks/0/00000000000000000000.log";
    std::string bytes = fs.get(segment);
    bytes[70] ^= 1;
    fs.put(segment, bytes);
    const outcome repaired = run(fs, {"repair", "/log", "clicks", "/copy"});
    CHECK(repaired.code == 1);
    CHECK(repaired.out == "topic 'clicks', 2 partitions, copied to \"/copy\": 1 record, 4 bytes of keys and values\n"
                          "  LOST in partition 0: offsets 0 to 2, 144 bytes at byte 64 of \"" + segment +
                              "\": here is no batch of records that is whole\n");
    CHECK(fs.get(segment) == bytes);
    CHECK(run(fs, {"records", "/copy", "clicks", "0"}).out == "3 1970-01-01T00:00:00.000000007Z without-key 'last'\n");
    CHECK(run(fs, {"topics", "/copy"}).code == 0);

    CHECK(run(fs, {"repair", "/log", "clicks", "/copy"}).err.find("runnel repair: there is something at") == 0);
    CHECK(run(fs, {"repair", "/log", "orders", "/copy"}).code == 1);
    CHECK(run(fs, {"repair", "/log", "clicks"}).code == 2);
}
