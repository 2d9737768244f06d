#include "runnel/codec/display.hpp"

#include <doctest/doctest.h>

#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <chrono>
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

struct sealed {};
struct tagged {
    std::map<std::string, described_pair> tags;
    std::pair<int, std::optional<double>> place;
    std::chrono::milliseconds took;
};
BOOST_DESCRIBE_STRUCT(tagged, (), (tags, place, took))
struct closed {
    std::map<std::string, sealed> parts;
};
BOOST_DESCRIBE_STRUCT(closed, (), (parts))
struct tree {
    std::vector<tree> below;
};
BOOST_DESCRIBE_STRUCT(tree, (), (below))

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

TEST_CASE("it is known which types have a text: all that can be displayed, unless they are built in too many levels") {
    CHECK(runnel::displayable<int>);
    CHECK(runnel::displayable<streamed>);
    CHECK(runnel::displayable<colour>);
    CHECK(runnel::displayable<std::vector<std::pair<int, std::string>>>);
    CHECK(runnel::displayable<tagged>);
    CHECK(shown(tagged{{{"a", {"x", 2}}}, {1, 0.5}, std::chrono::milliseconds(3)}) ==
          R"({"tags":{"a":{"name":"x","n":2}},"place":[1,0.5],"took":3})");
    CHECK_FALSE(runnel::displayable<sealed>);
    CHECK_FALSE(runnel::displayable<std::optional<sealed>>);
    CHECK_FALSE(runnel::displayable<closed>);
    CHECK_FALSE(runnel::displayable<tree>);
}
