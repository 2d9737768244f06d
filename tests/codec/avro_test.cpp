#include "runnel/codec/avro.hpp"

#include <doctest/doctest.h>

#include <array>
#include <boost/describe.hpp>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "runnel/core/error.hpp"
#include "tests/codec/avro_records.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace avro_test;

namespace {

struct pair_of {
    std::int64_t a = 0;
    std::string b;
    bool operator==(const pair_of&) const = default;
};
BOOST_DESCRIBE_STRUCT(pair_of, (), (a, b))

struct grown {
    double a = 0;
    std::optional<std::string> c;
    std::vector<std::uint8_t> b;
    bool operator==(const grown&) const = default;
};
BOOST_DESCRIBE_STRUCT(grown, (), (a, c, b))

struct with_default {
    std::int64_t a = 0;
    int limit = 100;
    std::string kind = "plain";
};
BOOST_DESCRIBE_STRUCT(with_default, (), (a, limit, kind))

struct timed {
    timestamp at;
};
BOOST_DESCRIBE_STRUCT(timed, (), (at))

template <class T>
struct one {
    T x{};
    BOOST_DESCRIBE_CLASS(one, (), (x), (), ())
};

const std::string pair_schema =
    R"({"type":"record","name":"test","fields":[{"name":"a","type":"long"},{"name":"b","type":"string"}]})";

std::string schema_of_x(const std::string& type) {
    return R"({"type":"record","name":"r","fields":[{"name":"x","type":)" + type + "}]}";
}

template <class F>
std::string failure_of(F f) {
    try {
        f();
    } catch (const error& e) {
        return e.what();
    }
    return "none";
}

template <class T>
std::string bad(const std::string& type, const std::string& bytes) {
    return failure_of([&] { avro_decoder<one<T>>(schema_of_x(type)).decode(bytes); });
}

template <class T>
T read(const std::string& type, const std::string& bytes, const avro_options& options = {}) {
    return avro_decoder<one<T>>(schema_of_x(type), options).decode(bytes).x;
}

template <class T>
std::string bytes_of(const T& value) {
    std::string bytes;
    append_avro(bytes, value);
    return bytes;
}

}  // namespace

TEST_CASE("the examples of Avro's specification are written and read") {
    // 1.12, "Binary encoding".
    const std::vector<std::pair<std::int64_t, std::string>> numbers{
        {0, "\0"s}, {-1, "\1"}, {1, "\2"}, {-2, "\3"}, {2, "\4"}, {-64, "\x7f"}, {64, "\x80\x01"}};
    for (const auto& [n, bytes] : numbers) {
        CHECK(bytes_of(n) == bytes);
        CHECK(avro_decoder<std::int64_t>("\"long\"").decode(bytes) == n);
    }
    CHECK(bytes_of("foo"s) == "\6foo");
    CHECK(bytes_of(pair_of{27, "foo"}) == "\x36\6foo");
    CHECK(avro_decoder<pair_of>(pair_schema).decode("\x36\6foo") == pair_of{27, "foo"});
    CHECK(bytes_of(std::vector<std::int64_t>{3, 27}) == "\4\6\x36\0"s);
    CHECK(bytes_of(std::optional<std::string>()) == "\0"s);
    CHECK(bytes_of(std::optional<std::string>("a")) == "\2\2a");
    for (const std::int64_t n : {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()})
        CHECK(avro_decoder<std::int64_t>("long").decode(bytes_of(n)) == n);
}

TEST_CASE("what is written with a type's schema is read unchanged") {
    const avro_decoder<everything> decoder(avro_schema_of<everything>("everything"));
    std::mt19937_64 random(2);
    for (int i = 0; i < 2000; ++i) {
        CAPTURE(i);
        const everything value = random_value(random);
        const std::string bytes = bytes_of(value);
        REQUIRE(decoder.decode(bytes) == value);
    }
}

