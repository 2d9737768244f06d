#include "runnel/codec/display.hpp"

#include <doctest/doctest.h>

#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <iomanip>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace {

struct described_pair {
    std::string name;
    int n = 0;
};
BOOST_DESCRIBE_STRUCT(described_pair, (), (name, n))

enum class colour { red, blue };
BOOST_DESCRIBE_ENUM(colour, red, blue)

struct streamed {
    int n = 0;
    friend std::ostream& operator<<(std::ostream& out, const streamed& s) {
        return out << '<' << std::hex << std::setfill('*') << std::setw(4) << s.n << '>';
    }
};

template <class T>
std::string shown(const T& value) {
    std::string text;
    runnel::string_stream out(text);
    runnel::display(out, value);
    return text;
}

}  // namespace

TEST_CASE("text, numbers and truth are written as they are") {
    CHECK(shown(std::string("a b")) == "a b");
    CHECK(shown(std::string_view("")) == "");
    CHECK(shown("literal") == "literal");
    CHECK(shown('x') == "x");
    CHECK(shown(true) == "true");
    CHECK(shown(-7) == "-7");
    CHECK(shown(std::uint8_t{200}) == "200");
    CHECK(shown(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
    CHECK(shown(0.1) == "0.1");
    CHECK(shown(1e300) == "1e+300");
}

TEST_CASE("times are ISO 8601, also beside a value") {
    CHECK(shown(runnel::timestamp(0)) == runnel::to_string(runnel::timestamp(0)));
    CHECK(shown(runnel::timed{5, runnel::timestamp(1)}) == "5 at " + runnel::to_string(runnel::timestamp(1)));
}

TEST_CASE("an operator<< of the user's is used, and what it sets does not stick") {
    std::string text;
    runnel::string_stream out(text);
    runnel::display(out, std::vector<streamed>{{255}, {10}});
    out.reset();
    out << ' ' << 255 << ' ' << 1.5;
    CHECK(text == "[<**ff>, <***a>] 255 1.5");
}

TEST_CASE("described structs are JSON, described enums their names") {
    CHECK(shown(described_pair{"a\"b", 3}) == R"({"name":"a\"b","n":3})");
    CHECK(shown(colour::blue) == "blue");
    CHECK(shown(static_cast<colour>(7)) == "7");
}

TEST_CASE("pairs, tuples, optionals and ranges are written part by part") {
    CHECK(shown(std::pair("k", 1)) == "(k, 1)");
    CHECK(shown(std::tuple<>()) == "()");
    CHECK(shown(std::tuple(1, std::optional<int>(), std::optional(described_pair{"x", 2}))) ==
          R"((1, none, {"name":"x","n":2}))");
    CHECK(shown(std::vector<bool>{true, false}) == "[true, false]");
    CHECK(shown(std::map<std::string, int>{{"a", 1}, {"b", 2}}) == "[(a, 1), (b, 2)]");
    CHECK(shown(std::vector<int>()) == "[]");
}
