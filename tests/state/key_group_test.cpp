#include "runnel/state/key_group.hpp"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/binary.hpp"

using namespace runnel;

namespace {

enum class colour : std::uint16_t { red = 1, blue = 700 };

template <class K>
std::uint64_t by_bytes(const K& key) {
    std::string bytes;
    codec<K>::encode(key, bytes);
    return detail::xxh64::of(bytes);
}

}  // namespace

TEST_CASE("the stable hash is that of the encoded bytes, whatever way it is computed") {
    CHECK(stable_hash(std::uint64_t{123456789}) == by_bytes(std::uint64_t{123456789}));
    CHECK(stable_hash(std::int64_t{-5}) == by_bytes(std::int64_t{-5}));
    CHECK(stable_hash(std::int32_t{-5}) == by_bytes(std::int32_t{-5}));
    CHECK(stable_hash(std::uint16_t{65535}) == by_bytes(std::uint16_t{65535}));
    CHECK(stable_hash('x') == by_bytes('x'));
    CHECK(stable_hash(true) == by_bytes(true));
    CHECK(stable_hash(colour::blue) == by_bytes(colour::blue));
    CHECK(stable_hash(1.5) == by_bytes(1.5));
    CHECK(stable_hash(1.5f) == by_bytes(1.5f));
    CHECK(stable_hash(timestamp(-7)) == by_bytes(timestamp(-7)));
    CHECK(stable_hash(std::string("key")) == by_bytes(std::string("key")));
}

TEST_CASE("the stable hash never changes") {
    CHECK(key_group_version == 1);
    CHECK(stable_hash(std::uint64_t{0}) == 0x34c96acdcadb1bbbu);
    CHECK(stable_hash(std::uint64_t{42}) == 0xb556806fb6d14353u);
    CHECK(stable_hash(std::int32_t{-1}) == 0x7f78e4bda3addf93u);
    CHECK(stable_hash(std::uint8_t{7}) == 0xa96c7f0ce858bbb7u);
    CHECK(stable_hash(2.25) == 0x2cab7dfe93550276u);
    CHECK(stable_hash(timestamp(1'700'000'000'000'000'000)) == 0x39692cbe5f741ebau);
    CHECK(stable_hash(std::string()) == 0x3aefa6fd5cf2deb4u);
    CHECK(stable_hash(std::string("alice")) == 0xd0e8598d83ea677au);
    CHECK(stable_hash(std::string("a key that is longer than one block of the hash")) == 0x0b7dac75cda0ad87u);
    CHECK(stable_hash(std::pair(std::string("page"), std::int32_t{3})) == 0xb3425c074b89a6e0u);
    CHECK(stable_hash(std::optional<std::int64_t>()) == 0xe934a84adb052768u);
    CHECK(stable_hash(std::vector<std::uint32_t>{1, 2, 3}) == 0x8b3acd93f933d3e4u);
}

TEST_CASE("the key group of a key never changes") {
    const std::array<key_group, 8> of_numbers{59, 21, 48, 65, 11, 61, 3, 85};
    for (std::size_t i = 0; i != of_numbers.size(); ++i) CHECK(key_group_of(std::uint64_t{i}, 128) == of_numbers[i]);
    CHECK(key_group_of(std::string("alice"), 128) == 122);
    CHECK(key_group_of(std::string("bob"), 128) == 28);
    CHECK(key_group_of(std::string("bob"), 1) == 0);
}

TEST_CASE("a subtask owns exactly the groups that are sent to it") {
    bool exact = true, adjoining = true;
    for (std::size_t groups = 1; groups <= 200; ++groups)
        for (std::size_t parallelism = 1; parallelism <= 200; ++parallelism) {
            std::size_t expected_first = 0;
            for (std::size_t s = 0; s != parallelism; ++s) {
                const key_group_range r = range_of(s, parallelism, groups);
                adjoining = adjoining && r.first == expected_first && r.first <= r.last;
                expected_first = r.last;
                for (std::size_t g = r.first; g < r.last; ++g)
                    exact = exact && subtask_of(static_cast<key_group>(g), groups, parallelism) == s;
            }
            adjoining = adjoining && expected_first == groups;
        }
    CHECK(exact);
    CHECK(adjoining);
}

TEST_CASE("key groups are evenly filled") {
    std::vector<int> dense(128), texts(128);
    for (std::uint64_t i = 0; i != 128'000; ++i) {
        ++dense[key_group_of(i, 128)];
        ++texts[key_group_of("user" + std::to_string(i), 128)];
    }
    for (int n : dense) CHECK((n > 800 && n < 1200));
    for (int n : texts) CHECK((n > 800 && n < 1200));
}

TEST_CASE("0.0 and -0.0 are one key") { CHECK(stable_hash(0.0) == stable_hash(-0.0)); }

TEST_CASE("a key that holds NaN is unusable") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK(is_unusable_key(nan));
    CHECK(is_unusable_key(static_cast<float>(nan)));
    CHECK(is_unusable_key(std::optional(nan)));
    CHECK(is_unusable_key(std::pair(1, nan)));
    CHECK(is_unusable_key(std::vector{1.0, nan}));
    CHECK_FALSE(is_unusable_key(std::numeric_limits<double>::infinity()));
    CHECK_FALSE(is_unusable_key(std::optional<double>()));
    CHECK_FALSE(is_unusable_key(std::string("nan")));
    CHECK_FALSE(is_unusable_key(0));
}
