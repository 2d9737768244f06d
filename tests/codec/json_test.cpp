#include "runnel/codec/json.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "runnel/core/error.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct click {
    std::string user, page;
    timestamp at;
    bool operator==(const click&) const = default;
};
BOOST_DESCRIBE_STRUCT(click, (), (user, page, at))

enum class colour : std::int8_t { red = 1, green = -2 };
BOOST_DESCRIBE_ENUM(colour, red, green)
enum class level : unsigned char { low, high };

struct item {
    std::string name;
    double price = 0;
    bool operator==(const item&) const = default;
};
BOOST_DESCRIBE_STRUCT(item, (), (name, price))

struct everything {
    bool yes = false;
    std::int8_t i8 = 0;
    std::int16_t i16 = 0;
    std::int32_t i32 = 0;
    std::int64_t i64 = 0;
    std::uint8_t u8 = 0;
    std::uint16_t u16 = 0;
    std::uint32_t u32 = 0;
    std::uint64_t u64 = 0;
    float f = 0;
    double d = 0;
    std::string text;
    timestamp at;
    std::chrono::milliseconds lasts{};
    colour paint = colour::red;
    level height = level::low;
    std::optional<std::int32_t> maybe;
    item first;
    std::vector<item> items;
    std::array<int, 2> two{};
    std::pair<std::string, int> both;
    std::map<std::string, std::vector<int>> table;
    bool operator==(const everything&) const = default;
};
BOOST_DESCRIBE_STRUCT(everything, (),
                      (yes, i8, i16, i32, i64, u8, u16, u32, u64, f, d, text, at, lasts, paint, height, maybe, first,
                       items, two, both, table))

struct node {
    int id = 0;
    std::vector<node> children;
    bool operator==(const node&) const = default;
};
BOOST_DESCRIBE_STRUCT(node, (), (id, children))

template <class M>
struct one {
    M value{};
};
BOOST_DESCRIBE_STRUCT(one<int>, (), (value))
BOOST_DESCRIBE_STRUCT(one<std::int8_t>, (), (value))
BOOST_DESCRIBE_STRUCT(one<std::uint64_t>, (), (value))
BOOST_DESCRIBE_STRUCT(one<std::int64_t>, (), (value))
BOOST_DESCRIBE_STRUCT(one<double>, (), (value))
BOOST_DESCRIBE_STRUCT(one<float>, (), (value))
BOOST_DESCRIBE_STRUCT(one<bool>, (), (value))
BOOST_DESCRIBE_STRUCT(one<std::string>, (), (value))
BOOST_DESCRIBE_STRUCT(one<timestamp>, (), (value))
BOOST_DESCRIBE_STRUCT(one<colour>, (), (value))
BOOST_DESCRIBE_STRUCT(one<level>, (), (value))
BOOST_DESCRIBE_STRUCT(one<std::optional<int>>, (), (value))

/// The text of the error, or "" if there is none. The line is copied to memory of exactly its size, so that the
/// address sanitizer sees every byte that is read behind it. Between good lines of a block the outcome is the same.
template <class T>
std::string error_of(std::string_view line, T& into) {
    static json_decoder<T> decoder;
    const auto attempt = [&](auto decode) -> std::string {
        try {
            decode();
        } catch (const decode_error& e) {
            return e.what();
        }
        return {};
    };
    const std::vector<char> exact(line.begin(), line.end());
    const std::string problem = attempt([&] { decoder.decode(std::string_view(exact.data(), exact.size()), into); });
    // A line break inside the line would make two lines of it.
    if (line.find('\n') == std::string_view::npos) {
        const std::string block = "{\"value\":\"\\\"\"}\n" + std::string(line) + "\n[{}]\n";
        decoder.prepare(block);
        T other{};
        const std::string_view inside = std::string_view(block).substr(block.find('\n') + 1, line.size());
        CHECK(attempt([&] { decoder.decode_prepared(inside, other); }) == problem);
        if constexpr (std::equality_comparable<T>)
            if (problem.empty()) CHECK(into == other);
    }
    return problem;
}
template <class T>
std::string error_of(std::string_view line) {
    T value;
    return error_of(line, value);
}
template <class M>
std::string value_error(std::string_view value) {
    return error_of<one<M>>("{\"value\":" + std::string(value) + "}");
}
template <class M>
M value_of(std::string_view value) {
    one<M> held;
    const std::string problem = error_of("{\"value\":" + std::string(value) + "}", held);
    CHECK_MESSAGE(problem.empty(), problem);
    return held.value;
}
template <class T>
std::string json(const T& value) {
    std::string out;
    append_json(out, value);
    return out;
}
bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

