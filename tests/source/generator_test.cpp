#include "runnel/source/generator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>
#include <string>

#include "runnel/source/random_events.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct set_clock final : clock {
    timestamp at{1'000'000'000};
    timestamp now() const noexcept override { return at; }
    call_id call_at(timestamp, std::function<void()>) override { return 1; }
    void cancel(call_id) override {}
};

template <class T>
std::vector<T> read_all(source<T>& from, const std::string& split, std::size_t limit,
                        const std::string* position = nullptr) {
    auto reader = from.open(split, position, {});
    batch<T> b;
    while (reader->poll(b, limit).what == poll_result::kind::more) {}
    return std::vector<T>(b.values(), b.values() + b.size());
}

std::uint64_t square(std::uint64_t i) { return i * i; }

}  // namespace

TEST_CASE("generate calls the function with 0 to count - 1, in order") {
    auto s = generate(5, [](std::uint64_t i) { return std::to_string(i); });
    for (std::size_t limit : {1, 2, 5, 100})
        CHECK(read_all(s, "0", limit) == std::vector<std::string>{"0", "1", "2", "3", "4"});
    auto nothing = generate(0, square);
    CHECK(read_all(nothing, "0", 3).empty());
}

TEST_CASE("splits share the numbers out, interleaved or contiguous, each number once") {
    for (std::uint64_t count : {0, 1, 6, 7, 100})
        for (std::size_t splits : {1, 2, 7})
            for (bool contiguous : {false, true}) {
                CAPTURE(count);
                CAPTURE(splits);
                CAPTURE(contiguous);
                const generator_options options{.splits = splits, .contiguous = contiguous};
                auto s = generate(count, [](std::uint64_t i) { return i; }, options);
                std::vector<std::uint64_t> all;
                for (const std::string& id : s.splits()) {
                    const auto part = read_all(s, id, 3);
                    for (std::size_t k = 1; k < part.size(); ++k)
                        CHECK(part[k] - part[k - 1] == (contiguous ? 1 : splits));
                    all.insert(all.end(), part.begin(), part.end());
                }
                std::sort(all.begin(), all.end());
                REQUIRE(all.size() == count);
                for (std::uint64_t i = 0; i < count; ++i) CHECK(all[i] == i);
            }
}

TEST_CASE("a generated source goes on exactly after every saved position") {
    for (bool contiguous : {false, true}) {
        auto s = generate(11, square, {.splits = 2, .contiguous = contiguous});
        for (const std::string& id : s.splits()) {
            const auto whole = read_all(s, id, 100);
            auto reader = s.open(id, nullptr, {});
            batch<std::uint64_t> b;
            for (std::size_t read = 0; read <= whole.size(); ++read) {
                const std::string position = reader->position();
                CHECK(read_all(s, id, 2, &position) ==
                      std::vector<std::uint64_t>(whole.begin() + static_cast<long>(read), whole.end()));
                reader->poll(b, 1);
            }
        }
    }
}

TEST_CASE("a position from another number of splits or a longer source is refused") {
    auto three = generate(9, square, {.splits = 3});
    auto reader = three.open("0", nullptr, {});
    batch<std::uint64_t> b;
    reader->poll(b, 3);
    const std::string position = reader->position();
    auto two = generate(9, square, {.splits = 2});
    CHECK_THROWS_AS(two.open("0", &position, {}), error);
    auto shorter = generate(3, square, {.splits = 3});
    CHECK_THROWS_AS(shorter.open("0", &position, {}), error);
    CHECK_NOTHROW(three.open("1", &position, {}));
}

TEST_CASE("problems of configuration are told") {
    CHECK(generate(1, square).problems().empty());
    CHECK(generate(1, square, {.splits = 0}).problems().size() == 1);
    CHECK(generate(1, square, {.rate = -1}).problems().size() == 1);
    CHECK(generate(1, square, {.rate = std::nan("")}).problems().size() == 1);
    CHECK(generate(unbounded, square, {.contiguous = true}).problems().size() == 1);
    CHECK(random_events().problems().empty());
    CHECK(random_events({.keys = 0, .skew = -1, .step = -1s, .disorder = -1s, .late_share = 2, .late_by = -1s,
                         .splits = 17})
              .problems()
              .size() == 7);
}

TEST_CASE("a throwing function leaves the batch whole") {
    auto s = generate(10, [](std::uint64_t i) {
        if (i == 3) throw std::runtime_error("three");
        return std::string(100, 'x');
    });
    auto reader = s.open("0", nullptr, {});
    batch<std::string> b;
    CHECK_THROWS_WITH(reader->poll(b, 10), "three");
    CHECK(b.size() == 3);
}

TEST_CASE("each event of a paced source comes when it is due, not earlier and without idle turns") {
    set_clock clock;
    for (double rate : {3.0, 1000.0, 7e6, 0.001}) {
        CAPTURE(rate);
        const timestamp start = clock.at;
        auto s = generate(20, [](std::uint64_t i) { return i; }, {.splits = 2, .rate = rate});
        for (std::size_t split : {0, 1}) {
            clock.at = start;
            auto reader = s.open(std::to_string(split), nullptr, {.wake = {}, .bad_record = {}, .clock = &clock});
            batch<std::uint64_t> b;
            int turns = 0;
            for (;;) {
                const std::size_t before = b.size();
                const poll_result r = reader->poll(b, 100);
                ++turns;
                for (std::size_t k = before; k < b.size(); ++k) {
                    const double due = static_cast<double>(b.value(k)) * 1e9 / rate;
                    CHECK(static_cast<double>((clock.at - start).count()) >= due * (1 - 1e-12));
                    CHECK(static_cast<double>((clock.at - start).count()) <= due + 2);
                }
                if (r.what == poll_result::kind::finished) break;
                REQUIRE(r.what == poll_result::kind::until);
                CHECK(r.at > clock.at);
                clock.at = r.at;
            }
            CHECK(b.size() == 10);
            CHECK(turns <= 11);
        }
    }
}

TEST_CASE("what is overdue comes at once, and a restored paced source starts where it stood") {
    set_clock clock;
    auto s = generate(1000, [](std::uint64_t i) { return i; }, {.rate = 1000});
    const reader_context context{.wake = {}, .bad_record = {}, .clock = &clock};
    auto reader = s.open("0", nullptr, context);
    batch<std::uint64_t> b;
    clock.at = clock.at + 500ms;
    CHECK(reader->poll(b, 400).what == poll_result::kind::more);
    CHECK(b.size() == 400);
    CHECK(reader->poll(b, 400).what == poll_result::kind::until);
    CHECK(b.size() == 501);
    const std::string position = reader->position();
    reader = s.open("0", &position, context);
    b.clear();
    CHECK(reader->poll(b, 400).what == poll_result::kind::until);
    REQUIRE(b.size() == 1);
    CHECK(b.value(0) == 501);
}

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
