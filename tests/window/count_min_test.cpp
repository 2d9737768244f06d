#include "runnel/window/count_min.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <sstream>
#include <string>

#include "aggregate_grouping.hpp"

using namespace runnel;

namespace {

using sketch = count_min<std::uint64_t>;

std::string bytes_of(const sketch& s) {
    std::string bytes;
    codec<sketch>::encode(s, bytes);
    return bytes;
}

sketch decoded(std::string_view bytes) {
    byte_reader in(bytes);
    return codec<sketch>::decode(in);
}

sketch sketch_of(std::uint64_t first, std::uint64_t last) {
    sketch s({.epsilon = 0.1, .delta = 0.1});
    for (std::uint64_t i = first; i != last; ++i) s.add(i * i % 50);
    return s;
}

}  // namespace

TEST_CASE("an estimate is never too low, and for a share delta of the values at most epsilon of the total too high") {
    constexpr double epsilon = 0.01, delta = 0.05;
    std::uint64_t estimates = 0, too_high = 0;
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
        std::mt19937_64 random(seed);
        sketch s({.epsilon = epsilon, .delta = delta});
        // A few values come often, most once or twice.
        std::map<std::uint64_t, std::uint64_t> truth;
        for (int i = 0; i != 2000; ++i) {
            const std::uint64_t value = seed << 32 | ((random() >> (random() % 60)) & 0x7ff);
            ++truth[value];
            s.add(value);
        }
        REQUIRE(s.total() == 2000);
        for (const auto& [value, n] : truth) {
            const std::uint64_t estimate = s.estimate(value);
            CAPTURE(seed);
            CAPTURE(estimate);
            REQUIRE(estimate >= n);
            ++estimates;
            too_high += static_cast<double>(estimate - n) > epsilon * 2000;
        }
    }
    CHECK(static_cast<double>(too_high) < delta * static_cast<double>(estimates));
}

TEST_CASE("width and depth follow from epsilon and delta") {
    CHECK(sketch().width() == 2719);
    CHECK(sketch().depth() == 5);
    CHECK(sketch({.epsilon = 0.5, .delta = 0.5}).width() == 6);
    CHECK(sketch({.epsilon = 0.5, .delta = 0.5}).depth() == 1);
}

TEST_CASE("counts of few values are exact, and what never came has none") {
    sketch s;
    for (std::uint64_t i = 0; i != 1000; ++i) s.add(i, i);
    for (std::uint64_t i = 0; i != 1000; ++i) CHECK(s.estimate(i) == i);
    CHECK(s.estimate(1000) == 0);
    CHECK(s.total() == 999 * 1000 / 2);
    CHECK(sketch().estimate(1) == 0);
}

TEST_CASE("values of any type with a codec are counted") {
    count_min<std::string> s;
    s.add("ann");
    s.add("bob");
    s.add("ann");
    CHECK(s.estimate("ann") == 2);
    CHECK(s.estimate("eve") == 0);
}

TEST_CASE("a sketch is shown by its numbers") {
    std::ostringstream out;
    out << sketch_of(0, 7);
    CHECK(out.str() == "7 values in 3 rows of 28 cells");
}

TEST_CASE("a sketch depends on the values and their numbers alone, whatever the order, grouping and size of parts") {
    for (std::uint64_t end : {0u, 1u, 8u, 10u, 100u, 1000u}) {
        const sketch whole = sketch_of(0, end);
        for (std::uint64_t cut : {0u, 1u, 5u, 9u, 30u, 999u}) {
            if (cut > end) continue;
            sketch left = sketch_of(0, cut), right = sketch_of(cut, end);
            sketch from_left = left, from_right = right;
            from_left.merge(right);
            from_right.merge(left);
            CHECK(from_left == whole);
            CHECK(from_right == whole);
        }
    }
}

TEST_CASE("sketches are saved and loaded as they are") {
    for (std::uint64_t n : {0u, 1u, 5u, 1000u}) CHECK(test::saved_and_loaded(sketch_of(0, n)) == sketch_of(0, n));
}

TEST_CASE("what a sketch holds is the same on every machine and in every release") {
    CHECK(detail::xxh64::of(bytes_of(sketch_of(0, 8))) == 0x6c9e6de0c413ca6du);
    CHECK(detail::xxh64::of(bytes_of(sketch_of(0, 1000))) == 0x321162b3a838c679u);
}

TEST_CASE("options out of range, and sketches of two shapes, are refused") {
    CHECK_THROWS_WITH_AS(sketch({.epsilon = 0}),
                         "count_min: epsilon is 0.000000. Use a number from 1.1e-8 to below 1: estimates are that "
                         "share of all records too high at most",
                         error);
    CHECK_THROWS_AS(sketch({.epsilon = 1}), error);
    CHECK_THROWS_AS(sketch({.epsilon = 1e-12}), error);
    CHECK_THROWS_AS(sketch({.epsilon = NAN}), error);
    CHECK_THROWS_AS(sketch({.delta = 0}), error);
    CHECK_THROWS_AS(sketch({.delta = 1}), error);
    CHECK_THROWS_AS(sketch({.delta = -1}), error);
    sketch s({.epsilon = 0.5, .delta = 0.5});
    CHECK_THROWS_WITH_AS(s.merge(sketch()),
                         "a count_min of 1 rows of 6 cells can't be merged with one of 5 rows of 2719 cells: keep the "
                         "options that the saved state has, or give the operator another name to start it empty",
                         error);
}

TEST_CASE("damaged bytes are refused, or are another sketch; nothing else happens") {
    for (std::uint64_t end : {0u, 3u, 1000u}) {
        const std::string bytes = bytes_of(sketch_of(0, end));
        for (std::size_t n = 0; n != bytes.size(); ++n) {
            CHECK_THROWS_AS(decoded(std::string_view(bytes).substr(0, n)), decode_error);
            for (int bit = 0; bit != 8; ++bit) {
                std::string damaged = bytes;
                damaged[n] = static_cast<char>(damaged[n] ^ 1 << bit);
                try {
                    decoded(damaged).estimate(5);
                } catch (const decode_error&) {
                }
            }
        }
    }
}
