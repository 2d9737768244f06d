#include "runnel/state/salted_hash.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "runnel/codec/binary.hpp"
#include "runnel/state/table.hpp"
#include "tests/state/counting_match.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using tests::counting_match;

namespace {

/// A key that counts comparisons.
struct counted_key {
    static inline std::size_t comparisons = 0;
    std::uint64_t value;
    friend bool operator==(const counted_key& a, const counted_key& b) noexcept {
        ++comparisons;
        return a.value == b.value;
    }
};

struct counted_hash {
    hash_salt salt;
    std::uint64_t operator()(const counted_key& key) const noexcept { return detail::salted_word(key.value, salt); }
};

/// Groups and keys looked at, for each search of a key that is there.
std::pair<double, double> cost_of(const std::vector<std::uint64_t>& keys, const hash_salt& salt) {
    table<counted_key, char, counted_hash, counting_match> t(counted_hash{salt});
    for (std::uint64_t k : keys) t.get_or_create({k}, t.hash({k}));
    counting_match::looks = counted_key::comparisons = 0;
    for (std::uint64_t k : keys) REQUIRE(t.find({k}, t.hash({k})));
    const double n = static_cast<double>(keys.size());
    return {static_cast<double>(counting_match::looks) / n, static_cast<double>(counted_key::comparisons) / n};
}

std::vector<std::uint64_t> keys_by(std::size_t n, const std::function<std::uint64_t(std::uint64_t)>& f) {
    std::vector<std::uint64_t> keys(n);
    for (std::size_t i = 0; i != n; ++i) keys[i] = f(i);
    return keys;
}

template <class K>
void check_equal_and_other(const K& a, const K& same, const K& other) {
    const salted_hash<K> hash;
    CHECK(hash(a) == hash(same));
    CHECK(hash(a) != hash(other));
    CHECK(salted_hash<K>({1, 2})(a) != salted_hash<K>({3, 4})(a));
}

}  // namespace

TEST_CASE("keys made to collide under std::hash or as plain numbers cost hardly more than random ones") {
    constexpr std::size_t n = 100'000;
    tests::random_numbers random(11);
    for (int round = 0; round != 5; ++round) {
        const hash_salt salt{random.seed(), random.seed()};
        CAPTURE(salt.a);
        const auto [groups, comparisons] = cost_of(keys_by(n, [&](std::uint64_t) { return random.seed(); }), salt);
        CHECK(groups < 1.2);
        CHECK(comparisons < 1.1);
        const std::vector<std::function<std::uint64_t(std::uint64_t)>> crafted{
            [](std::uint64_t i) { return i << 20; },      // equal low bits
            [](std::uint64_t i) { return i << 44; },      // only high bits differ
            [](std::uint64_t i) { return i * 126'271; },  // one bucket of std::unordered_map
            [](std::uint64_t i) { return i * 218'971; },
            [](std::uint64_t i) { return i * 10'000'000'000; },  // times
            [](std::uint64_t i) { return i; },
            [](std::uint64_t i) { return i << 32 | i; },
        };
        for (std::size_t c = 0; c != crafted.size(); ++c) {
            CAPTURE(c);
            const auto [crafted_groups, crafted_comparisons] = cost_of(keys_by(n, crafted[c]), salt);
            CHECK(crafted_groups < 2 * groups);
            CHECK(crafted_comparisons < 2 * comparisons);
        }
    }
}

TEST_CASE("any distance between keys that is a power of two leaves searches short") {
    tests::random_numbers random(12);
    for (unsigned shift = 0; shift <= 48; ++shift) {
        CAPTURE(shift);
        const auto cost = cost_of(keys_by(14'000, [&](std::uint64_t i) { return i << shift; }),
                                  {random.seed(), random.seed()});
        CHECK(cost.first < 2.5);
        CHECK(cost.second < 1.5);
    }
}

TEST_CASE("every bit of a text counts, at every length and place") {
    const salted_hash<std::string> hash;
    tests::random_numbers random(13);
    for (std::size_t length = 0; length <= 100; ++length) {
        std::string text(length, '\0');
        for (char& c : text) c = static_cast<char>(random.below(256));
        std::set<std::uint64_t> seen{hash(text), hash(text + '\0')};
        for (std::size_t bit = 0; bit != 8 * length; ++bit) {
            std::string other = text;
            other[bit / 8] = static_cast<char>(other[bit / 8] ^ 1 << bit % 8);
            seen.insert(hash(other));
        }
        CHECK(seen.size() == 8 * length + 2);
    }
}

TEST_CASE("texts that differ in one place spread evenly") {
    const salted_hash<std::string> hash({0x1234567890abcdef, 99});
    std::vector<int> low(256), high(256);
    for (int i = 0; i != 256'000; ++i) {
        const std::uint64_t h = hash("a common beginning/" + std::to_string(i) + "/a common end");
        ++low[h >> 4 & 255];
        ++high[h >> 56];
    }
    for (int n : low) CHECK((n > 800 && n < 1200));
    for (int n : high) CHECK((n > 800 && n < 1200));
}

TEST_CASE("equal keys of any kind have equal hashes, others don't") {
    enum class colour { red, green };
    check_equal_and_other<std::int32_t>(-5, -5, 5);
    check_equal_and_other(colour::red, colour::red, colour::green);
    check_equal_and_other(1.5, 1.5, 2.5);
    check_equal_and_other(0.0, -0.0, 1.0);
    check_equal_and_other(1.5f, 1.5f, 2.5f);
    check_equal_and_other(timestamp(1), timestamp(1), timestamp(2));
    check_equal_and_other(duration(1), duration(1), duration(2));
    check_equal_and_other<std::string>("a", "a", "b");
    using pair = std::pair<std::string, int>;
    check_equal_and_other(pair("a", 1), pair("a", 1), pair("a", 2));
    using numbers = std::pair<int, int>;
    check_equal_and_other(numbers(1, 2), numbers(1, 2), numbers(2, 1));
    using triple = std::tuple<int, std::string, double>;
    check_equal_and_other(triple(1, "a", 0.0), triple(1, "a", -0.0), triple(1, "b", 0.0));
    using maybe = std::optional<int>;
    check_equal_and_other(maybe(0), maybe(0), maybe());
    using list = std::vector<int>;
    check_equal_and_other(list{1, 2}, list{1, 2}, list{2, 1});
    check_equal_and_other(list{}, list{}, list{0});
    using through_codec = std::variant<int, std::string>;
    check_equal_and_other(through_codec(1), through_codec(1), through_codec("1"));
}

TEST_CASE("the salt of the process is drawn once") {
    CHECK(&hash_salt::of_process() == &hash_salt::of_process());
    CHECK(hash_salt::of_process().a != hash_salt::of_process().b);
}
