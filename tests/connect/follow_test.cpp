#include "runnel/connect/follow.hpp"

#include <doctest/doctest.h>

#include <boost/describe/class.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>

#include "runnel/connect/csv_lines.hpp"
#include "runnel/connect/lines.hpp"
#include "runnel/core/error.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "tests/connect/drive.hpp"
#include "tests/core/temporary_folder.hpp"

using namespace runnel;
using texts = std::vector<std::string>;

namespace {

struct point {
    int x = 0, y = 0;
    friend bool operator==(const point&, const point&) = default;
};
BOOST_DESCRIBE_STRUCT(point, (), (x, y))

/// A log as its writer sees it.
class log_file {
public:
    explicit log_file(std::string name = "app.log") : name_(std::move(name)) { create(); }

    std::string path() const { return folder_ / name_; }
    std::string rotated(const std::string& suffix) const { return path() + suffix; }
    void write(const std::string& bytes) { out_ << bytes << std::flush; }
    void create() { out_ = std::ofstream(path(), std::ios::binary | std::ios::app); }
    /// Gives the file another name; the writer goes on with it until `create`.
    void rename(const std::string& suffix) const { std::filesystem::rename(path(), rotated(suffix)); }
    /// As rotation tools do: .2 becomes .3, .1 becomes .2, and so on.
    void rotate() {
        int n = 1;
        while (std::filesystem::exists(rotated("." + std::to_string(n)))) ++n;
        for (; n > 1; --n)
            std::filesystem::rename(rotated("." + std::to_string(n - 1)), rotated("." + std::to_string(n)));
        rename(".1");
        create();
    }
    void truncate() const { std::filesystem::resize_file(path(), 0); }
    const test::temporary_folder& folder() const { return folder_; }

private:
    test::temporary_folder folder_;
    std::string name_;
    std::ofstream out_;
};

}  // namespace

TEST_CASE("lines come as they are written, and a part of one waits for its end") {
    log_file log;
    log.write("one\ntw");
    auto lines = text_lines(follow_file(log.path()));
    test::driver<std::string> d(lines);
    d.read_all();
    CHECK(d.values == texts{"one"});
    log.write("o\nthree\n");
    d.pass_time();
    CHECK(d.values == texts{"one", "two", "three"});
    d.pass_time();
    CHECK(d.values.size() == 3);
    CHECK(d.bad.empty());
}

TEST_CASE("a file at its end is looked at again when the poll interval has passed by the job's clock") {
    log_file log;
    auto lines = text_lines(follow_file(log.path(), {.poll = std::chrono::seconds(3)}));
    testing::manual_clock clock(timestamp(5));
    auto reader = lines.open("0", nullptr, {.wake = [] {}, .bad_record = {}, .clock = &clock});
    batch<std::string> b;
    const poll_result r = reader->poll(b, 10);
    CHECK(r.what == poll_result::kind::until);
    CHECK(r.at == timestamp(5) + std::chrono::seconds(3));
}

TEST_CASE("a renamed file is read to its end before the new one is begun") {
    log_file log;
    log.write("1\n");
    auto lines = text_lines(follow_file(log.path()));
    test::driver<std::string> d(lines);
    d.read_all();
    log.rename(".1");
    log.write("2\n");
    d.pass_time();
    CHECK(d.values == texts{"1", "2"});
    // The new file is there, but its writer has not gone over to it yet.
    std::ofstream(log.path()).flush();
    log.write("3\nlast of the old");
    d.pass_time();
    CHECK(d.values == texts{"1", "2", "3"});
    log.write(" one");
    log.create();
    log.write("4\n");
    d.pass_time();
    CHECK(d.values == texts{"1", "2", "3", "last of the old one", "4"});
    CHECK(d.bad.empty());
}

TEST_CASE("a new file with the same bytes as the old one is a new file") {
    log_file log;
    log.write("beat\nbeat\n");
    auto lines = text_lines(follow_file(log.path()));
    test::driver<std::string> d(lines);
    d.read_all();
    log.rotate();
    log.write("beat\nbeat\nbeat\n");
    d.pass_time();
    CHECK(d.values == texts(5, "beat"));
    CHECK(d.bad.empty());
}

TEST_CASE("several rotations between two looks lose nothing, by number and by date") {
    SUBCASE("numbers") {
        log_file log;
        auto lines = text_lines(follow_file(log.path()));
        test::driver<std::string> d(lines);
        texts wanted;
        for (int i = 0; i < 12; ++i) {
            log.write(std::to_string(i) + "\n");
            wanted.push_back(std::to_string(i));
            if (i == 0) d.read_all();
            log.rotate();
        }
        log.folder().write("app.log.lock", "no log\n");
        log.folder().write("app.log-7.bak", "no log\n");
        log.write("now\n");
        wanted.push_back("now");
        d.pass_time();
        CHECK(d.values == wanted);
        CHECK(d.bad.empty());
    }
    SUBCASE("dates") {
        log_file log;
        auto lines = text_lines(follow_file(log.path()));
        test::driver<std::string> d(lines);
        log.write("a\n");
        d.read_all();
        for (const char* day : {"-20261121", "-20261122", "-20261201"}) {
            log.write(std::string("until ") + day + "\n");
            log.rename(day);
            log.create();
        }
        log.write("now\n");
        d.pass_time();
        CHECK(d.values == texts{"a", "until -20261121", "until -20261122", "until -20261201", "now"});
    }
}

