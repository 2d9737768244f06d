#include "runnel/connect/glob.hpp"

#include <doctest/doctest.h>

#include <boost/describe/class.hpp>
#include <cerrno>
#include <filesystem>

#include "runnel/connect/csv_lines.hpp"
#include "runnel/connect/lines.hpp"
#include "runnel/core/error.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "runnel/window/assigners.hpp"
#include "runnel/window/count.hpp"
#include "tests/connect/drive.hpp"
#include "tests/connect/peer_socket.hpp"
#include "tests/core/temporary_folder.hpp"

using namespace runnel;
using test::io_failure;
using texts = std::vector<std::string>;

namespace {

struct point {
    int x = 0, y = 0;
    friend bool operator==(const point&, const point&) = default;
};
BOOST_DESCRIBE_STRUCT(point, (), (x, y))

texts parts_of(const std::string& pattern) { return glob_files(pattern).parts(); }

}  // namespace

TEST_CASE("each file that matches is a split of its own, in order of the names") {
    const test::temporary_folder folder;
    folder.write("b.log", "b1\nb2\n");
    folder.write("a.log", "a1\na2");
    folder.write("c.txt", "no\n");
    auto lines = text_lines(glob_files(folder / "*.log"));
    CHECK(lines.name() == "text_lines " + folder / "*.log");
    REQUIRE(lines.splits() == texts{"a.log", "b.log"});
    test::driver<std::string> a(lines, "a.log"), b(lines, "b.log");
    b.run();
    a.run();
    CHECK(a.values == texts{"a1", "a2"});
    CHECK(b.values == texts{"b1", "b2"});
}

TEST_CASE("a split goes on from its own position") {
    const test::temporary_folder folder;
    folder.write("a.log", "a1\na2\na3\n");
    folder.write("b.log", "b1\nb2\nb3\n");
    auto lines = text_lines(glob_files(folder / "?.log"));
    for (const std::string part : {"a.log", "b.log"}) {
        test::driver<std::string> whole(lines, part);
        whole.run();
        for (std::size_t n = 0; n <= 3; ++n) {
            batch<std::string> read;
            auto reader = lines.open(part, nullptr, {});
            if (n != 0) reader->poll(read, n);
            const std::string position = reader->position();
            test::driver<std::string> rest(lines, part, &position);
            rest.run();
            CHECK(rest.values == texts(whole.values.begin() + static_cast<std::ptrdiff_t>(n), whole.values.end()));
        }
    }
}

TEST_CASE("wildcards stand in any step of the path, for no slash and no leading dot, and can be escaped") {
    const test::temporary_folder folder;
    for (const char* name : {"d1", "d2", "d3"}) std::filesystem::create_directory(folder / name);
    for (const char* name : {"d1/x", "d1/y", "d2/x", "d3/z", ".x", "a*", "ab"}) folder.write(name, "");
    CHECK(parts_of(folder / "d*/x") == texts{"d1/x", "d2/x"});
    CHECK(parts_of(folder / "d[13]/?") == texts{"d1/x", "d1/y", "d3/z"});
    CHECK(parts_of(folder / "d1//*") == texts{"x", "y"});
    CHECK(parts_of(folder / "*b") == texts{"ab"});
    CHECK(parts_of(folder / ".*") == texts{".x"});
    CHECK(parts_of(folder / "a\\*") == texts{"a*"});
    CHECK(parts_of(folder / "ab") == texts{"ab"});
}

TEST_CASE("a pattern in the folder that the program runs in is found, too") {
    CHECK(parts_of("CMakeLists.t?t") == texts{"CMakeLists.txt"});
}

TEST_CASE("no match, a folder that matches, a missing folder and an unreadable file are named") {
    const test::temporary_folder folder;
    CHECK(io_failure([&] { parts_of(folder / "*.log"); }, ENOENT) ==
          "no file matches \"" + folder / "*.log" + "\". Check the pattern, and the folder that it starts from");
    CHECK(io_failure([&] { parts_of(""); }, ENOENT).find("no file matches") == 0);
    CHECK(io_failure([&] { parts_of(folder / "none/*"); }, ENOENT) ==
          "cannot list folder \"" + folder / "none/" + "\": No such file or directory");
    folder.write("file", "");
    std::filesystem::create_directory(folder / "sub");
    CHECK(io_failure([&] { parts_of(folder / "*"); }, EISDIR) ==
          "\"" + folder / "sub" + "\" matches \"" + folder / "*" +
              "\", but is a folder. Use a pattern that matches files only");
    std::filesystem::create_symlink("nowhere", folder / "dangling");
    CHECK(io_failure([&] { parts_of(folder / "d*"); }, ENOENT) ==
          "cannot open \"" + folder / "dangling" + "\": No such file or directory");
}

TEST_CASE("in CSV each file has a header of its own, also after a restore") {
    const test::temporary_folder folder;
    folder.write("a.csv", "x,y\n1,5\n2,6\n");
    folder.write("b.csv", "y,x\n8,3\n9,4\n");
    auto lines = csv_lines<point>(glob_files(folder / "*.csv"));
    test::driver<point> a(lines, "a.csv"), b(lines, "b.csv");
    a.run();
    b.run();
    CHECK(a.values == std::vector<point>{{1, 5}, {2, 6}});
    CHECK(b.values == std::vector<point>{{3, 8}, {4, 9}});
    batch<point> first;
    auto reader = lines.open("b.csv", nullptr, {});
    reader->poll(first, 2);
    const std::string position = reader->position();
    test::driver<point> rest(lines, "b.csv", &position);
    rest.run();
    CHECK(rest.values == std::vector<point>{{4, 9}});
}

TEST_CASE("each file has a watermark of its own, so files of different times make nothing late") {
    const test::temporary_folder folder;
    std::string early, late;
    for (int i = 0; i < 1000; ++i) {
        early += std::to_string(i) + "\n";
        late += std::to_string(1000 + i) + "\n";
    }
    // The one with the later times is read first.
    folder.write("a", late);
    folder.write("b", early);
    for (const std::size_t parallelism : {1, 2, 3}) {
        std::vector<windowed<int, std::size_t>> out;
        pipeline p;
        p.from(parsed_lines<int>(glob_files(folder / "?"), [](std::string_view s) {
             return std::optional(std::stoi(std::string(s)));
         }))
            .event_time([](int i) { return timestamp(i); }, monotonous())
            .key_by([](int) { return 0; })
            .window(tumbling(std::chrono::nanoseconds(100)).drop_late())
            .aggregate(count())
            .to(collect(out));
        testing::sim_executor simulated(7);
        std::move(p)
            .start({.parallelism = parallelism, .executor = &simulated, .clock = &simulated.clock()})
            .wait();
        CHECK(out.size() == 20);
        for (const auto& w : out) CHECK(w.value == 100);
    }
}
