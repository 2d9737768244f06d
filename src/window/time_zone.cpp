#include "runnel/window/time_zone.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <limits>
#include <optional>

#include "runnel/core/error.hpp"
#include "runnel/core/file_system.hpp"

namespace runnel {

namespace {

constexpr std::size_t max_file_size = 1 << 20;
/// More than any zone ever had, and the bound that RFC 8536 gives for offsets.
constexpr std::int64_t max_offset = 26 * 3600;
constexpr std::int64_t day = 86'400;
/// Rules are followed up to here: nanoseconds in 64 bits end in 2262.
constexpr int last_year = 2300;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
    throw error("time zone " + name + ": its zone file is damaged: " + what + ". Install the package tzdata anew");
}

std::int64_t days_of(int year, unsigned month, unsigned day_of_month) {
    using namespace std::chrono;
    return sys_days(std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day_of_month))
        .time_since_epoch()
        .count();
}

/// Big-endian fields, read one after the other.
class reader {
public:
    reader(const std::string& name, std::string_view bytes) : name_(name), rest_(bytes) {}

    std::string_view take(std::size_t n) {
        if (n > rest_.size()) fail(name_, "it is cut off");
        const std::string_view taken = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return taken;
    }
    std::int64_t number(std::size_t bytes) {
        std::uint64_t value = 0;
        for (const char c : take(bytes)) value = value << 8 | static_cast<unsigned char>(c);
        if (bytes == 4) return static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
        return static_cast<std::int64_t>(value);
    }
    std::size_t count() {
        const std::int64_t n = number(4);
        if (n < 0 || n > static_cast<std::int64_t>(max_file_size)) fail(name_, "it counts more than it can hold");
        return static_cast<std::size_t>(n);
    }
    std::string_view rest() const noexcept { return rest_; }

private:
    const std::string& name_;
    std::string_view rest_;
};

struct header {
    char version;
    std::size_t utc_flags, standard_flags, leap_seconds, changes, types, letters;

    explicit header(reader& in, const std::string& name) {
        if (in.take(4) != "TZif") fail(name, "it does not begin with TZif");
        version = in.take(1)[0];
        in.take(15);
        utc_flags = in.count();
        standard_flags = in.count();
        leap_seconds = in.count();
        changes = in.count();
        types = in.count();
        letters = in.count();
    }
    std::size_t body_size(std::size_t time_size) const noexcept {
        return changes * (time_size + 1) + types * 6 + letters + leap_seconds * (time_size + 4) + standard_flags +
               utc_flags;
    }
};

/// A POSIX rule such as "CET-1CEST,M3.5.0,M10.5.0/3".
class rule_reader {
public:
    explicit rule_reader(std::string_view text) : rest_(text) {}

    struct date {
        char kind;  // 'M' month.week.weekday, 'J' day 1 to 365 without 29 February, 'D' day 0 to 365
        int month, week, day;
        std::int64_t time;

        /// Seconds since 1970 of local time, in that year.
        std::int64_t in(int year) const {
            std::int64_t days;
            if (kind == 'M') {
                const std::int64_t first = days_of(year, static_cast<unsigned>(month), 1);
                const std::int64_t next = month == 12 ? days_of(year + 1, 1, 1)
                                                      : days_of(year, static_cast<unsigned>(month) + 1, 1);
                const std::int64_t weekday = ((first + 4) % 7 + 7) % 7;  // 1970-01-01 was a Thursday
                days = first + (day - weekday + 7) % 7 + (week - 1) * 7;
                while (days >= next) days -= 7;
            } else {
                const bool leap = std::chrono::year(year).is_leap();
                days = days_of(year, 1, 1) + day - (kind == 'J' ? 1 : 0) + (kind == 'J' && leap && day > 59 ? 1 : 0);
            }
            return days * runnel::day + time;
        }
    };
    struct rule {
        std::int64_t standard = 0;
        std::optional<std::int64_t> summer;
        date begin{}, end{};
    };

