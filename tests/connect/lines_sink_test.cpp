#include "runnel/connect/lines_sink.hpp"

#include <doctest/doctest.h>

#include <boost/describe/class.hpp>
#include <cerrno>
#include <string>

#include "tests/connect/failing_files.hpp"
#include "tests/core/temporary_folder.hpp"

namespace {

struct trade {
    std::string symbol;
    double price = 0;
};
BOOST_DESCRIBE_STRUCT(trade, (), (symbol, price))

runnel::batch<trade> trades() {
    runnel::batch<trade> b;
    b.append({"a,b", 1.5}, {});
    b.append({"c\"d", 2}, {});
    return b;
}

runnel::batch<std::string> texts(std::initializer_list<const char*> all) {
    runnel::batch<std::string> b;
    for (const char* text : all) b.append(text, {});
    return b;
}

}  // namespace

using namespace runnel;
using test::failing_files;

TEST_CASE("records become lines of JSON, CSV with a header, or text") {
    const test::temporary_folder folder;
    auto write = [](auto recipe, auto records) {
        using T = typename decltype(records)::value_type;
        auto writer = recipe.template bind<T>()->open({});
        CHECK(writer->write(records) == progress::done);
        CHECK(records.empty());
        CHECK(writer->finish() == progress::done);
    };
    write(json_lines_to(folder / "j"), trades());
    CHECK(folder.read("j") == "{\"symbol\":\"a,b\",\"price\":1.5}\n{\"symbol\":\"c\\\"d\",\"price\":2}\n");
    write(csv_lines_to(folder / "c"), trades());
    CHECK(folder.read("c") == "symbol,price\n\"a,b\",1.5\n\"c\"\"d\",2\n");
    write(csv_lines_to(folder / "s", ';'), trades());
    CHECK(folder.read("s") == "symbol;price\na,b;1.5\n\"c\"\"d\";2\n");
    write(text_lines_to(folder / "t"), texts({"one", "", "two"}));
    CHECK(folder.read("t") == "one\n\ntwo\n");
    write(csv_lines_to(folder / "none"), batch<trade>());
    CHECK(folder.read("none") == "symbol,price\n");
    CHECK(json_lines_to("f").bind<trade>()->name() == "json_lines_to f");
}

TEST_CASE("lines are in the file after a flush, and on stable storage after finish") {
    const test::temporary_folder folder;
    failing_files files(default_file_system());
    auto writer = text_lines_to(folder / "t", {.files = &files}).bind<std::string>()->open({});
    auto b = texts({"one"});
    writer->write(b);
    CHECK(folder.read("t") == "");
    writer->flush();
    CHECK(folder.read("t") == "one\n");
    CHECK(files.syncs == 0);
    b = texts({"two"});
    writer->write(b);
    writer->finish();
    CHECK(folder.read("t") == "one\ntwo\n");
    CHECK(files.syncs == 1);
    CHECK(files.folder_syncs == 1);
}

TEST_CASE("much text does not wait for a flush") {
    const test::temporary_folder folder;
    auto writer = text_lines_to(folder / "t").bind<std::string>()->open({});
    batch<std::string> b;
    for (int i = 0; i < 100; ++i) b.append(std::string(999, 'x'), {});
    writer->write(b);
    CHECK(default_file_system().size(folder / "t") >= 64 * 1000);
}

TEST_CASE("an existing file is replaced, appended to or refused, as asked") {
    const test::temporary_folder folder;
    auto run = [&](existing_file existing) {
        auto writer = csv_lines_to(folder / "f", ',', {.existing = existing}).bind<trade>()->open({});
        auto b = trades();
        b.truncate(1);
        writer->write(b);
        writer->finish();
    };
    run(existing_file::append);
    CHECK(folder.read("f") == "symbol,price\n\"a,b\",1.5\n");
    run(existing_file::append);
    CHECK(folder.read("f") == "symbol,price\n\"a,b\",1.5\n\"a,b\",1.5\n");
    run(existing_file::replace);
    CHECK(folder.read("f") == "symbol,price\n\"a,b\",1.5\n");
    try {
        run(existing_file::refuse);
        FAIL("not refused");
    } catch (const io_error& e) {
        CHECK(e.code() == EEXIST);
    }
    CHECK(folder.read("f") == "symbol,price\n\"a,b\",1.5\n");
}

