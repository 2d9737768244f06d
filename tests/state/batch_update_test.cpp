#include "runnel/state/batch_update.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "runnel/state/frozen_table.hpp"
#include "tests/support/random.hpp"

using namespace runnel;

namespace {

/// A value that makes tables exceed the near caches with few keys.
struct large_value {
    std::int64_t sum = 0;
    char more[120] = {};
};

/// Adds `keys` up in parts of random length and compares with a std::map.
template <class V>
void check_sums(std::uint64_t seed, std::size_t n, std::size_t key_range) {
    CAPTURE(seed);
    tests::random_numbers random(seed);
    std::vector<std::uint64_t> keys(n);
    for (std::uint64_t& k : keys) k = random.below(key_range);
    table<std::uint64_t, V> t;
    std::map<std::uint64_t, std::int64_t> oracle;
    std::size_t expected = 0;
    for (std::size_t at = 0; at != n;) {
        const std::size_t end = std::min(n, at + random.below(3'000));
        update_batch(
            t, at, end, [&](std::size_t i) -> const std::uint64_t& { return keys[i]; },
            [&](V& v, std::size_t i, bool created) {
                REQUIRE(i == expected++);
                REQUIRE(created == !oracle.contains(keys[i]));
                v.sum += static_cast<std::int64_t>(i);
                oracle[keys[i]] += static_cast<std::int64_t>(i);
            });
        at = end;
    }
    REQUIRE(expected == n);
    REQUIRE(t.size() == oracle.size());
    t.for_each([&](std::uint64_t key, const V& v) { REQUIRE(v.sum == oracle.at(key)); });
}

}  // namespace

TEST_CASE("each key is updated once, in order, at every size of the table") {
    check_sums<large_value>(1, 20'000, 10);
    check_sums<large_value>(2, 40'000, 20'000);
    check_sums<large_value>(3, 60'000, 1'000'000);
    struct small_value {
        std::int64_t sum = 0;
    };
    check_sums<small_value>(4, 700'000, 1'000'000'000);  // beyond the largest bound: tags are fetched too
}

TEST_CASE("keys may be texts, and made on the fly") {
    table<std::string, int> t;
    for (int round = 0; round != 2; ++round)
        update_batch(
            t, 0, 40'000, [](std::size_t i) { return "a key that has memory of its own " + std::to_string(i / 2); },
            [&](int& v, std::size_t i, bool created) {
                REQUIRE(created == (round == 0 && i % 2 == 0));
                ++v;
            });
    CHECK(t.size() == 20'000);
    t.for_each([](const std::string&, int v) { REQUIRE(v == 4); });
}

TEST_CASE("an update that throws leaves the keys before it updated and those behind it not") {
    for (std::size_t prefilled : {0, 10'000, 600'000})
        for (std::size_t thrown_at : {0, 1, 511, 512, 700, 1'499}) {
            CAPTURE(prefilled);
            CAPTURE(thrown_at);
            table<std::uint64_t, std::int64_t> t;
            t.reserve(prefilled);
            const auto key_at = [](std::size_t i) { return std::uint64_t{i} * 3; };
            const auto update = [&](std::int64_t& v, std::size_t i, bool) {
                if (i == thrown_at) throw std::runtime_error("no");
                ++v;
            };
            REQUIRE_THROWS_AS(update_batch(t, 0, 1'500, key_at, update), std::runtime_error);
            REQUIRE(t.size() == thrown_at + 1);
            for (std::size_t i = 0; i != 1'500; ++i) {
                const std::int64_t* v = t.find(key_at(i), t.hash(key_at(i)));
                REQUIRE((v != nullptr) == (i <= thrown_at));
                if (v) REQUIRE(*v == (i < thrown_at ? 1 : 0));
            }
        }
}

TEST_CASE("a key that cannot be told leaves the keys before it updated and those behind it not, also while copied") {
    for (const std::size_t reserved : {0, 100'000, 600'000})
        for (const std::size_t thrown_at : {0, 1, 511, 512, 900})
            for (const bool copied : {false, true}) {
                CAPTURE(reserved);
                CAPTURE(thrown_at);
                CAPTURE(copied);
                table<std::uint64_t, std::int64_t> t;
                t.reserve(reserved);
                for (std::uint64_t key = 0; key != 1'500; key += 2) t.get_or_create(key, t.hash(key));
                std::optional<frozen_table<std::uint64_t, std::int64_t>> copy;
                if (copied) copy.emplace(t);
                std::size_t asked_last = 0;
                const auto key_at = [&asked_last, thrown_at](std::size_t i) -> std::uint64_t {
                    asked_last = i;
                    if (i == thrown_at) throw std::runtime_error("no key");
                    return i;
                };
                const auto update = [](std::int64_t& v, std::size_t, bool) { ++v; };
                REQUIRE_THROWS_AS(update_batch(t, 0, 1'500, key_at, update), std::runtime_error);
                REQUIRE(asked_last == thrown_at);
                for (std::uint64_t i = 0; i != 1'500; ++i) {
                    const std::int64_t* v = t.find(i, t.hash(i));
                    REQUIRE((v != nullptr) == (i % 2 == 0 || i < thrown_at));
                    if (v) REQUIRE(*v == (i < thrown_at ? 1 : 0));
                }
                if (!copy) continue;
                while (!copy->step(1'000'000)) continue;
                std::size_t n = 0;
                copy->consume([&](std::uint64_t, std::int64_t v) {
                    REQUIRE(v == 0);
                    ++n;
                });
                REQUIRE(n == 750);
            }
}
