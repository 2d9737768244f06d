#include "runnel/connect/rolling_files.hpp"

#include <doctest/doctest.h>

#include <boost/describe/class.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <tuple>

#include "runnel/codec/time_text.hpp"
#include "runnel/connect/csv_lines.hpp"
#include "runnel/connect/json_lines.hpp"
#include "runnel/connect/lines.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/source/collection.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "runnel/testing/sim_executor.hpp"
#include "tests/connect/drive.hpp"
#include "tests/connect/failing_files.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/support/random.hpp"

namespace {

struct order {
    std::string item;
    int n = 0;
    friend bool operator==(const order&, const order&) = default;
    friend auto operator<=>(const order&, const order&) = default;
};
BOOST_DESCRIBE_STRUCT(order, (), (item, n))

}  // namespace

using namespace runnel;
using namespace std::chrono_literals;
using test::failing_files;

namespace {

timestamp at(const char* text) { return *parse_timestamp(text); }

batch<std::string> texts(std::initializer_list<const char*> all, timestamp t = {}) {
    batch<std::string> b;
    for (const char* text : all) b.append(text, t);
    return b;
}

/// All files below a folder, with their contents, by path.
std::map<std::string, std::string> contents(const test::temporary_folder& folder) {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
        const std::string name = std::filesystem::relative(entry.path(), folder.path()).string();
        if (entry.is_regular_file()) all[name] = folder.read(name);
    }
    return all;
}
using files_of = std::map<std::string, std::string>;

std::unique_ptr<sink_writer<std::string>> open(const std::string& folder, rolling_options options,
                                               sink_context context = {}) {
    return text_files(folder, std::move(options)).bind<std::string>()->open(context);
}

void write(sink_writer<std::string>& to, batch<std::string> records) {
    CHECK(to.write(records) == progress::done);
    CHECK(records.empty());
}

template <class F>
std::string io_failure(F f, int code) {
    try {
        f();
    } catch (const io_error& e) {
        CHECK(e.code() == code);
        return e.what();
    }
    FAIL("no io_error");
    return {};
}

}  // namespace

TEST_CASE("a file has a temporary name until it is complete") {
    const test::temporary_folder folder;
    auto writer = open(folder / "out", {});
    CHECK(contents(folder).empty());
    write(*writer, texts({"one", "two"}));
    CHECK(contents(folder) == files_of{{"out/.part-0-0.txt.tmp", ""}});
    CHECK(writer->flush() == progress::done);
    CHECK(writer->finish() == progress::done);
    CHECK(contents(folder) == files_of{{"out/part-0-0.txt", "one\ntwo\n"}});
    CHECK(writer->finish() == progress::done);
}

TEST_CASE("a file is on stable storage before it has its name, and the name before it counts") {
    const test::temporary_folder folder;
    failing_files files(default_file_system());
    const std::string out = folder / "a/b";
    auto writer = open(out + "/", {.files = &files});
    write(*writer, texts({"one"}));
    writer->finish();
    CHECK(files.calls == std::vector<std::string>{"make folder " + folder / "a", "sync folder " + folder.path(),
                                                  "make folder " + out, "sync folder " + folder / "a",
                                                  "create " + out + "/.part-0-0.txt.tmp",
                                                  "sync " + out + "/.part-0-0.txt.tmp",
                                                  "rename " + out + "/.part-0-0.txt.tmp", "sync folder " + out});
}

