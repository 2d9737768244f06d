#include "runnel/connect/partition_pattern.hpp"

#include <chrono>
#include <string_view>

namespace runnel::detail {

namespace {

void append_digits(std::string& to, long long number, std::size_t digits) {
    const std::string text = std::to_string(number);
    if (text.size() < digits) to.append(digits - text.size(), '0');
    to += text;
}

}  // namespace

std::string partition_pattern::problem() const {
    const std::string named = "partition \"" + pattern_ + "\": ";
    for (std::size_t i = 0; i < pattern_.size(); ++i) {
        if (pattern_[i] == '\0') return named + "a folder's name holds no null character. Remove it";
        if (pattern_[i] != '%') continue;
        const std::string code = pattern_.substr(i, 2);
        if (code.size() < 2 || std::string_view("YmdHM%").find(code[1]) == std::string_view::npos)
            return named + "\"" + code + "\" is not known. Use %Y, %m, %d, %H, %M, or %% for a percent sign";
        ++i;
    }
    if (pattern_.empty()) return {};
    for (std::size_t begin = 0; begin <= pattern_.size();) {
        const std::size_t end = std::min(pattern_.find('/', begin), pattern_.size());
        const std::string_view part = std::string_view(pattern_).substr(begin, end - begin);
        if (part.empty() || part == "." || part == "..")
            return named + "it must stay below the folder. Use names with single slashes between them, such as "
                           "\"dt=%Y-%m-%d/hour=%H\"";
        begin = end + 1;
    }
    return {};
}

partition_pattern::place partition_pattern::at(timestamp t) const {
    using namespace std::chrono;
    place p;
    if (pattern_.empty()) return p;
    const auto second = floor<seconds>(sys_time<nanoseconds>(t.since_epoch()));
    const auto day = floor<days>(second);
    const year_month_day date(day);
    const auto minute = floor<minutes>(second - day).count();
    // The times around `t` that certainly give the same name.
    seconds unit = days(1);
    for (std::size_t i = 0; i < pattern_.size(); ++i) {
        if (pattern_[i] != '%') {
            p.folder += pattern_[i];
            continue;
        }
        switch (pattern_[++i]) {
            case 'Y': append_digits(p.folder, int(date.year()), 4); break;
            case 'm': append_digits(p.folder, unsigned(date.month()), 2); break;
            case 'd': append_digits(p.folder, unsigned(date.day()), 2); break;
            case 'H':
                append_digits(p.folder, minute / 60, 2);
                unit = std::min<seconds>(unit, hours(1));
                break;
            case 'M':
                append_digits(p.folder, minute % 60, 2);
                unit = minutes(1);
                break;
            default: p.folder += '%';
        }
    }
    const sys_seconds first = day + (second - day) / unit * unit;
    p.first = timestamp(first);
    p.last = timestamp(first + unit);
    // A partition that ends beyond the last representable time holds that one too.
    if (p.last != timestamp::max()) p.last = p.last.previous();
    return p;
}

}  // namespace runnel::detail
