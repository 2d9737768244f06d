#include "runnel/connect/sqlite.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/describe.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "runnel/window/window.hpp"
#include "tests/connect/sqlite_database.hpp"
#include "tests/core/temporary_folder.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using strings = std::vector<std::string>;

namespace {

enum class color : std::uint8_t { red, green };
BOOST_DESCRIBE_ENUM(color, red, green)
enum class plain_enum : int { seven = 7 };

struct everything {
    bool flag = false;
    std::int8_t small = 0;
    std::uint64_t large = 0;
    float single = 0;
    double real = 0;
    std::string text;
    timestamp at;
    std::chrono::seconds lasts{0};
    color hue = color::red;
    plain_enum number = plain_enum::seven;
    std::vector<std::uint8_t> bytes;
    std::vector<double> list;
    std::map<std::string, int> by_name;
};
BOOST_DESCRIBE_STRUCT(everything, (),
                      (flag, small, large, single, real, text, at, lasts, hue, number, bytes, list, by_name))

struct place {
    double x = 0, y = 0;
};
BOOST_DESCRIBE_STRUCT(place, (), (x, y))

struct visit {
    std::string user;
    std::optional<std::string> note;
    std::optional<place> where;
    std::tuple<int, bool> more;
    std::array<std::int16_t, 2> pair{};
};
BOOST_DESCRIBE_STRUCT(visit, (), (user, note, where, more, pair))

struct count_of {
    std::string user;
    std::int64_t n = 0;
};
BOOST_DESCRIBE_STRUCT(count_of, (), (user, n))

struct count_as_double {
    std::string user;
    double n = 0;
};
BOOST_DESCRIBE_STRUCT(count_as_double, (), (user, n))

struct measured {
    std::int64_t id = 0;
    double value = 0;
    std::optional<double> other;
    std::uint64_t big = 0;
};
BOOST_DESCRIBE_STRUCT(measured, (), (id, value, other, big))

struct awkward {
    int select = 0;
    int Order = 0;
};
BOOST_DESCRIBE_STRUCT(awkward, (), (select, Order))

struct clashing {
    place at;
    double at_x = 0;
};
BOOST_DESCRIBE_STRUCT(clashing, (), (at, at_x))

struct nothing_in_it {};
BOOST_DESCRIBE_STRUCT(nothing_in_it, (), ())

strings columns_of(const std::string& path, const std::string& table) {
    return test::rows(path, "SELECT name || ' ' || type || iif(\"notnull\", ' NOT NULL', '') || iif(pk, ' key', '') "
                            "FROM pragma_table_info('" + table + "')");
}

bool holds(const std::string& text, std::initializer_list<const char*> parts) {
    return std::all_of(parts.begin(), parts.end(), [&](const char* p) { return text.find(p) != std::string::npos; });
}

}  // namespace

TEST_CASE("a table is made with a column for each member, and holds the values in SQLite's types") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    everything e{true, -5, (std::uint64_t{1} << 63) - 1, 0.5F, -1e300, "it's \"quoted\"; DROP TABLE t",
                 timestamp(1500ms), 90s, color::green, plain_enum::seven, {0, 255, 1}, {0.5, 2}, {{"a", 1}, {"b", 2}}};
    test::write_all(*test::sqlite_sink<everything>(path, "t"), {e, everything{}});
    CHECK(columns_of(path, "t") ==
          strings{"flag INTEGER NOT NULL", "small INTEGER NOT NULL", "large INTEGER NOT NULL", "single REAL NOT NULL",
                  "real REAL NOT NULL", "text TEXT NOT NULL", "at INTEGER NOT NULL", "lasts INTEGER NOT NULL",
                  "hue TEXT NOT NULL", "number INTEGER NOT NULL", "bytes BLOB NOT NULL", "list TEXT NOT NULL",
                  "by_name TEXT NOT NULL"});
    CHECK(test::rows(path, "SELECT flag, small, large, single, real, text, at, lasts, hue, number, hex(bytes), list, "
                           "by_name FROM t") ==
          strings{"1|-5|9223372036854775807|0.5|-1.0e+300|it's \"quoted\"; DROP TABLE t|1500000000|90|green|7|00FF01|"
                  "[0.5,2]|{\"a\":1,\"b\":2}",
                  "0|0|0|0.0|0.0||0|0|red|7||[]|{}"});
    CHECK(test::rows(path, "SELECT typeof(flag), typeof(single), typeof(text), typeof(at), typeof(bytes) FROM t "
                           "LIMIT 1") ==
          strings{"integer|real|text|integer|blob"});
}

