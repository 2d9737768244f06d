#include "runnel/source/rate_limited.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace runnel::detail {

namespace {

/// Seconds for which what was not used is kept.
constexpr double kept = 0.1;
/// Seconds of records that are waited for at a time: waking for each one would cost more than reading it.
constexpr double worth_waking = 1e-3;
/// A sum of parts of a record that falls short of 1 by less is 1.
constexpr double rounding = 1e-6;

}  // namespace

rate_limiter::rate_limiter(double records_per_second) : rate_(records_per_second) {}

std::size_t rate_limiter::take(std::size_t wanted, std::size_t least, timestamp now) {
    const std::lock_guard lock(mutex_);
    if (credited_until_ == timestamp::min()) credited_until_ = now;
    if (now > credited_until_) {
        const double seconds = std::chrono::duration<double>(now - credited_until_).count();
        credit_ = std::min(credit_ + seconds * rate_, std::max(1.0, rate_ * kept));
        credited_until_ = now;
    }
    const double whole = std::floor(credit_ + rounding);
    const double given = std::clamp(whole, 0.0, static_cast<double>(wanted));
    const std::size_t taken = std::max(static_cast<std::size_t>(given), least);
    credit_ -= static_cast<double>(taken);
    return taken;
}

void rate_limiter::give_back(std::size_t n) {
    const std::lock_guard lock(mutex_);
    credit_ += static_cast<double>(n);
}

timestamp rate_limiter::next(std::size_t wanted) const {
    const std::lock_guard lock(mutex_);
    const double needed = std::clamp(std::floor(rate_ * worth_waking), 1.0, std::max(1.0, static_cast<double>(wanted)));
    const double ns = std::ceil(std::max(0.0, needed - credit_) / rate_ * 1e9);
    if (!(ns < 9.2e18)) return timestamp::max();
    return credited_until_ + duration(std::max<std::int64_t>(1, static_cast<std::int64_t>(ns)));
}

std::string rate_limited_name(const std::string& inner, double records_per_second) {
    return fmt::format("{}, at most {} records/s", inner, records_per_second);
}

std::vector<std::string> rate_limit_problems(double records_per_second) {
    if (records_per_second > 0 && !std::isinf(records_per_second)) return {};
    return {"rate_limited: the rate is not a number of records per second above 0"};
}

}  // namespace runnel::detail