TEST_CASE("a file that was compressed before it was read is reported, and the next one is read") {
    log_file log;
    auto lines = text_lines(follow_file(log.path()));
    test::driver<std::string> d(lines);
    log.write("a\n");
    d.read_all();
    log.rotate();
    log.folder().write("app.log.2", "");
    std::filesystem::rename(log.rotated(".1"), log.rotated(".2"));
    log.folder().write("app.log.1.gz", "\x1f\x8b...");
    log.write("b\n");
    d.pass_time();
    CHECK(d.values == texts{"a", "b"});
    REQUIRE(d.bad.size() == 1);
    CHECK(d.bad[0].why == "\"" + log.rotated(".1.gz") +
                              "\", which comes after this file, was compressed before it was read, so its lines are "
                              "missing");
}

TEST_CASE("a truncated file is reported with the line that it cut, and read from its beginning") {
    log_file log;
    log.write("one\ntwo\nthr");
    auto lines = text_lines(follow_file(log.path()));
    test::driver<std::string> d(lines);
    d.read_all();
    log.truncate();
    log.write("a\n");
    d.pass_time();
    CHECK(d.values == texts{"one", "two", "a"});
    REQUIRE(d.bad.size() == 1);
    CHECK(d.bad[0].where == log.path() + ":3 byte 8");
    CHECK(d.bad[0].why == "the file has been truncated: 11 bytes were read, it now has 2. Lines may be lost; it is "
                          "read from its beginning");
    CHECK(d.bad[0].raw == "thr");
}

TEST_CASE("a truncation is noticed even if the file is as long as before again") {
    log_file log;
    log.write("one\ntwo\n");
    auto lines = text_lines(follow_file(log.path()));
    test::driver<std::string> d(lines);
    d.read_all();
    log.truncate();
    log.write("new one\nnew two\n");
    d.pass_time();
    CHECK(d.values == texts{"one", "two", "new one", "new two"});
    CHECK(d.bad.size() == 1);
}

TEST_CASE("a position is found again after any rotation, and without the file's number") {
    log_file log;
    auto lines = text_lines(follow_file(log.path()));
    std::string position;
    {
        test::driver<std::string> d(lines, nullptr, 1);
        log.write("1\n2\n3\n");
        REQUIRE(d.poll());
        position = d.position();
    }
    const auto rest = [&](const texts& wanted) {
        test::driver<std::string> d(lines, &position);
        d.read_all();
        CHECK(d.values == wanted);
        CHECK(d.bad.empty());
    };
    rest({"2", "3"});
    log.rotate();
    log.write("4\n");
    rest({"2", "3", "4"});
    log.rotate();
    log.write("5 and more\n");
    log.rotate();
    rest({"2", "3", "4", "5 and more"});
    // All files moved to another disk.
    for (const char* suffix : {".3", ".2", ".1"}) {
        const std::string bytes = log.folder().read("app.log" + std::string(suffix));
        std::filesystem::remove(log.rotated(suffix));
        log.folder().write("app.log" + std::string(suffix), bytes);
    }
    rest({"2", "3", "4", "5 and more"});
}

TEST_CASE("the end of the old file is the position until something of the new one has been read") {
    log_file log;
    log.write("1\n");
    auto lines = text_lines(follow_file(log.path()));
    test::driver<std::string> d(lines);
    d.read_all();
    log.rotate();
    log.write("no end yet");
    d.pass_time();
    const std::string position = d.position();
    log.write(", now\n");
    log.rotate();
    log.write("3\n");
    test::driver<std::string> rest(lines, &position);
    rest.read_all();
    CHECK(rest.values == texts{"no end yet, now", "3"});
    CHECK(rest.bad.empty());
}

TEST_CASE("if the bytes before a position are nowhere, that is reported, and the file is read from its beginning") {
    log_file log;
    log.write("one\ntwo\n");
    auto lines = text_lines(follow_file(log.path()));
    test::driver<std::string> d(lines);
    d.read_all();
    const std::string position = d.position();
    const std::string where = log.path() + ":3 byte 8";
    log.truncate();
    log.write("other\nbytes\nhere\n");
    test::driver<std::string> rest(lines, &position);
    rest.read_all();
    CHECK(rest.values == texts{"other", "bytes", "here"});
    REQUIRE(rest.bad.size() == 1);
    CHECK(rest.bad[0].where == where);
    CHECK(rest.bad[0].why == "neither this file nor one that was rotated has the bytes that were read up to here. "
                             "Lines may be lost; it is read from its beginning");
    // A position that is asked for after the truncation does not stand for the new bytes.
    log.truncate();
    const std::string after = rest.position();
    log.write("other\nbytes\nthis\n");
    test::driver<std::string> third(lines, &after);
    third.read_all();
    CHECK(third.values == texts{"other", "bytes", "this"});
    CHECK(third.bad.size() == 1);
}