TEST_CASE("JSON, CSV and text have their extensions, and each CSV file a header") {
    const test::temporary_folder folder;
    auto run = [&](auto recipe) {
        auto writer = recipe.template bind<order>()->open({});
        batch<order> b;
        b.append({"a", 1}, {});
        b.append({"b", 2}, {});
        writer->write(b);
        writer->finish();
    };
    run(json_files(folder.path(), {.max_bytes = 1}));
    run(csv_files(folder.path(), ';', {.max_bytes = 1}));
    run(text_files(folder.path()));
    // Numbers are not given again for another extension: somebody may compress complete files, and so rename them.
    CHECK(contents(folder) == files_of{{"part-0-0.jsonl", "{\"item\":\"a\",\"n\":1}\n"},
                                       {"part-0-1.jsonl", "{\"item\":\"b\",\"n\":2}\n"},
                                       {"part-0-2.csv", "item;n\na;1\n"},
                                       {"part-0-3.csv", "item;n\nb;2\n"},
                                       {"part-0-4.txt", "{\"item\":\"a\",\"n\":1}\n{\"item\":\"b\",\"n\":2}\n"}});
    CHECK(json_files("f").bind<order>()->name() == "json_files f");
}

TEST_CASE("a file that holds max_bytes is complete, and a line is never cut") {
    const test::temporary_folder folder;
    auto writer = open(folder.path(), {.max_bytes = 8});
    write(*writer, texts({"one", "two", "three", "four", "a line that is longer", "x"}));
    writer->finish();
    CHECK(contents(folder) == files_of{{"part-0-0.txt", "one\ntwo\n"},
                                       {"part-0-1.txt", "three\nfour\n"},
                                       {"part-0-2.txt", "a line that is longer\n"},
                                       {"part-0-3.txt", "x\n"}});
}

