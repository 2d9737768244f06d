// Zone files of any content: either refused, or a zone whose answers hang together.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "runnel/core/error.hpp"
#include "runnel/window/calendar_windows.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace runnel;
    std::shared_ptr<const time_zone> zone;
    try {
        zone = std::make_shared<time_zone>(
            time_zone::parse("fuzz", {reinterpret_cast<const char*>(data), size}));
    } catch (const error&) {
        return 0;
    }
    for (const calendar_unit unit : {calendar_unit::hour, calendar_unit::day, calendar_unit::week, calendar_unit::month}) {
        const detail::calendar_slicing grid(zone, unit, std::chrono::Monday, duration(0));
        for (std::int64_t t = timestamp::min().ns() / 4 * 3; t < timestamp::max().ns() / 4 * 3; t += 1LL << 58) {
            const detail::slice_span span = grid.span_of(timestamp(t));
            if (!span.holds(timestamp(t)) || span.first > span.last) std::abort();
            if (grid.span_of(span.first).first != span.first || grid.span_of(span.last).first != span.first) std::abort();
        }
    }
    return 0;
}
