#include "runnel/connect/files.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "runnel/connect/lines.hpp"
#include "tests/connect/drive.hpp"
#include "tests/core/temporary_folder.hpp"

using namespace runnel;

namespace {

struct pipe_ends {
    int read = -1, write = -1;
    pipe_ends() {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        read = ends[0];
        write = ends[1];
    }
    ~pipe_ends() {
        ::close(read);
        close_write();
    }
    void send(const std::string& bytes) const {
        for (std::size_t done = 0; done < bytes.size();) {
            const auto n = ::write(write, bytes.data() + done, bytes.size() - done);
            REQUIRE(n > 0);
            done += static_cast<std::size_t>(n);
        }
    }
    void close_write() {
        if (write >= 0) ::close(write);
        write = -1;
    }
};

}  // namespace

TEST_CASE("a missing file and a folder are found before the job starts") {
    const test::temporary_folder folder;
    CHECK_THROWS_WITH_AS(text_lines(folder / "none").splits(),
                         ("cannot open \"" + folder / "none" + "\": No such file or directory").c_str(), io_error);
    CHECK_THROWS_WITH_AS(text_lines(folder.path()).splits(),
                         ("cannot open \"" + folder.path() + "\": Is a directory").c_str(), io_error);
}

TEST_CASE("a file that is shorter than the saved position is refused") {
    const test::temporary_folder folder;
    auto lines = text_lines(folder.write("f", "one\ntwo\nthree\n"));
    test::driver<std::string> d(lines);
    d.run();
    const std::string position = d.position();
    folder.write("f", "one\n");
    CHECK_THROWS_WITH_AS(lines.open("0", &position, {}),
                         ("cannot go on reading \"" + folder / "f" +
                          "\" at byte 14: it has only 4 bytes, so it is not the file that was read before")
                             .c_str(),
                         io_error);
}

TEST_CASE("lines of a pipe come as they are written, and its end is the end") {
    pipe_ends pipe;
    auto lines = text_lines(standard_input(pipe.read, "the pipe"));
    CHECK(lines.name() == "text_lines the pipe");
    test::driver<std::string> d(lines);
    pipe.send("one\ntw");
    d.read(1);
    CHECK(d.values == std::vector<std::string>{"one"});
    pipe.send("o\n");
    d.read(2);
    pipe.send("last");
    pipe.close_write();
    d.run();
    CHECK(d.values == std::vector<std::string>{"one", "two", "last"});
    CHECK(d.bad.empty());
}

TEST_CASE("much data through a pipe arrives complete while reader and writer take turns") {
    pipe_ends pipe;
    std::thread writer([&] {
        for (int i = 0; i < 20'000; ++i) pipe.send(std::to_string(i) + "\n");
        pipe.close_write();
    });
    auto lines = text_lines(standard_input(pipe.read, "pipe"));
    test::driver<std::string> d(lines, nullptr, 512);
    d.run();
    writer.join();
    REQUIRE(d.values.size() == 20'000);
    for (int i = 0; i < 20'000; ++i) REQUIRE(d.values[static_cast<std::size_t>(i)] == std::to_string(i));
}

TEST_CASE("a regular file on the descriptor is read too") {
    const test::temporary_folder folder;
    const std::string path = folder.write("f", "one\ntwo");
    std::FILE* const f = std::fopen(path.c_str(), "r");
    REQUIRE(f);
    auto lines = text_lines(standard_input(::fileno(f), "redirected"));
    test::driver<std::string> d(lines);
    d.run();
    std::fclose(f);
    CHECK(d.values == std::vector<std::string>{"one", "two"});
}

TEST_CASE("destroying a reader that waits for a silent pipe returns") {
    pipe_ends pipe;
    auto lines = text_lines(standard_input(pipe.read, "pipe"));
    for (int round = 0; round < 50; ++round) {
        test::driver<std::string> d(lines);
        batch<std::string> b;
        if (round % 2 == 0) {
            auto reader = lines.open("0", nullptr, {.wake = [] {}, .bad_record = {}, .clock = nullptr});
            CHECK(reader->poll(b, 10).what == poll_result::kind::wait);
        }
    }
}

TEST_CASE("a closed descriptor is an error with the system's reason") {
    auto lines = text_lines(standard_input(987, "nothing"));
    test::driver<std::string> d(lines);
    CHECK_THROWS_WITH_AS(d.run(), "cannot read \"nothing\": Bad file descriptor", io_error);
}

TEST_CASE("what came through a pipe cannot be read again, so a position is refused") {
    auto lines = text_lines(standard_input());
    const std::string position;
    CHECK_THROWS_WITH_AS(lines.open("0", &position, {}),
                         "text_lines standard input cannot be read again, so a job that reads it cannot go on from a "
                         "checkpoint. Start it without one, or read a file or a log instead",
                         error);
}