const std::string good = R"({"user":"u123","page":"/a","at":1700000000000})";

}  // namespace

TEST_CASE("a line fills the members by name, in any order and with any white space") {
    const click expected{"u123", "/a", timestamp(1'700'000'000s)};
    for (std::string line :
         {good, std::string(R"({"at":1700000000000,"page":"/a","user":"u123"})"), "\xEF\xBB\xBF" + good,
          std::string(" \t{ \"user\" : \"u123\" ,\"page\":\"\\/a\", \"at\"\r\n:\"2023-11-14T22:13:20Z\" } \r\n"),
          std::string(R"({"us\u0065r":"u123","page":"\u002fa","at":1700000000000})")}) {
        INFO(line);
        click c{"old", "old", timestamp(1)};
        CHECK(error_of(line, c) == "");
        CHECK(c == expected);
    }
}

TEST_CASE("unknown members are left out, whatever they hold, but must be JSON") {
    click c;
    CHECK(error_of(R"({"x":[1,{"user":"no","y":[]},null,true,false,-1.5e+3,"\n"],"user":"u123","z":{},"page":"/a",)"
                   R"("at":1700000000000,"w":"end"})", c) == "");
    CHECK(c.user == "u123");
    for (const char* wrong : {"tru", "nul", "01", "1.", ".5", "1e", "+1", "-", "NaN", "[1,]", "[,1]", "{\"a\"}",
                              "{\"a\":1,}", "{1:2}", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "[1 2]", "'a'", "1 2", "",
                              "\"a\"b", "\"a\"\"b\"", "12\"a\"", "[", "]", "{", "}", "[1}", "{\"a\":1]", "\\", "\f"}) {
        const std::string text = wrong;
        INFO(text);
        CHECK(error_of<click>("{\"x\":" + text + ",\"user\":\"u123\",\"page\":\"/a\",\"at\":1}") != "");
    }
}

TEST_CASE("a missing member is an error that names it, unless it is optional") {
    CHECK(error_of<click>(R"({"user":"u","page":"/a"})") == "member 'at' is missing");
    CHECK(error_of<click>("{}") == "member 'user' is missing");
    one<std::optional<int>> held{5};
    CHECK(error_of("{}", held) == "");
    CHECK_FALSE(held.value.has_value());
    CHECK(error_of<std::vector<item>>(R"([{"name":"a","price":1},{"name":"b"}])") == "member '[1].price' is missing");
}

TEST_CASE("a member that occurs twice is an error") {
    CHECK(error_of<click>(R"({"user":"u","user":"v","page":"/a","at":1})") == "byte 13, member 'user': occurs twice");
    CHECK(error_of<std::map<std::string, int>>(R"({"a":1,"a":2})") == "byte 8, member 'a': occurs twice");
}

TEST_CASE("a wrong type is an error with byte, member, what was expected and what was found") {
    CHECK(error_of<click>(R"({"user":7,"page":"/a","at":1})") == "byte 9, member 'user': expected a string, found 7");
    CHECK(value_error<int>("\"7\"") == "byte 10, member 'value': expected an integer, found the string \"7\"");
    CHECK(value_error<int>("1.0") == "byte 10, member 'value': expected an integer, found 1.0");
    CHECK(value_error<int>("1e3") == "byte 10, member 'value': expected an integer, found 1e3");
    CHECK(value_error<int>("null") == "byte 10, member 'value': expected an integer, found null");
    CHECK(value_error<int>("01") == "byte 10, member 'value': 01 is not a number");
    CHECK(value_error<int>("-") == "byte 10, member 'value': - is not a number");
    CHECK(value_error<bool>("1") == "byte 10, member 'value': expected true or false, found 1");
    CHECK(value_error<bool>("truth") == "byte 10, member 'value': expected true or false, found truth");
    CHECK(value_error<double>("{}") == "byte 10, member 'value': expected a number, found an object");
    CHECK(value_error<std::string>("[]") == "byte 10, member 'value': expected a string, found an array");
    CHECK(value_error<colour>("\"blue\"") ==
          "byte 10, member 'value': expected one of red, green, found the string \"blue\"");
    CHECK(value_error<colour>("2") == "byte 10, member 'value': expected one of red, green, found 2");
    CHECK(has(value_error<timestamp>("\"yesterday\""),
              "byte 10, member 'value': the string \"yesterday\" is not a time"));
    CHECK(has(value_error<timestamp>("true"), "expected a time"));
    CHECK(error_of<click>("[1,2]") == "byte 1: expected an object, found an array");
    CHECK(error_of<std::vector<int>>("{}") == "byte 1: expected an array, found an object");
    CHECK(error_of<click>("17") == "byte 1: expected an object, found 17");
    CHECK(error_of<std::pair<int, int>>("[1]") == "byte 1: expected an array of 2 values, found 1");
    CHECK(error_of<std::pair<int, int>>("[1,2,3]") == "byte 6, member '[2]': expected no more than 2 values, found 3");
    CHECK(has(value_error<std::string>("{\"" + std::string(10'000, 'x') + "\":1}"), "an object"));
}

TEST_CASE("a number outside of the range of its type is an error, at the edge it is not") {
    CHECK(value_of<std::int8_t>("-128") == -128);
    CHECK(value_of<std::int8_t>("127") == 127);
    CHECK(value_error<std::int8_t>("128") ==
          "byte 10, member 'value': expected an integer from -128 to 127, found 128");
    CHECK(value_error<std::int8_t>("-129") != "");
    CHECK(value_of<std::uint64_t>("18446744073709551615") == UINT64_MAX);
    CHECK(value_of<std::uint64_t>("-0") == 0);
    CHECK(value_error<std::uint64_t>("18446744073709551616") != "");
    CHECK(value_error<std::uint64_t>("-1") != "");
    CHECK(value_of<std::int64_t>("-9223372036854775808") == INT64_MIN);
    CHECK(value_of<std::int64_t>("9223372036854775807") == INT64_MAX);
    CHECK(value_error<std::int64_t>("9223372036854775808") != "");
    CHECK(value_error<std::int64_t>("-9223372036854775809") != "");
    CHECK(value_error<std::int64_t>("999999999999999999999999") != "");
    CHECK(value_of<double>("1.7976931348623157e308") == std::numeric_limits<double>::max());
    CHECK(value_of<double>("5e-324") == std::numeric_limits<double>::denorm_min());
    CHECK(has(value_error<double>("1e400"), "outside of the range"));
    CHECK(has(value_error<float>("1e39"), "outside of the range"));
    CHECK(value_of<float>("0.1") == 0.1f);
    CHECK(value_of<double>("7") == 7.0);
    CHECK(std::signbit(value_of<double>("-0")));
    CHECK(value_error<timestamp>("9223372036855") != "");
    CHECK(value_error<timestamp>("\"9999-01-01\"") != "");
}

TEST_CASE("numbers keep to the grammar of JSON") {
    for (const char* wrong : {"01", "-01", "1.", ".1", "+1", "1e", "1e+", "0x1", "1_0", "inf", "-inf", "nan", "NaN",
                              "Infinity", "1.e1", "--1", "1-", "1f", "\xEF\xBC\x91"}) {
        INFO(std::string(wrong));
        CHECK(value_error<double>(wrong) != "");
        CHECK(value_error<int>(wrong) != "");
    }
}

TEST_CASE("strings are unescaped, and wrong escapes, control characters and broken UTF-8 are errors with their byte") {
    CHECK(value_of<std::string>(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00")") ==
          "\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    CHECK(value_of<std::string>("\"\\u0000\"") == std::string(1, '\0'));
    CHECK(value_of<std::string>("\"\xF0\x9F\x98\x80\x7F\"") == "\xF0\x9F\x98\x80\x7F");
    CHECK(value_error<std::string>(R"("ab\x")") == "byte 13, member 'value': wrong escape in a string: \\x");
    for (const char* wrong : {R"("\u12")", R"("\u12g4")", R"("\ud800")", R"("\ud800x")", R"("\ud800\n")", R"("\udc00")",
                              R"("\ud800\ud800")", R"("\u-123")", R"("\u 123")", R"("\U0041")", R"("\'")"}) {
        INFO(std::string(wrong));
        CHECK(has(value_error<std::string>(wrong), "wrong escape"));
    }
    CHECK(value_error<std::string>("\"a\xFF\"") == "byte 12: not UTF-8");
    CHECK(error_of<click>("\xEF\xBB\xBF{\"\xC3\"}") == "byte 6: not UTF-8");
    CHECK(value_error<std::string>("\"a\nb\"") ==
          "byte 12: control character inside a string; write it as an escape");
    CHECK(value_error<std::string>(std::string("\"a\0b\"", 5)) != "");
    CHECK(error_of<click>("{\"user\":\"abc") == "byte 9: the string that starts here does not end");
    CHECK(error_of<click>("{\"user\":\"abc\\\"") == "byte 9: the string that starts here does not end");
}

TEST_CASE("empty lines, text behind the object and cut-off lines are errors") {
    CHECK(error_of<click>("") == "the line is empty");
    CHECK(error_of<click>(" \t\r\n ") == "the line is empty");
    CHECK(error_of<click>("\xEF\xBB\xBF") == "the line is empty");
    CHECK(error_of<click>(good + " x") == "byte 48: text follows the end of the value: x");
    CHECK(error_of<click>(good + good) != "");
    CHECK(error_of<click>(good + ",") != "");
    CHECK(error_of<click>(good + "}") == "byte 47: text follows the end of the value: '}'");
    CHECK(error_of<click>(good + "\n{}") != "");
    CHECK(error_of<click>(good + std::string(1, '\0')) != "");
    for (std::size_t size = 0; size < good.size(); ++size) {
        INFO("size " << size);
        CHECK(error_of<click>(good.substr(0, size)) != "");
    }
    CHECK(error_of<click>(R"({"user":"u" "page":"/a"})") == "byte 13: expected ',' or '}', found the string \"page\"");
    CHECK(error_of<click>(R"({"user" "u"})") ==
          "byte 9: expected ':' behind the name of a member, found the string \"u\"");
    CHECK(error_of<click>(R"({"user":})") == "byte 9, member 'user': expected a string, found '}'");
    CHECK(error_of<click>(R"({user:"u"})") == "byte 2: expected the name of a member, found user");
    CHECK(error_of<one<int>>(R"({"value":1,})") == "byte 12: expected the name of a member, found '}'");
    CHECK(error_of<one<int>>(R"({"value":1)") == "byte 11: expected ',' or '}', found the end of the line");
}

TEST_CASE("deep nesting is refused, in what is read and in what is left out") {
    const auto nested = [](std::size_t depth) {
        std::string text;
        for (std::size_t i = 0; i < depth; ++i) text += "{\"id\":1,\"children\":[";
        for (std::size_t i = 0; i < depth; ++i) text += "]}";
        return text;
    };
    CHECK(error_of<node>(nested(128)) == "");
    CHECK(has(error_of<node>(nested(129)), "nested deeper than 256 levels"));
    CHECK(has(error_of<node>(nested(100'000)), "nested deeper than 256 levels"));
    for (const std::string open : {"[", "{\"a\":"}) {
        std::string bomb;
        for (int i = 0; i < 1'000'000; ++i) bomb += open;
        CHECK(has(error_of<one<int>>("{\"x\":" + bomb), "nested deeper than 256 levels"));
    }
    node n;
    const char* const tree =
        R"({"id":1,"children":[{"id":2,"children":[]},{"id":3,"children":[{"id":4,"children":[]}]}]})";
    CHECK(error_of(tree, n) == "");
    CHECK(n.children[1].children[0].id == 4);
    CHECK(error_of<node>(R"({"id":1,"children":[{"id":2,"children":[]},{"id":3,"children":[{"id":"x"}]}]})") ==
          "byte 70, member 'children[1].children[0].id': expected an integer, found the string \"x\"");
}

TEST_CASE("optional members take null, others do not") {
    CHECK_FALSE(value_of<std::optional<int>>("null").has_value());
    CHECK(value_of<std::optional<int>>("5") == 5);
    CHECK(value_error<std::optional<int>>("nul") == "byte 10, member 'value': expected an integer, found nul");
}

TEST_CASE("described enums are read by name or number, others by number") {
    CHECK(value_of<colour>("\"green\"") == colour::green);
    CHECK(value_of<colour>("-2") == colour::green);
    CHECK(value_of<level>("1") == level::high);
    CHECK(value_error<level>("256") != "");
    CHECK(json(one<colour>{colour::red}) == R"({"value":"red"})");
    CHECK(json(one<colour>{colour{77}}) == R"({"value":77})");
    CHECK(json(one<level>{level::high}) == R"({"value":1})");
}

TEST_CASE("the unit of integer times is the decoder's") {
    one<timestamp> held;
    for (auto [unit, at] : {std::pair(time_unit::seconds, timestamp(12s)),
                            std::pair(time_unit::milliseconds, timestamp(12ms)),
                            std::pair(time_unit::microseconds, timestamp(12us)),
                            std::pair(time_unit::nanoseconds, timestamp(12ns))}) {
        json_decoder<one<timestamp>> decoder(unit);
        decoder.decode(R"({"value":12})", held);
        CHECK(held.value == at);
        std::string out;
        append_json(out, held, unit);
        CHECK(out == R"({"value":12})");
    }
    CHECK(json(held) == R"({"value":"1970-01-01T00:00:00.000000012Z"})");
}

TEST_CASE("output is escaped, numbers without a JSON form are null, and broken UTF-8 is replaced") {
    CHECK(json(one<std::string>{"\"\\\n\r\t\x01\x7F/\xC3\xA9"}) ==
          "{\"value\":\"\\\"\\\\\\n\\r\\t\\u0001\x7F/\xC3\xA9\"}");
    CHECK(json(one<std::string>{"a\xFFz\xE2\x82"}) == "{\"value\":\"a\xEF\xBF\xBDz\xEF\xBF\xBD\xEF\xBF\xBD\"}");
    CHECK(json(one<double>{std::nan("")}) == R"({"value":null})");
    CHECK(json(one<double>{-INFINITY}) == R"({"value":null})");
    CHECK(json(one<double>{0.1}) == R"({"value":0.1})");
    CHECK(json(one<std::optional<int>>{}) == R"({"value":null})");
    CHECK(json(everything{}) ==
          R"({"yes":false,"i8":0,"i16":0,"i32":0,"i64":0,"u8":0,"u16":0,"u32":0,"u64":0,"f":0,"d":0,"text":"",)"
          R"("at":"1970-01-01T00:00:00Z","lasts":0,"paint":"red","height":0,"maybe":null,)"
          R"("first":{"name":"","price":0},"items":[],"two":[0,0],"both":["",0],"table":{}})");
    CHECK(json(std::vector<std::pair<std::string, int>>{{"a", 1}, {"b", 2}}) == R"([["a",1],["b",2]])");
}

TEST_CASE("values of every kind read back as they were written, into an object that held something else") {
    const std::uint64_t seed = 20'240'501;
    std::mt19937_64 random(seed);
    const auto bits = [&] { return random() >> (random() % 64); };
    const auto text = [&] {
        static const std::string parts[] = {"a", "\"", "\\", "\n", "\x01",
                                            "\xC3\xA9", "\xF0\x9F\x98\x80", "/", " ", "\x7F"};
        std::string s;
        for (std::uint64_t n = random() % 8; n != 0; --n) s += parts[random() % std::size(parts)];
        return s;
    };
    const auto number = [&]<class Float>(Float) {
        for (;;) {
            const auto raw = random();
            Float value;
            std::memcpy(&value, &raw, sizeof value);
            if (std::isfinite(value)) return value;
        }
    };
    const auto thing = [&] {
        return item{text(), number(0.0)};
    };
    json_decoder<everything> decoder;
    everything read;
    for (int round = 0; round < 3'000; ++round) {
        everything e;
        e.yes = random() % 2 != 0;
        e.i8 = static_cast<std::int8_t>(bits()), e.i16 = static_cast<std::int16_t>(bits());
        e.i32 = static_cast<std::int32_t>(bits()), e.i64 = static_cast<std::int64_t>(bits());
        e.u8 = static_cast<std::uint8_t>(bits()), e.u16 = static_cast<std::uint16_t>(bits());
        e.u32 = static_cast<std::uint32_t>(bits()), e.u64 = bits();
        e.f = number(0.0f), e.d = number(0.0);
        e.text = text();
        e.at = timestamp(static_cast<std::int64_t>(bits()));
        if (e.at == timestamp::max() || e.at == timestamp::min()) e.at = timestamp(0);
        e.lasts = std::chrono::milliseconds(static_cast<std::int64_t>(bits()));
        e.paint = random() % 2 != 0 ? colour::red : colour::green;
        e.height = static_cast<level>(random() % 256);
        if (random() % 2 != 0) e.maybe = static_cast<std::int32_t>(random());
        e.first = thing();
        for (auto n = random() % 4; n != 0; --n) e.items.push_back(thing());
        e.two = {static_cast<int>(random()), static_cast<int>(random())};
        e.both = {text(), static_cast<int>(random())};
        for (auto n = random() % 4; n != 0; --n) e.table[text()].assign(random() % 3, static_cast<int>(random()));
        std::string line;
        append_json(line, e);
        INFO("seed " << seed << " round " << round << ": " << line);
        REQUIRE_NOTHROW(decoder.decode(line, read));
        REQUIRE(read == e);
    }
}

TEST_CASE("a line with one byte changed decodes or is refused, and never does anything else") {
    const std::uint64_t seed = 5;
    std::mt19937_64 random(seed);
    everything whole;
    whole.text = "\xC3\xA9\n";
    whole.items = {{"x", 1.5}};
    whole.table = {{"k", {1, 2}}};
    const std::string line = json(whole);
    static const char hostile[] = "{}[]\",:\\0x-.eE \n\t\xFF\xC3\x80";
    for (int round = 0; round < 30'000; ++round) {
        std::string changed = line;
        const std::size_t at = random() % changed.size();
        changed[at] = hostile[random() % (sizeof hostile)];
        if (random() % 3 == 0) changed.resize(at);
        everything e;
        INFO("seed " << seed << " round " << round << ": " << changed);
        const std::string problem = error_of(changed, e);
        if (problem.empty()) {
            // What was taken is a value like any other: it survives being written and read.
            everything again;
            REQUIRE(error_of(json(e), again) == "");
            REQUIRE(again == e);
        }
    }
}

TEST_CASE("a decoder goes on after an error, and moves with its memory") {
    json_decoder<click> decoder;
    click c;
    CHECK_THROWS_AS(decoder.decode("{", c), decode_error);
    decoder.decode(good, c);
    json_decoder<click> moved(std::move(decoder));
    std::string page(100'000, 'p');
    moved.decode(R"({"user":"u","page":")" + page + R"(","at":5})", c);
    CHECK(c.page == page);
    moved.decode(good, c);
    CHECK(c.page == "/a");
}

TEST_CASE("lines of a prepared block decode in any order, broken ones among them, and each as it would alone") {
    const std::uint64_t seed = 77;
    std::mt19937_64 random(seed);
    for (int round = 0; round < 300; ++round) {
        static const std::string lines[] = {
            good, R"({"user":"é\n\"","page":"","at":-5})", "", " \t ", "{", "}{", "\\",
            R"({"user":"u"})", R"({"user":1})",
            good + "\r", "\xEF\xBB\xBF" + good, "[[[]]]", "12", good + " " + good,
            // These spoil the preparation, which must not show.
            "\"", "{\"user\":\"a", "\xFF", "\"\t\""};
        const std::size_t kinds = random() % 2 != 0 ? std::size(lines) : std::size(lines) - 4;
        std::string block;
        std::vector<std::pair<std::size_t, std::size_t>> spans;
        for (auto n = random() % 20; n != 0; --n) {
            const std::string& line = lines[random() % kinds];
            spans.emplace_back(block.size(), line.size());
            block += line + "\n";
        }
        if (random() % 2 != 0 && !block.empty()) block.pop_back();
        const std::vector<char> exact(block.begin(), block.end());
        json_decoder<click> decoder, single;
        decoder.prepare(std::string_view(exact.data(), exact.size()));
        if (random() % 2 != 0) std::shuffle(spans.begin(), spans.end(), random);
        for (auto [start, size] : spans) {
            const std::string_view line(exact.data() + start, size);
            click a, b;
            std::string problem, other_problem;
            try {
                decoder.decode_prepared(line, a);
            } catch (const decode_error& e) {
                problem = e.what();
            }
            try {
                single.decode(line, b);
            } catch (const decode_error& e) {
                other_problem = e.what();
            }
            INFO("seed " << seed << " round " << round << ": " << std::string(line));
            REQUIRE(problem == other_problem);
            if (problem.empty()) REQUIRE(a == b);
        }
    }
}

TEST_CASE("a line that is not in the prepared block is refused") {
    json_decoder<click> decoder;
    click c;
    const std::string block = good + "\n" + good;
    decoder.prepare(std::string_view(block).substr(0, good.size()));
    CHECK_NOTHROW(decoder.decode_prepared(std::string_view(block).substr(0, good.size()), c));
    CHECK_THROWS_AS(decoder.decode_prepared(std::string_view(block).substr(good.size() + 1), c), error);
    CHECK_THROWS_AS(decoder.decode_prepared(block, c), error);
    decoder.decode(good, c);
    CHECK_NOTHROW(decoder.decode_prepared(good, c));
}
