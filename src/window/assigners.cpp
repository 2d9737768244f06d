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

void want_positive(const char* where, const char* what, std::int64_t n, problem_list& problems) {
    if (n <= 0)
        problems.push_back(std::string(where) + ": " + what + " is " + std::to_string(n) +
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

void check_firing(const firing_rule& early, const firing_rule& late, problem_list& problems) {
    early.check("early", problems);
    late.check("late", problems);
}

std::string firing_text(const firing_rule& early, const firing_rule& late, bool discards) {
    std::string text;
    if (early.what != firing_rule::kind::none) text += ", early " + early.text();
    if (late.what != firing_rule::kind::records || late.records != 1) text += ", late " + late.text();
    return text + (discards ? ", discarding" : ", accumulating");
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

void cumulative_windows::check(problem_list& problems) const {
    want_positive("cumulative", "max_size", max_size, problems);
    want_positive("cumulative", "step", step, problems);
    want_small_offset("cumulative", offset, "max_size", max_size, problems);
    if (max_size <= duration::zero() || step <= duration::zero()) return;
    if (step > max_size)
        problems.push_back("cumulative: step " + detail::duration_text(step) + " is larger than max_size, " +
                           detail::duration_text(max_size));
    else if (max_size % step != duration::zero())
        problems.push_back("cumulative: max_size " + detail::duration_text(max_size) +
                           " must be a whole multiple of step, " + detail::duration_text(step));
}

void count_windows::check(problem_list& problems) const {
    want_positive("count", "n", size, problems);
    if (slide != size) want_positive("count", "slide", slide, problems);
}

void firing_rule::check(const char* where, problem_list& problems) const {
    if (what == kind::records) want_positive(where, "number of records", records, problems);
    else if (what != kind::none) want_positive(where, "period", period, problems);
}

std::string tumbling_windows::text() const {
    return "tumbling(" + detail::duration_text(size) +
           (offset == duration::zero() ? "" : ", offset " + detail::duration_text(offset)) + ")";
}

std::string sliding_windows::text() const {
    return "sliding(" + detail::duration_text(size) + " every " + detail::duration_text(slide) +
           (offset == duration::zero() ? "" : ", offset " + detail::duration_text(offset)) + ")";
}

std::string cumulative_windows::text() const {
    return "cumulative(" + detail::duration_text(max_size) + " by " + detail::duration_text(step) +
           (offset == duration::zero() ? "" : ", offset " + detail::duration_text(offset)) + ")";
}

std::string count_windows::text() const {
    return "count(" + std::to_string(size) + (slide == size ? "" : " every " + std::to_string(slide)) + ")";
}

std::string firing_rule::text() const {
    switch (what) {
        case kind::none: break;
        case kind::event_time: return "every " + detail::duration_text(period);
        case kind::processing_time: return "every " + detail::duration_text(period) + " of processing time";
        case kind::records:
            return records == 1 ? "on each record" : "every " + std::to_string(records) + " records";
    }
    return "never";
}

std::string session_windows::text() const { return "session(gap " + detail::duration_text(gap) + ")"; }

}  // namespace runnel
