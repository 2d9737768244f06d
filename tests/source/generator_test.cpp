#include "runnel/source/generator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "runnel/source/random_events.hpp"
#include "tests/source/read_all.hpp"

using namespace runnel;
using namespace std::chrono_literals;
using test::read_all;

namespace {

struct set_clock final : clock {
    timestamp at{1'000'000'000};
    timestamp now() const noexcept override { return at; }
    call_id call_at(timestamp, std::function<void()>) override { return 1; }
    void cancel(call_id) override {}
};

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