TEST_CASE("members of structs and tuples within are columns, and an empty optional is NULL") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    test::write_all(*test::sqlite_sink<visit>(path, "visits"), {{"ann", "hi", place{1, 2}, {3, true}, {4, 5}},
                                                                {"bob", std::nullopt, std::nullopt, {6, false}, {}}});
    CHECK(columns_of(path, "visits") ==
          strings{"user TEXT NOT NULL", "note TEXT", "where_x REAL", "where_y REAL", "more_0 INTEGER NOT NULL",
                  "more_1 INTEGER NOT NULL", "pair_0 INTEGER NOT NULL", "pair_1 INTEGER NOT NULL"});
    CHECK(test::rows(path, "SELECT * FROM visits") == strings{"ann|hi|1.0|2.0|3|1|4|5", "bob|NULL|NULL|NULL|6|0|0|0"});
}

TEST_CASE("results of windows have columns for key, start, end and value") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    test::write_all(*test::sqlite_sink<windowed<std::string, std::uint64_t>>(path, "counts"),
                    {{"ann", timestamp(0s), timestamp(10s), 3}});
    CHECK(test::rows(path, "SELECT key, start, \"end\", value FROM counts") == strings{"ann|0|10000000000|3"});

    using totals = paned<no_key, std::tuple<std::int64_t, double>>;
    test::write_all(*test::sqlite_sink<totals>(path, "totals", {.times = sqlite_time::text}),
                    {{{}, timestamp(0s), timestamp(1500ms), {1, 2.5}, {7, pane_timing::late}}});
    CHECK(columns_of(path, "totals") ==
          strings{"start TEXT NOT NULL", "end TEXT NOT NULL", "value_0 INTEGER NOT NULL", "value_1 REAL NOT NULL",
                  "pane_index INTEGER NOT NULL", "pane_timing TEXT NOT NULL"});
    CHECK(test::rows(path, "SELECT * FROM totals") ==
          strings{"1970-01-01T00:00:00Z|1970-01-01T00:00:01.5Z|1|2.5|7|late"});
    CHECK(test::rows(path, "SELECT strftime('%f', \"end\") FROM totals") == strings{"01.500"});
}

TEST_CASE("what is no struct is one column") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    test::write_all(*test::sqlite_sink<std::string>(path, "lines"), {"a", std::string("b\0c", 3), "\xff"});
    CHECK(test::rows(path, "SELECT hex(value), typeof(value) FROM lines") ==
          strings{"61|text", "620063|text", "FF|text"});
    test::write_all(*test::sqlite_sink<std::optional<bool>>(path, "answers"), {true, std::nullopt, false});
    CHECK(test::rows(path, "SELECT value FROM answers") == strings{"1", "NULL", "0"});
    test::write_all(*test::sqlite_sink<bool>(path, "bits"), {true, false});
    CHECK(test::rows(path, "SELECT value FROM bits") == strings{"1", "0"});
}

