#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "runnel/checkpoint/checkpoint_store.hpp"
#include "runnel/testing/failing_file_system.hpp"
#include "runnel/testing/memory_file_system.hpp"

#include "tests/checkpoint/changing_state.hpp"
#include "tests/core/temporary_folder.hpp"

using namespace runnel;
using namespace runnel::testing;

namespace {

const std::string folder = "/jobs/a";

}  // namespace

TEST_CASE("a checkpoint that failed may be tried again under its number, though it may come back when power fails") {
    memory_file_system disk;
    failing_file_system fs(disk);
    checkpoint_store store(fs, folder);
    test::changing_state state(5);
    checkpoint first = state.next();
    store.write(first);
    checkpoint failed = state.next();
    failed.extra["try"] = "first";
    failed.operators.push_back({"sum", "", 1, {{}, {{"sums", {"first"}}}, {}, {}}});
    checkpoint again = failed;
    again.extra["try"] = "second";
    again.operators.back().state.local["sums"] = {"second, and longer"};
    // The manifest has its name, but it is not durable, and neither is its removal.
    fs.restart({.first = 2, .from_then_on = true, .only = "sync folder"});
    CHECK_THROWS_AS(store.write(failed), io_error);
    CHECK(newest_checkpoint(disk, folder) == first.id);
    const std::size_t begin = disk.operations();
    bool has_come_back = false;
    const auto check_images = [&](std::size_t end) {
        for (std::size_t n = begin; n <= end; ++n)
            for (std::uint64_t seed = 0; seed < 100; ++seed) {
                const auto image = disk.crash_image(n, survivors::some, seed);
                const auto newest = newest_checkpoint(*image, folder);
                REQUIRE(newest >= first.id);
                const checkpoint c = read_checkpoint(*image, folder, *newest);
                CHECK((c == first || c == failed || c == again));
                has_come_back |= c == failed;
            }
    };
    check_images(begin);
    CHECK(has_come_back);
    fs.restart({});
    store.write(again);
    CHECK(store.read(again.id) == again);
    check_images(disk.operations());
}

TEST_CASE("whatever call fails while a checkpoint is read, it is read right or not at all") {
    memory_file_system disk;
    test::changing_state state(11);
    checkpoint c;
    {
        checkpoint_store store(disk, folder);
        for (int i = 0; i < 12; ++i) store.write(c = state.next());
    }
    failing_file_system fs(disk);
    CHECK(read_checkpoint(fs, folder, c.id) == c);
    const std::size_t calls = fs.calls();
    for (const call_failure how : {call_failure::before, call_failure::halfway, call_failure::afterwards})
        for (std::size_t n = 1; n <= calls; ++n) {
            CAPTURE(n);
            fs.restart({.first = n, .how = how});
            CHECK_THROWS_AS(read_checkpoint(fs, folder, c.id), io_error);
        }
    fs.restart({.first = 1, .how = call_failure::shortened, .from_then_on = true});
    CHECK(read_checkpoint(fs, folder, c.id) == c);
    CHECK(fs.calls() > calls);
}

TEST_CASE("a process that was killed keeps no lock, and its checkpoint stays") {
    const test::temporary_folder place;
    test::changing_state state(1);
    const checkpoint c = state.next();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        checkpoint_store store(default_file_system(), place / "job");
        store.write(c);
        ::raise(SIGKILL);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    checkpoint_store store(default_file_system(), place / "job");
    CHECK(store.newest() == c.id);
    CHECK(store.read(c.id) == c);
}
