#pragma once

#include <array>
#include <boost/describe.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "runnel/core/timestamp.hpp"

/// Types of all kinds, and values of them, for tests of Avro.
namespace avro_test {

enum class paint : std::int8_t { red = 1, green = -2 };
BOOST_DESCRIBE_ENUM(paint, red, green)

struct leaf {
    int n = 0;
    bool operator==(const leaf&) const = default;
};
BOOST_DESCRIBE_STRUCT(leaf, (), (n))

struct tree {
    int n = 0;
    std::optional<leaf> left;
    std::vector<tree> more;
    bool operator==(const tree&) const = default;
};
BOOST_DESCRIBE_STRUCT(tree, (), (n, left, more))

struct inner {
    std::uint64_t u64 = 0;
    std::optional<paint> colour;
    bool operator==(const inner&) const = default;
};
BOOST_DESCRIBE_STRUCT(inner, (), (u64, colour))

struct everything {
    bool yes = false;
    std::int8_t i8 = 0;
    std::uint16_t u16 = 0;
    std::int32_t i32 = 0;
    std::uint32_t u32 = 0;
    std::int64_t i64 = 0;
    float f = 0;
    double d = 0;
    std::string text;
    std::vector<std::uint8_t> bytes;
    runnel::timestamp at;
    std::chrono::seconds lasts{};
    paint colour = paint::red;
    std::optional<std::string> maybe;
    std::vector<inner> list;
    std::map<std::string, std::vector<double>> map;
    std::pair<int, std::string> pair;
    std::array<bool, 2> two{};
    tree t;
    bool operator==(const everything&) const = default;
};
BOOST_DESCRIBE_STRUCT(everything, (), (yes, i8, u16, i32, u32, i64, f, d, text, bytes, at, lasts, colour, maybe, list,
                                       map, pair, two, t))

inline everything random_value(std::mt19937_64& random) {
    const auto number = [&] { return static_cast<std::int64_t>(random()) >> random() % 64; };
    const auto text = [&] {
        std::string s;
        for (std::uint64_t n = random() % 5; n != 0; --n) s += random() % 4 == 0 ? "\xc3\xa4" : "b";
        return s;
    };
    const auto colour = [&] { return random() % 2 == 0 ? paint::red : paint::green; };
    everything v;
    v.yes = random() % 2 == 0;
    v.i8 = static_cast<std::int8_t>(number());
    v.u16 = static_cast<std::uint16_t>(number());
    v.i32 = static_cast<std::int32_t>(number());
    v.u32 = static_cast<std::uint32_t>(number());
    v.i64 = number();
    v.f = static_cast<float>(number()) / 8;
    v.d = static_cast<double>(number()) / 8;
    v.text = text();
    for (std::uint64_t n = random() % 4; n != 0; --n) v.bytes.push_back(static_cast<std::uint8_t>(random()));
    v.at = runnel::timestamp(std::chrono::milliseconds(number() >> 22));
    v.lasts = std::chrono::seconds(number());
    v.colour = colour();
    if (random() % 2 == 0) v.maybe = text();
    for (std::uint64_t n = random() % 4; n != 0; --n) {
        inner& i = v.list.emplace_back();
        i.u64 = random() >> 1;
        if (random() % 2 == 0) i.colour = colour();
    }
    for (std::uint64_t n = random() % 4; n != 0; --n)
        v.map[text()] = std::vector<double>(random() % 3, static_cast<double>(number()));
    v.pair = {static_cast<int>(number()), text()};
    v.two = {random() % 2 == 0, random() % 2 == 0};
    v.t = {1, leaf{2}, {tree{3, {}, {}}, tree{4, leaf{5}, {tree{}}}}};
    return v;
}

}  // namespace avro_test