TEST_CASE("a file whose last line is not whole is not appended to, and the message says where it is whole") {
    const test::temporary_folder folder;
    for (const std::string& text : {std::string("one\ntw"), std::string("half"), "one\n" + std::string(10'000, 'x')}) {
        const std::string whole = std::to_string(text.rfind('\n') + 1);
        const auto to = text_lines_to(folder.write("f", text), {.existing = existing_file::append}).bind<std::string>();
        CHECK_THROWS_WITH_AS(to->open({}),
                             ("cannot append to \"" + folder / "f" +
                              "\": its last line is not whole. Complete it, or cut the file to " + whole + " bytes")
                                 .c_str(),
                             io_error);
        CHECK(folder.read("f") == text);
    }
}

TEST_CASE("when a write fails anywhere, only the last line can be cut, and it lacks its end") {
    const std::string wanted = "one\ntwo\nthree\n";
    for (std::size_t room = 0; room < wanted.size(); ++room) {
        CAPTURE(room);
        const test::temporary_folder folder;
        failing_files files(default_file_system());
        files.room = room;
        auto to = text_lines_to(folder / "t", {.files = &files}).bind<std::string>();
        auto writer = to->open({});
        auto b = texts({"one", "two", "three"});
        writer->write(b);
        try {
            writer->finish();
            FAIL("no error");
        } catch (const io_error& e) {
            CHECK(e.code() == ENOSPC);
        }
        CHECK(folder.read("t") == wanted.substr(0, room));
        CHECK(files.syncs == 0);

        // A job that is started again goes on behind the last whole line.
        writer.reset();
        files.room = SIZE_MAX;
        writer = to->open({});
        b = texts({"four"});
        writer->write(b);
        writer->finish();
        const std::size_t whole = room == 0 ? 0 : wanted.rfind('\n', room - 1) + 1;
        CHECK(folder.read("t") == wanted.substr(0, whole) + "four\n");
    }
}

TEST_CASE("a failed sync fails finish, and so does every later try") {
    const test::temporary_folder folder;
    failing_files files(default_file_system());
    auto writer = text_lines_to(folder / "t", {.files = &files}).bind<std::string>()->open({});
    auto b = texts({"one"});
    writer->write(b);
    files.fail_sync = true;
    CHECK_THROWS_AS(writer->finish(), io_error);
    files.fail_sync = false;
    CHECK_THROWS_AS(writer->finish(), io_error);
    CHECK(files.syncs == 0);
}

TEST_CASE("a text with a line break is an error at its record, and the lines before it are whole") {
    const test::temporary_folder folder;
    auto writer = text_lines_to(folder / "t").bind<std::string>()->open({});
    auto b = texts({"one", "a\nb", "two"});
    CHECK_THROWS_AS(writer->write(b), error);
    CHECK(b.cursor() == 1);
    writer->flush();
    CHECK(folder.read("t") == "one\n");
}

TEST_CASE("a folder that is missing, a folder instead of a file and a full device are named") {
    const test::temporary_folder folder;
    auto reason = [](const std::string& path) {
        try {
            auto writer = text_lines_to(path).bind<std::string>()->open({});
            auto b = texts({"one"});
            writer->write(b);
            writer->finish();
        } catch (const io_error& e) {
            return std::string(e.what());
        }
        return std::string("no error");
    };
    CHECK(reason(folder / "none/f") == "cannot open \"" + folder / "none/f" + "\": No such file or directory");
    CHECK(reason(folder.path()) == "cannot open \"" + folder.path() + "\": Is a directory");
    if (default_file_system().exists("/dev/full"))
        CHECK(reason("/dev/full") == "cannot write to \"/dev/full\": No space left on device");
    CHECK(reason("/dev/null") == "no error");
}
