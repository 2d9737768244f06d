#include "runnel/codec/describe.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace runnel;

namespace {

struct base {
    int id = 1;
};
BOOST_DESCRIBE_STRUCT(base, (), (id))

struct derived : base {
    std::string name = "n";
};
BOOST_DESCRIBE_STRUCT(derived, (base), (name))

class closed {
    int hidden_ = 5;
    BOOST_DESCRIBE_CLASS(closed, (), (), (), (hidden_))

public:
    int hidden() const { return hidden_; }
};

struct plain {
    int x;
};

enum class colour { red = 3, green = -1 };
BOOST_DESCRIBE_ENUM(colour, red, green)
enum class unknown { a };

}  // namespace

TEST_CASE("only described structs and enums are described") {
    CHECK(described<derived>);
    CHECK(described<closed>);
    CHECK_FALSE(described<plain>);
    CHECK_FALSE(described<int>);
    CHECK_FALSE(described<std::string>);
    CHECK(described_enum<colour>);
    CHECK_FALSE(described_enum<unknown>);
    CHECK_FALSE(described_enum<int>);
}

TEST_CASE("members come in order of declaration, inherited ones first") {
    derived d;
    std::vector<std::string> names;
    for_each_member<derived>([&]<class M>(std::string_view name, M derived::*member) {
        names.emplace_back(name);
        if constexpr (std::is_same_v<M, int>) CHECK(d.*member == 1);
        else CHECK(d.*member == "n");
    });
    CHECK(names == std::vector<std::string>{"id", "name"});
    CHECK(member_count<derived> == 2);
}

TEST_CASE("described private members are members too") {
    closed c;
    for_each_member<closed>([&](std::string_view name, auto member) {
        CHECK(name == "hidden_");
        c.*member = 6;
    });
    CHECK(c.hidden() == 6);
}

TEST_CASE("enumerators come with their names and values") {
    std::string text;
    for_each_enumerator<colour>([&](std::string_view name, colour value) {
        text += std::string(name) + "=" + std::to_string(static_cast<int>(value)) + ";";
    });
    CHECK(text == "red=3;green=-1;");
}
