#include "runnel/window/slicing.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace runnel;
using detail::slicing;

namespace {

timestamp at(std::int64_t ns) { return timestamp(ns); }

std::vector<std::int64_t> windows_of(std::int64_t t, std::int64_t size, std::int64_t slide, std::int64_t offset) {
    std::vector<std::int64_t> starts;
    for (std::int64_t s = t - size + 1; s <= t; ++s)
        if ((s - offset) % slide == 0) starts.push_back(s);
    return starts;
}

}  // namespace

TEST_CASE("the windows of a time, and whether it has any, are those found by looking at every start") {
    for (std::int64_t size = 1; size != 14; ++size)
        for (std::int64_t slide = 1; slide != 14; ++slide)
            for (std::int64_t offset = -slide + 1; offset < slide; ++offset) {
                const slicing grid{duration(size), duration(slide), duration(offset), duration(5)};
                for (std::int64_t t = -40; t != 40; ++t) {
                    const auto starts = windows_of(t, size, slide, offset);
                    CAPTURE(size);
                    CAPTURE(slide);
                    CAPTURE(offset);
                    CAPTURE(t);
                    const auto span = grid.span_of(at(t));
                    REQUIRE(span.has_window == !starts.empty());
                    if (starts.empty()) continue;
                    REQUIRE(grid.first_window(at(t)) == starts.front());
                    REQUIRE(grid.last_window(at(t)) == starts.back());
                    REQUIRE(span.first_due == at(starts.front() + size - 1));
                    REQUIRE(span.cleared == at(starts.back() + size - 1 + 5));
                }
            }
}

TEST_CASE("slices are the longest stretches of time whose ticks share all windows, at most two a slide") {
    for (std::int64_t size = 1; size != 14; ++size)
        for (std::int64_t slide = 1; slide != 14; ++slide) {
            const std::int64_t offset = slide / 2;
            const slicing grid{duration(size), duration(slide), duration(offset), duration(0)};
            std::int64_t slices = 0;
            for (std::int64_t t = -60; t != 60; ++t) {
                const auto span = grid.span_of(at(t));
                REQUIRE((span.first <= at(t) && at(t) <= span.last));
                const bool edge = windows_of(t, size, slide, offset) != windows_of(t - 1, size, slide, offset);
                REQUIRE((span.first == at(t)) == edge);
                REQUIRE(grid.span_of(span.last).first == span.first);
                slices += edge;
            }
            CHECK(slices * slide <= 2 * (120 + slide));
        }
}

TEST_CASE("the first incomplete and the first kept window of a watermark") {
    const slicing grid{duration(10), duration(4), duration(1), duration(7)};
    for (std::int64_t w = -50; w != 50; ++w) {
        const auto incomplete = grid.first_incomplete(at(w)), kept = grid.first_kept(at(w));
        REQUIRE(grid.due(incomplete) > at(w));
        REQUIRE(grid.due(incomplete - 4) <= at(w));
        REQUIRE(grid.cleared(kept) > at(w));
        REQUIRE(grid.cleared(kept - 4) <= at(w));
    }
}

TEST_CASE("no slice, window or watermark at the ends of time wraps") {
    const timestamp low = timestamp::min(), high = timestamp::max();
    for (const std::int64_t size : {std::int64_t{1}, std::int64_t{10}, INT64_MAX})
        for (const std::int64_t slide : {std::int64_t{1}, std::int64_t{3}, INT64_MAX})
            for (const std::int64_t offset : {-slide + 1, std::int64_t{0}, slide - 1})
                for (const std::int64_t lateness : {std::int64_t{0}, INT64_MAX}) {
                    const slicing grid{duration(size), duration(slide), duration(offset), duration(lateness)};
                    for (const timestamp t : {low, low + duration(1), at(0), high.previous(), high}) {
                        const auto span = grid.span_of(t);
                        CHECK(span.first <= t);
                        CHECK(t <= span.last);
                        if (!span.has_window) continue;
                        CHECK(span.first_due > low);
                        CHECK(span.first_due < high);
                        CHECK(grid.start(grid.last_window(t)) <= t);
                        CHECK(grid.end(grid.first_window(t)) >= t);
                        CHECK(span.cleared >= span.first_due);
                        if (lateness == INT64_MAX && t >= at(0)) CHECK(span.cleared == high);
                    }
                    CHECK(grid.first_incomplete(low) < grid.first_window(low));
                    CHECK(grid.first_incomplete(high) > grid.last_window(high));
                    CHECK(grid.first_kept(high) > grid.last_window(high));
                    if (lateness == INT64_MAX && grid.span_of(at(0)).has_window)
                        CHECK(grid.first_kept(high.previous()) <= grid.last_window(at(0)));
                }
}
