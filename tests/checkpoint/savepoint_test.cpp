#include "runnel/checkpoint/savepoint.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "runnel/checkpoint/checkpoint_store.hpp"
#include "runnel/testing/failing_file_system.hpp"
#include "runnel/testing/memory_file_system.hpp"

#include "tests/checkpoint/changing_state.hpp"
#include "tests/core/temporary_folder.hpp"

using namespace runnel;
using namespace runnel::testing;

namespace {

template <class F>
std::string failure(F f) {
    try {
        f();
    } catch (const checkpoint_error& e) {
        return e.what();
    }
    FAIL("no checkpoint_error");
    return {};
}

/// Checkpoint `n` of a made-up job, as a savepoint has it.
checkpoint savepoint(std::size_t n) {
    test::changing_state state(3);
    for (; n > 1; --n) state.next();
    checkpoint c = state.next();
    c.is_savepoint = true;
    return c;
}

}  // namespace

TEST_CASE("a savepoint that was moved, copied or renamed restores") {
    const test::temporary_folder folder;
    file_system& fs = default_file_system();
    const checkpoint c = savepoint(20);
    write_savepoint(fs, folder / "a/b", c);
    CHECK(read_savepoint(fs, folder / "a/b") == c);
    std::filesystem::copy(folder / "a/b", folder / "copy");
    std::filesystem::remove_all(folder / "a");
    fs.rename(folder / "copy", folder / "moved");
    CHECK(read_savepoint(fs, folder / "moved") == c);
}

TEST_CASE("equal state gives equal savepoints, wherever and by whomever they are written") {
    memory_file_system one, other;
    write_savepoint(one, "/somewhere/deep", savepoint(20));
    checkpoint_store store(other, "/job");
    for (std::size_t i = 1; i <= 20; ++i) store.write(savepoint(i));
    write_savepoint(other, "/x", store.read(20));
    CHECK(one.get("/somewhere/deep/manifest-20") == other.get("/x/manifest-20"));
    CHECK(one.get("/somewhere/deep/data-20") == other.get("/x/data-20"));
    CHECK(one.files().size() == 2);
    CHECK(one.get("/somewhere/deep/manifest-20").find("somewhere") == std::string::npos);
}

TEST_CASE("what is read as a savepoint is one, and a folder of checkpoints gives its newest") {
    memory_file_system fs;
    checkpoint c = savepoint(2);
    c.is_savepoint = false;
    write_savepoint(fs, "/s", c);
    CHECK(read_savepoint(fs, "/s").is_savepoint);
    checkpoint_store store(fs, "/job");
    store.write(c);
    CHECK(read_savepoint(fs, "/job") == c);
}

TEST_CASE("a folder that holds anything is refused, and so is one that holds no savepoint") {
    memory_file_system fs;
    fs.make_directories("/full");
    fs.put("/full/x", "");
    CHECK(failure([&] { write_savepoint(fs, "/full", savepoint(1)); }) ==
          "cannot write a savepoint to \"/full\": the folder is not empty. Name one that is, or that does not exist");
    CHECK(failure([&] { read_savepoint(fs, "/full"); }) ==
          "there is no savepoint or checkpoint in \"/full\": it holds no complete manifest. Give the folder that one "
          "was written to");
    CHECK(failure([&] { read_savepoint(fs, "/none"); }) ==
          "there is no savepoint or checkpoint in \"/none\": there is no such folder. Give the folder that one was "
          "written to");
    fs.make_directories("/empty");
    write_savepoint(fs, "/empty", savepoint(1));
    CHECK(read_savepoint(fs, "/empty") == savepoint(1));
}

TEST_CASE("a savepoint that failed can be tried again in the same folder, and a crash leaves all or none of it") {
    memory_file_system counted;
    failing_file_system calls(counted);
    write_savepoint(calls, "/d/s", savepoint(20));
    for (std::size_t n = 1; n <= calls.calls(); ++n) {
        memory_file_system fs;
        failing_file_system failing(fs, {.first = n});
        CAPTURE(n);
        CHECK_THROWS_AS(write_savepoint(failing, "/d/s", savepoint(20)), io_error);
        CHECK(newest_checkpoint(fs, "/d/s") == std::nullopt);
        write_savepoint(fs, "/d/s", savepoint(20));
        CHECK(read_savepoint(fs, "/d/s") == savepoint(20));
    }
    for (std::size_t n = 0; n <= counted.operations(); ++n)
        for (std::uint64_t seed = 0; seed < 50; ++seed) {
            const auto image = counted.crash_image(n, seed == 0   ? survivors::none
                                                      : seed == 1 ? survivors::all
                                                      : seed == 2 ? survivors::names
                                                      : seed == 3 ? survivors::contents
                                                                  : survivors::some,
                                                   seed);
            if (newest_checkpoint(*image, "/d/s") || n == counted.operations())
                CHECK(read_savepoint(*image, "/d/s") == savepoint(20));
        }
}
