#include "runnel/window/window.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

using namespace runnel;
using namespace std::chrono_literals;

namespace {

template <class T>
std::string printed(const T& value) {
    std::ostringstream out;
    out << value;
    return out.str();
}

}  // namespace

TEST_CASE("a window contains its start and not its end") {
    const window w{timestamp(10), timestamp(20)};
    CHECK(w.contains(timestamp(10)));
    CHECK(w.contains(timestamp(19)));
    CHECK(!w.contains(timestamp(20)));
    CHECK(!w.contains(timestamp(9)));
}

TEST_CASE("a window's result can be taken apart and printed") {
    const windowed<std::string, std::uint64_t> r{"ann", timestamp(10s), timestamp(20s), 42};
    const auto& [key, start, end, value] = r;
    CHECK(key == "ann");
    CHECK(start < end);
    CHECK(value == 42);
    CHECK(printed(r) == "ann [1970-01-01T00:00:10Z, 1970-01-01T00:00:20Z) 42");
}

TEST_CASE("tuples, lists, optionals and times inside a result are printed") {
    using parts = std::tuple<int, std::vector<int>, std::optional<int>, std::optional<int>, timestamp>;
    const windowed<std::pair<int, std::string>, parts> r{
        {1, "a"}, timestamp(0), timestamp(1s), {7, {1, 2}, 3, {}, timestamp(2s)}};
    CHECK(printed(r) ==
          "(1, a) [1970-01-01T00:00:00Z, 1970-01-01T00:00:01Z) (7, [1, 2], 3, none, 1970-01-01T00:00:02Z)");
}

TEST_CASE("a late record is printed with its time, the watermark and the reason") {
    const late_record<int> late{5, timestamp(1s), timestamp(3s), late_reason::window_cleared};
    CHECK(printed(late) ==
          "5 at 1970-01-01T00:00:01Z, watermark 1970-01-01T00:00:03Z: all windows of the record's time were cleared "
          "before it came");
}
