#include "runnel/window/hyper_log_log.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "aggregate_grouping.hpp"
#include "runnel/core/xxh64.hpp"

using namespace runnel;

namespace {

std::uint64_t hash_of(std::uint64_t seed, std::uint64_t i) { return detail::xxh64::of_8(seed << 32 | i); }

hyper_log_log sketch_of(std::uint64_t first, std::uint64_t last, unsigned precision = 14) {
    hyper_log_log sketch(precision);
    for (std::uint64_t i = first; i != last; ++i) sketch.add(hash_of(0, i));
    return sketch;
}

std::string bytes_of(const hyper_log_log& sketch) {
    std::string bytes;
    codec<hyper_log_log>::encode(sketch, bytes);
    return bytes;
}

hyper_log_log decoded(std::string_view bytes) {
    byte_reader in(bytes);
    return codec<hyper_log_log>::decode(in);
}

/// The relative errors of estimates after so many different hashes, over 1,000 seeds.
void check_errors(unsigned precision, const std::vector<std::size_t>& after) {
    constexpr std::size_t seeds = 1000;
    const double stated = 1.04 / std::sqrt(std::pow(2, precision));
    std::vector<double> sums(after.size()), squares(after.size());
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        hyper_log_log sketch(precision);
        std::uint64_t n = 0;
        for (std::size_t i = 0; i != after.size(); ++i) {
            while (n != after[i]) sketch.add(hash_of(seed, n++));
            const double error = sketch.estimate() / static_cast<double>(n) - 1;
            CAPTURE(seed);
            CAPTURE(n);
            REQUIRE(std::fabs(error) < 5 * stated + 2.5 / static_cast<double>(n));  // of few, two may share a register
            sums[i] += error;
            squares[i] += error * error;
        }
    }
    for (std::size_t i = 0; i != after.size(); ++i) {
        CAPTURE(after[i]);
        CHECK(std::sqrt(squares[i] / seeds) < 1.1 * stated);  // its own deviation over 1,000 seeds is 2.2 %
        CHECK(std::fabs(sums[i] / seeds) < 4 * stated / std::sqrt(1.0 * seeds));
    }
}

}  // namespace

TEST_CASE("the standard error is 1.04 / sqrt(2^p) at most and there is no bias, for few hashes and for many") {
    check_errors(14, {1, 10, 100, 1000, 1100, 5000, 20'000, 40'000, 60'000});
    check_errors(10, {10, 64, 66, 1000, 2500, 5000, 20'000});
    check_errors(8, {1, 2, 10, 16, 20, 600, 5000});
}

TEST_CASE("an empty sketch estimates 0, and repeated hashes count once") {
    CHECK(hyper_log_log().estimate() == 0);
    hyper_log_log sketch;
    for (int i = 0; i != 1000; ++i) sketch.add(hash_of(1, 7));
    CHECK(sketch.estimate() == doctest::Approx(1).epsilon(0.001));
}

TEST_CASE("hashes without a single bit after the index are counted too") {
    hyper_log_log sketch(4);
    for (std::uint64_t i = 0; i != 16; ++i) sketch.add(i << 60);
    CHECK(decoded(bytes_of(sketch)) == sketch);
    CHECK(std::isinf(sketch.estimate()));  // all registers are full: no smaller number is more likely
}

TEST_CASE("a sketch depends on the set of hashes alone, whatever the order, the grouping and the size of parts") {
    for (std::uint64_t end : {1u, 500u, 1024u, 1025u, 1500u, 20'000u}) {
        const hyper_log_log whole = sketch_of(0, end);
        hyper_log_log backwards;
        for (std::uint64_t i = end; i != 0; --i) backwards.add(hash_of(0, i - 1));
        CHECK(backwards == whole);
        for (std::uint64_t cut : {0u, 1u, 400u, 1024u, 1400u, 19'000u}) {
            if (cut > end) continue;
            hyper_log_log left = sketch_of(0, cut), right = sketch_of(cut / 2, end);
            hyper_log_log from_left = left, from_right = right;
            from_left.merge(right);
            from_right.merge(left);
            CHECK(from_left == whole);
            CHECK(from_right == whole);
        }
    }
}

TEST_CASE("what a sketch holds is the same on every machine and in every release") {
    CHECK(detail::xxh64::of(bytes_of(sketch_of(0, 100))) == 0xdec87f93825baf60u);
    CHECK(detail::xxh64::of(bytes_of(sketch_of(0, 5000))) == 0x8c37e0c28f4b8194u);
}

TEST_CASE("sketches are saved and loaded as they are") {
    for (std::uint64_t n : {0u, 1u, 1024u, 1025u, 30'000u}) {
        const hyper_log_log sketch = sketch_of(0, n);
        CHECK(test::saved_and_loaded(sketch) == sketch);
        CHECK(test::saved_and_loaded(sketch_of(0, n, 4)).precision() == 4);
    }
}

TEST_CASE("a precision out of range, and sketches of two precisions, are refused") {
    CHECK_THROWS_WITH_AS(hyper_log_log(19),
                         "a hyper_log_log of precision 19 was asked for. Use 4 to 18: it takes 2^precision bytes and "
                         "has a standard error of 1.04 / sqrt(2^precision)",
                         error);
    CHECK_THROWS_AS(hyper_log_log(3), error);
    hyper_log_log sketch(12);
    CHECK_THROWS_WITH_AS(sketch.merge(hyper_log_log(14)),
                         "sketches of precision 12 and 14 can't be merged: keep the precision that the saved state "
                         "has, or give the operator another name to start it empty",
                         error);
}

TEST_CASE("damaged bytes are refused, or are another sketch; nothing else happens") {
    for (const hyper_log_log& sketch : {sketch_of(0, 20, 6), sketch_of(0, 3, 6), sketch_of(0, 0, 6)}) {
        const std::string bytes = bytes_of(sketch);
        for (std::size_t n = 0; n != bytes.size(); ++n) {
            CHECK_THROWS_AS(decoded(std::string_view(bytes).substr(0, n)), decode_error);
            for (int bit = 0; bit != 8; ++bit) {
                std::string damaged = bytes;
                damaged[n] = static_cast<char>(damaged[n] ^ 1 << bit);
                try {
                    hyper_log_log other = decoded(damaged);
                    other.add(hash_of(1, 1));
                    other.estimate();
                } catch (const decode_error&) {
                }
            }
        }
    }
}