    /// Nothing if the text is no rule.
    std::optional<rule> read() {
        rule r;
        if (!name() || !time(r.standard, 24)) return {};
        r.standard = -r.standard;
        if (rest_.empty()) return r;
        if (!name()) return {};
        std::int64_t summer = r.standard + 3600;
        if (!rest_.empty() && rest_[0] != ',') {
            if (!time(summer, 24)) return {};
            summer = -summer;
        }
        r.summer = summer;
        if (!take(',') || !read_date(r.begin) || !take(',') || !read_date(r.end) || !rest_.empty()) return {};
        return r;
    }

private:
    bool take(char c) {
        if (rest_.empty() || rest_[0] != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    bool name() {
        std::size_t n = 0;
        if (take('<')) {
            n = rest_.find('>');
            if (n == std::string_view::npos) return false;
            rest_.remove_prefix(n + 1);
            return true;
        }
        while (n < rest_.size() && ((rest_[n] | 0x20) >= 'a' && (rest_[n] | 0x20) <= 'z')) ++n;
        rest_.remove_prefix(n);
        return n >= 3;
    }
    bool number(int& value, int max) {
        std::size_t n = 0;
        value = 0;
        for (; n < rest_.size() && n < 3 && rest_[n] >= '0' && rest_[n] <= '9'; ++n)
            value = value * 10 + (rest_[n] - '0');
        rest_.remove_prefix(n);
        return n != 0 && value <= max;
    }
    /// [+-]h[h[h]][:mm[:ss]] in seconds.
    bool time(std::int64_t& seconds, int max_hours) {
        const bool negative = take('-');
        if (!negative) take('+');
        int hours = 0, minutes = 0, rest = 0;
        if (!number(hours, max_hours)) return false;
        if (take(':') && !number(minutes, 59)) return false;
        if (take(':') && !number(rest, 59)) return false;
        seconds = hours * 3600 + minutes * 60 + rest;
        if (negative) seconds = -seconds;
        return true;
    }
    bool read_date(date& d) {
        if (take('M')) {
            d.kind = 'M';
            if (!number(d.month, 12) || d.month == 0 || !take('.') || !number(d.week, 5) || d.week == 0 ||
                !take('.') || !number(d.day, 6))
                return false;
        } else if (take('J')) {
            d.kind = 'J';
            if (!number(d.day, 365) || d.day == 0) return false;
        } else {
            d.kind = 'D';
            if (!number(d.day, 365)) return false;
        }
        d.time = 2 * 3600;
        return !take('/') || time(d.time, 167);
    }

    std::string_view rest_;
};

bool is_plain_name(std::string_view name) {
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
               c == '+' || c == '/';
    });
    return plain && name.size() < 256 && name.front() != '/' && name.back() != '/' &&
           name.find("//") == std::string_view::npos;
}

}  // namespace

time_zone time_zone::load(std::string_view name) {
    if (name.empty() || name == "UTC") return {};
    const std::string zone(name);
    if (!is_plain_name(name))
        throw error("time zone " + zone + ": that is no name of a zone. Use one such as Europe/Berlin");
    std::string bytes;
    try {
        const auto from = default_file_system().open("/usr/share/zoneinfo/" + zone, open_mode::read);
        bytes.resize(std::min<std::uint64_t>(from->size(), max_file_size));
        bytes.resize(from->read(0, bytes.data(), bytes.size()));
    } catch (const error& e) {
        throw error("time zone " + zone + ": the system has no such zone (" + e.what() +
                    "). Use a name such as Europe/Berlin, and install the package tzdata");
    }
    return parse(zone, bytes);
}