TEST_CASE("in CSV every file has a header of its own, also after a restore in a rotated one") {
    log_file log;
    log.write("x,y\n1,2\n");
    auto lines = csv_lines<point>(follow_file(log.path()));
    test::driver<point> d(lines);
    d.read_all();
    const std::string position = d.position();
    log.write("3,4\n");
    log.rotate();
    log.write("y,x\n");
    d.pass_time();
    const std::string behind_header = d.position();
    log.write("5,6\n");
    d.pass_time();
    CHECK(d.values == std::vector<point>{{1, 2}, {3, 4}, {6, 5}});
    CHECK(d.bad.empty());
    test::driver<point> rest(lines, &position);
    rest.read_all();
    CHECK(rest.values == std::vector<point>{{3, 4}, {6, 5}});
    log.rotate();
    log.write("x,y\n7,8\n");
    test::driver<point> last(lines, &behind_header);
    last.read_all();
    CHECK(last.values == std::vector<point>{{6, 5}, {7, 8}});
}

TEST_CASE("a missing file is an error at the start unless it may be missing") {
    const test::temporary_folder folder;
    CHECK_THROWS_WITH_AS(text_lines(follow_file(folder / "none")).splits(),
                         ("cannot open \"" + folder / "none" + "\": No such file or directory").c_str(), io_error);
    CHECK_THROWS_AS(text_lines(follow_file(folder.path(), {.may_be_missing = true})).splits(), io_error);
    CHECK(text_lines(follow_file("x", {.poll = std::chrono::milliseconds(0)})).problems() ==
          texts{"follow_file x: poll is not positive"});
    auto lines = text_lines(follow_file(folder / "later", {.may_be_missing = true}));
    test::driver<std::string> d(lines);
    d.read_all();
    const std::string position = d.position();
    folder.write("later", "here\n");
    d.pass_time();
    CHECK(d.values == texts{"here"});
    test::driver<std::string> rest(lines, &position);
    rest.read_all();
    CHECK(rest.values == texts{"here"});
}

TEST_CASE("a job that follows a file sleeps by its clock, reads what is added, and can be drained") {
    log_file log;
    log.write("0\n");
    texts seen;
    std::optional<job> running;
    pipeline p;
    p.from(text_lines(follow_file(log.path(), {.poll = std::chrono::seconds(1)})))
        .to(for_each([&](const std::string& line) {
            seen.push_back(line);
            if (seen.size() == 5) return running->drain();
            if (seen.size() == 3) log.rotate();
            log.write(std::to_string(seen.size()) + "\n");
        }));
    testing::sim_executor simulated(3);
    const timestamp start = simulated.clock().now();
    running = std::move(p).start({.executor = &simulated, .clock = &simulated.clock()});
    running->wait();
    CHECK(seen == texts{"0", "1", "2", "3", "4"});
    CHECK(simulated.clock().now() >= start + std::chrono::seconds(4));
}

TEST_CASE("random writes, rotations, looks and restarts give every line once, in order") {
    for (unsigned seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        log_file log;
        auto lines = text_lines(follow_file(log.path()));
        auto d = std::make_unique<test::driver<std::string>>(lines);
        texts wanted, read;
        const auto take = [&] {
            REQUIRE(d->bad.empty());
            read.insert(read.end(), d->values.begin(), d->values.end());
            d->values.clear();
        };
        for (int step = 0; step < 60; ++step) {
            switch (random() % 4) {
                case 0:
                case 1: {
                    const std::string line = std::to_string(step) + std::string(random() % 3000, 'x');
                    log.write(line + "\n");
                    wanted.push_back(line);
                    break;
                }
                case 2: {
                    // A file without any bytes has nothing to be recognised by after a restart.
                    if (wanted.empty() || std::filesystem::file_size(log.path()) == 0) break;
                    log.rotate();
                    break;
                }
                default:
                    if (random() % 2 == 0) {
                        d->pass_time();
                        take();
                    } else {
                        if (random() % 2 == 0) d->poll();
                        take();
                        const std::string position = d->position();
                        // As long as nothing has been read a restart begins with what is there then.
                        if (read.empty()) break;
                        d = std::make_unique<test::driver<std::string>>(lines, &position);
                    }
            }
        }
        log.write("end\n");
        wanted.push_back("end");
        d->pass_time();
        take();
        REQUIRE(read == wanted);
    }
}