TEST_CASE("with a key, a result replaces the row of its key; without, each is a row of its own") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    const std::vector<count_of> counts{{"ann", 1}, {"bob", 1}, {"ann", 2}};
    test::write_all(*test::sqlite_sink<count_of>(path, "with", {.key = {"USER"}}), counts);
    test::write_all(*test::sqlite_sink<count_of>(path, "with", {.key = {"user"}}), {{"bob", 5}});
    CHECK(columns_of(path, "with") == strings{"user TEXT NOT NULL key", "n INTEGER NOT NULL"});
    CHECK(test::rows(path, "SELECT * FROM \"with\" ORDER BY user") == strings{"ann|2", "bob|5"});
    test::write_all(*test::sqlite_sink<count_of>(path, "without"), counts);
    CHECK(test::rows(path, "SELECT * FROM without ORDER BY rowid") == strings{"ann|1", "bob|1", "ann|2"});
    test::write_all(*test::sqlite_sink<count_of>(path, "all", {.key = {"n", "user"}}), counts);
    test::write_all(*test::sqlite_sink<count_of>(path, "all", {.key = {"n", "user"}}), counts);
    CHECK(test::rows(path, "SELECT n, user FROM \"all\" ORDER BY n, user") == strings{"1|ann", "1|bob", "2|ann"});
}

TEST_CASE("columns may have names of their own, and any name is a name") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    test::write_all(*test::sqlite_sink<windowed<std::string, int>>(
                        path, "counts", {.key = {"user", "from"}, .columns = {"user", "from", "to", "clicks"}}),
                    {{"ann", timestamp(1), timestamp(2), 3}});
    CHECK(test::rows(path, "SELECT user, \"from\", \"to\", clicks FROM counts") == strings{"ann|1|2|3"});
    const std::string table = "a \"b\"; DROP TABLE counts; --'";
    test::write_all(*test::sqlite_sink<awkward>(path, table, {.key = {"select"}}), {{1, 2}, {1, 3}});
    CHECK(test::rows(path, "SELECT \"select\", \"Order\" FROM \"a \"\"b\"\"; DROP TABLE counts; --'\"") ==
          strings{"1|3"});
    CHECK(test::rows(path, "SELECT count(*) FROM counts") == strings{"1"});
}

TEST_CASE("a file named like a URI or a database in memory is a file") {
    test::temporary_folder folder;
    const auto before = std::filesystem::current_path();
    std::filesystem::current_path(folder.path());
    for (const char* name : {":memory:", "file:x?mode=memory"})
        test::write_all(*test::sqlite_sink<count_of>(name, "t"), {{"ann", 1}});
    std::filesystem::current_path(before);
    CHECK(test::rows(folder / ":memory:", "SELECT * FROM t") == strings{"ann|1"});
    CHECK(std::filesystem::exists(folder / "file:x?mode=memory"));
}

TEST_CASE("what SQLite cannot hold is refused with its column, and the record is to blame") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    const auto sink = test::sqlite_sink<measured>(path, "m");
    const double nan = std::numeric_limits<double>::quiet_NaN();
    struct refused {
        measured bad;
        const char* text;
    };
    for (const refused& r : std::vector<refused>{
             {{2, nan, {}, 0}, "column \"value\": NaN"},
             {{2, 0, nan, 0}, "column \"other\": NaN"},
             {{2, 0, {}, std::uint64_t{1} << 63}, "column \"big\": 9223372036854775808 is larger"}})
        for (const std::string owner : {"", "job/sink"}) {
            CAPTURE(r.text);
            const auto writer = sink->open({.owner = owner});
            batch<measured> records;
            for (const measured& m : {measured{1, HUGE_VAL, -HUGE_VAL, 1}, r.bad, measured{3, 1, 1, 1}})
                records.append(m, timestamp(1));
            const std::string why = test::thrown([&] { (void)writer->write(records); });
            CHECK_MESSAGE(holds(why, {"a.db", "table \"m\"", r.text}), why);
            CHECK(records.cursor() == 1);
            records.consume_until(2);
            CHECK(writer->write(records) == progress::done);
            CHECK(writer->finish() == progress::done);
            if (!owner.empty()) CHECK(!writer->prepare().empty());
        }
    CHECK(test::rows(path, "SELECT id, count(*), min(value), min(other) FROM m GROUP BY id") ==
          strings{"1|3|Inf|-Inf", "3|3|1.0|1.0"});
}

