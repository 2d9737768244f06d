#include "runnel/codec/csv.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
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

enum class colour { red = 1, green = 2 };
BOOST_DESCRIBE_ENUM(colour, red, green)

struct row {
    std::string text;
    std::optional<std::string> maybe_text;
    std::optional<std::int16_t> maybe;
    bool yes = false;
    std::int64_t i64 = 0;
    std::uint8_t u8 = 0;
    double d = 0;
    float f = 0;
    colour paint = colour::red;
    timestamp at;
    bool operator==(const row&) const = default;
};
BOOST_DESCRIBE_STRUCT(row, (), (text, maybe_text, maybe, yes, i64, u8, d, f, paint, at))

struct single {
    std::string text;
    bool operator==(const single&) const = default;
};
BOOST_DESCRIBE_STRUCT(single, (), (text))

struct nested {
    click inner;
};
BOOST_DESCRIBE_STRUCT(nested, (), (inner))
struct listed {
    std::vector<int> list;
};
BOOST_DESCRIBE_STRUCT(listed, (), (list))
struct plain {};

/// The text of the error, or "" if there is none; the line lies in memory of exactly its size.
template <class T>
std::string error_of(csv_decoder<T>& decoder, std::string_view line, T& into) {
    const std::vector<char> exact(line.begin(), line.end());
    try {
        decoder.decode(std::string_view(exact.data(), exact.size()), into);
    } catch (const decode_error& e) {
        return e.what();
    }
    return {};
}
std::string click_error(std::string_view line) {
    csv_decoder<click> decoder;
    click c;
    return error_of(decoder, line, c);
}
std::string header_error(std::string_view line) {
    csv_decoder<click> decoder;
    try {
        decoder.set_header(line);
    } catch (const decode_error& e) {
        return e.what();
    }
    return {};
}
template <class T>
std::string csv(const T& value) {
    std::string out;
    append_csv(out, value);
    return out;
}

