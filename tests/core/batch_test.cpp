#include "runnel/core/batch.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/print.hpp"
#include "tests/support/random.hpp"
#include "tests/support/tracked.hpp"

using namespace runnel;
using tests::tracked;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

template <class T>
std::vector<T> values_of(const batch<T>& b) {
    return {b.values() + b.cursor(), b.values() + b.size()};
}

}  // namespace

TEST_CASE("a new batch is empty, and its bounds hold nothing") {
    batch<int> b;
    CHECK(b.empty());
    CHECK(b.size() == 0);
    CHECK(b.min_time() == timestamp::max());
    CHECK(b.max_time() == timestamp::min());
}

TEST_CASE("append grows the columns, keeps order and widens the bounds") {
    batch<std::string> b;
    for (int i = 0; i < 1000; ++i) b.append(std::to_string(i), at(500 - i));
    REQUIRE(b.size() == 1000);
    for (std::size_t i = 0; i < 1000; ++i) {
        REQUIRE(std::as_const(b).value(i) == std::to_string(i));
        REQUIRE(b.time(i) == at(500 - static_cast<std::int64_t>(i)));
    }
    CHECK(b.min_time() == at(-499));
    CHECK(b.max_time() == at(500));
}

TEST_CASE("what is before the cursor is consumed") {
    batch<int> b;
    for (int i = 0; i < 5; ++i) b.append(i, at(i));
    b.consume_until(2);
    CHECK(b.remaining() == 3);
    CHECK(values_of(b) == std::vector<int>{2, 3, 4});
    b.consume_until(5);
    CHECK(b.empty());
    CHECK(b.size() == 5);
}

TEST_CASE("clear keeps the memory and forgets records, cursor and bounds") {
    batch<int> b(64);
    for (int i = 0; i < 64; ++i) b.append(i, at(i));
    const std::size_t capacity = b.capacity();
    b.consume_until(10);
    b.clear();
    CHECK(b.size() == 0);
    CHECK(b.cursor() == 0);
    CHECK(b.capacity() == capacity);
    CHECK(b.min_time() == timestamp::max());
    const int* before = b.values();
    b.append(1, at(1));
    CHECK(std::as_const(b).values() == before);
}

TEST_CASE("a copy has records, times, cursor and bounds of its own") {
    batch<std::string> a;
    a.append("one", at(1));
    a.append("two", at(2));
    a.widen(at(-7), at(7));
    a.consume_until(1);
    batch<std::string> b(a);
    a.value(1) = "changed";
    CHECK(values_of(b) == std::vector<std::string>{"two"});
    CHECK(b.cursor() == 1);
    CHECK(b.time(1) == at(2));
    CHECK(b.min_time() == at(-7));
    CHECK(b.max_time() == at(7));
    a = b;
    CHECK(values_of(a) == std::vector<std::string>{"two"});
    a = std::move(b);
    CHECK(values_of(a) == std::vector<std::string>{"two"});
}

TEST_CASE("swap exchanges everything") {
    batch<std::unique_ptr<int>> a;
    batch<std::unique_ptr<int>> b(100);
    a.append(std::make_unique<int>(1), at(1));
    a.append(std::make_unique<int>(2), at(2));
    a.consume_until(1);
    a.swap(b);
    CHECK(a.size() == 0);
    CHECK(a.capacity() == 100);
    CHECK(b.remaining() == 1);
    CHECK(*b.value(1) == 2);
    CHECK(a.max_time() == timestamp::min());
    CHECK(b.max_time() == at(2));
}

TEST_CASE("records can be made in place, copied in a run, and constructed by hand") {
    batch<std::string> b;
    const std::vector<std::string> some{"a", "b"};
    b.append_copies(some.data(), 2, at(1));
    b.append_made(2, [](std::size_t k) { return "made" + std::to_string(k); }, at(2));
    b.reserve(b.size() + 1);
    std::construct_at(b.mutable_values() + b.size(), "by hand");
    b.times()[b.size()] = at(3);
    b.commit(1);
    CHECK(values_of(b) == std::vector<std::string>{"a", "b", "made0", "made1", "by hand"});
    CHECK(b.time(4) == at(3));
    b.truncate(1);
    CHECK(values_of(b) == std::vector<std::string>{"a"});
}