TEST_CASE("a table that is there is used if it has the columns, in any order") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    test::rows(path, "CREATE TABLE t (N BIGINT, \"USER\" VARCHAR(20) NOT NULL, PRIMARY KEY (\"user\"))");
    test::write_all(*test::sqlite_sink<count_of>(path, "T", {.key = {"user"}}), {{"007", 1}, {"007", 2}});
    CHECK(test::rows(path, "SELECT user, n FROM t") == strings{"007|2"});
}

TEST_CASE("a table with other columns is refused with both lists, and stays as it is") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    const auto refused = [&](const std::string& columns, sqlite_table_options options, const char* there) {
        test::rows(path, "DROP TABLE IF EXISTS t");
        test::rows(path, "CREATE TABLE t (" + columns + ")");
        const auto sink = test::sqlite_sink<count_of>(path, "t", std::move(options));
        const std::string why = test::thrown([&] { (void)sink->open({}); });
        CHECK_MESSAGE(holds(why, {"a.db", "\"t\" has other columns", there, "user TEXT NOT NULL, n INTEGER NOT NULL"}),
                      why);
        CHECK(test::thrown([&] { (void)sink->open({}); }) == why);
        CHECK(test::rows(path, "SELECT sql FROM sqlite_master WHERE name = 't'") ==
              strings{"CREATE TABLE t (" + columns + ")"});
    };
    refused("user TEXT", {}, "has: user TEXT; no primary key");
    refused("user TEXT, n INTEGER, more TEXT", {}, "has: user TEXT, n INTEGER, more TEXT");
    refused("name TEXT, n INTEGER", {}, "has: name TEXT, n INTEGER");
    refused("user INTEGER, n INTEGER", {}, "has: user INTEGER, n INTEGER");
    refused("user, n INTEGER", {}, "has: user , n INTEGER");
    refused("user TEXT, n NUMERIC", {}, "has: user TEXT, n NUMERIC");
    refused("user TEXT PRIMARY KEY, n INTEGER", {},
            "primary key user. The records have: user TEXT NOT NULL, n INTEGER NOT NULL; no primary key");
    refused("user TEXT, n INTEGER", {.key = {"user"}}, "no primary key. The records have");
    refused("user TEXT, n INTEGER, PRIMARY KEY (n, user)", {.key = {"user"}}, "primary key n, user");

    test::rows(path, "CREATE TABLE needs (user TEXT NOT NULL, note TEXT NOT NULL)");
    struct noted;
    const auto sink = test::sqlite_sink<std::pair<std::string, std::optional<std::string>>>(
        path, "needs", {.columns = {"user", "note"}});
    CHECK(holds(test::thrown([&] { (void)sink->open({}); }),
                {"has: user TEXT NOT NULL, note TEXT NOT NULL", "have: user TEXT NOT NULL, note TEXT;"}));

    test::rows(path, "CREATE VIEW seen AS SELECT user, n FROM t");
    CHECK(holds(test::thrown([&] { (void)test::sqlite_sink<count_of>(path, "seen")->open({}); }), {"a.db", "view"}));
}

TEST_CASE("problems of a sink's options are found before anything starts, all at once") {
    const auto problems = [](const auto& sink) {
        std::string all;
        for (const std::string& p : sink->problems()) all += p + "\n";
        return all;
    };
    CHECK(test::sqlite_sink<count_of>("a.db", "t", {.key = {"user"}})->problems().empty());
    const std::string many = problems(test::sqlite_sink<count_of>(
        "", "sqlite_x", {.key = {"n", "who", "N"}, .columns = {"a"}, .busy_timeout = -1ms}));
    CHECK_MESSAGE(holds(many, {"path", "sqlite_x", "\"who\" for the key. There are: user, n", "\"N\" twice",
                               "1 names for 2 columns: user, n", "negative"}),
                  many);
    CHECK(holds(problems(test::sqlite_sink<count_of>("a.db", "")), {"the table \"\""}));
    CHECK(holds(problems(test::sqlite_sink<count_of>("a.db", std::string("a\0b", 3))), {"the table"}));
    CHECK(holds(problems(test::sqlite_sink<count_of>("a.db", "Runnel_Checkpoints")), {"taken"}));
    CHECK(holds(problems(test::sqlite_sink<clashing>("a.db", "t")), {"two columns are named \"at_x\""}));
    CHECK(holds(problems(test::sqlite_sink<count_of>("a.db", "t", {.columns = {"a", "A"}})),
                {"two columns are named \"A\""}));
    CHECK(holds(problems(test::sqlite_sink<count_of>("a.db", "t", {.columns = {"a", ""}})), {"the column \"\""}));
    CHECK(holds(problems(test::sqlite_sink<nothing_in_it>("a.db", "t")), {"no columns"}));
    CHECK(holds(problems(test::sqlite_sink<measured>("a.db", "t", {.key = {"other"}})),
                {"\"other\" of the key may be NULL"}));
    CHECK(!std::filesystem::exists("a.db"));
}