const click expected{"u1", "/a", timestamp(1'700'000'000s)};

}  // namespace

TEST_CASE("only described structs of plain values are rows of CSV") {
    CHECK(csv_record<row>);
    CHECK_FALSE(csv_record<nested>);
    CHECK_FALSE(csv_record<listed>);
    CHECK_FALSE(csv_record<plain>);
    CHECK_FALSE(csv_record<int>);
}

TEST_CASE("without a header, columns are the members in order") {
    csv_decoder<click> decoder;
    click c;
    decoder.decode("u1,/a,1700000000000", c);
    CHECK(c == expected);
    decoder.decode("u1,/a,2023-11-14T22:13:20Z\r", c);
    CHECK(c == expected);
    csv_decoder<click> seconds({.delimiter = ';', .unit = time_unit::seconds});
    seconds.decode("u1;/a;1700000000", c);
    CHECK(c == expected);
}

TEST_CASE("a header maps columns by name and leaves out unknown ones") {
    csv_decoder<click> decoder;
    decoder.set_header("\xEF\xBB\xBF" "at,extra,\"page\",user,\r");
    click c;
    decoder.decode("1700000000000,ignored,/a,u1,\"\"", c);
    CHECK(c == expected);
    CHECK(error_of(decoder, "1700000000000,x,/a,u1", c) == "expected 5 fields, found 4");
    csv_decoder<row> rows;
    rows.set_header("text,yes,i64,u8,d,f,paint,at");
    row r;
    r.maybe = 5;
    rows.decode("a,1,2,3,4,5,green,6", r);
    CHECK_FALSE(r.maybe.has_value());
    CHECK(r.paint == colour::green);
}

TEST_CASE("a header without a needed column, or with a column twice, is refused by name") {
    CHECK(header_error("user,when") == "the header has no column 'page', 'at'");
    CHECK(header_error("user,page,at,user") == "byte 14, column 'user': occurs twice in the header");
    CHECK(header_error("") == "the line is empty");
    CHECK(header_error("user,page,at,x,x") == "");
}

TEST_CASE("quoted fields hold delimiters, doubled quotes and line breaks") {
    csv_decoder<click> decoder;
    click c;
    decoder.decode("\"a,b\",\"say \"\"hi\"\"\r\n\",\"1\"", c);
    CHECK(c.user == "a,b");
    CHECK(c.page == "say \"hi\"\r\n");
    CHECK(c.at == timestamp(1ms));
    decoder.decode("\"\",,1", c);
    CHECK(c.user.empty());
}

TEST_CASE("wrong quoting, wrong counts, empty lines and broken UTF-8 are errors with byte and column") {
    CHECK(click_error("a\"b,c,1") == "byte 2, column 'user': quote inside a field that does not start with one");
    CHECK(click_error("a,\"b\"c,1") ==
          "byte 6, column 'page': expected the delimiter behind a quoted field, found 'c'");
    CHECK(click_error("a,\"b,1") == "byte 3, column 'page': the quoted field that starts here does not end");
    CHECK(click_error("a,\"") == "byte 3, column 'page': the quoted field that starts here does not end");
    CHECK(click_error("a,b") == "expected 3 fields, found 2");
    CHECK(click_error("a,b,1,") == "byte 7: more than the 3 fields that were expected");
    CHECK(click_error("") == "the line is empty");
    CHECK(click_error("\r") == "the line is empty");
    CHECK(click_error("a,\xFF,1") == "byte 3: not UTF-8");
}

TEST_CASE("a value of the wrong type or range is an error with byte, column and what was expected") {
    csv_decoder<row> decoder;
    row r;
    const auto problem = [&](std::string_view fields) { return error_of(decoder, "t,," + std::string(fields), r); };
    CHECK(problem(",true,1,1,1,1,red,0") == "");
    CHECK(problem("x,true,1,1,1,1,red,0") == "byte 4, column 'maybe': expected an integer, found 'x'");
    CHECK(problem("40000,true,1,1,1,1,red,0") ==
          "byte 4, column 'maybe': expected an integer from -32768 to 32767, found '40000'");
    CHECK(problem(",yes,1,1,1,1,red,0") == "byte 5, column 'yes': expected true or false, found 'yes'");
    CHECK(problem(",1,,1,1,1,red,0") == "byte 7, column 'i64': expected an integer, found ''");
    CHECK(problem(",1,1.5,1,1,1,red,0") == "byte 7, column 'i64': expected an integer, found '1.5'");
    CHECK(problem(",1, 1,1,1,1,red,0") == "byte 7, column 'i64': expected an integer, found ' 1'");
    CHECK(problem(",1,1,-1,1,1,red,0") == "byte 9, column 'u8': expected an integer from 0 to 255, found '-1'");
    CHECK(problem(",1,1,1,1e999,1,red,0") ==
          "byte 11, column 'd': 1e999 is outside of the range of a floating-point number");
    CHECK(problem(",1,1,1,1,1x,red,0") == "byte 13, column 'f': expected a number, found '1x'");
    CHECK(problem(",1,1,1,1,1,blue,0") == "byte 15, column 'paint': expected one of red, green, found 'blue'");
    CHECK(problem(",1,1,1,1,1,red,soon").find("column 'at': expected a time (an integer of milliseconds") !=
          std::string::npos);
}

TEST_CASE("a delimiter that numbers or times contain is refused") {
    for (char c : std::string("\"\n\r-+.:0az\xC3", 11)) CHECK_THROWS_AS(csv_decoder<click>({.delimiter = c}), error);
    std::string out;
    CHECK_THROWS_AS(append_csv(out, click{}, '-'), error);
    CHECK_THROWS_AS(csv_header<click>('"'), error);
    for (char c : std::string(",;\t| ")) CHECK_NOTHROW(csv_decoder<click>({.delimiter = c}));
}

TEST_CASE("output has a header, quotes where needed, and keeps empty text and no text apart") {
    CHECK(csv_header<click>() == "user,page,at");
    CHECK(csv_header<click>('\t') == "user\tpage\tat");
    CHECK(csv(click{"a,b", "\"", timestamp(0)}) == "\"a,b\",\"\"\"\",1970-01-01T00:00:00Z");
    std::string out;
    append_csv(out, click{"a,b", ";", timestamp(5s)}, {.delimiter = ';', .unit = time_unit::seconds});
    CHECK(out == "a,b;\";\";5");
    CHECK(csv(single{}) == "\"\"");
    row r;
    CHECK(csv(r) == ",,,false,0,0,0,0,red,1970-01-01T00:00:00Z");
    r.maybe_text = "";
    CHECK(csv(r) == ",\"\",,false,0,0,0,0,red,1970-01-01T00:00:00Z");
}

TEST_CASE("rows read back as they were written, with every delimiter") {
    const std::uint64_t seed = 99;
    std::mt19937_64 random(seed);
    const auto text = [&] {
        static const std::string parts[] = {"a", "\"", ",", "\n", "\r", ";", "\xC3\xA9", " ", "\t"};
        std::string s;
        for (auto n = random() % 6; n != 0; --n) s += parts[random() % std::size(parts)];
        return s;
    };
    for (int round = 0; round < 3'000; ++round) {
        row r;
        r.text = text();
        if (random() % 2 != 0) r.maybe_text = text();
        if (random() % 2 != 0) r.maybe = static_cast<std::int16_t>(random());
        r.yes = random() % 2 != 0;
        r.i64 = static_cast<std::int64_t>(random());
        r.u8 = static_cast<std::uint8_t>(random());
        r.d = std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 200) - 100);
        r.f = static_cast<float>(r.i64);
        r.paint = random() % 2 != 0 ? colour::red : colour::green;
        r.at = timestamp(static_cast<std::int64_t>(random()) / 2);
        const csv_options options{.delimiter = ",;\t|"[random() % 4], .unit = time_unit::nanoseconds};
        std::string line;
        if (random() % 2 != 0) append_csv(line, r, options);
        else append_csv(line, r, options.delimiter);
        csv_decoder<row> decoder(options);
        decoder.set_header(csv_header<row>(options.delimiter));
        row read;
        INFO("seed " << seed << " round " << round << ": " << line);
        REQUIRE(error_of(decoder, line, read) == "");
        REQUIRE(read == r);
    }
}
