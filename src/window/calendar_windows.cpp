#include "runnel/window/calendar_windows.hpp"

#include <algorithm>
#include <utility>

#include "runnel/core/error.hpp"

namespace runnel {

namespace {

constexpr std::int64_t hour = 3600;
constexpr std::int64_t day = 24 * hour;

constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) noexcept { return a / b - (a % b < 0); }

std::string_view name_of(calendar_unit unit) {
    switch (unit) {
        case calendar_unit::hour: return "hourly";
        case calendar_unit::day: return "daily";
        case calendar_unit::week: return "weekly";
        case calendar_unit::month: return "monthly";
    }
    return "calendar";
}

std::string_view name_of(std::chrono::weekday day) {
    constexpr std::string_view names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};
    return day.ok() ? names[day.c_encoding()] : "no day";
}

}  // namespace

namespace detail {

calendar_slicing::calendar_slicing(std::shared_ptr<const time_zone> zone, calendar_unit unit,
                                   std::chrono::weekday first_of_week, duration lateness)
    : zone_(std::move(zone)),
      unit_(unit),
      first_of_week_(first_of_week.ok() ? first_of_week.c_encoding() : 1),
      lateness_(lateness) {}

double calendar_slicing::slices_per_tick() const noexcept {
    constexpr double seconds[] = {hour, day, 7 * day, 30 * day};
    return 1.0 / (seconds[static_cast<std::size_t>(unit_)] * 1e9);
}

std::int64_t calendar_slicing::local_start(std::int64_t period) const noexcept {
    using namespace std::chrono;
    switch (unit_) {
        case calendar_unit::hour: return period * hour;
        case calendar_unit::day: return period * runnel::day;
        case calendar_unit::week: return (period * 7 + first_of_week_ - 4) * runnel::day;
        case calendar_unit::month: break;
    }
    const year_month first = year(1970) / January + months(period);
    return sys_days(first / 1).time_since_epoch().count() * runnel::day;
}

std::int64_t calendar_slicing::period_of(std::int64_t local_seconds) const noexcept {
    using namespace std::chrono;
    const std::int64_t days_since = floor_div(local_seconds, runnel::day);
    switch (unit_) {
        case calendar_unit::hour: return floor_div(local_seconds, hour);
        case calendar_unit::day: return days_since;
        case calendar_unit::week: return floor_div(days_since - (first_of_week_ - 4), 7);  // day 0 was a Thursday
        case calendar_unit::month: break;
    }
    const year_month_day date{sys_days(days(days_since))};
    return (static_cast<int>(date.year()) - 1970) * 12 + static_cast<int>(static_cast<unsigned>(date.month())) - 1;
}

void calendar_slicing::find(std::int64_t utc_seconds) const noexcept {
    const time_zone::stretch now = zone_->at(utc_seconds);
    std::int64_t period = period_of(utc_seconds + now.offset);
    if (unit_ == calendar_unit::hour) {
        start_ = std::max(now.start, local_start(period) - now.offset);
        end_ = std::min(now.end, local_start(period + 1) - now.offset);
        return;
    }
    // Clocks that are put back over midnight show the day before for a while, which has ended by then.
    while ((end_ = zone_->first_at_or_after(local_start(period + 1))) <= utc_seconds) ++period;
    start_ = zone_->first_at_or_after(local_start(period));
}

}  // namespace detail

calendar_windows::calendar_windows(calendar_unit unit, std::string_view zone_name, std::chrono::weekday first_of_week)
    : unit(unit), zone_name(zone_name), first_of_week(first_of_week) {
    try {
        zone = std::make_shared<time_zone>(time_zone::load(zone_name));
    } catch (const error& e) {
        zone = std::make_shared<time_zone>();
        problem = e.what();
    }
}

void calendar_windows::check(std::vector<std::string>& problems) const {
    if (!problem.empty()) problems.push_back(std::string(name_of(unit)) + ": " + problem);
    if (!first_of_week.ok()) problems.push_back(std::string(name_of(unit)) + ": the first day of the week is no day");
}

std::string calendar_windows::text() const {
    std::string text = std::string(name_of(unit)) + "(" + zone->name();
    if (unit == calendar_unit::week && first_of_week != std::chrono::Monday)
        text += ", from " + std::string(name_of(first_of_week));
    return text + ")";
}

}  // namespace runnel