TEST_CASE("without checkpoints, results are stored when the input has run empty, and when there are many") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    const auto sink = test::sqlite_sink<count_of>(path, "t");
    CHECK(!std::filesystem::exists(path));
    const auto writer = sink->open({});
    CHECK(std::filesystem::exists(path));
    const auto stored = [&] { return test::rows(path, "SELECT count(*) FROM t").front(); };
    test::write(*writer, {{"ann", 1}});
    CHECK(stored() == "0");
    CHECK(writer->flush() == progress::done);
    CHECK(stored() == "1");
    CHECK(writer->flush() == progress::done);
    test::write(*writer, std::vector<count_of>(25'000, {"bob", 1}));
    CHECK(stored() == "20001");
    CHECK(writer->finish() == progress::done);
    CHECK(stored() == "25001");
    CHECK(test::rows(path, "SELECT name FROM sqlite_master") == strings{"t"});
    CHECK(test::rows(path, "PRAGMA journal_mode") == strings{"wal"});
}

TEST_CASE("a database that cannot be used is named, with the reason") {
    test::temporary_folder folder;
    const auto opening = [&](const std::string& path) {
        return test::thrown([&] { (void)test::sqlite_sink<count_of>(path, "t", {.busy_timeout = 0ms})->open({}); });
    };
    SUBCASE("a missing folder") {
        const std::string why = opening(folder / "missing/a.db");
        CHECK_MESSAGE(holds(why, {"cannot open database", "missing/a.db", "No such file or directory"}), why);
        CHECK(!std::filesystem::exists(folder / "missing"));
    }
    SUBCASE("a folder in its place") {
        CHECK(holds(opening(folder.path()), {"cannot open database", "unable to open database file"}));
    }
    SUBCASE("a file that is no database is not touched") {
        const std::string text(5000, 'x');
        const std::string why = opening(folder.write("a.db", text));
        CHECK_MESSAGE(holds(why, {"a.db", "file is not a database", "has not been changed"}), why);
        CHECK(folder.read("a.db") == text);
    }
    SUBCASE("a damaged database") {
        test::write_all(*test::sqlite_sink<count_of>(folder / "a.db", "t"), std::vector<count_of>(2000, {"ann", 1}));
        std::string bytes = folder.read("a.db");
        std::fill(bytes.begin() + 100, bytes.begin() + 4096, '\x5a');
        folder.write("a.db", bytes);
        const std::string why = opening(folder / "a.db");
        CHECK_MESSAGE(holds(why, {"a.db", "malformed"}), why);
    }
    SUBCASE("one that another program writes to") {
        test::rows(folder / "a.db", "CREATE TABLE other (x)");
        test::database other(folder / "a.db");
        other("BEGIN IMMEDIATE");
        const std::string why = opening(folder / "a.db");
        CHECK_MESSAGE(holds(why, {"a.db", "database is locked", "busy_timeout"}), why);
        other("ROLLBACK");
        CHECK(opening(folder / "a.db") == "nothing");
    }
    SUBCASE("one in a folder that is read-only") {
        test::rows(folder / "a.db", "CREATE TABLE other (x)");
        for (const char* name : {"a.db", "b.db"}) {
            std::filesystem::permissions(folder / "a.db", std::filesystem::perms(0444));
            std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
            int pipe[2];
            REQUIRE(::pipe(pipe) == 0);
            const pid_t child = ::fork();
            if (child == 0) {
                if (::geteuid() == 0 && ::seteuid(65534) != 0) ::_exit(2);  // nothing is forbidden to root
                const std::string why = opening(folder / name);
                ::_exit(::write(pipe[1], why.data(), why.size()) != static_cast<ssize_t>(why.size()));
            }
            ::close(pipe[1]);
            std::string why(1000, '\0');
            why.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(pipe[0], why.data(), why.size()))));
            ::close(pipe[0]);
            int status = 0;
            REQUIRE(::waitpid(child, &status, 0) == child);
            CHECK(status == 0);
            CHECK_MESSAGE((holds(why, {name, "read-only"}) || holds(why, {name, "Permission denied"})), why);
            std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
        }
        CHECK(!std::filesystem::exists(folder / "b.db"));
    }
}