TEST_CASE("a type's schema names records after the member where they come first, once") {
    CHECK(avro_schema_of<pair_of>("test") == pair_schema);
    CHECK(avro_schema_of<std::vector<std::optional<paint>>>("p") ==
          R"({"type":"array","items":["null",{"type":"enum","name":"p","symbols":["red","green"]}]})");
    CHECK(avro_schema_of<tree>("t") ==
          R"({"type":"record","name":"t","fields":[{"name":"n","type":"int"},)"
          R"({"name":"left","type":["null",{"type":"record","name":"t_left","fields":[{"name":"n","type":"int"}]}],)"
          R"("default":null},{"name":"more","type":{"type":"array","items":"t"}}]})");
    CHECK(avro_schema_of<std::pair<int, std::vector<std::uint8_t>>>("a.b") ==
          R"({"type":"record","name":"a.b","fields":[{"name":"_0","type":"int"},{"name":"_1","type":"bytes"}]})");
    CHECK(avro_schema_of<timestamp>("t") == R"({"type":"long","logicalType":"timestamp-millis"})");
    CHECK(avro_schema_of<timestamp>("t", {.unit = time_unit::microseconds}) ==
          R"({"type":"long","logicalType":"timestamp-micros"})");
    CHECK(failure_of([] { (void)avro_schema_of<one<std::optional<std::optional<int>>>>("t"); }) ==
          "Avro has no schema for an optional in an optional, which 't_x' has. Give the member another type");
}

TEST_CASE("members are found by name, numbers widened, text taken as bytes, and fields that are not wanted read over") {
    const std::string writer =
        R"({"type":"record","name":"other","namespace":"x.y","fields":[
            {"name":"gone1","type":{"type":"map","values":{"type":"record","name":"in","fields":[
                {"name":"self","type":["null","in"]},{"name":"f","type":{"type":"fixed","name":"f2","size":2}}]}}},
            {"name":"b","type":"string"},
            {"name":"gone2","type":{"type":"array","items":["null","double","boolean","x.y.in"]}},
            {"name":"gone3","type":{"type":"enum","name":"e","symbols":["A","B"]}},
            {"name":"a","type":"int"}]})";
    // One map entry with a record in a record; a string; a block, and one that tells its size; then the rest.
    std::string bytes = "\2\2k\2\0f1f2\0"s;
    CHECK(failure_of([&] { avro_decoder<grown>{writer}; }) ==
          "field 'b': the schema has string where a list is wanted");
    const std::string as_bytes = [&] {
        std::string s = writer;
        return s.replace(s.find("\"string\""), 8, "\"bytes\"");
    }();
    bytes += "\4hi\2\6\0f3\3\x14\2"s + std::string(8, 'd') + "\0\0\2\x05"s;
    const grown g = avro_decoder<grown>(as_bytes).decode(bytes);
    CHECK(g == grown{-3, {}, {'h', 'i'}});
}

TEST_CASE("a member without a field is an error, unless it is optional or has a default that shall be kept") {
    const std::string bytes = bytes_of(pair_of{5, "x"});
    CHECK(failure_of([&] { avro_decoder<with_default>{pair_schema}; }) ==
          "the schema's record test has no field 'limit'. Make it a std::optional, or set avro_options::keep_missing");
    const with_default v = avro_decoder<with_default>(pair_schema, {.keep_missing = true}).decode(bytes);
    CHECK(v.a == 5);
    CHECK(v.limit == 100);
    CHECK(v.kind == "plain");
}

TEST_CASE("unions: each branch becomes what is wanted, or is an error when it comes") {
    const std::string any = R"(["null","string","int","double"])";
    CHECK(read<std::optional<double>>(any, "\0"s) == std::nullopt);
    CHECK(read<std::optional<double>>(any, "\4\x54") == 42.0);
    CHECK(read<std::optional<double>>(any, "\6\0\0\0\0\0\0\xf0\x3f"s) == 1.0);
    CHECK(read<double>(any, "\4\x54") == 42.0);
    CHECK(bad<double>(any, "\0"s) == "byte 2, member 'x': the schema has null where a double is wanted");
    CHECK(bad<double>(any, "\2\2a") == "byte 2, member 'x': the schema has string where a double is wanted");
    CHECK(bad<double>(any, "\x08") == "byte 2, member 'x': branch 4 of 4");
    CHECK(bad<double>(any, "\1") == "byte 2, member 'x': branch -1 of 4");
    CHECK(bad<double>(R"(["null","string"])", "") ==
          "field 'x': the schema has string where a double is wanted");
    CHECK(bad<std::optional<int>>(R"(["null","string"])", "\0"s) ==
          "field 'x': the schema has string where an integer from -2147483648 to 2147483647 is wanted");
    CHECK(read<std::optional<int>>(R"("int")", "\2") == 1);
    CHECK(read<std::optional<int>>(R"(["null"])", "\0"s) == std::nullopt);
}

