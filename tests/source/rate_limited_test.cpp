#include "runnel/source/rate_limited.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "runnel/source/collection.hpp"
#include "runnel/source/generator.hpp"
#include "tests/source/read_all.hpp"
#include "tests/support/hand_clock.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

auto numbers(std::uint64_t n, std::size_t splits = 1) {
    return generate(n, [](std::uint64_t i) { return i; }, {.splits = splits});
}

}  // namespace

TEST_CASE("a rate is reached and never exceeded by more than a tenth of a second's records, whatever the polls") {
    for (double rate : {0.5, 3.0, 100.0, 20'000.0})
        for (std::uint64_t seed = 1; seed <= 20; ++seed) {
            CAPTURE(rate);
            CAPTURE(seed);
            tests::random_numbers random(seed);
            tests::hand_clock clock;
            clock.time = timestamp(random.between(-1'000'000, 1'000'000));
            auto s = rate_limited(numbers(1'000'000'000, 2), rate);
            const reader_context context{.wake = [] {}, .bad_record = {}, .clock = &clock};
            std::unique_ptr<split_reader<std::uint64_t>> readers[] = {s.open("0", nullptr, context),
                                                                      s.open("1", nullptr, context)};
            const double burst = std::max(1.0, rate / 10);
            std::vector<std::pair<double, double>> read;  // seconds, records in all
            double total = 0;
            const timestamp start = clock.now();
            batch<std::uint64_t> b;
            for (int i = 0; i < 400; ++i) {
                const auto r = readers[random.below(2)]->poll(b, 1 + random.below(600));
                total += static_cast<double>(b.size());
                b.clear();
                const double now = std::chrono::duration<double>(clock.now() - start).count();
                read.emplace_back(now, total);
                if (r.what != poll_result::kind::until) continue;
                REQUIRE(r.at > clock.now());
                // As asked, or later, when the machine is slow.
                clock.time = r.at;
                if (random.chance(20)) clock.time = clock.time + duration(random.between(0, 20'000'000));
            }
            // Between any two moments: records above what the rate allows.
            double lowest = 0;
            for (const auto& [seconds, records] : read) {
                const double above = records - rate * seconds;
                REQUIRE(above - lowest <= burst + 1e-3);
                lowest = std::min(lowest, above);
            }
            // Every wait was worth it, so on average the rate is reached.
            const double all_seconds = read.back().first;
            CHECK(total + 1 >= rate * all_seconds * 0.8);
        }
}

TEST_CASE("all records come, in order, and positions are those of the source inside") {
    tests::hand_clock clock;
    const reader_context context{.wake = [] {}, .bad_record = {}, .clock = &clock};
    auto inner = numbers(50);
    auto s = rate_limited(inner, 1'000);
    std::string position;
    batch<std::uint64_t> got;
    for (int part = 0; part < 2; ++part) {
        auto reader = s.open("0", part == 0 ? nullptr : &position, context);
        for (;;) {
            const auto r = reader->poll(got, 7);
            if (r.what == poll_result::kind::finished) break;
            if (part == 0 && got.size() >= 20) break;
            if (r.what == poll_result::kind::until) clock.time = r.at;
        }
        position = reader->position();
    }
    REQUIRE(got.size() == 50);
    for (std::size_t i = 0; i < 50; ++i) CHECK(got.value(i) == i);
    CHECK(s.splits() == inner.splits());
    CHECK(clock.time >= timestamp(40ms));
}

TEST_CASE("a rate that is none is a problem of the graph") {
    for (double rate : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()})
        CHECK(rate_limited(collection({1}), rate).problems().size() == 1);
    CHECK(rate_limited(collection({1}), 1e-3).problems().empty());
    CHECK(rate_limited(collection({1}, 0), 0).problems().size() == 2);
    CHECK(rate_limited(collection({1}), 2.5).name() == "collection, at most 2.5 records/s");
    CHECK_THROWS_AS(rate_limited(std::shared_ptr<collection_source<int>>(), 1), graph_error);
}