TEST_CASE("a database that is moved, removed or locked while a job runs ends it, and nothing is stored by half") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    const auto sink = test::sqlite_sink<count_of>(path, "t", {.busy_timeout = 0ms});
    const auto writer = sink->open({});
    test::write(*writer, {{"ann", 1}});
    REQUIRE(writer->flush() == progress::done);
    test::write(*writer, {{"bob", 1}, {"cid", 1}});
    const auto flushing = [&] { return test::thrown([&] { (void)writer->flush(); }); };
    SUBCASE("removed") {
        std::filesystem::remove(path);
        CHECK(holds(flushing(), {"a.db", "moved or removed"}));
    }
    SUBCASE("moved, and back again") {
        std::filesystem::rename(path, folder / "b.db");
        CHECK(holds(flushing(), {"a.db", "moved or removed"}));
        std::filesystem::remove(path);
        std::filesystem::rename(folder / "b.db", path);
        CHECK(flushing() == "nothing");
        CHECK(test::rows(path, "SELECT user FROM t") == strings{"ann", "bob", "cid"});
    }
    SUBCASE("its folder is gone") {
        std::filesystem::remove_all(folder.path());
        CHECK(holds(flushing(), {"a.db", "moved or removed"}));
        CHECK(holds(flushing(), {"a.db", "No such file or directory"}));
        std::filesystem::create_directories(folder.path());
    }
    SUBCASE("locked, and free again") {
        test::database other(path);
        other("BEGIN IMMEDIATE");
        CHECK(holds(flushing(), {"a.db", "database is locked", "busy_timeout"}));
        CHECK(other("SELECT user FROM t") == strings{"ann"});
        other("ROLLBACK");
        CHECK(flushing() == "nothing");
        CHECK(other("SELECT user FROM t") == strings{"ann", "bob", "cid"});
    }
    SUBCASE("its table is gone") {
        test::rows(path, "DROP TABLE t");
        CHECK(holds(flushing(), {"a.db", "no such table"}));
    }
    SUBCASE("a row breaks a rule of the table") {
        test::rows(path, "CREATE UNIQUE INDEX i ON t (n) WHERE user > 'b'");
        CHECK(holds(flushing(), {"a.db", "UNIQUE"}));
        CHECK(test::rows(path, "SELECT user FROM t") == strings{"ann"});
    }
}

