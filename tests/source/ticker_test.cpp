#include "runnel/source/ticker.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/support/hand_clock.hpp"
#include "tests/support/print.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct ticking {
    explicit ticking(ticker_source source, timestamp start = timestamp(1000ns), const std::string* position = nullptr)
        : from(source) {
        clock.time = start;
        reader_context context{.wake = {}, .bad_record = {}, .clock = &clock};
        reader = from.open("0", position, context);
    }
    poll_result poll(std::size_t limit = 100) { return reader->poll(got, limit); }

    ticker_source from;
    tests::hand_clock clock;
    std::unique_ptr<split_reader<tick>> reader;
    batch<tick> got;
};

}  // namespace

TEST_CASE("a tick comes every interval, the first after one interval, with its number and its time") {
    ticking t(ticker(10ns));
    auto r = t.poll();
    CHECK(t.got.size() == 0);
    CHECK(r.what == poll_result::kind::until);
    CHECK(r.at == timestamp(1010ns));
    t.clock.time = timestamp(1010ns);
    r = t.poll();
    REQUIRE(t.got.size() == 1);
    CHECK(t.got.value(0) == tick{0, timestamp(1010ns)});
    CHECK(t.got.time(0) == timestamp(1010ns));
    CHECK(r.at == timestamp(1020ns));
}

TEST_CASE("ticks that are overdue come at once, each with its own time") {
    ticking t(ticker(10ns));
    t.clock.time = timestamp(1055ns);
    CHECK(t.poll(3).what == poll_result::kind::more);
    CHECK(t.poll(3).at == timestamp(1060ns));
    REQUIRE(t.got.size() == 5);
    for (std::size_t i = 0; i < 5; ++i)
        CHECK(t.got.value(i) == tick{i, timestamp(1010ns + 10ns * static_cast<int>(i))});
}

TEST_CASE("a ticker with a count ends after so many ticks") {
    ticking t(ticker(1s, 2), timestamp(0));
    CHECK(t.poll().what == poll_result::kind::until);
    t.clock.time = timestamp(10s);
    CHECK(t.poll().what == poll_result::kind::finished);
    CHECK(t.got.size() == 2);
    ticking none(ticker(1s, 0));
    CHECK(none.poll().what == poll_result::kind::finished);
}

TEST_CASE("after a restore the numbers go on, the next tick is due after one interval, and times never fall") {
    ticking t(ticker(10ns, 5));
    t.clock.time = timestamp(1020ns);
    t.poll();
    const std::string position = t.reader->position();
    for (auto [now, due] : {std::pair(5000ns, 5010ns), std::pair(3ns, 1030ns)}) {
        ticking r(ticker(10ns, 5), timestamp(now), &position);
        CHECK(r.poll().at == timestamp(due));
        r.clock.time = timestamp(due);
        r.poll();
        REQUIRE(r.got.size() == 1);
        CHECK(r.got.value(0) == tick{2, timestamp(due)});
    }
    CHECK_THROWS_AS(ticking(ticker(10ns, 1), timestamp(0), &position), error);
    const std::string cut = position.substr(0, 9);
    CHECK_THROWS_AS(ticking(ticker(10ns), timestamp(0), &cut), decode_error);
}

TEST_CASE("an interval of 0 or less is a problem of the graph; the longest one never ticks") {
    CHECK(ticker(0s).problems().size() == 1);
    CHECK(ticker(-1s).problems().size() == 1);
    CHECK(ticker(1ns).problems().empty());
    CHECK(ticker(1500ms).name() == "ticker, every 1.5 s");
    ticking t(ticker(duration::max()));
    CHECK(t.poll().at == timestamp::max());
}
