#include "runnel/source/random_events.hpp"

#include <cmath>
#include <limits>

namespace runnel {

namespace {

// Times follow blocks of 256 events. The first 16 events of a block are exactly on time, so each of up to 16
// interleaved splits holds at least one of them; a late event is set back behind the promise that those of the
// block before have made. So lateness is a function of the number alone.
constexpr std::uint64_t block = 256;
constexpr std::uint64_t max_splits = 16;

constexpr std::uint64_t mix(std::uint64_t z) noexcept {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

/// The next number of the splitmix64 sequence.
std::uint64_t next(std::uint64_t& state) noexcept { return mix(state += 0x9E3779B97F4A7C15); }

__extension__ using wide = unsigned __int128;

/// Uniform in 0 .. n - 1.
std::uint64_t below(std::uint64_t n, std::uint64_t& state) noexcept {
    return static_cast<std::uint64_t>((static_cast<wide>(next(state)) * n) >> 64);
}

/// Uniform in [0, d].
duration up_to(duration d, std::uint64_t& state) noexcept {
    return duration(static_cast<std::int64_t>(below(static_cast<std::uint64_t>(d.count()) + 1, state)));
}

duration times(duration step, std::uint64_t n) noexcept {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    std::int64_t product = 0;
    if (n > static_cast<std::uint64_t>(most) ||
        __builtin_mul_overflow(step.count(), static_cast<std::int64_t>(n), &product))
        return duration(most);
    return duration(product);
}

}  // namespace

random_event_maker::random_event_maker(const random_event_options& options)
    : options_(options),
      late_below_(options.late_share >= 1
                      ? std::numeric_limits<std::uint64_t>::max()
                      : static_cast<std::uint64_t>(std::max(0.0, options.late_share) * 0x1p64)) {
    if (!(options_.skew > 0) || options_.keys == 0) return;
    first_ = integral(1.5) - 1;
    last_ = integral(static_cast<double>(options_.keys) + 0.5);
    shortcut_ = 2 - inverse_integral(integral(2.5) - std::pow(2.0, -options_.skew));
}

random_event random_event_maker::operator()(std::uint64_t i) const noexcept {
    std::uint64_t state = mix(options_.seed ^ mix(i + 0x632BE59BD9B4E019));
    random_event e{};
    e.key = options_.skew > 0 ? zipf(state) : below(options_.keys, state);
    e.value = static_cast<std::int64_t>(below(1000, state));
    e.late = i >= block && i % block >= max_splits && next(state) < late_below_;
    if (e.late) {
        const std::uint64_t on_time = (i / block - 1) * block;
        e.at = options_.start + times(options_.step, on_time) - options_.disorder - duration(1) -
               up_to(options_.late_by, state);
    } else {
        e.at = options_.start + times(options_.step, i);
        if (i % block >= max_splits) e.at = e.at - up_to(options_.disorder, state);
    }
    return e;
}

// Rejection-inversion for a monotone discrete distribution: W. Hoermann, G. Derflinger, "Rejection-inversion to
// generate variates from monotone discrete distributions", ACM TOMACS 6(3), 1996. Needs no table.
std::uint64_t random_event_maker::zipf(std::uint64_t& random) const noexcept {
    const double most = static_cast<double>(options_.keys);
    for (;;) {
        const double uniform = static_cast<double>(next(random) >> 11) * 0x1p-53;
        const double u = last_ + uniform * (first_ - last_);
        const double x = inverse_integral(u);
        const double k = std::min(std::max(std::floor(x + 0.5), 1.0), most);
        if (k - x <= shortcut_ || u >= integral(k + 0.5) - std::pow(k, -options_.skew))
            return static_cast<std::uint64_t>(k) - 1;
    }
}

/// Integral of x^-skew, up to a constant: (x^(1 - skew) - 1) / (1 - skew), or log x.
double random_event_maker::integral(double x) const noexcept {
    const double log_x = std::log(x);
    const double p = (1 - options_.skew) * log_x;
    // Near 0 the quotient is taken by its series, since both parts vanish.
    return std::abs(p) > 1e-8 ? std::expm1(p) / p * log_x : log_x * (1 + p / 2);
}

double random_event_maker::inverse_integral(double y) const noexcept {
    const double p = std::max((1 - options_.skew) * y, -1.0);
    const double log_x = std::abs(p) > 1e-8 ? std::log1p(p) / p * y : y * (1 - p / 2);
    return std::exp(log_x);
}

random_event_source::random_event_source(const random_event_options& options)
    : generator_source(options.count, random_event_maker(options), {.splits = options.splits, .rate = options.rate}),
      options_(options) {}

std::vector<std::string> random_event_source::problems() const {
    std::vector<std::string> found = generator_source::problems();
    auto require = [&](bool holds, const char* what) {
        if (!holds) found.push_back(std::string("random_events: ") + what);
    };
    require(options_.keys > 0, "0 keys; at least 1 is needed");
    require(options_.skew >= 0 && std::isfinite(options_.skew), "the skew is not a number >= 0");
    require(options_.step >= duration::zero(), "the step is negative");
    require(options_.disorder >= duration::zero(), "the disorder is negative");
    require(options_.late_by >= duration::zero(), "late_by is negative");
    require(options_.late_share >= 0 && options_.late_share <= 1, "the late share is not within 0 .. 1");
    require(options_.splits <= max_splits, "more than 16 splits");
    return found;
}

}  // namespace runnel