TEST_CASE("borrowed values are copied before anything can change them") {
    const std::vector<int> lent{1, 2, 3, 4};
    SUBCASE("by a write") {
        batch<int> b;
        b.borrow(lent.data(), 4);
        CHECK(std::as_const(b).values() == lent.data());
        b.value(1) = 9;
        CHECK(values_of(b) == std::vector<int>{1, 9, 3, 4});
    }
    SUBCASE("by an append") {
        batch<int> b;
        b.borrow(lent.data(), 2);
        for (int i = 0; i < 100; ++i) b.append_raw(i, at(i));
        CHECK(b.size() == 102);
        CHECK(std::as_const(b).value(1) == 2);
        CHECK(std::as_const(b).value(101) == 99);
    }
    SUBCASE("by reserve, with room to spare and without") {
        batch<int> b(100);
        b.borrow(lent.data(), 4);
        b.reserve(50);
        CHECK(std::as_const(b).values() != lent.data());
        CHECK(values_of(b) == lent);
        batch<int> c;
        c.borrow(lent.data(), 4);
        c.reserve(50);
        CHECK(values_of(c) == lent);
    }
    SUBCASE("by a copy of the batch") {
        batch<int> b;
        b.borrow(lent.data(), 4);
        for (int i = 0; i < 4; ++i) b.times()[i] = at(i);
        b.consume_until(1);
        const batch<int> c(b);
        CHECK(c.values() != lent.data());
        CHECK(values_of(c) == std::vector<int>{2, 3, 4});
    }
    SUBCASE("truncated, then appended to") {
        batch<int> b;
        b.borrow(lent.data(), 4);
        b.truncate(2);
        b.append(7, at(7));
        CHECK(values_of(b) == std::vector<int>{1, 2, 7});
    }
    SUBCASE("nothing borrowed") {
        batch<int> b;
        b.borrow(lent.data(), 0);
        b.append(7, at(7));
        CHECK(values_of(b) == std::vector<int>{7});
    }
    SUBCASE("swapped and cleared") {
        batch<int> b;
        batch<int> c;
        b.borrow(lent.data(), 4);
        c.append(5, at(5));
        b.swap(c);
        CHECK(values_of(b) == std::vector<int>{5});
        c.clear();
        c.append(6, at(6));
        CHECK(values_of(c) == std::vector<int>{6});
    }
    CHECK(lent == std::vector<int>{1, 2, 3, 4});
}

TEST_CASE("every record is destroyed once") {
    {
        batch<tracked> b;
        for (int i = 0; i < 100; ++i) b.append(tracked(i), at(i));
        CHECK(tracked::living == 100);
        b.truncate(60);
        CHECK(tracked::living == 60);
        batch<tracked> c(b);
        CHECK(tracked::living == 120);
        b.clear();
        CHECK(tracked::living == 60);
        b = std::move(c);
        CHECK(tracked::living == 60);
        CHECK(b.value(59).value() == 59);
    }
    CHECK(tracked::living == 0);
}

TEST_CASE("a copy or move that throws leaks nothing, destroys nothing twice and leaves the batch usable") {
    for (int n = 0; n < 60; ++n) {
        CAPTURE(n);
        for (int what = 0; what < 5; ++what) {
            CAPTURE(what);
            {
                batch<tracked> b(8);
                for (int i = 0; i < 8; ++i) b.append(tracked(i), at(i));
                const std::vector<tracked> more(5, tracked(7));
                tracked::throw_after = n;
                try {
                    if (what == 0) b.append(tracked(8), at(8));  // Grows.
                    if (what == 1) b.reserve(100);
                    if (what == 2) batch<tracked> copy(b);
                    if (what == 3) b.append_copies(more.data(), more.size(), at(9));
                    if (what == 4)
                        b.append_made(5, [&](std::size_t k) -> const tracked& { return more[k]; }, at(9));
                    tracked::throw_after = -1;
                } catch (const std::runtime_error&) {
                    CHECK((b.size() >= 8 && b.size() <= 13));
                }
                tracked::throw_after = -1;
                b.append(tracked(99), at(99));
                CHECK(b.value(b.size() - 1).value() == 99);
            }
            REQUIRE(tracked::living == 0);
        }
    }
}

TEST_CASE("random operations: a batch is a vector of records with a cursor") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        tests::random_numbers random(seed);
        batch<tracked> b;
        std::vector<std::pair<int, timestamp>> expected;
        std::size_t cursor = 0;
        for (int step = 0; step < 100; ++step) {
            switch (random.below(8)) {
                case 0: b.clear(), expected.clear(), cursor = 0; break;
                case 1: b.reserve(random.below(50)); break;
                case 2: {
                    const std::size_t n = cursor + random.below(expected.size() - cursor + 1);
                    b.truncate(n);
                    expected.resize(n);
                    break;
                }
                case 3:
                    cursor += random.below(expected.size() - cursor + 1);
                    b.consume_until(cursor);
                    break;
                case 4: {
                    batch<tracked> copy(b);
                    b.swap(copy);
                    break;
                }
                default: {
                    const int value = static_cast<int>(random.below(1000));
                    const timestamp t = at(random.between(-100, 100));
                    b.append(tracked(value), t);
                    expected.emplace_back(value, t);
                }
            }
            REQUIRE(b.size() == expected.size());
            REQUIRE(b.cursor() == cursor);
            for (std::size_t i = cursor; i < expected.size(); ++i) {
                REQUIRE(b.value(i).value() == expected[i].first);
                REQUIRE(b.time(i) == expected[i].second);
                REQUIRE(b.min_time() <= b.time(i));
                REQUIRE(b.max_time() >= b.time(i));
            }
        }
    }
    CHECK(tracked::living == 0);
}
