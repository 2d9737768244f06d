#include "runnel/codec/time_text.hpp"

#include <charconv>
#include <chrono>

namespace runnel {
namespace {

constexpr std::int64_t per_second = 1'000'000'000;

constexpr std::int64_t ns_per(time_unit unit) noexcept {
    switch (unit) {
        case time_unit::seconds: return per_second;
        case time_unit::milliseconds: return 1'000'000;
        case time_unit::microseconds: return 1'000;
        case time_unit::nanoseconds: break;
    }
    return 1;
}

std::optional<timestamp> unless_sentinel(std::int64_t ns) noexcept {
    const timestamp t(ns);
    if (t == timestamp::min() || t == timestamp::max()) return std::nullopt;
    return t;
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Consumes a text from the front; every step answers whether it matched.
class scanner {
public:
    explicit scanner(std::string_view text) : rest_(text) {}
    bool done() const { return rest_.empty(); }
    bool next_is_digit() const { return !rest_.empty() && is_digit(rest_.front()); }
    bool skip(std::string_view any_of) {
        if (rest_.empty() || any_of.find(rest_.front()) == std::string_view::npos) return false;
        rest_.remove_prefix(1);
        return true;
    }
    /// Exactly `width` digits.
    bool digits(int width, int& value) {
        value = 0;
        for (int i = 0; i < width; ++i) {
            if (!next_is_digit()) return false;
            value = value * 10 + (rest_.front() - '0');
            rest_.remove_prefix(1);
        }
        return true;
    }
    /// One to nine digits behind a decimal point, in nanoseconds.
    bool fraction(int& ns) {
        int count = 0;
        for (ns = 0; count < 9 && next_is_digit(); ++count) {
            ns = ns * 10 + (rest_.front() - '0');
            rest_.remove_prefix(1);
        }
        for (int i = count; i < 9; ++i) ns *= 10;
        return count != 0;
    }
    /// 'Z', "+hh:mm", "+hhmm", "+hh"; nothing at all means UTC.
    bool offset(int& seconds) {
        seconds = 0;
        if (done() || skip("Zz")) return true;
        const bool west = rest_.front() == '-';
        int hours = 0, minutes = 0;
        if (!skip("+-") || !digits(2, hours)) return false;
        if (!done() && (skip(":"), !digits(2, minutes))) return false;
        if (hours > 23 || minutes > 59) return false;
        seconds = (west ? -60 : 60) * (hours * 60 + minutes);
        return true;
    }

private:
    std::string_view rest_;
};

std::optional<timestamp> parse_iso8601(std::string_view text) noexcept {
    scanner in(text);
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ns = 0, offset = 0;
    if (!in.digits(4, year) || !in.skip("-") || !in.digits(2, month) || !in.skip("-") || !in.digits(2, day))
        return std::nullopt;
    if (!in.done()) {
        if (!in.skip("Tt ") || !in.digits(2, hour) || !in.skip(":") || !in.digits(2, minute)) return std::nullopt;
        if (in.skip(":")) {
            if (!in.digits(2, second)) return std::nullopt;
            if (in.skip(".,") && !in.fraction(ns)) return std::nullopt;
        }
        if (!in.offset(offset) || !in.done()) return std::nullopt;
    }
    using namespace std::chrono;
    const year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                              std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
    std::int64_t total = sys_days(date).time_since_epoch().count() * std::int64_t{86'400};
    total += hour * 3600 + minute * 60 + second - offset;
    std::int64_t fraction = ns;
    // The first second of the range is only partly representable: count it down from the next one.
    if (total < 0) {
        ++total;
        fraction -= per_second;
    }
    std::int64_t result = 0;
    if (__builtin_mul_overflow(total, per_second, &result) || __builtin_add_overflow(result, fraction, &result))
        return std::nullopt;
    return unless_sentinel(result);
}

}  // namespace

std::string_view to_string(time_unit unit) noexcept {
    switch (unit) {
        case time_unit::seconds: return "seconds";
        case time_unit::milliseconds: return "milliseconds";
        case time_unit::microseconds: return "microseconds";
        case time_unit::nanoseconds: break;
    }
    return "nanoseconds";
}

std::optional<timestamp> to_timestamp(std::int64_t count, time_unit unit) noexcept {
    std::int64_t ns = 0;
    if (__builtin_mul_overflow(count, ns_per(unit), &ns)) return std::nullopt;
    return unless_sentinel(ns);
}

std::int64_t count_units(timestamp t, time_unit unit) noexcept {
    const std::int64_t size = ns_per(unit);
    return t.ns() / size - (t.ns() % size < 0 ? 1 : 0);
}

std::optional<timestamp> parse_timestamp(std::string_view text, time_unit unit) noexcept {
    std::int64_t count = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (end != text.data() + text.size() || text.empty()) return parse_iso8601(text);
    if (failure != std::errc()) return std::nullopt;
    return to_timestamp(count, unit);
}

}  // namespace runnel
