#include "runnel/window/two_stacks.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <random>
#include <string>

using namespace runnel;

namespace {

/// Keeps the order of its records, and counts the merges.
struct concatenation {
    int* merges;
    std::string create() const { return {}; }
    void add(std::string& s, char c) const { s += c; }
    void merge(std::string& s, const std::string& other) const {
        s += other;
        ++*merges;
    }
    std::string result(const std::string& s) const { return s; }
};

}  // namespace

TEST_CASE("the contents are the slices of the window in order of time, for any slide, phase and gaps in the slices") {
    for (std::uint64_t seed = 1; seed != 300; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        auto below = [&](int n) { return static_cast<std::int64_t>(random() % static_cast<unsigned>(n)); };
        int merges = 0;
        const concatenation agg{&merges};
        const std::int64_t size = 1 + below(30), step = 1 + below(12);
        const int density = 1 + static_cast<int>(below(4));
        detail::two_stacks<concatenation> contents(below(30) % size);
        std::deque<std::pair<std::int64_t, std::string>> expected;
        std::int64_t next = -100;
        for (std::int64_t start = -100; start < 100; start += step * (1 + (below(10) == 0 ? below(5) : 0))) {
            for (next = std::max(next, start); next < start + size; ++next)
                if (below(density) == 0) {
                    const std::string value(1, static_cast<char>('a' + below(26)));
                    contents.push(timestamp(next), value);
                    expected.emplace_back(next, value);
                }
            while (!expected.empty() && expected.front().first < start) expected.pop_front();
            contents.advance(start, size, agg);
            std::string all;
            for (const auto& [first, value] : expected) all += value;
            REQUIRE(contents.empty() == all.empty());
            if (!all.empty()) REQUIRE(contents.result(agg) == all);
        }
    }
}

TEST_CASE("a slice costs at most three merges, however long the window") {
    for (const std::int64_t size : {1, 10, 1000}) {
        int merges = 0;
        const concatenation agg{&merges};
        detail::two_stacks<concatenation> contents(size / 3);
        const int slices = 20000;
        for (std::int64_t t = 0; t != slices; ++t) {
            contents.push(timestamp(t), "x");
            contents.advance(t + 1 - size, size, agg);
            REQUIRE(contents.result(agg).size() == static_cast<std::size_t>(std::min(t + 1, size)));
        }
        CHECK(merges <= 3 * slices);
    }
}

TEST_CASE("the order of merges depends on the window alone, not on what came before") {
    struct average {  // merging rounds, so another grouping gives another result
        double create() const { return 0; }
        void add(double& a, double x) const { a = x; }
        void merge(double& a, double b) const { a = a * 0.7 + b * 0.3; }
        double result(double a) const { return a; }
    };
    const average agg;
    const std::int64_t size = 20;
    std::mt19937_64 random(3);
    std::vector<double> values(200);
    for (double& v : values) v = static_cast<double>(random() % 1000);
    detail::two_stacks<average> old(7);
    for (std::int64_t t = 0; t != 200; ++t) {
        old.push(timestamp(t), values[static_cast<std::size_t>(t)]);
        const std::int64_t start = t + 1 - size;
        old.advance(start, size, agg);
        detail::two_stacks<average> fresh(7);
        for (std::int64_t i = std::max<std::int64_t>(0, start); i <= t; ++i)
            fresh.push(timestamp(i), values[static_cast<std::size_t>(i)]);
        fresh.advance(start, size, agg);
        REQUIRE(old.result(agg) == fresh.result(agg));
    }
}

TEST_CASE("clear forgets all slices") {
    int merges = 0;
    const concatenation agg{&merges};
    detail::two_stacks<concatenation> contents(0);
    contents.push(timestamp(1), "a");
    contents.advance(0, 10, agg);
    contents.clear();
    CHECK(contents.empty());
    contents.push(timestamp(2), "b");
    contents.advance(0, 10, agg);
    CHECK(contents.result(agg) == "b");
}
