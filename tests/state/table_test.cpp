#include "runnel/state/table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/state/counting_match.hpp"
#include "tests/support/random.hpp"
#include "tests/support/tracked.hpp"

using namespace runnel;
using tests::counting_match;
using tests::random_numbers;
using tests::tracked;

namespace {

struct total {
    std::int64_t count;
    std::int64_t sum;
};

/// All keys belong to one group, and search the same ones after it.
struct worst_hash {
    std::uint64_t operator()(std::uint64_t) const noexcept { return 0x0500'0000'0000'0000; }
};
/// Few tags and few groups, so that searches pass many groups.
struct poor_hash {
    std::uint64_t operator()(std::uint64_t key) const noexcept {
        return (key % 3) << 56 | (key % 5) << 32 | (key % 7) << 4;
    }
};

template <class Table>
void differential(std::uint64_t seed, std::size_t operations, std::size_t key_range) {
    CAPTURE(seed);
    random_numbers random(seed);
    Table t;
    std::unordered_map<std::uint64_t, std::string> oracle;
    for (std::size_t i = 0; i != operations; ++i) {
        // Phases in which the table tends to grow, and others in which it tends to shrink.
        const std::size_t erasing = i / (operations / 8) % 2 == 0 ? 2 : 6;
        const std::uint64_t key = random.below(key_range);
        const std::uint64_t hash = t.hash(key);
        const std::size_t what = random.below(10);
        if (what < erasing) {
            REQUIRE(t.erase(key, hash) == (oracle.erase(key) == 1));
        } else if (what < 8) {
            bool created = false;
            std::string& value = t.get_or_create(key, hash, &created);
            REQUIRE(created == !oracle.contains(key));
            REQUIRE(value == oracle[key]);
            value += static_cast<char>('a' + random.below(26));
            oracle[key] = value;
        } else {
            const std::string* value = std::as_const(t).find(key, hash);
            const auto there = oracle.find(key);
            REQUIRE((value != nullptr) == (there != oracle.end()));
            if (value) REQUIRE(*value == there->second);
        }
        REQUIRE(t.size() == oracle.size());
        if (random.below(operations / 4) == 0) {
            t.clear();
            oracle.clear();
        }
    }
    std::unordered_map<std::uint64_t, std::string> seen;
    std::as_const(t).for_each(
        [&](std::uint64_t key, const std::string& value) { REQUIRE(seen.emplace(key, value).second); });
    REQUIRE(seen == oracle);
    for (std::size_t s = t.next(0); s != t.slots(); s = t.next(s + 1)) REQUIRE(seen.erase(t.key_at(s)) == 1);
    REQUIRE(seen.empty());
}

template <class K, class V>
std::vector<K> keys_of(const table<K, V>& t) {
    std::vector<K> keys;
    t.for_each([&](const K& key, const V&) { keys.push_back(key); });
    std::sort(keys.begin(), keys.end());
    return keys;
}

template <class V>
V& at(table<std::uint64_t, V>& t, std::uint64_t key) {
    return t.get_or_create(key, t.hash(key));
}

}  // namespace

TEST_CASE("random operations give what std::unordered_map gives") {
    using key = std::uint64_t;
    using hash = salted_hash<key>;
    for (std::uint64_t seed = 1; seed <= 4; ++seed)
        for (std::size_t range : {10, 500, 20'000}) {
            CAPTURE(range);
            differential<table<key, std::string, hash, detail::default_match>>(seed, 40'000, range);
            differential<table<key, std::string, hash, detail::swar_match>>(seed, 40'000, range);
        }
}

TEST_CASE("random operations are right under hashes that collide") {
    using key = std::uint64_t;
    differential<table<key, std::string, poor_hash>>(21, 20'000, 1'000);
    differential<table<key, std::string, worst_hash>>(22, 8'000, 600);
    differential<table<key, std::string, worst_hash, detail::swar_match>>(23, 8'000, 600);
}

TEST_CASE("groups that more keys have passed than can be counted stay right") {
    table<std::uint64_t, int, worst_hash> t;
    for (std::uint64_t k = 0; k != 2'000; ++k) t.get_or_create(k, t.hash(k)) = static_cast<int>(k);
    for (std::uint64_t k = 0; k != 2'000; k += 2) REQUIRE(t.erase(k, t.hash(k)));
    for (std::uint64_t k = 0; k != 2'000; ++k) {
        const int* value = t.find(k, t.hash(k));
        REQUIRE((value != nullptr) == (k % 2 == 1));
        if (value) REQUIRE(*value == static_cast<int>(k));
    }
    for (std::uint64_t k = 1; k < 2'000; k += 2) REQUIRE(t.erase(k, t.hash(k)));
    CHECK(t.empty());
    CHECK(t.find(1, t.hash(1)) == nullptr);
    CHECK(t.next(0) == t.slots());
}

TEST_CASE("an empty table has no memory and answers everything") {
    table<std::uint64_t, std::string> t;
    CHECK(t.memory_bytes() == 0);
    CHECK(t.slots() == 0);
    CHECK(t.capacity() == 0);
    CHECK(t.next(0) == 0);
    CHECK(t.find(1, t.hash(1)) == nullptr);
    CHECK_FALSE(t.erase(1, t.hash(1)));
    t.clear();
    t.shrink();
    t.release();
    t.prefetch(t.hash(1));
    t.for_each([](std::uint64_t, std::string&) { FAIL("no key"); });
    CHECK(t.memory_bytes() == 0);
}

TEST_CASE("a new value is value-initialised, or what make gives") {
    table<std::uint64_t, total> t;
    CHECK(at(t, 1).count == 0);
    bool created = false;
    CHECK(t.get_or_create_with(2, t.hash(2), [] { return total{3, 4}; }, &created).sum == 4);
    CHECK(created);
    CHECK(t.get_or_create_with(2, t.hash(2), [] { return total{5, 6}; }, &created).sum == 4);
    CHECK_FALSE(created);
    CHECK(t.create(3, t.hash(3)).count == 0);
    CHECK(t.size() == 3);
}

TEST_CASE("keys and values may be move-only") {
    struct hash_of_pointee {
        std::uint64_t operator()(const std::unique_ptr<int>& p) const noexcept {
            return detail::salted_word(static_cast<std::uint64_t>(*p), {1, 2});
        }
    };
    table<std::unique_ptr<int>, int, hash_of_pointee> by_pointer;
    std::vector<const int*> pointers;
    for (int i = 0; i != 100; ++i) {
        auto key = std::make_unique<int>(i);
        pointers.push_back(key.get());
        const std::uint64_t hash = by_pointer.hash(key);
        by_pointer.get_or_create(std::move(key), hash) = i;
    }
    by_pointer.for_each([&](const std::unique_ptr<int>& key, int i) {
        CHECK(key.get() == pointers[static_cast<std::size_t>(i)]);
    });

    table<std::string, std::unique_ptr<int>> t;
    for (int i = 0; i != 1'000; ++i) {
        const std::string key = "key " + std::to_string(i);
        t.get_or_create(key, t.hash(key)) = std::make_unique<int>(i);
    }
    auto moved = std::move(t);
    for (int i = 0; i != 1'000; ++i) {
        const std::string key = "key " + std::to_string(i);
        REQUIRE(**moved.find(key, moved.hash(key)) == i);
    }
    static_assert(!std::is_copy_constructible_v<table<std::string, std::unique_ptr<int>>>);
    static_assert(std::is_nothrow_move_constructible_v<table<std::string, std::unique_ptr<int>>>);
}

TEST_CASE("a copy is a table of its own") {
    table<std::uint64_t, std::string> t;
    for (std::uint64_t k = 0; k != 100; ++k) at(t, k) = std::to_string(k);
    auto copy = t;
    t.erase(5, t.hash(5));
    at(t, 6) = "changed";
    CHECK(copy.size() == 100);
    CHECK(*copy.find(5, copy.hash(5)) == "5");
    CHECK(*copy.find(6, copy.hash(6)) == "6");
    copy = table<std::uint64_t, std::string>();
    CHECK(copy.empty());
}

TEST_CASE("what throws while a key is made leaves the table as it was") {
    table<std::uint64_t, std::string> t;
    for (std::uint64_t k = 0; k != 1'000; ++k) {
        const auto fail = []() -> std::string { throw std::runtime_error("no"); };
        REQUIRE_THROWS(t.get_or_create_with(k, t.hash(k), fail));
        REQUIRE(t.size() == k);
        REQUIRE(t.find(k, t.hash(k)) == nullptr);
        at(t, k) = "yes";
    }
    CHECK(keys_of(t).size() == 1'000);
}

TEST_CASE("a move that throws while the table grows leaves it empty, valid and without a leak") {
    for (int after = 0; after != 40; ++after) {
        CAPTURE(after);
        table<std::uint64_t, tracked> t;
        tracked::throw_after = after;
        bool thrown = false;
        for (std::uint64_t k = 0; k != 200 && !thrown; ++k) {
            const std::size_t before = t.size();
            try {
                t.get_or_create_with(k, t.hash(k), [&] { return tracked(static_cast<int>(k)); });
            } catch (const std::runtime_error&) {
                thrown = true;
                CHECK((t.empty() || t.size() == before));
            }
        }
        CHECK(thrown);
        tracked::throw_after = -1;
        CHECK(tracked::living == t.size());
        at(t, 7) = tracked(7);
        CHECK(t.find(7, t.hash(7))->value() == 7);
    }
    CHECK(tracked::living == 0);
}

TEST_CASE("a copy that throws is undone") {
    table<std::uint64_t, tracked> t;
    for (std::uint64_t k = 0; k != 50; ++k)
        t.get_or_create_with(k, t.hash(k), [&] { return tracked(static_cast<int>(k)); });
    tracked::throw_after = 20;
    CHECK_THROWS((table<std::uint64_t, tracked>(t)));
    tracked::throw_after = -1;
    CHECK(tracked::living == 50);
}

TEST_CASE("a hash that throws leaves the table as it was") {
    struct hash {
        bool* fails;
        std::uint64_t operator()(std::uint64_t key) const {
            if (*fails) throw std::runtime_error("no");
            return detail::salted_word(key, {5, 6});
        }
    };
    bool fails = false;
    table<std::uint64_t, std::string, hash> t(hash{&fails});
    while (t.size() != 16) t.get_or_create(t.size(), t.hash(t.size())) = "value";
    const std::uint64_t next = t.hash(16);
    fails = true;
    CHECK_THROWS(t.get_or_create(16, next));
    CHECK_THROWS(t.erase_at(t.next(0)));
    fails = false;
    CHECK(t.size() == 16);
    for (std::uint64_t k = 0; k != 16; ++k) CHECK(*t.find(k, t.hash(k)) == "value");
}

TEST_CASE("erasing during an iteration loses no key and repeats none") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        random_numbers random(seed);
        table<std::uint64_t, int> t;
        const std::size_t n = random.below(3'000);
        for (std::uint64_t k = 0; k != n; ++k) at(t, k) = 0;
        std::vector<std::uint64_t> kept;
        std::size_t visited = 0;
        for (std::size_t s = t.next(0); s != t.slots(); s = t.next(s + 1)) {
            ++visited;
            REQUIRE(++t.value_at(s) == 1);
            if (random.chance(50))
                t.erase_at(s);
            else
                kept.push_back(t.key_at(s));
        }
        REQUIRE(visited == n);
        std::sort(kept.begin(), kept.end());
        REQUIRE(keys_of(t) == kept);
        for (std::uint64_t k : kept) REQUIRE(t.find(k, t.hash(k)));
    }
}

TEST_CASE("a table doesn't decay: after any number of erasures memory and searches are as before") {
    table<std::uint64_t, int, salted_hash<std::uint64_t>, counting_match> t;
    constexpr std::uint64_t live = 12'000;
    for (std::uint64_t k = 0; k != live; ++k) t.get_or_create(k, t.hash(k));
    const std::size_t memory = t.memory_bytes();
    for (std::uint64_t k = live; k != 300'000; ++k) {
        REQUIRE(t.erase(k - live, t.hash(k - live)));
        t.get_or_create(k, t.hash(k));
    }
    CHECK(t.size() == live);
    CHECK(t.memory_bytes() == memory);
    counting_match::looks = 0;
    for (std::uint64_t k = 0; k != 10'000; ++k) REQUIRE(t.find(k, t.hash(k)) == nullptr);
    CHECK(counting_match::looks < 20'000);
}

TEST_CASE("clear keeps the memory of a table in use, and gives it back when it was nearly empty") {
    table<std::uint64_t, std::string> t;
    auto fill = [&](std::uint64_t n) {
        for (std::uint64_t k = 0; k != n; ++k) at(t, k) = "text";
    };
    fill(100'000);
    const std::size_t full = t.memory_bytes();
    t.clear();
    CHECK(t.empty());
    CHECK(t.memory_bytes() == full);
    CHECK(t.find(1, t.hash(1)) == nullptr);
    fill(100'000);
    CHECK(t.memory_bytes() == full);
    t.clear();
    fill(100);
    t.clear();
    CHECK(t.memory_bytes() == 0);
    fill(1);
    CHECK(t.capacity() >= 200);
    CHECK(t.memory_bytes() < full / 100);
    t.release();
    CHECK(t.memory_bytes() == 0);
}

TEST_CASE("shrink gives memory back and keeps the keys") {
    table<std::uint64_t, std::string> t;
    for (std::uint64_t k = 0; k != 50'000; ++k) at(t, k) = std::to_string(k);
    const std::size_t full = t.memory_bytes();
    t.shrink();
    CHECK(t.memory_bytes() == full);
    for (std::uint64_t k = 100; k != 50'000; ++k) t.erase(k, t.hash(k));
    t.shrink();
    CHECK(t.memory_bytes() < full / 50);
    for (std::uint64_t k = 0; k != 100; ++k) CHECK(*t.find(k, t.hash(k)) == std::to_string(k));
    CHECK(t.size() == 100);
}

TEST_CASE("reserve makes room: no growth, so references stay") {
    table<std::uint64_t, int> t;
    t.reserve(10'000);
    const std::size_t memory = t.memory_bytes();
    int* first = &at(t, 0);
    for (std::uint64_t k = 1; k != 10'000; ++k) at(t, k) = 1;
    CHECK(&at(t, 0) == first);
    CHECK(t.memory_bytes() == memory);
}

TEST_CASE("keys taken from another table in slot order don't pile up") {
    table<std::uint64_t, char> from;
    for (std::uint64_t k = 0; k != 230'000; ++k) at(from, k) = 1;
    table<std::uint64_t, char, salted_hash<std::uint64_t>, counting_match> into;
    counting_match::looks = 0;
    std::size_t copied = 0;
    from.for_each([&](std::uint64_t key, char) {
        into.get_or_create(key, into.hash(key));
        ++copied;
    });
    CHECK(copied == 230'000);
    CHECK(counting_match::looks < 4 * copied);
}

TEST_CASE("a key of 8 bytes with a value of 16 takes at most 60 bytes on average while the table grows") {
    table<std::uint64_t, total> t;
    double sum = 0, count = 0, worst = 0;
    std::size_t next_sample = 100;
    for (std::uint64_t k = 0; k != 1'000'000; ++k) {
        at(t, k).count = 1;
        if (t.size() == next_sample) {
            const double bytes = static_cast<double>(t.memory_bytes()) / static_cast<double>(t.size());
            sum += bytes;
            worst = std::max(worst, bytes);
            ++count;
            next_sample += next_sample / 50;
        }
    }
    CHECK(sum / count < 48);
    CHECK(worst < 60);
}