TEST_CASE("with checkpoints, results are stored by the commit of theirs, once") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    const auto stored = [&] { return test::rows(path, "SELECT user, n FROM t ORDER BY rowid"); };
    const auto marker = [&] { return test::rows(path, "SELECT owner, checkpoint FROM runnel_checkpoints"); };
    const std::string owner = "job's/\"t\"";
    auto sink = test::sqlite_sink<count_of>(path, "t");
    CHECK(sink->is_transactional());
    sink->recover(0, owner, {});
    auto writer = sink->open({.owner = owner});
    CHECK(writer->prepare().empty());
    test::write(*writer, {{"ann", 1}, {"bob", 2}});
    CHECK(writer->flush() == progress::done);
    const strings first{writer->prepare()};
    CHECK(stored().empty());
    sink->commit(1, owner, first);
    CHECK(stored() == strings{"ann|1", "bob|2"});
    CHECK(marker() == strings{owner + "|1"});
    sink->commit(1, owner, first);
    CHECK(stored().size() == 2);

    test::write(*writer, {{"cid", 3}});
    CHECK(writer->finish() == progress::done);
    const strings second{writer->prepare()};
    // The process ends here, and the next one begins.
    const auto restart = [&] {
        writer.reset();
        sink = test::sqlite_sink<count_of>(path, "t");
    };
    SUBCASE("the checkpoint was complete, and not committed") {
        restart();
        sink->recover(2, owner, second);
        CHECK(stored() == strings{"ann|1", "bob|2", "cid|3"});
        CHECK(marker() == strings{owner + "|2"});
        restart();
        sink->recover(2, owner, second);
        CHECK(stored().size() == 3);
    }
    SUBCASE("the checkpoint was not complete") {
        restart();
        sink->recover(1, owner, first);
        CHECK(stored() == strings{"ann|1", "bob|2"});
    }
    SUBCASE("the checkpoint was committed") {
        sink->commit(2, owner, second);
        restart();
        sink->recover(2, owner, second);
        CHECK(stored() == strings{"ann|1", "bob|2", "cid|3"});
    }
    SUBCASE("the job goes on from an earlier one than the database has") {
        sink->commit(2, owner, second);
        restart();
        const std::string why = test::thrown([&] { sink->recover(1, owner, first); });
        CHECK_MESSAGE(holds(why, {"a.db t", "owner 'job's/\"t\"'", "up to checkpoint 2", "goes on from checkpoint 1",
                                  "set the number"}),
                      why);
        const std::string anew = test::thrown([&] { sink->recover(0, owner, {}); });
        CHECK_MESSAGE(holds(anew, {"a.db t", "up to checkpoint 2", "begins without a checkpoint",
                                   "Go on from checkpoint 2"}),
                      anew);
        CHECK_THROWS_AS(sink->recover(0, owner, {}), checkpoint_error);
        CHECK(stored().size() == 3);
        sink->recover(0, "another job/t", {});
        test::rows(path, "DELETE FROM runnel_checkpoints");
        sink->recover(0, owner, {});
    }
    SUBCASE("the database is another than it was") {
        restart();
        for (const char* file : {"a.db", "a.db-wal", "a.db-shm"}) std::filesystem::remove(folder / file);
        const std::string why = test::thrown([&] { sink->recover(2, owner, second); });
        CHECK_MESSAGE(holds(why, {"a.db t", "holds no results", "up to checkpoint 1",
                                  "set the number stored there for 'job's/\"t\"' to 1"}),
                      why);
        CHECK(stored().empty());
        test::rows(path, "INSERT INTO runnel_checkpoints VALUES ('job''s/\"t\"', 1)");
        sink->recover(2, owner, second);
        CHECK(stored() == strings{"cid|3"});
    }
    SUBCASE("a checkpoint without results changes nothing") {
        sink->commit(2, owner, second);
        const strings none{writer->prepare()};
        sink->commit(3, owner, none);
        CHECK(marker() == strings{owner + "|2"});
        restart();
        sink->recover(3, owner, none);
        CHECK(stored().size() == 3);
    }
    SUBCASE("the records have changed since") {
        writer.reset();
        const auto changed = test::sqlite_sink<count_as_double>(path, "u");
        const std::string why = test::thrown([&] { changed->recover(2, owner, second); });
        CHECK_MESSAGE(holds(why, {"checkpoint 2", "a.db u", "another type"}), why);
        CHECK(test::rows(path, "SELECT * FROM u").empty());
        changed->recover(1, owner, first);  // These are stored.
    }
}

