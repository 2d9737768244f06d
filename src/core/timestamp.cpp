#include "runnel/core/timestamp.hpp"

#include <chrono>

namespace runnel {
namespace {

void append_padded(std::string& out, std::uint64_t value, int width) {
    char digits[20];
    for (int i = width; i-- > 0; value /= 10) digits[i] = static_cast<char>('0' + value % 10);
    out.append(digits, static_cast<std::size_t>(width));
}

}  // namespace

std::string to_string(timestamp t) {
    if (t == timestamp::min()) return "min";
    if (t == timestamp::max()) return "max";
    using namespace std::chrono;
    const auto second = floor<seconds>(t.since_epoch());
    const auto day = floor<days>(second);
    const year_month_day date{sys_days(day)};
    const hh_mm_ss time(second - day);
    std::string out;
    // 64 bits of nanoseconds reach from 1677 to 2262: four digits always do.
    append_padded(out, static_cast<std::uint64_t>(static_cast<int>(date.year())), 4);
    out += '-';
    append_padded(out, static_cast<unsigned>(date.month()), 2);
    out += '-';
    append_padded(out, static_cast<unsigned>(date.day()), 2);
    out += 'T';
    append_padded(out, static_cast<std::uint64_t>(time.hours().count()), 2);
    out += ':';
    append_padded(out, static_cast<std::uint64_t>(time.minutes().count()), 2);
    out += ':';
    append_padded(out, static_cast<std::uint64_t>(time.seconds().count()), 2);
    // Not by t - second: the second in which the first times of all lie began before them.
    if (const std::int64_t r = t.ns() % 1'000'000'000; r != 0) {
        out += '.';
        append_padded(out, static_cast<std::uint64_t>(r < 0 ? r + 1'000'000'000 : r), 9);
        out.erase(out.find_last_not_of('0') + 1);
    }
    out += 'Z';
    return out;
}

}  // namespace runnel
