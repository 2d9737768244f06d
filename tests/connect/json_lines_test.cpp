#include "runnel/connect/json_lines.hpp"

#include <doctest/doctest.h>

#include <boost/describe/class.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "tests/connect/drive.hpp"
#include "tests/connect/scripted_origin.hpp"
#include "tests/core/temporary_folder.hpp"

namespace {

struct click {
    std::string user, page;
    std::int32_t count = 0;
    runnel::timestamp at;
    friend bool operator==(const click&, const click&) = default;
};
BOOST_DESCRIBE_STRUCT(click, (), (user, page, count, at))

const std::string good = R"({"user":"u","page":"/a","count":1,"at":1700000000000})";
const click read_as{"u", "/a", 1, runnel::timestamp(std::chrono::seconds(1'700'000'000))};

}  // namespace

using namespace runnel;

TEST_CASE("each JSON line is a record; blank lines are none") {
    const test::temporary_folder folder;
    auto lines = json_lines<click>(folder.write("clicks.jsonl", good + "\r\n\n \t\n" + good + "\n" + good));
    test::driver<click> d(lines);
    d.run();
    CHECK(d.values == std::vector<click>(3, read_as));
    CHECK(d.bad.empty());
}

TEST_CASE("every kind of bad JSON line is one bad record between good ones, with file, line, byte and cause") {
    const test::temporary_folder folder;
    const std::pair<std::string, std::string> table[] = {
        {"nonsense", "nonsense"},
        {"cut off", good.substr(0, good.size() - 5)},
        {"cut off in text", R"({"user":"u)"},
        {"wrong type", R"({"user":7,"page":"/a","count":1,"at":0})"},
        {"out of range", R"({"user":"u","page":"/a","count":3000000000,"at":0})"},
        {"missing member", R"({"user":"u","page":"/a","at":0})"},
        {"not UTF-8", "{\"user\":\"\xFF\",\"page\":\"/a\",\"count\":1,\"at\":0}"},
        {"bad time", R"({"user":"u","page":"/a","count":1,"at":"yesterday"})"},
        {"too long", R"({"user":")" + std::string(300, 'u') + R"("})"},
        {"a list", "[1,2]"},
        {"two values", good + good},
        {"null byte", std::string("\0", 1)},
    };
    for (const auto& entry : table) {
        CAPTURE(entry.first);
        const std::string& line = entry.second;
        const std::string path = folder.write("clicks.jsonl", good + "\n" + line + "\n" + good + "\n");
        auto lines = json_lines<click>(path, {.max_line = 200});
        test::driver<click> d(lines);
        d.run();
        CHECK(d.values == std::vector<click>(2, read_as));
        REQUIRE(d.bad.size() == 1);
        CHECK(d.bad[0].where == path + ":2 byte " + std::to_string(good.size() + 1));
        CHECK(d.bad[0].why != "");
        CHECK(d.bad[0].raw == line.substr(0, 200));
    }
}

TEST_CASE("integers are times of the unit that was named") {
    const test::temporary_folder folder;
    auto lines = json_lines<click>(folder.write("f", R"({"user":"u","page":"/a","count":1,"at":1700000000})"),
                                   {.time_unit = time_unit::seconds});
    test::driver<click> d(lines);
    d.run();
    CHECK(d.values == std::vector<click>{read_as});
}

TEST_CASE("a JSON stream that ends after any byte gives whole records or one bad one") {
    const std::string text = good + "\n" + good + "\r\n";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        CAPTURE(cut);
        test::script s;
        s.data(0, text.substr(0, cut)).end(0);
        auto lines = json_lines<click>(test::scripted_origin(s));
        test::driver<click> d(lines);
        d.run();
        const std::size_t whole = cut > good.size() ? (cut == text.size() ? 2 : 1) : 0;
        CHECK(d.values == std::vector<click>(whole, read_as));
        CHECK(d.bad.size() == (cut == 0 || cut == good.size() + 1 || cut == text.size() ? 0 : 1));
    }
}
