#include "runnel/codec/layout_conversion.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "tests/support/random.hpp"

using namespace runnel;

namespace {

/// Two versions of everything.
enum class color_1 : std::int8_t { red, blue };
enum class color_2 : std::int32_t { green = 7, blue = 1, red = 0 };
enum class color_3 : std::int8_t { red = 1, blue = 0 };
BOOST_DESCRIBE_ENUM(color_1, red, blue)
BOOST_DESCRIBE_ENUM(color_2, green, blue, red)
BOOST_DESCRIBE_ENUM(color_3, red, blue)

struct point_1 {
    std::int16_t x = 0;
    std::uint8_t y = 0;
    auto operator<=>(const point_1&) const = default;
};
struct point_2 {
    std::uint64_t y = 0;
    std::string label = "none";
    std::int64_t x = 0;
    auto operator<=>(const point_2&) const = default;
};
BOOST_DESCRIBE_STRUCT(point_1, (), (x, y))
BOOST_DESCRIBE_STRUCT(point_2, (), (y, label, x))

struct all_1 {
    std::string gone;
    std::vector<point_1> points;
    std::optional<float> ratio;
    std::map<point_1, std::set<std::int8_t>> map;
    std::array<std::chrono::duration<std::int32_t>, 2> spans{};
    std::variant<std::monostate, point_1> any;
    std::vector<all_1> children;
    std::pair<bool, color_1> flags;
    timestamp at;
};
struct all_2 {
    std::vector<std::int32_t> added = {1, 2};
    std::vector<point_2> points;
    std::optional<double> ratio;
    std::map<point_2, std::set<std::int64_t>> map;
    std::array<std::chrono::duration<std::int64_t>, 2> spans{};
    std::variant<std::monostate, point_2, std::string> any;
    std::vector<all_2> children;
    std::pair<bool, color_2> flags;
    timestamp at;
    std::uint16_t last = 17;
    bool operator==(const all_2&) const = default;
};
BOOST_DESCRIBE_STRUCT(all_1, (), (gone, points, ratio, map, spans, any, children, flags, at))
BOOST_DESCRIBE_STRUCT(all_2, (), (added, points, ratio, map, spans, any, children, flags, at, last))

/// What an all_1 becomes, by hand.
point_2 as_now(const point_1& p) { return {p.y, "none", p.x}; }
all_2 as_now(const all_1& old) {
    all_2 now;
    for (const point_1& p : old.points) now.points.push_back(as_now(p));
    if (old.ratio) now.ratio = *old.ratio;
    for (const auto& [p, set] : old.map) now.map[as_now(p)] = {set.begin(), set.end()};
    for (std::size_t i = 0; i < 2; ++i) now.spans[i] = old.spans[i];
    if (const auto* p = std::get_if<point_1>(&old.any)) now.any = as_now(*p);
    for (const all_1& child : old.children) now.children.push_back(as_now(child));
    now.flags = {old.flags.first, static_cast<color_2>(old.flags.second)};
    now.at = old.at;
    return now;
}

point_1 random_point(tests::random_numbers& random) {
    return {static_cast<std::int16_t>(random.between(-32768, 32767)), static_cast<std::uint8_t>(random.below(256))};
}
all_1 random_all(tests::random_numbers& random, int levels) {
    all_1 a;
    a.gone = std::string(random.below(20), 'x');
    for (std::size_t n = random.below(4); n != 0; --n) a.points.push_back(random_point(random));
    if (random.chance(50)) a.ratio = static_cast<float>(random.between(-1000, 1000)) / 8;
    for (std::size_t n = random.below(4); n != 0; --n)
        a.map[random_point(random)] = {static_cast<std::int8_t>(random.between(-128, 127)), 0};
    for (auto& span : a.spans) span = std::chrono::duration<std::int32_t>(random.between(INT32_MIN, INT32_MAX));
    if (random.chance(50)) a.any = random_point(random);
    for (std::size_t n = levels == 0 ? 0 : random.below(3); n != 0; --n) 
        a.children.push_back(random_all(random, levels - 1));
    a.flags = {random.chance(50), random.chance(50) ? color_1::red : color_1::blue};
    a.at = timestamp(random.between(INT64_MIN / 4, INT64_MAX / 4));
    return a;
}

template <class T>
std::string bytes_of(const T& value) {
    std::string out;
    codec<T>::encode(value, out);
    return out;
}
/// As a program that knows only the text of the old layout.
template <class Old, class New>
detail::layout_conversion conversion() {
    return {layout::parse(layout_of<Old>()), layout_builder::build<New>()};
}
template <class New>
New converted(const detail::layout_conversion& how, std::string_view bytes) {
    byte_reader in(bytes);
    std::string out;
    how.convert(in, out);
    if (!in.empty()) throw decode_error("bytes left");
    byte_reader now(out);
    New value = codec<New>::decode(now);
    if (!now.empty()) throw decode_error("bytes left in what was made");
    return value;
}
template <class New, class Old>
New as(const Old& old) {
    return converted<New>(conversion<Old, New>(), bytes_of(old));
}
template <class Old, class New>
std::string refusal() {
    try {
        conversion<Old, New>();
    } catch (const error& e) {
        return e.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("members are added with the defaults of their struct, removed, reordered and widened, at any depth") {
    const char* chosen = std::getenv("RUNNEL_SEED");
    const std::uint64_t first = chosen ? std::strtoull(chosen, nullptr, 10) : 1;
    const auto how = conversion<all_1, all_2>();
    for (std::uint64_t seed = first; seed < first + 200; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        const all_1 old = random_all(random, 2);
        CHECK(converted<all_2>(how, bytes_of(old)) == as_now(old));
    }
}

TEST_CASE("bytes that are cut off or changed are decoded to something or refused") {
    const auto how = conversion<all_1, all_2>();
    tests::random_numbers random(5);
    const std::string good = bytes_of(random_all(random, 2));
    for (std::size_t n = 0; n < good.size(); ++n)
        CHECK_THROWS_AS(converted<all_2>(how, good.substr(0, n)), decode_error);
    for (std::size_t i = 0; i < good.size(); ++i)
        for (const char c : {'\0', '\1', '\x7f', '\xff'}) {
            std::string bad = good;
            bad[i] = c;
            try {
                converted<all_2>(how, bad);
            } catch (const decode_error&) {
            }
        }
}

TEST_CASE("numbers keep their value and sign when they become wider") {
    for (const int n : {-128, -1, 0, 1, 127}) CHECK(as<std::int64_t>(static_cast<std::int8_t>(n)) == n);
    for (const unsigned n : {0U, 1U, 200U, 65535U}) CHECK(as<std::uint32_t>(static_cast<std::uint16_t>(n)) == n);
    CHECK(as<double>(0.1F) == static_cast<double>(0.1F));
    CHECK(as<double>(-std::numeric_limits<float>::infinity()) == -std::numeric_limits<double>::infinity());
    CHECK(as<std::vector<std::int64_t>>(std::vector<std::int8_t>{-3, 3}) == std::vector<std::int64_t>{-3, 3});
}

namespace {

struct empty {
    bool operator==(const empty&) const = default;
};
BOOST_DESCRIBE_STRUCT(empty, (), ())
struct narrow {
    std::int64_t count = 0;
};
BOOST_DESCRIBE_STRUCT(narrow, (), (count))
struct other_names {
    std::int64_t number = 0;
};
BOOST_DESCRIBE_STRUCT(other_names, (), (number))
struct holds_narrow {
    std::vector<narrow> list;
};
BOOST_DESCRIBE_STRUCT(holds_narrow, (), (list))
struct narrow_now {
    std::int32_t count = 0;
};
BOOST_DESCRIBE_STRUCT(narrow_now, (), (count))
struct holds_narrow_now {
    std::vector<narrow_now> list;
};
BOOST_DESCRIBE_STRUCT(holds_narrow_now, (), (list))
struct shorter {
    std::int16_t x = 0;
    auto operator<=>(const shorter&) const = default;
};
BOOST_DESCRIBE_STRUCT(shorter, (), (x))

}  // namespace

TEST_CASE("a struct may get its first member, and lose its last") {
    CHECK(as<point_2>(empty()) == point_2());
    CHECK(as<empty>(point_1{1, 2}) == empty());
}

TEST_CASE("what would lose or change values is refused, saying where") {
    CHECK(refusal<std::int64_t, std::int32_t>() == "it was saved as i64 and is i32 now");
    CHECK(refusal<std::uint32_t, std::int64_t>() == "it was saved as u32 and is i64 now");
    CHECK(refusal<std::int32_t, double>() == "it was saved as i32 and is f64 now");
    CHECK(refusal<double, float>() == "it was saved as f64 and is f32 now");
    CHECK(refusal<std::int64_t, timestamp>() == "it was saved as i64 and is timestamp now");
    CHECK(refusal<std::string, std::vector<char>>() == "it was saved as string and is list now");
    CHECK(refusal<std::chrono::milliseconds, std::chrono::seconds>() ==
          "it counted units of 1/1000 s and counts 1/1 s now");
    CHECK(refusal<std::array<int, 2>, std::array<int, 3>>() == "it had 2 elements and has 3 now");
    CHECK(refusal<std::variant<int, bool>, std::variant<int>>() == "it had more alternatives than it has now");
    CHECK(refusal<std::variant<int, bool>, std::variant<bool, int>>() == "it was saved as i32 and is bool now");
    CHECK(refusal<std::tuple<int, int>, std::tuple<int>>() == "it had another number of parts");
    CHECK(refusal<color_1, color_3>() == "it had the enumerator red=0, which it has not now");
    CHECK(refusal<narrow, other_names>() == "it has no member that it had when it was saved");
    CHECK(refusal<holds_narrow, holds_narrow_now>() == "member 'list.count' was saved as i64 and is i32 now");
    CHECK(refusal<std::set<point_1>, std::set<shorter>>() ==
          "member 'y' is gone, and without it keys of a map or set that were different would be equal");
    CHECK(refusal<std::map<point_1, int>, std::map<shorter, int>>() != "none");
    CHECK(as<std::vector<shorter>>(std::vector<point_1>{{1, 2}}) == std::vector<shorter>{{1}});
}

namespace {

/// Four versions of one struct; one went by without being run.
struct temperature_1 {
    std::int32_t celsius = 0;
};
struct temperature_2 {
    double kelvin = 0;
    std::string note = "migrated";
};
struct temperature_2_plus {
    double kelvin = 0;
    std::string note;
    bool unused = true;
};
struct temperature_3 {
    std::string text;
    bool operator==(const temperature_3&) const = default;
};
BOOST_DESCRIBE_STRUCT(temperature_1, (), (celsius))
BOOST_DESCRIBE_STRUCT(temperature_2, (), (kelvin, note))
BOOST_DESCRIBE_STRUCT(temperature_2_plus, (), (kelvin, note, unused))
BOOST_DESCRIBE_STRUCT(temperature_3, (), (text))
struct room_1 {
    std::map<std::string, temperature_1> by_name;
    std::uint8_t floor = 0;
};
struct room_3 {
    std::int64_t area = 12;
    std::uint16_t floor = 0;
    std::map<std::string, temperature_3> by_name;
};
BOOST_DESCRIBE_STRUCT(room_1, (), (by_name, floor))
BOOST_DESCRIBE_STRUCT(room_3, (), (area, floor, by_name))

/// Has the members of before, and means something else by them.
struct price_1 {
    std::int64_t amount = 0;
};
struct price_2 {
    std::int64_t amount = 0;
    std::string currency = "EUR";
};
BOOST_DESCRIBE_STRUCT(price_1, (), (amount))
BOOST_DESCRIBE_STRUCT(price_2, (), (amount, currency))

/// With a codec of its own, which writes one byte more in its second version.
struct sketch_1 {
    char a = 0;
};
struct sketch {
    char a = 0, b = 0;
    bool operator==(const sketch&) const = default;
};
struct holds_sketch {
    std::string gone;
    sketch s;
};
struct holds_sketch_now {
    sketch s;
    std::int32_t n = 3;
};
struct holds_none {
    std::int32_t n = 3;
};
BOOST_DESCRIBE_STRUCT(holds_sketch, (), (gone, s))
BOOST_DESCRIBE_STRUCT(holds_sketch_now, (), (s, n))
BOOST_DESCRIBE_STRUCT(holds_none, (), (n))

}  // namespace

template <>
struct runnel::migration<temperature_2> {
    using from = temperature_1;
    static temperature_2 migrate(temperature_1&& old) { return {old.celsius + 273.0, "migrated"}; }
};
template <>
struct runnel::migration<temperature_3> {
    using from = temperature_2;
    static temperature_3 migrate(temperature_2&& old) { return {std::to_string(old.kelvin) + old.note}; }
};
template <>
struct runnel::migration<price_2> {
    using from = price_1;
    static price_2 migrate(price_1&& old) { return {old.amount * 100, "EUR"}; }
};
template <>
struct runnel::codec<sketch_1> {
    static void encode(const sketch_1& s, std::string& out) { out += s.a; }
    static sketch_1 decode(byte_reader& in) { return {in.take(1)[0]}; }
};
template <>
struct runnel::codec<sketch> {
    static constexpr int version = 1;
    static void encode(const sketch& s, std::string& out) { (out += s.a) += s.b; }
    static sketch decode(byte_reader& in) {
        const std::string_view bytes = in.take(2);
        return {bytes[0], bytes[1]};
    }
};
template <>
struct runnel::migration<sketch> {
    using from = sketch_1;
    static sketch migrate(sketch_1&& old) { return {old.a, 'b'}; }
};

TEST_CASE("what can't be converted is migrated, also inside of other types, and over several versions") {
    CHECK(as<temperature_3>(temperature_2{1, "n"}).text == "1.000000n");
    CHECK(as<temperature_3>(temperature_1{7}).text == "280.000000migrated");
    const room_3 room = as<room_3>(room_1{{{"a", {0}}, {"b", {-3}}}, 200});
    CHECK(room.area == 12);
    CHECK(room.floor == 200);
    CHECK(room.by_name ==
          std::map<std::string, temperature_3>{{"a", {"273.000000migrated"}}, {"b", {"270.000000migrated"}}});
}

TEST_CASE("a migration takes what can be converted to the type that it is from") {
    CHECK(as<temperature_3>(temperature_2_plus{1, "n", true}).text == "1.000000n");
}

TEST_CASE("a migration from exactly the saved layout goes before a conversion") {
    CHECK(as<price_2>(price_1{3}).amount == 300);
}

TEST_CASE("a codec of one's own is migrated by its version, kept inside of a changed struct, and can't be skipped") {
    CHECK(as<sketch>(sketch_1{'x'}) == sketch{'x', 'b'});
    CHECK(as<holds_sketch_now>(holds_sketch{"gone", {'x', 'y'}}).s == sketch{'x', 'y'});
    CHECK(refusal<sketch, sketch_1>() == "it was saved by version 1 of its codec, which is 0 now");
    CHECK(refusal<holds_sketch_now, holds_none>() ==
          "member 's' is gone, and its codec that would be needed to read over it, too");
}

TEST_CASE("a saved layout that never ends is refused when it is decoded, not followed") {
    const detail::layout_conversion how(layout::parse("{n:i32,gone:{self:^1,more:^1}}"),
                                        layout_builder::build<holds_none>());
    CHECK_THROWS_AS(converted<holds_none>(how, std::string(100'000, '\0')), decode_error);
    const detail::layout_conversion many(layout::parse("{n:i32,gone:array<18446744073709551615,tuple<>>}"),
                                         layout_builder::build<holds_none>());
    CHECK_THROWS_AS(converted<holds_none>(many, std::string(100, '\0')), decode_error);
}
