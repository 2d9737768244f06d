#include "runnel/testing/failing_file_system.hpp"

#include <doctest/doctest.h>

#include <string>

#include "runnel/testing/memory_file_system.hpp"

using namespace runnel;
using testing::call_failure;
using testing::failing_file_system;
using testing::memory_file_system;

namespace {

/// Nine calls.
std::string use(file_system& fs) {
    fs.make_directories("/d");
    auto f = fs.open("/d/new", open_mode::create);
    f->append("four");  // the size, and the write
    f->sync();
    fs.rename("/d/new", "/d/old");
    fs.sync_directory("/d");
    char bytes[4];
    f->read(0, bytes, 4);
    fs.remove("/d/old");
    return {bytes, 4};
}

}  // namespace

TEST_CASE("every call is counted, and any one fails as it is told, by name") {
    const char* names[] = {"make folder \"/d\"", "create \"/d/new\"",  "tell the size of \"/d/new\"",
                           "write to \"/d/new\"", "sync \"/d/new\"",    "rename \"/d/new\"",
                           "sync folder \"/d\"",  "read from \"/d/new\"", "remove \"/d/old\""};
    memory_file_system memory;
    failing_file_system counted(memory);
    CHECK(use(counted) == "four");
    CHECK(counted.calls() == 9);
    CHECK(counted.first_failure() == "");
    for (const call_failure how : {call_failure::before, call_failure::halfway, call_failure::afterwards})
        for (std::size_t n = 1; n <= 9; ++n) {
            CAPTURE(n);
            memory_file_system real;
            failing_file_system fs(real, {.first = n, .how = how, .code = ENOSPC});
            try {
                use(fs);
                FAIL("no io_error");
            } catch (const io_error& e) {
                CHECK(e.code() == ENOSPC);
                CHECK(std::string(e.what()) == "cannot " + std::string(names[n - 1]) + ": No space left on device");
            }
            CHECK(fs.first_failure() == names[n - 1]);
            CHECK(fs.calls() == n);
            CHECK(fs.failures() == 1);
            const bool renamed = n > 6 || (n == 6 && how == call_failure::afterwards);
            CHECK(real.exists("/d/old") == (renamed && !(n == 9 && how == call_failure::afterwards)));
            if (n == 4) CHECK(real.get("/d/new") == (how == call_failure::before    ? ""
                                                     : how == call_failure::halfway ? "fo"
                                                                                    : "four"));
        }
}

TEST_CASE("shortened reads and writes are completed by further calls") {
    memory_file_system real;
    failing_file_system fs(real, {.first = 1, .how = call_failure::shortened, .from_then_on = true});
    CHECK(use(fs) == "four");
    CHECK(fs.calls() == 9 + 2 + 2);
    CHECK(fs.failures() == fs.calls());
}

TEST_CASE("calls fail once, or from then on") {
    memory_file_system real;
    failing_file_system fs(real, {.first = 2});
    CHECK_FALSE(fs.exists("/f"));
    CHECK_THROWS_AS(fs.exists("/f"), io_error);
    CHECK_FALSE(fs.exists("/f"));
    fs.restart({.first = 2, .from_then_on = true});
    CHECK(fs.calls() == 0);
    CHECK_FALSE(fs.exists("/f"));
    CHECK_THROWS_AS(fs.exists("/f"), io_error);
    CHECK_THROWS_AS(fs.exists("/f"), io_error);
    CHECK(fs.failures() == 2);
}

TEST_CASE("calls of one name are counted and fail alone") {
    memory_file_system real;
    failing_file_system fs(real, {.first = 1, .from_then_on = true, .only = "sync folder"});
    CHECK_THROWS_WITH_AS(use(fs), "cannot sync folder \"/d\": Input/output error", io_error);
    CHECK(fs.calls() == 1);
    CHECK(real.get("/d/old") == "four");
}

TEST_CASE("a file whose sync failed stays poisoned") {
    memory_file_system real;
    failing_file_system fs(real);
    auto f = fs.open("/f", open_mode::create);
    fs.restart({.first = 1});
    CHECK_THROWS_AS(f->sync(), io_error);
    CHECK_THROWS_WITH_AS(f->sync(),
                         "cannot sync \"/f\": an earlier sync of it failed, so what was written may be lost", io_error);
    CHECK(fs.calls() == 1);
}
