#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "runnel/checkpoint/checkpoint_store.hpp"
#include "runnel/checkpoint/savepoint.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "tests/support/hooked_files.hpp"
#include "tests/tool/run.hpp"

using namespace runnel;
using runnel::testing::memory_file_system;
using test::outcome;
using test::run;

namespace {

checkpoint clicks() {
    checkpoint c{7, "clicks", 128, timestamp(1'700'000'000'000'000'000), false, {}, {}};
    c.operators.push_back({"read", "source", 1, {{}, {{"positions", {"12345"}}}, {}, {}}});
    c.operators.push_back({"count", "", 4, {{{"sums", {{0, "1234"}, {9, std::string(2000, 'x')}}}}, {}, {}, {}}});
    c.operators[1].state.keys["sums"] = 1003;
    c.operators.push_back({"nothing", "map", 2, {}});
    return c;
}

}  // namespace

TEST_CASE("the tool lists what checkpoints hold, and verifies them") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    checkpoint c = clicks();
    store.write(c);
    c.id = 8;
    c.operators[1].state.keyed["sums"][0] = "9876";
    store.write(c);
    const outcome all = run(fs, {"checkpoints", "/a"});
    CHECK(all.code == 0);
    CHECK(all.err == "");
    CHECK(all.out == R"(checkpoint 7 of job 'clicks', taken 2023-11-14T22:13:20Z, 128 key groups, 2,009 bytes
  'read' ('source'), parallelism 1
    'positions', local, 1 entry, 5 bytes
  'count', parallelism 4
    'sums', keyed, 1,003 keys in 2 key groups, 2,004 bytes
  'nothing' ('map'), parallelism 2, no state
  verified
checkpoint 8 of job 'clicks', taken 2023-11-14T22:13:20Z, 128 key groups, 2,009 bytes, 4 of them new
  'read' ('source'), parallelism 1
    'positions', local, 1 entry, 5 bytes
  'count', parallelism 4
    'sums', keyed, 1,003 keys in 2 key groups, 2,004 bytes
  'nothing' ('map'), parallelism 2, no state
  verified
)");
    const outcome one = run(fs, {"checkpoints", "/a", "8"});
    CHECK(one.code == 0);
    CHECK(one.out == all.out.substr(all.out.find("checkpoint 8")));
    write_savepoint(fs, "/s", c);
    CHECK(run(fs, {"checkpoints", "/s"}).out.starts_with("savepoint 8 of job 'clicks'"));
}

TEST_CASE("the tool names what is damaged, and ends with 1") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    checkpoint c = clicks();
    for (c.id = 1; c.id <= 3; ++c.id) {
        c.operators[0].state.local["positions"][0] = std::to_string(c.id);
        store.write(c);
    }
    std::string bytes = fs.get("/a/data-2");
    bytes.back() ^= 1;
    fs.put("/a/data-2", bytes);
    fs.put("/a/manifest-3", "?");
    const outcome all = run(fs, {"checkpoints", "/a"});
    CHECK(all.code == 1);
    CHECK(all.out.find("  verified\ncheckpoint 2 of") != std::string::npos);
    CHECK(all.out.find("  CANNOT BE RESTORED: \"/a/data-2\" is damaged at byte 24: state 'positions' of operator 'read', "
                       "entry 0, does not have its checksum.") != std::string::npos);
    CHECK(all.out.find("checkpoint 3\n  CANNOT BE RESTORED: \"/a/manifest-3\" is not") != std::string::npos);
    CHECK(all.out.ends_with("\n2 of 3 cannot be restored\n"));
    CHECK(run(fs, {"checkpoints", "/a", "1"}).code == 0);
}

TEST_CASE("the tool leaves out what the job removes meanwhile") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    checkpoint c = clicks();
    store.write(c);
    c.id = 8;
    c.operators.pop_back();
    store.write(c);
    tests::hooked_files seen(fs);
    int data_files = 0;
    seen.before_open = [&](const std::string& path) {
        if (path.find("data-") == std::string::npos || ++data_files != 1) return;
        // After its manifest was read, and before its data is.
        fs.remove("/a/manifest-7");
        fs.put(path, "");
    };
    const outcome o = run(seen, {"checkpoints", "/a", "7"});
    CHECK(o.out == "");
    CHECK(o.code == 0);
}

TEST_CASE("the tool says what is not there") {
    memory_file_system fs;
    fs.make_directories("/empty");
    CHECK(run(fs, {"checkpoints", "/empty"}).code == 1);
    CHECK(run(fs, {"checkpoints", "/empty"}).out == "there is no complete checkpoint or savepoint in \"/empty\"\n");
    CHECK(run(fs, {"checkpoints", "/none"}).code == 1);
    CHECK(run(fs, {"checkpoints", "/none"}).err ==
          "runnel checkpoints: cannot list folder \"/none\": No such file or directory\n");
    checkpoint_store(fs, "/a").write(clicks());
    CHECK(run(fs, {"checkpoints", "/a", "6"}).err ==
          "runnel checkpoints: there is no checkpoint 6 in \"/a\", but 7. Name one that is there\n");
}

TEST_CASE("the tool tells how it is used when it is asked wrongly") {
    memory_file_system fs;
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{}, {"check"}, {"checkpoints"}, {"checkpoints", "/a", "x"}, {"checkpoints", "/a", "1", "2"}}) {
        const outcome o = run(fs, arguments);
        CHECK(o.code == 2);
        CHECK(o.out == "");
        CHECK(o.err.find("usage: runnel ") != std::string::npos);
    }
    CHECK(run(fs, {"help"}).code == 0);
    CHECK(run(fs, {"help"}).out.find("runnel checkpoints FOLDER") != std::string::npos);
    CHECK(run(fs, {"--version"}).out == "runnel 1.2.3\n");
}

TEST_CASE("the tool prints names that would upset a terminal as numbers") {
    memory_file_system fs;
    checkpoint c = clicks();
    c.job = "\x1b[2Jclicks\n";
    checkpoint_store(fs, "/a").write(c);
    CHECK(run(fs, {"checkpoints", "/a"}).out.starts_with("checkpoint 7 of job '\\x1b[2Jclicks\\x0a', taken"));
}