time_zone time_zone::parse(std::string name, std::string_view tzif) {
    if (tzif.size() > max_file_size) fail(name, "it is larger than a zone file can be");
    time_zone zone;
    zone.name_ = std::move(name);
    reader in(zone.name_, tzif);
    header h(in, zone.name_);
    std::size_t time_size = 4;
    if (h.version != '\0') {
        in.take(h.body_size(4));
        h = header(in, zone.name_);
        time_size = 8;
    }
    if (h.types == 0) fail(zone.name_, "it has no offset");
    reader times(zone.name_, in.take(h.changes * time_size));
    reader kinds(zone.name_, in.take(h.changes));
    reader types(zone.name_, in.take(h.types * 6));
    in.take(h.letters + h.leap_seconds * (time_size + 4) + h.standard_flags + h.utc_flags);

    std::vector<std::int64_t> offsets;
    for (std::size_t i = 0; i != h.types; ++i) {
        offsets.push_back(types.number(4));
        types.take(2);
        if (offsets.back() <= -max_offset || offsets.back() >= max_offset)
            fail(zone.name_, "an offset is out of range");
    }
    zone.first_offset_ = offsets[0];
    std::int64_t before = std::numeric_limits<std::int64_t>::min();
    for (std::size_t i = 0; i != h.changes; ++i) {
        const std::int64_t at = times.number(time_size);
        const auto kind = static_cast<std::size_t>(kinds.number(1));
        if (kind >= offsets.size()) fail(zone.name_, "a change has an offset that is not there");
        if (i != 0 && at <= before) fail(zone.name_, "its changes are not in order");
        before = at;
        zone.add(at, offsets[kind]);
    }
    if (time_size == 4) return zone;

    if (in.take(1) != "\n") fail(zone.name_, "the rule at its end is missing");
    const std::size_t length = in.rest().find('\n');
    if (length == std::string_view::npos) fail(zone.name_, "it is cut off");
    if (length == 0) return zone;
    const auto rule = rule_reader(in.rest().substr(0, length)).read();
    if (!rule) fail(zone.name_, "the rule at its end cannot be read");
    const std::int64_t last = h.changes == 0 ? std::numeric_limits<std::int64_t>::min() : before;
    if (!rule->summer) {
        if (h.changes == 0) zone.first_offset_ = rule->standard;
        return zone;
    }
    std::vector<change> further;
    const auto first_year = static_cast<int>(std::clamp<std::int64_t>(last / (366 * day) + 1970, 1600, last_year));
    for (int year = first_year; year <= last_year; ++year) {
        further.push_back({rule->begin.in(year) - rule->standard, *rule->summer});
        further.push_back({rule->end.in(year) - *rule->summer, rule->standard});
    }
    std::stable_sort(further.begin(), further.end(), [](const change& a, const change& b) { return a.at < b.at; });
    for (const change& c : further)
        if (c.at > last) zone.add(c.at, c.offset);
    return zone;
}

void time_zone::add(std::int64_t at, std::int64_t offset) {
    if (!changes_.empty() && changes_.back().at == at) changes_.pop_back();
    if (offset != (changes_.empty() ? first_offset_ : changes_.back().offset)) changes_.push_back({at, offset});
}

time_zone::stretch time_zone::at(std::int64_t utc_seconds) const noexcept {
    constexpr auto lowest = std::numeric_limits<std::int64_t>::min();
    constexpr auto highest = std::numeric_limits<std::int64_t>::max();
    const auto next = std::upper_bound(changes_.begin(), changes_.end(), utc_seconds,
                                       [](std::int64_t t, const change& c) { return t < c.at; });
    const std::int64_t end = next == changes_.end() ? highest : next->at;
    if (next == changes_.begin()) return {lowest, end, first_offset_};
    return {(next - 1)->at, end, (next - 1)->offset};
}

std::int64_t time_zone::first_at_or_after(std::int64_t local_seconds) const noexcept {
    for (stretch s = at(local_seconds - max_offset);; s = at(s.end)) {
        const std::int64_t utc = std::max(s.start, local_seconds - s.offset);
        if (utc < s.end) return utc;
    }
}

}  // namespace runnel