TEST_CASE("the logical type says what a time counts; without one the option does") {
    const auto ms = timestamp(1'500ms), us = timestamp(1'500us), day = timestamp(24h * 365);
    const auto at = [](const std::string& logical, std::int64_t n, const avro_options& o = {}) {
        return read<timestamp>(R"({"type":"long","logicalType":")" + logical + "\"}", bytes_of(n), o);
    };
    CHECK(at("timestamp-millis", 1500) == ms);
    CHECK(at("timestamp-micros", 1500) == us);
    CHECK(at("local-timestamp-micros", 1500) == us);
    CHECK(at("timestamp-nanos", 1'500'000) == us);
    CHECK(at("not-known", 1500) == ms);
    CHECK(at("timestamp-millis", 1500, {.unit = time_unit::seconds}) == ms);
    CHECK(read<timestamp>("\"long\"", bytes_of(std::int64_t{1500}), {.unit = time_unit::microseconds}) == us);
    CHECK(read<timestamp>(R"({"type":"int","logicalType":"date"})", bytes_of(std::int64_t{365})) == day);
    CHECK(bad<timestamp>(R"({"type":"int","logicalType":"time-millis"})", "\0"s) ==
          "field 'x': the schema has int (time-millis) where a timestamp is wanted");
    CHECK(bad<timestamp>("\"long\"", bytes_of(std::numeric_limits<std::int64_t>::max())) ==
          "byte 11, member 'x': 9223372036854775807 milliseconds lie outside of the years 1677 to 2262");
}

TEST_CASE("bad bytes are errors that name the byte and the member") {
    CHECK(bad<std::int8_t>("\"long\"", bytes_of(std::int64_t{128})) ==
          "byte 3, member 'x': 128 is not an integer from -128 to 127");
    CHECK(bad<std::uint64_t>("\"int\"", "\1") ==
          "byte 2, member 'x': -1 is not an integer from 0 to 18446744073709551615");
    CHECK(bad<int>("\"int\"", bytes_of(std::int64_t{1} << 40)) == "byte 7, member 'x': an int has more than 32 bits");
    CHECK(bad<std::int64_t>("\"long\"", std::string(10, '\xff')) ==
          "byte 11, member 'x': a number has more than 64 bits");
    CHECK(bad<std::int64_t>("\"long\"", "\x80") == "byte 2, member 'x': the bytes end in a number");
    CHECK(bad<std::string>("\"string\"", "\xfe\xff\xff\xff\x07" "a") ==
          "byte 6, member 'x': 1073741823 bytes are said to follow, and 1 do");
    CHECK(bad<std::string>("\"string\"", "\1") == "byte 2, member 'x': a length is negative");
    CHECK(bad<std::string>("\"string\"", "\2\xff") == "byte 3, member 'x': a string is not UTF-8");
    CHECK(bad<bool>("\"boolean\"", "\2") == "byte 2, member 'x': a boolean is neither 0 nor 1");
    CHECK(bad<double>("\"double\"", "1234567") ==
          "byte 1, member 'x': 8 bytes are said to follow, and 7 do");
    const std::string colours = R"({"type":"enum","name":"c","symbols":["blue","green"]})";
    CHECK(read<paint>(colours, "\2") == paint::green);
    CHECK(bad<paint>(colours, "\0"s) == "byte 2, member 'x': the symbol blue is not one of red, green");
    CHECK(bad<paint>(colours, "\4") == "byte 2, member 'x': symbol 2 of 2");
    CHECK(bad<int>("\"int\"", "\2\2") == "byte 2: the value has ended, and more follows");
    const std::string map = R"({"type":"map","values":"int"})";
    CHECK(bad<std::map<std::string, int>>(map, "\4\2a\2\2a\2\0"s) == "byte 7, member 'x.a': the key comes twice");
    CHECK(bad<std::vector<pair_of>>(R"({"type":"array","items":)" + pair_schema + "}", "\4\2\2a\2") ==
          "byte 6, member 'x[1].b': the bytes end in a number");
}