TEST_CASE("results that several checkpoints have prepared are stored in the order in which they came") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    const auto sink = test::sqlite_sink<count_of>(path, "t", {.key = {"user"}});
    sink->recover(0, "job/t", {});
    const auto writer = sink->open({.owner = "job/t"});
    strings prepared;
    for (std::int64_t n = 1; n <= 3; ++n) {
        test::write(*writer, {{"ann", n}});
        prepared.insert(prepared.begin(), writer->prepare());
    }
    sink->commit(3, "job/t", prepared);
    CHECK(test::rows(path, "SELECT * FROM t") == strings{"ann|3"});
}

TEST_CASE("several sinks write to one database, each with a number of its own") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    const auto a = test::sqlite_sink<count_of>(path, "a"), b = test::sqlite_sink<count_of>(path, "b");
    for (const auto& [sink, owner] : {std::pair{a, "job/a"}, std::pair{b, "job/b"}}) sink->recover(0, owner, {});
    const auto to_a = a->open({.owner = "job/a"}), to_b = b->open({.owner = "job/b"});
    test::write(*to_a, {{"ann", 1}});
    test::write(*to_b, {{"bob", 1}});
    a->commit(1, "job/a", {to_a->prepare()});
    const strings late{to_b->prepare()};
    a->recover(1, "job/a", {});
    b->recover(1, "job/b", late);
    CHECK(test::rows(path, "SELECT user FROM a UNION ALL SELECT user FROM b") == strings{"ann", "bob"});
    CHECK(test::rows(path, "SELECT * FROM runnel_checkpoints") == strings{"job/a|1", "job/b|1"});
}

TEST_CASE("of programs that make one database at the same time, none fails") {
    test::temporary_folder folder;
    for (int round = 0; round < 20; ++round) {
        const std::string path = folder / (std::to_string(round) + ".db");
        std::vector<std::thread> threads;
        std::atomic<int> failed = 0;
        for (int n = 0; n < 4; ++n)
            threads.emplace_back([&, n] {
                try {
                    const auto sink = test::sqlite_sink<count_of>(path, n % 2 == 0 ? "a" : "b");
                    const std::string owner = "job/" + std::to_string(n);
                    sink->recover(0, owner, {});
                    const auto writer = sink->open({.owner = owner});
                    batch<count_of> records;
                    records.append({"ann", n}, timestamp(1));
                    (void)writer->write(records);
                    sink->commit(1, owner, {writer->prepare()});
                } catch (const std::exception& e) {
                    std::fprintf(stderr, "%s\n", e.what());
                    ++failed;
                }
            });
        for (std::thread& t : threads) t.join();
        REQUIRE(failed == 0);
        CHECK(test::rows(path, "SELECT n FROM a UNION ALL SELECT n FROM b ORDER BY n") == strings{"0", "1", "2", "3"});
    }
}

TEST_CASE("a commit that fails stores nothing, and can be asked for again") {
    test::temporary_folder folder;
    const std::string path = folder / "a.db";
    const auto sink = test::sqlite_sink<count_of>(path, "t", {.busy_timeout = 0ms});
    sink->recover(0, "job/t", {});
    const auto writer = sink->open({.owner = "job/t"});
    test::write(*writer, std::vector<count_of>(10'000, {"ann", 1}));
    const strings prepared{writer->prepare()};
    {
        test::database other(path);
        other("CREATE TRIGGER odd AFTER INSERT ON t WHEN (SELECT count(*) FROM t) = 5000 BEGIN "
              "SELECT RAISE(ABORT, 'enough'); END");
        CHECK(holds(test::thrown([&] { sink->commit(1, "job/t", prepared); }), {"a.db", "enough"}));
        CHECK(other("SELECT count(*) FROM t") == strings{"0"});
        CHECK(other("SELECT count(*) FROM runnel_checkpoints") == strings{"0"});
        other("DROP TRIGGER odd");
        other("BEGIN IMMEDIATE");
        CHECK(holds(test::thrown([&] { sink->commit(1, "job/t", prepared); }), {"a.db", "locked"}));
    }
    sink->recover(1, "job/t", prepared);
    CHECK(test::rows(path, "SELECT count(*) FROM t") == strings{"10000"});
}
