#include "runnel/codec/binary.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct inner {
    int a = 0;
    std::string b;
    auto operator<=>(const inner&) const = default;
};
BOOST_DESCRIBE_STRUCT(inner, (), (a, b))
struct outer : inner {
    std::optional<inner> maybe;
    std::vector<inner> list;
    std::map<std::string, std::vector<double>> map;
    std::unordered_map<int, std::string> hashed;
    std::variant<std::monostate, int, std::string> any;
    timestamp at;
    bool operator==(const outer&) const = default;
};
BOOST_DESCRIBE_STRUCT(outer, (inner), (maybe, list, map, hashed, any, at))
struct empty {
    bool operator==(const empty&) const = default;
};
BOOST_DESCRIBE_STRUCT(empty, (), ())
struct node {
    std::vector<node> children;
};
BOOST_DESCRIBE_STRUCT(node, (), (children))
struct plain {
    int x;
};

template <class T>
std::string bytes_of(const T& value) {
    std::string out;
    codec<T>::encode(value, out);
    return out;
}
template <class T>
T decoded(std::string_view bytes) {
    byte_reader in(bytes);
    T value = codec<T>::decode(in);
    if (!in.empty()) throw decode_error("bytes left");
    return value;
}
template <class T>
void check_round_trip(const T& value) {
    const std::string bytes = bytes_of(value);
    REQUIRE_FALSE(bytes.empty());
    CHECK(decoded<T>(bytes) == value);
    // Every shorter text is refused.
    for (std::size_t n = 0; n < bytes.size(); ++n) CHECK_THROWS_AS(decoded<T>(bytes.substr(0, n)), decode_error);
}
std::string raw(std::uint32_t n) { return bytes_of(n); }

}  // namespace

TEST_CASE("standard types and described structs come back as they were, and cut-off bytes are refused") {
    check_round_trip(true);
    check_round_trip(std::int8_t{-5});
    check_round_trip(std::uint64_t{UINT64_MAX});
    check_round_trip(1.5);
    check_round_trip(std::string("a\0b", 3));
    check_round_trip(std::string());
    check_round_trip(timestamp::min());
    check_round_trip(std::chrono::milliseconds(-3));
    check_round_trip(std::chrono::duration<double>(1.5));
    check_round_trip(std::optional<int>());
    check_round_trip(std::optional<int>(5));
    check_round_trip(std::pair<int, std::string>(1, "x"));
    check_round_trip(std::tuple<int, std::string, double>(1, "x", 2.5));
    check_round_trip(std::tuple<>());
    check_round_trip(std::array<std::string, 3>{"a", "", "c"});
    check_round_trip(std::array<int, 0>{});
    check_round_trip(std::vector<int>{1, -2, 3});
    check_round_trip(std::vector<int>{});
    check_round_trip(std::vector<bool>{true, false, true});
    check_round_trip(std::vector<std::string>{"a", "", "ccc"});
    check_round_trip(std::vector<empty>(5));
    check_round_trip(std::vector<std::monostate>(3));
    check_round_trip(std::set<std::string>{"b", "a"});
    check_round_trip(std::map<int, std::string>{{2, "b"}, {1, "a"}});
    check_round_trip(std::unordered_set<int>{3, 1, 2});
    check_round_trip(std::unordered_map<std::string, int>{{"x", 1}, {"y", 2}});
    check_round_trip(std::variant<int, std::string, std::monostate>("x"));
    check_round_trip(empty{});
    outer o;
    o.a = 7;
    o.b = "base";
    o.maybe = inner{1, "m"};
    o.list = {{1, "x"}, {2, "y"}};
    o.map = {{"k", {1.5, 2.5}}, {"l", {}}};
    o.hashed = {{1, "one"}, {2, "two"}};
    o.any = "text";
    o.at = timestamp(5s);
    check_round_trip(o);
}

TEST_CASE("types without a codec are not encodable") {
    CHECK_FALSE(encodable<plain>);
    CHECK_FALSE(encodable<std::vector<plain>>);
    CHECK_FALSE(encodable<int*>);
    CHECK(encodable<outer>);
    CHECK(encodable<std::map<std::string, std::vector<outer>>>);
}

