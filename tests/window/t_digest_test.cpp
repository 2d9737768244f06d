#include "runnel/window/t_digest.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "aggregate_grouping.hpp"
#include "tests/seeds.hpp"

using namespace runnel;

namespace {

const std::vector<double> shares{0, 0.0001, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1};

t_digest digest_of(const std::vector<double>& values) {
    t_digest d;
    for (double x : values) d.add(x);
    return d;
}

double draw(std::uint64_t distribution, std::mt19937_64& random) {
    auto even = [&] { return std::ldexp(static_cast<double>(random() >> 11), -53); };
    const double x = even();
    switch (distribution) {
        case 0: return x;
        case 1: return -std::log(1 - x);
        case 2: return std::sqrt(-2 * std::log(1 - x)) * std::cos(2 * std::numbers::pi * even());
        case 3: return std::pow(1 - x, -2);        // a heavy tail
        case 4: return x < 0.5 ? x : 1000 + x;     // two heaps
        default: return std::floor(x * 50);        // few different values
    }
}

/// Puts the values in some order: random, rising, falling, or from both ends in turn.
void arrange(std::vector<double>& values, std::uint64_t order) {
    if (order == 0) return;
    std::sort(values.begin(), values.end());
    if (order == 2) std::reverse(values.begin(), values.end());
    if (order == 3)
        for (std::size_t i = 0; i < values.size() / 2; i += 2) std::swap(values[i], values[values.size() - 1 - i]);
}

/// All in one, or in parts that are merged one after the other, or in pairs.
t_digest digest_of(const std::vector<double>& values, std::uint64_t way, std::mt19937_64& random) {
    if (way == 0) return digest_of(values);
    std::vector<t_digest> parts(1 + random() % 100);
    for (double x : values) parts[random() % parts.size()].add(x);
    if (way == 1) {
        for (std::size_t i = 1; i != parts.size(); ++i) parts[0].merge(parts[i]);
        return parts[0];
    }
    while (parts.size() > 1) {
        for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
            parts[i].merge(parts[i + 1]);
            parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
    }
    return parts[0];
}

/// How far q is from the nearest share for which x is the exact quantile.
double rank_error(const std::vector<double>& sorted, double x, double q) {
    const auto n = static_cast<double>(sorted.size());
    const auto below = static_cast<double>(std::lower_bound(sorted.begin(), sorted.end(), x) - sorted.begin());
    const auto not_above = static_cast<double>(std::upper_bound(sorted.begin(), sorted.end(), x) - sorted.begin());
    return std::max({0.0, (below - 0.5) / n - q, q - (not_above + 0.5) / n});
}

std::string bytes_of(const t_digest& d) {
    std::string bytes;
    codec<t_digest>::encode(d, bytes);
    return bytes;
}

}  // namespace

