#include "runnel/window/assigners.hpp"

#include <array>
#include <cstdint>

namespace runnel {

namespace {

using problem_list = std::vector<std::string>;

void want_positive(const char* windows, const char* what, duration d, problem_list& problems) {
    if (d <= duration::zero())
        problems.push_back(std::string(windows) + ": " + what + " is " + detail::duration_text(d) +
                           "; it must be larger than zero");
}

void want_small_offset(const char* windows, duration offset, const char* what, duration period,
                       problem_list& problems) {
    if (period > duration::zero() && (offset >= period || offset <= -period))
        problems.push_back(std::string(windows) + ": offset " + detail::duration_text(offset) +
                           " must lie between minus and plus the " + what + ", " + detail::duration_text(period));
}

}  // namespace

namespace detail {

std::string duration_text(duration d) {
    struct unit {
        std::int64_t ns;
        const char* name;
    };
    static constexpr std::array<unit, 6> units{{{3'600'000'000'000, "h"},
                                                {60'000'000'000, "min"},
                                                {1'000'000'000, "s"},
                                                {1'000'000, "ms"},
                                                {1'000, "us"},
                                                {1, "ns"}}};
    if (d == duration::zero()) return "0s";
    for (const unit& u : units)
        if (d.count() % u.ns == 0) return std::to_string(d.count() / u.ns) + u.name;
    return {};
}

void check_lateness(duration lateness, problem_list& problems) {
    if (lateness < duration::zero())
        problems.push_back("lateness is " + duration_text(lateness) + "; it must not be negative");
}

}  // namespace detail

void tumbling_windows::check(problem_list& problems) const {
    want_positive("tumbling", "size", size, problems);
    want_small_offset("tumbling", offset, "size", size, problems);
}

void sliding_windows::check(problem_list& problems) const {
    want_positive("sliding", "size", size, problems);
    want_positive("sliding", "slide", slide, problems);
    want_small_offset("sliding", offset, "slide", slide, problems);
}

void session_windows::check(problem_list& problems) const { want_positive("session", "gap", gap, problems); }

std::string tumbling_windows::text() const {
    return "tumbling(" + detail::duration_text(size) +
           (offset == duration::zero() ? "" : ", offset " + detail::duration_text(offset)) + ")";
}

std::string sliding_windows::text() const {
    return "sliding(" + detail::duration_text(size) + " every " + detail::duration_text(slide) +
           (offset == duration::zero() ? "" : ", offset " + detail::duration_text(offset)) + ")";
}

std::string session_windows::text() const { return "session(gap " + detail::duration_text(gap) + ")"; }

}  // namespace runnel