TEST_CASE("equal values encode equally: zeros of either sign, unordered containers however they were filled") {
    CHECK(bytes_of(-0.0) == bytes_of(0.0));
    CHECK(bytes_of(-0.0f) == bytes_of(0.0f));
    CHECK(bytes_of(std::vector<double>{-0.0}) == bytes_of(std::vector<double>{0.0}));
    CHECK(bytes_of(std::optional<double>(-0.0)) == bytes_of(std::optional<double>(0.0)));
    std::mt19937 random(17);
    for (int round = 0; round < 200; ++round) {
        std::vector<int> keys(random() % 40);
        for (int& k : keys) k = static_cast<int>(random() % 100) - 50;
        std::unordered_set<int> set, other_set;
        std::unordered_map<std::string, int> map, other_map;
        other_set.rehash(random() % 500);
        other_map.rehash(random() % 500);
        for (int k : keys) set.insert(k), map.emplace(std::to_string(k), k);
        std::shuffle(keys.begin(), keys.end(), random);
        for (int k : keys) other_set.insert(k), other_map.emplace(std::to_string(k), k);
        INFO("round " << round);
        REQUIRE(bytes_of(set) == bytes_of(other_set));
        REQUIRE(bytes_of(map) == bytes_of(other_map));
        REQUIRE(decoded<std::unordered_map<std::string, int>>(bytes_of(map)) == map);
    }
}

TEST_CASE("the forms are fixed: state written today is read tomorrow") {
    using std::string_literals::operator""s;
    CHECK(bytes_of(0x01020304) == "\4\3\2\1"s);
    CHECK(bytes_of("ab"s) == "\2\0\0\0ab"s);
    CHECK(bytes_of(timestamp(1)) == "\1\0\0\0\0\0\0\0"s);
    CHECK(bytes_of(std::optional<bool>(true)) == "\1\1"s);
    CHECK(bytes_of(std::vector<std::int16_t>{1, 2}) == "\2\0\0\0\1\0\2\0"s);
    CHECK(bytes_of(std::variant<int, bool>(true)) == "\1\1"s);
    CHECK(bytes_of(std::unordered_set<std::string>{"b", "a"}) == "\2\0\0\0\1\0\0\0a\1\0\0\0b"s);
    CHECK(bytes_of(inner{1, "x"}) == "\1\0\0\0\1\0\0\0x"s);
    CHECK(bytes_of(empty{}) == "\0"s);
}

TEST_CASE("a length is believed only as far as bytes are there") {
    CHECK_THROWS_AS(decoded<std::string>(raw(UINT32_MAX) + "abc"), decode_error);
    CHECK_THROWS_AS(decoded<std::vector<std::int64_t>>(raw(UINT32_MAX) + "abc"), decode_error);
    CHECK_THROWS_AS(decoded<std::vector<std::string>>(raw(UINT32_MAX)), decode_error);
    CHECK_THROWS_AS(decoded<std::vector<empty>>(raw(UINT32_MAX)), decode_error);
    CHECK_THROWS_AS((decoded<std::map<int, int>>(raw(1'000'000) + "abc")), decode_error);
    CHECK_THROWS_AS(decoded<std::unordered_set<int>>(raw(1'000'000) + "abc"), decode_error);
}

TEST_CASE("damaged bytes are refused: bools, variants, empty values, keys that occur twice, deep nesting") {
    CHECK_THROWS_AS(decoded<bool>("\2"), decode_error);
    CHECK_THROWS_AS(decoded<std::optional<int>>("\2abcd"), decode_error);
    CHECK_THROWS_AS((decoded<std::variant<int, bool>>("\2abcd")), decode_error);
    CHECK_THROWS_AS(decoded<empty>("\1"), decode_error);
    CHECK_THROWS_AS(decoded<std::set<bool>>(raw(2) + "\1\1"), decode_error);
    CHECK_THROWS_AS((decoded<std::unordered_map<bool, bool>>(raw(2) + "\1\1\1\1")), decode_error);
    std::string deep;
    for (int i = 0; i < 1'000'000; ++i) deep += raw(1);
    CHECK_THROWS_AS(decoded<node>(deep), decode_error);
}

TEST_CASE("random bytes decode to a value that encodes again, or are refused") {
    const std::uint64_t seed = 4;
    std::mt19937_64 random(seed);
    for (int round = 0; round < 20'000; ++round) {
        std::string bytes;
        for (auto n = random() % 60; n != 0; --n)
            bytes += static_cast<char>(random() % 4 == 0 ? random() : random() % 3);
        INFO("seed " << seed << " round " << round);
        try {
            byte_reader in(bytes);
            const outer value = codec<outer>::decode(in);
            const std::string again = bytes_of(value);
            byte_reader in_again(again);
            REQUIRE(bytes_of(codec<outer>::decode(in_again)) == again);
        } catch (const decode_error&) {
        }
    }
}