TEST_CASE("the rank of a quantile is within the stated error, over 1,000 seeds of all kinds of input and grouping") {
    double sum = 0;
    for (std::uint64_t seed = 1; seed <= test::seeds(1000); ++seed) {
        std::mt19937_64 random(seed);
        std::vector<double> values(1001 + random() % 10'000);
        for (double& x : values) x = draw(seed % 6, random);
        arrange(values, seed / 6 % 4);
        const t_digest d = digest_of(values, seed / 24 % 3, random);
        REQUIRE(d.count() == values.size());
        std::sort(values.begin(), values.end());
        const std::vector<double> got = d.quantiles(shares);
        REQUIRE(std::is_sorted(got.begin(), got.end()));
        REQUIRE(got.front() == values.front());
        REQUIRE(got.back() == values.back());
        for (std::size_t i = 0; i != shares.size(); ++i) {
            const double q = shares[i], stated = 0.03 * std::sqrt(q * (1 - q)) + 0.0001;
            CAPTURE(seed);
            CAPTURE(q);
            REQUIRE(rank_error(values, got[i], q) < stated);
            sum += rank_error(values, got[i], q) / stated;
        }
    }
    CHECK(sum / 1000 / static_cast<double>(shares.size()) < 0.1);
}

TEST_CASE("up to 1,000 numbers, quantiles are exact and the same in any grouping and order") {
    CHECK(digest_of({4, 1, 3, 2}).quantiles({0, 0.125, 0.25, 0.5, 0.875, 1}) ==
          std::vector<double>{1, 1, 1.5, 2.5, 4, 4});
    CHECK(digest_of({7}).quantiles({0, 0.5, 1}) == std::vector<double>{7, 7, 7});
    for (std::uint64_t seed = 1; seed != 50; ++seed) {
        std::mt19937_64 random(seed);
        std::vector<double> values(1 + random() % 1000);
        for (double& x : values) x = draw(seed % 6, random);
        const auto expected = digest_of(values).quantiles(shares);
        for (std::uint64_t way = 0; way != 3; ++way) {
            std::shuffle(values.begin(), values.end(), random);
            REQUIRE(digest_of(values, way, random).quantiles(shares) == expected);
        }
    }
}

TEST_CASE("equal numbers have themselves as quantiles, however many there are") {
    CHECK(digest_of(std::vector<double>(5000, 0.1)).quantiles({0, 0.3, 1}) == std::vector<double>{0.1, 0.1, 0.1});
}

TEST_CASE("the largest numbers there are don't overflow") {
    const double max = std::numeric_limits<double>::max();
    std::vector<double> values;
    for (int i = 0; i != 5000; ++i) values.push_back(i % 2 ? max : -max);
    for (double x : digest_of(values).quantiles(shares)) CHECK(std::isfinite(x));
}

TEST_CASE("infinities count as the least and the greatest, NaN is left out") {
    const t_digest d = digest_of({INFINITY, 1, NAN, 2, -INFINITY, INFINITY, 3, -INFINITY, NAN, 1});
    CHECK(d.count() == 8);
    CHECK(d.quantiles({0, 0.25, 0.5, 0.75, 1}) == std::vector<double>{-INFINITY, -INFINITY, 1.5, INFINITY, INFINITY});
    CHECK(digest_of({INFINITY}).quantile(0) == INFINITY);
    CHECK(digest_of({-INFINITY, INFINITY}).quantile(0.25) == -INFINITY);
    CHECK(std::isnan(digest_of({NAN}).quantile(0.5)));
    CHECK(std::isnan(t_digest().quantile(0.5)));
}

TEST_CASE("a digest is saved and loaded as it is, and goes on in the same way") {
    std::mt19937_64 random(1);
    t_digest d;
    for (int i = 0; i != 4000; ++i) {
        d.add(draw(3, random));
        if (i % 300 == 0) {
            const t_digest loaded = test::saved_and_loaded(d);
            REQUIRE(bytes_of(loaded) == bytes_of(d));
            REQUIRE(loaded.quantiles(shares) == d.quantiles(shares));
        }
    }
    t_digest loaded = test::saved_and_loaded(d);
    for (int i = 0; i != 4000; ++i) {
        d.add(i);
        loaded.add(i);
    }
    CHECK(loaded.count() == d.count());
    CHECK(bytes_of(loaded) == bytes_of(d));
}

TEST_CASE("damaged bytes are refused, or are another digest; nothing else happens") {
    const std::string bytes = bytes_of(digest_of({1, 2.5, -3, INFINITY}));
    for (std::size_t n = 0; n != bytes.size(); ++n) {
        byte_reader cut(std::string_view(bytes).substr(0, n));
        CHECK_THROWS_AS(codec<t_digest>::decode(cut), decode_error);
        for (int bit = 0; bit != 8; ++bit) {
            std::string damaged = bytes;
            damaged[n] = static_cast<char>(damaged[n] ^ 1 << bit);
            try {
                byte_reader in(damaged);
                t_digest d = codec<t_digest>::decode(in);
                for (int i = 0; i != 2000; ++i) d.add(i);
                d.quantiles(shares);
            } catch (const decode_error&) {
            }
        }
    }
}
