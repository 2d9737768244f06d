#include "runnel/source/random_events.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/source/read_all.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using test::read_all;

TEST_CASE("random events are a function of seed and number alone") {
    const random_event_options options{.count = 1000, .skew = 1, .disorder = 1s, .late_share = 0.1, .seed = 7};
    auto one = random_events(options);
    const auto all = read_all(one, "0", 64);
    const random_event_maker oracle(options);
    for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i] == oracle(i));
    auto more = options;
    more.splits = 3;
    auto split = random_events(more);
    const auto second = read_all(split, "1", 64);
    for (std::size_t k = 0; k < second.size(); ++k) CHECK(second[k] == oracle(1 + 3 * k));
    more.seed = 8;
    CHECK_FALSE(random_event_maker(more)(5) == oracle(5));
}

TEST_CASE("the truth about lateness holds for every split's own watermark") {
    std::mt19937_64 random(20261121);
    for (int round = 0; round < 60; ++round) {
        const random_event_options options{.count = 5000,
                                           .disorder = duration(static_cast<std::int64_t>(random() % 3 * 700'000'001)),
                                           .late_share = static_cast<double>(random() % 5) * 0.25,
                                           .late_by = duration(static_cast<std::int64_t>(random() % 2 * 1'000'000)),
                                           .seed = random(),
                                           .splits = 1 + random() % 16};
        CAPTURE(options.seed);
        CAPTURE(options.splits);
        auto s = random_events(options);
        CHECK(s.problems().empty());
        std::uint64_t late = 0;
        for (const std::string& id : s.splits()) {
            timestamp watermark = timestamp::min();
            for (const random_event& e : read_all(s, id, 1000)) {
                REQUIRE(e.late == (e.at <= watermark));
                late += e.late;
                watermark = std::max(watermark, e.at - options.disorder - duration(1));
            }
        }
        const double expected = options.late_share * 5000 * (1 - 16.0 / 256) * (1 - 256.0 / 5000);
        CHECK(static_cast<double>(late) == doctest::Approx(expected).epsilon(0.15));
    }
}

TEST_CASE("keys follow Zipf's law") {
    for (double skew : {0.0, 0.5, 1.0, 1.3, 3.0})
        for (std::uint64_t keys : {1, 2, 10, 1000}) {
            CAPTURE(skew);
            CAPTURE(keys);
            const std::uint64_t n = 100'000;
            const random_event_maker make({.keys = keys, .skew = skew, .seed = 3});
            std::vector<double> seen(keys);
            for (std::uint64_t i = 0; i < n; ++i) {
                const random_event e = make(i);
                REQUIRE(e.key < keys);
                seen[e.key] += 1;
            }
            double weights = 0;
            for (std::uint64_t k = 0; k < keys; ++k) weights += std::pow(static_cast<double>(k + 1), -skew);
            // Chi-square over the keys; those expected less than 10 times are taken together.
            double chi2 = 0, rest_seen = 0, rest_expected = 0;
            int classes = 0;
            for (std::uint64_t k = 0; k < keys; ++k) {
                const double expected = static_cast<double>(n) * std::pow(static_cast<double>(k + 1), -skew) / weights;
                if (expected < 10) {
                    rest_seen += seen[k];
                    rest_expected += expected;
                    continue;
                }
                chi2 += (seen[k] - expected) * (seen[k] - expected) / expected;
                ++classes;
            }
            if (rest_expected > 10) {
                chi2 += (rest_seen - rest_expected) * (rest_seen - rest_expected) / rest_expected;
                ++classes;
            }
            // Mean is classes - 1, variance twice that: five deviations.
            CHECK(chi2 < classes + 5 * std::sqrt(2.0 * classes));
        }
}
