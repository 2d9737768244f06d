#include "runnel/codec/layout.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "runnel/codec/binary.hpp"

using namespace runnel;

namespace {

enum class plain_enum : std::uint8_t { a };
enum class color : std::int16_t { red = 2, blue = -1 };
BOOST_DESCRIBE_ENUM(color, red, blue)
struct visit {
    std::string user;
    std::uint64_t count = 0;
    timestamp at;
};
BOOST_DESCRIBE_STRUCT(visit, (), (user, count, at))
struct empty {};
BOOST_DESCRIBE_STRUCT(empty, (), ())
struct all : empty {
    bool flag = false;
    char letter = 'a';
    plain_enum small{};
    color hue{};
    std::optional<visit> maybe;
    std::vector<std::pair<float, double>> list;
    std::map<std::string, visit> map;
    std::unordered_map<std::int8_t, std::set<std::uint16_t>> hashed;
    std::array<std::chrono::milliseconds, 3> spans;
    std::variant<std::monostate, std::int32_t> any;
};
BOOST_DESCRIBE_STRUCT(all, (empty), (flag, letter, small, hue, maybe, list, map, hashed, spans, any))
struct node {
    std::int32_t value = 0;
    std::vector<node> children;
};
BOOST_DESCRIBE_STRUCT(node, (), (value, children))
struct tree;
struct leaf {
    std::vector<tree> trees;
    std::vector<leaf> leaves;
};
struct tree {
    leaf first;
    std::vector<tree> trees;
};
BOOST_DESCRIBE_STRUCT(leaf, (), (trees, leaves))
BOOST_DESCRIBE_STRUCT(tree, (), (first, trees))
struct own {};
struct own_2 {};
struct two_parts {};
struct same_old {
    int a = 0;
};
BOOST_DESCRIBE_STRUCT(same_old, (), (a))
struct same_new {
    int a = 0;
};
BOOST_DESCRIBE_STRUCT(same_new, (), (a))

template <class T>
struct empty_codec {
    static void encode(const T&, std::string& out) { out += '\0'; }
    static T decode(byte_reader& in) { return in.take(1), T(); }
};

}  // namespace

template <>
struct runnel::codec<own> : empty_codec<own> {};
template <>
struct runnel::codec<own_2> : empty_codec<own_2> {
    static constexpr int version = 2;
};
template <>
struct runnel::codec<two_parts> : empty_codec<two_parts> {
    static auto layout(layout_builder& to) { return to.of<std::string, bool>(layout_kind::tuple); }
};
template <>
struct runnel::migration<same_new> {
    using from = same_old;
    static same_new migrate(same_old&& old) { return {old.a}; }
};

namespace {

template <class T>
void check(const std::string& text) {
    CHECK(layout_of<T>() == text);
    CHECK(layout::parse(text).text() == text);
    const layout built = layout_builder::build<T>();
    const layout parsed = layout::parse(text);
    CHECK(detail::same_layout(built, built.root(), parsed, parsed.root()));
}

}  // namespace

TEST_CASE("a layout names what the bytes of a type mean, and is read from its text") {
    check<bool>("bool");
    check<std::int64_t>("i64");
    check<unsigned char>("u8");
    check<double>("f64");
    check<std::string>("string");
    check<visit>("{user:string,count:u64,at:timestamp}");
    check<empty>("{}");
    check<std::tuple<>>("tuple<>");
    check<plain_enum>("enum<u8>");
    check<all>("{flag:bool,letter:i8,small:enum<u8>,hue:enum<i16,red=2,blue=-1>,"
               "maybe:optional<{user:string,count:u64,at:timestamp}>,list:list<tuple<f32,f64>>,"
               "map:map<string,{user:string,count:u64,at:timestamp}>,hashed:map<i8,set<u16>>,"
               "spans:array<3,duration<i64,1/1000>>,any:variant<empty,i32>}");
}

TEST_CASE("a struct that holds itself points back") {
    check<node>("{value:i32,children:list<^1>}");
    check<tree>("{first:{trees:list<^2>,leaves:list<^1>},trees:list<^1>}");
    check<leaf>("{trees:list<{first:^2,trees:list<^1>}>,leaves:list<^1>}");
}

TEST_CASE("a codec of one's own has a version, or says what it encodes") {
    check<own>("own");
    check<std::vector<own_2>>("list<own<2>>");
    check<two_parts>("tuple<string,bool>");
}

TEST_CASE("a migration that would never be asked is an error") {
    CHECK_THROWS_WITH_AS(layout_of<std::vector<same_new>>(),
                         "a runnel::migration would never be asked, since both its types are saved as {a:i32}. Rename "
                         "a member of the new one, or give the codec of the new one another version",
                         error);
}

TEST_CASE("what is no layout is refused") {
    const std::string good = layout_of<all>();
    for (std::size_t n = 0; n < good.size(); ++n) CHECK_THROWS_AS(layout::parse(good.substr(0, n)), decode_error);
    for (const std::string text :
         {"i7", "i128", "f8", "f16", "u", "list", "list<>", "list<i8,i8>", "map<i8>", "array<i8>", "array<-1,i8>",
          "array<99999999999999999999,i8>", "duration<i64>", "duration<i64,1/1,1/1>", "enum<>", "own<>", "own<x>",
          "{a}", "{a:i8,a:i8}", "{a:i8,}", "{,a:i8}", "{:i8}", "^1", "{a:^2}", "{a:^0}", "bool bool", "bool<i8>", "i8 ",
          "{a:i8}}"})
        CHECK_THROWS_AS(layout::parse(text), decode_error);
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += "list<";
    CHECK_THROWS_AS(layout::parse(deep), decode_error);
}