TEST_CASE("neither what is said of lengths, nor items without bytes, nor nesting takes memory or time") {
    const std::string nulls = R"({"type":"array","items":"null"})";
    CHECK(read<std::vector<std::optional<int>>>(nulls, "\x06\0"s).size() == 3);
    const std::string endless = bytes_of(std::numeric_limits<std::int64_t>::max());
    CHECK(bad<std::vector<std::optional<int>>>(nulls, endless).ends_with("too many values that take no bytes"));
    // The same where it is read over, by a number that has no positive twin, too.
    const std::string two = R"({"type":"record","name":"r","fields":[{"name":"y","type":)" + nulls +
                            R"(},{"name":"x","type":"int"}]})";
    const avro_decoder<one<int>> over(two);
    CHECK(failure_of([&] { over.decode(endless); }).ends_with("too many values that take no bytes"));
    CHECK(failure_of([&] {
              over.decode(bytes_of(std::numeric_limits<std::int64_t>::min()) + "\0\2"s);
          }).ends_with("the bytes end in a number"));
    // A schema of 2^40 empty records in one another.
    std::string bomb = R"({"type":"record","name":"r0","fields":[]})";
    for (int i = 1; i <= 40; ++i)
        bomb = R"({"type":"record","name":"r)" + std::to_string(i) + R"(","fields":[{"name":"a","type":)" + bomb +
               R"(},{"name":"b","type":"r)" + std::to_string(i - 1) + "\"}]}";
    const avro_decoder<one<int>> bombed(R"({"type":"record","name":"r","fields":[{"name":"y","type":)" + bomb +
                                        R"(},{"name":"x","type":"int"}]})");
    CHECK(failure_of([&] { bombed.decode("\2"); }).ends_with("too many values that take no bytes"));
    const avro_decoder<tree> trees(avro_schema_of<tree>("t"));
    std::string deep;
    for (int i = 0; i < 300; ++i) deep += "\2\0\2"s;
    CHECK(failure_of([&] { trees.decode(deep); }).ends_with("nested deeper than 256 levels"));
    // A record that contains itself without an end.
    const avro_decoder<one<int>> itself(
        R"({"type":"record","name":"r","fields":[{"name":"y","type":"r"},{"name":"x","type":"int"}]})");
    CHECK(failure_of([&] { itself.decode("\2"); }).ends_with("nested deeper than 256 levels"));
}

TEST_CASE("a text that is no schema is refused") {
    const auto refused = [](const std::string& schema) {
        return failure_of([&] { avro_decoder<pair_of>{schema}; });
    };
    CHECK(refused("").starts_with("not an Avro schema: "));
    CHECK(refused("{").starts_with("not an Avro schema: "));
    CHECK(refused("7") == "not an Avro schema: a type is a name, an object or an array");
    CHECK(refused("{}") == "not an Avro schema: an object without \"type\"");
    CHECK(refused("\"shop.click\"") == "not an Avro schema: it does not define \"shop.click\". Schemas that refer to "
                                       "others are not offered");
    CHECK(refused(R"({"type":"record","name":"r"})") == "not an Avro schema: record \"r\" without fields");
    CHECK(refused(R"({"type":"record","fields":[]})") == "not an Avro schema: a record, enum or fixed without a name");
    CHECK(refused(schema_of_x(schema_of_x("\"int\""))) == "not an Avro schema: \"r\" is defined twice");
    CHECK(refused(R"({"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]})") ==
          "not an Avro schema: field \"a\" of \"r\" comes twice");
    CHECK(refused(R"({"type":"fixed","name":"f","size":-1})") == "not an Avro schema: fixed \"f\" without a size");
    CHECK(refused(R"({"type":"array"})") == "not an Avro schema: an array without items");
    CHECK(refused("[[\"int\"]]") == "not an Avro schema: a union in a union");
    std::string deep = "\"int\"";
    for (int i = 0; i < 300; ++i) deep = R"({"type":"array","items":)" + deep + "}";
    CHECK(refused(deep) == "not an Avro schema: it is nested deeper than 256 levels");
    CHECK(refused("\"int\"") == "the schema has int where a struct is wanted");
}

TEST_CASE("a value that Avro cannot hold is an error that names the member, and nothing is written") {
    std::string out = "before";
    everything v;
    v.text = "\xff";
    CHECK(failure_of([&] { append_avro(out, v); }) ==
          "member 'text': Avro's strings are UTF-8, and this one is not. Make it a vector of std::uint8_t");
    v.text.clear();
    v.list.emplace_back();
    v.list.back().u64 = std::numeric_limits<std::uint64_t>::max();
    CHECK(failure_of([&] { append_avro(out, v); }) ==
          "member 'list.u64': Avro's largest integer is 9223372036854775807, and this is 18446744073709551615");
    v.list.clear();
    v.colour = static_cast<paint>(7);
    CHECK(failure_of([&] { append_avro(out, v); }) ==
          "member 'colour': the enum has no name for 7, only one of red, green");
    CHECK(out == "before");
}
