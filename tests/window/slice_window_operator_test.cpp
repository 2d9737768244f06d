#include "runnel/window/slice_window_operator.hpp"

#include <doctest/doctest.h>

#include <string>

#include "drive.hpp"
#include "runnel/window/count.hpp"
#include "runnel/window/sum.hpp"
#include "runnel/window/window_operator.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct event {
    std::uint64_t key;
    std::int64_t value;
};

}  // namespace

TEST_CASE("smoke") {
    auto op = make_window_operator<std::uint64_t, event>(&event::key, tumbling(10ns).drop_late(), sum(&event::value));
    test::driver d(op);
    d.record({1, 5}, 3);
    d.record({1, 6}, 9);
    d.record({2, 6}, 10);
    d.watermark(8);
    CHECK(d.take().empty());
    d.watermark(9);
    auto r = d.take();
    REQUIRE(r.size() == 1);
    CHECK(r[0] == windowed<std::uint64_t, std::int64_t>{1, timestamp(0), timestamp(10), 11});
    auto so = make_window_operator<std::uint64_t, event>(&event::key, sliding(10ns, 3ns).lateness(1ns).late_to(3), count());
    test::driver d2(so);
    d2.record({1, 5}, 3);
    d2.finish();
    CHECK(d2.take().size() == 4);
    auto se = make_window_operator<std::uint64_t, event>(&event::key, session(10ns).lateness(1ns).late_to(3), count());
    test::driver d3(se);
    d3.record({1, 5}, 3);
    d3.record({1, 5}, 13);
    d3.finish();
    CHECK(d3.take().size() == 1);
}