TEST_CASE("much text does not wait in memory") {
    const test::temporary_folder folder;
    auto writer = open(folder.path(), {.max_bytes = 0});
    for (int i = 0; i < 100; ++i) write(*writer, texts({std::string(999, 'x').c_str()}));
    CHECK(default_file_system().size(folder / ".part-0-0.txt.tmp") >= 64 * 1000);
    writer->finish();
    CHECK(default_file_system().size(folder / "part-0-0.txt") == 100'000);
}

TEST_CASE("a file is complete at its age by the job's clock, which wakes the writer for it") {
    const test::temporary_folder folder;
    testing::manual_clock clock;
    int wakes = 0;
    auto writer = open(folder.path(), {.max_age = 10s}, {.wake = [&] { ++wakes; }, .clock = &clock});
    clock.advance(5s);
    write(*writer, texts({"one"}));
    clock.advance(9s);
    write(*writer, texts({"two"}));
    writer->flush();
    CHECK(wakes == 0);
    CHECK(contents(folder).count("part-0-0.txt") == 0);
    clock.advance(1s);
    CHECK(wakes == 1);
    writer->flush();
    CHECK(contents(folder) == files_of{{"part-0-0.txt", "one\ntwo\n"}});
    clock.advance(100s);
    CHECK(wakes == 1);
    write(*writer, texts({"three"}));
    writer->flush();
    CHECK(clock.next_call() == clock.now() + 10s);
    writer.reset();
    CHECK(clock.next_call() == timestamp::max());
}

TEST_CASE("with max_age 0 no clock is asked") {
    const test::temporary_folder folder;
    testing::manual_clock clock;
    auto writer = open(folder.path(), {.max_age = 0s}, {.clock = &clock});
    write(*writer, texts({"one"}));
    CHECK(clock.next_call() == timestamp::max());
    clock.advance(1000h);
    writer->flush();
    CHECK(contents(folder).count("part-0-0.txt") == 0);
}

TEST_CASE("records go to the partition of their event time") {
    const test::temporary_folder folder;
    auto writer = open(folder.path(), {.partition = "dt=%Y-%m-%d/hour=%H"});
    write(*writer, texts({"a", "b"}, at("2026-11-21T07:00Z")));
    write(*writer, texts({"c"}, at("2026-11-21T08:00Z")));
    write(*writer, texts({"d"}, at("2026-11-21T07:59:59.999Z")));
    write(*writer, texts({"e"}, timestamp(-1)));
    writer->finish();
    CHECK(contents(folder) == files_of{{"dt=2026-11-21/hour=07/part-0-0.txt", "a\nb\nd\n"},
                                       {"dt=2026-11-21/hour=08/part-0-0.txt", "c\n"},
                                       {"dt=1969-12-31/hour=23/part-0-0.txt", "e\n"}});
}

TEST_CASE("a partition is complete when the watermark has passed it; what comes late gets a file of its own") {
    const test::temporary_folder folder;
    auto writer = open(folder.path(), {.partition = "%H"});
    write(*writer, texts({"a"}, at("2026-11-21T07:00Z")));
    write(*writer, texts({"b"}, at("2026-11-21T08:00Z")));
    writer->on_watermark(at("2026-11-21T08:00Z").previous().previous());
    CHECK(contents(folder).count("07/part-0-0.txt") == 0);
    writer->on_watermark(at("2026-11-21T08:00Z").previous());
    CHECK(contents(folder) == files_of{{"07/part-0-0.txt", "a\n"}, {"08/.part-0-0.txt.tmp", ""}});
    write(*writer, texts({"late"}, at("2026-11-21T07:30Z")));
    writer->finish();
    CHECK(contents(folder) ==
          files_of{{"07/part-0-0.txt", "a\n"}, {"07/part-0-1.txt", "late\n"}, {"08/part-0-0.txt", "b\n"}});
}

TEST_CASE("of more partitions than may be open, the one unused for longest is completed") {
    const test::temporary_folder folder;
    auto writer = open(folder.path(), {.partition = "%H", .max_open = 2});
    const timestamp t[] = {at("2026-01-01T00:00Z"), at("2026-01-01T01:00Z"), at("2026-01-01T02:00Z")};
    write(*writer, texts({"a"}, t[0]));
    write(*writer, texts({"b"}, t[1]));
    write(*writer, texts({"c"}, t[0]));
    write(*writer, texts({"d"}, t[2]));
    CHECK(contents(folder) ==
          files_of{{"00/.part-0-0.txt.tmp", ""}, {"01/part-0-0.txt", "b\n"}, {"02/.part-0-0.txt.tmp", ""}});
    write(*writer, texts({"e"}, t[1]));
    writer->finish();
    CHECK(contents(folder) == files_of{{"00/part-0-0.txt", "a\nc\n"},
                                       {"01/part-0-0.txt", "b\n"},
                                       {"01/part-0-1.txt", "e\n"},
                                       {"02/part-0-0.txt", "d\n"}});
}

TEST_CASE("existing files are never written over, whoever has made them") {
    const test::temporary_folder folder;
    folder.write("part-0-2.txt", "mine\n");
    folder.write(".part-0-5.txt.tmp", "a cra");
    folder.write("part-1-77.txt", "another subtask's\n");
    folder.write("part-0-.txt", "odd\n");
    folder.write("part-0-99999999999999999999999.txt", "odd\n");
    auto writer = open(folder.path(), {});
    auto other = open(folder.path(), {});
    write(*writer, texts({"one"}));
    write(*other, texts({"two"}));
    writer->finish();
    other->finish();
    auto all = contents(folder);
    CHECK(all["part-0-2.txt"] == "mine\n");
    CHECK(all[".part-0-5.txt.tmp"] == "a cra");
    CHECK(all["part-0-6.txt"] == "one\n");
    CHECK(all["part-0-7.txt"] == "two\n");
    CHECK(all.size() == 7);

    auto late = open(folder.path(), {.prefix = "x"});
    write(*late, texts({"one"}));
    folder.write("x-0-0.txt", "from elsewhere\n");
    CHECK(io_failure([&] { late->finish(); }, EEXIST) ==
          "cannot complete \"" + folder / "x-0-0.txt" + "\": somebody else has made a file of that name. The results "
          "are in \"" + folder / ".x-0-0.txt.tmp" + "\"");
    CHECK(folder.read("x-0-0.txt") == "from elsewhere\n");
    CHECK(folder.read(".x-0-0.txt.tmp") == "one\n");
}

TEST_CASE("what a checkpoint is told of is there after a power failure, by its name too") {
    testing::memory_file_system files;
    auto to = text_files("/out", {.files = &files}).bind<std::string>();
    auto writer = to->open({.owner = "job/files"});
    write(*writer, texts({"one", "two"}));
    const std::string prepared = writer->prepare();
    const auto after = files.crash_image(files.operations(), testing::survivors::none);
    detail::commit_prepared("/out", {.files = after.get()}, {prepared}, true);
    const std::vector<std::string> found = after->list("/out");
    REQUIRE(found.size() == 1);
    CHECK(after->get("/out/" + found[0]) == "one\ntwo\n");
}

TEST_CASE("a checkpoint that names files outside of the folder is refused, and they stay") {
    testing::memory_file_system files;
    files.make_directories("/out");
    files.put("/secret", "x");
    files.put("/out/.a.tmp", "y");
    const auto text_of = [&](const std::string& temporary, const std::string& name) -> std::string {
        std::string bytes;
        codec<std::uint64_t>::encode(1, bytes);
        codec<std::string>::encode(temporary, bytes);
        codec<std::string>::encode(name, bytes);
        try {
            detail::commit_prepared("/out", {.files = &files}, {bytes}, true);
        } catch (const error& e) {
            return e.what();
        }
        return {};
    };
    for (const char* outside : {"../secret", "a/../../secret", "/secret", "..", "", "a/.."}) {
        CAPTURE(outside);
        CHECK(text_of(outside, "mine").find("it is not inside of \"/out/\"") != std::string::npos);
        CHECK(text_of(".a.tmp", outside).find("it is not inside of \"/out/\"") != std::string::npos);
    }
    CHECK(files.get("/secret") == "x");
    CHECK(text_of(".a.tmp", "..a") == "");
    CHECK(files.get("/out/..a") == "y");
}

TEST_CASE("subtasks have names of their own") {
    const test::temporary_folder folder;
    auto sink = text_files(folder.path()).bind<std::string>();
    CHECK(sink->max_parallelism() > 1'000);
    auto a = sink->open({.subtask = 0, .parallelism = 11});
    auto b = sink->open({.subtask = 10, .parallelism = 11});
    write(*a, texts({"a"}));
    write(*b, texts({"b"}));
    a->finish();
    b->finish();
    CHECK(contents(folder) == files_of{{"part-0-0.txt", "a\n"}, {"part-10-0.txt", "b\n"}});
}

TEST_CASE("what an earlier run has left is reported once and left alone") {
    const test::temporary_folder folder;
    std::filesystem::create_directories(folder / "07/08/09");
    folder.write(".part-0-1.txt.tmp", "a");
    folder.write("07/.part-3-0.jsonl.tmp", "b");
    folder.write("07/08/.part-0-0.txt.tmp", "c");
    folder.write("07/08/09/.part-0-0.txt.tmp", "deeper than partitions go");
    folder.write(".other-0-0.txt.tmp", "d");
    folder.write("part-0-0.txt", "e");
    std::vector<std::string> told;
    const auto before = contents(folder);
    auto tell = [&](const std::string& path) { told.push_back(path); };
    auto sink = text_files(folder.path(), {.partition = "%H/%M", .on_leftover = tell}).bind<std::string>();
    sink->open({});
    CHECK(told == std::vector<std::string>{folder / ".part-0-1.txt.tmp", folder / "07/.part-3-0.jsonl.tmp",
                                           folder / "07/08/.part-0-0.txt.tmp"});
    sink->open({.subtask = 1, .parallelism = 2});
    CHECK(told.size() == 3);
    CHECK(contents(folder) == before);
    told.clear();
    text_files(folder.path(), {.on_leftover = tell}).bind<std::string>()->open({});
    CHECK(told == std::vector<std::string>{folder / ".part-0-1.txt.tmp"});
    text_files(folder / "none", {.on_leftover = tell}).bind<std::string>()->open({});
    CHECK(told.size() == 1);
}

TEST_CASE("a writer that goes without finishing leaves its temporary file, and a restarted one takes another name") {
    const test::temporary_folder folder;
    auto sink = text_files(folder.path()).bind<std::string>();
    for (int run = 0; run < 2; ++run) {
        auto writer = sink->open({});
        write(*writer, texts({"one"}));
    }
    CHECK(contents(folder) == files_of{{".part-0-0.txt.tmp", ""}, {".part-0-1.txt.tmp", ""}});
}

TEST_CASE("a full disk, a read-only folder and failed syncs are errors with name and reason, and nothing is renamed") {
    const test::temporary_folder folder;
    failing_files files(default_file_system());
    const std::string file = folder / ".part-0-0.txt.tmp";
    SUBCASE("full disk") {
        auto writer = open(folder.path(), {.files = &files});
        write(*writer, texts({"one"}));
        files.room = 2;
        CHECK(io_failure([&] { writer->finish(); }, ENOSPC) ==
              "cannot write to \"" + file + "\": No space left on device");
        CHECK(contents(folder) == files_of{{".part-0-0.txt.tmp", "on"}});
    }
    SUBCASE("read-only folder") {
        auto writer = open(folder.path(), {.files = &files});
        files.fail_at = "create";
        auto b = texts({"one"});
        CHECK(io_failure([&] { writer->write(b); }, EROFS) ==
              "cannot create \"" + file + "\": Read-only file system");
        CHECK(b.cursor() == 0);
    }
    SUBCASE("sync") {
        auto writer = open(folder.path(), {.files = &files});
        write(*writer, texts({"one"}));
        files.fail_sync = true;
        CHECK(io_failure([&] { writer->finish(); }, EIO) == "cannot sync \"" + file + "\": Input/output error");
        files.fail_sync = false;
        io_failure([&] { writer->finish(); }, EIO);
        CHECK(contents(folder).count("part-0-0.txt") == 0);
    }
    SUBCASE("sync of the folder") {
        auto writer = open(folder.path(), {.files = &files});
        write(*writer, texts({"one"}));
        files.fail_at = "sync folder";
        CHECK(io_failure([&] { writer->finish(); }, EROFS) ==
              "cannot sync folder \"" + folder.path() + "\": Read-only file system");
    }
    SUBCASE("rename") {
        auto writer = open(folder.path(), {.files = &files});
        write(*writer, texts({"one"}));
        files.fail_at = "rename";
        io_failure([&] { writer->finish(); }, EROFS);
        CHECK(contents(folder) == files_of{{".part-0-0.txt.tmp", "one\n"}});
    }
    SUBCASE("folder that cannot be made") {
        files.fail_at = "make folder";
        CHECK(io_failure([&] { open(folder / "new", {.files = &files}); }, EROFS) ==
              "cannot make folder \"" + folder / "new" + "\": Read-only file system");
        folder.write("file", "");
        CHECK(io_failure([&] { open(folder / "file", {}); }, ENOTDIR).find("Not a directory") != std::string::npos);
    }
}

TEST_CASE("a folder that vanishes is an error, and does not come back empty") {
    const test::temporary_folder folder;
    auto plain = open(folder / "plain", {.max_bytes = 1});
    write(*plain, texts({"one"}));
    std::filesystem::remove_all(folder / "plain");
    auto b = texts({"two"});
    io_failure([&] { plain->write(b); }, ENOENT);

    auto parts = open(folder / "parts", {.partition = "%H"});
    write(*parts, texts({"one"}, at("2026-01-01T00:00Z")));
    std::filesystem::remove_all(folder / "parts");
    b = texts({"two"}, at("2026-01-01T01:00Z"));
    CHECK(io_failure([&] { parts->write(b); }, ENOENT) ==
          "cannot write to folder \"" + folder / "parts" +
              "\": it was removed while the job ran, and results with it. Run the job again");
    io_failure([&] { parts->finish(); }, ENOENT);
    CHECK(contents(folder).empty());
}

TEST_CASE("a record that cannot be written is an error at its record, and the lines before it stay") {
    const test::temporary_folder folder;
    auto writer = open(folder.path(), {});
    auto b = texts({"one", "a\nb", "two"});
    CHECK_THROWS_AS(writer->write(b), error);
    CHECK(b.cursor() == 1);
    writer->finish();
    CHECK(contents(folder) == files_of{{"part-0-0.txt", "one\n"}});
}

TEST_CASE("options that make no sense are all reported before the job starts") {
    const auto problems = text_files("f", {.max_age = -1s, .partition = "%Q", .max_open = 0, .prefix = "a/b"})
                              .bind<std::string>()
                              ->problems();
    CHECK(problems.size() == 4);
    CHECK(text_files("f", {.prefix = ""}).bind<std::string>()->problems().size() == 1);
    CHECK(text_files("f").bind<std::string>()->problems().empty());
}

TEST_CASE("what is read back from the files is what went in, whatever the batches, sizes, ages and partitions") {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        const test::temporary_folder folder;
        testing::manual_clock clock;
        const bool partitioned = random.chance(50);
        const rolling_options options{.max_bytes = random.below(300),
                                      .max_age = std::chrono::seconds(random.below(20)),
                                      .partition = partitioned ? "%H/%M" : "",
                                      .max_open = 1 + random.below(3)};
        const bool csv = random.chance(50);
        auto sink = csv ? csv_files(folder.path(), ',', options).bind<order>()
                        : json_files(folder.path(), options).bind<order>();
        std::vector<order> wanted;
        int n = 0;
        for (int run = 0; run < 2; ++run) {
            auto writer = sink->open({.wake = [] {}, .clock = &clock});
            for (std::size_t batches = random.below(12); batches != 0; --batches) {
                batch<order> b;
                for (std::size_t size = random.below(20); size != 0; --size) {
                    wanted.push_back({std::string(random.below(30), "a,\"\\;"[random.below(5)]), n++});
                    b.append(wanted.back(), timestamp(std::chrono::seconds(random.below(300))));
                }
                CHECK(writer->write(b) == progress::done);
                clock.advance(std::chrono::seconds(random.below(10)));
                if (random.chance(50)) writer->flush();
                if (random.chance(20)) writer->on_watermark(timestamp(std::chrono::seconds(random.below(300))));
            }
            writer->finish();
        }
        std::vector<order> got;
        for (const auto& [name, text] : contents(folder)) {
            CHECK(name.find(".tmp") == std::string::npos);
            auto read = [&](auto source) {
                test::driver<order> d(source);
                d.run();
                CHECK(d.bad.empty());
                CHECK(!d.values.empty());
                CHECK(std::is_sorted(d.values.begin(), d.values.end(),
                                     [](const order& a, const order& b) { return a.n < b.n; }));
                got.insert(got.end(), d.values.begin(), d.values.end());
            };
            if (csv) read(csv_lines<order>(folder / name));
            else read(json_lines<order>(folder / name));
        }
        std::sort(got.begin(), got.end());
        std::sort(wanted.begin(), wanted.end());
        CHECK(got == wanted);
    }
}

TEST_CASE("a job with several subtasks leaves all its records in whole files, whatever the schedule") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        CAPTURE(seed);
        const test::temporary_folder folder;
        std::vector<int> numbers;
        for (int i = 0; i < 500; ++i) numbers.push_back(i);
        testing::sim_executor simulated(seed);
        pipeline p;
        p.from(collection(numbers, 3)).to(text_files(folder.path(), {.max_bytes = 200, .max_age = 10us}));
        auto job = std::move(p).start({.parallelism = 3, .batch_size = 16, .executor = &simulated,
                                       .clock = &simulated.clock()});
        job.wait();
        std::vector<int> got;
        for (const auto& [name, text] : contents(folder)) {
            CHECK(name.starts_with("part-"));
            auto source = parsed_lines<int>(folder / name, [](std::string_view line) {
                return std::optional(std::stoi(std::string(line)));
            });
            test::driver<int> d(source);
            d.run();
            got.insert(got.end(), d.values.begin(), d.values.end());
        }
        std::sort(got.begin(), got.end());
        CHECK(got == numbers);
    }
}
