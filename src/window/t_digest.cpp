#include "runnel/window/t_digest.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace runnel {

namespace {

constexpr std::size_t max_groups = 1000;

/// As many groups, at most, are left of more than `max_groups`.
constexpr double compression = 400;

/// The largest q that a group may reach that begins at q: one further on the scale
/// k(q) = compression / 2 pi * asin(2 q - 1).
double end_of_group(double q) {
    const double angle = std::asin(2 * q - 1) + 2 * std::numbers::pi / compression;
    return angle >= std::numbers::pi / 2 ? 1 : (std::sin(angle) + 1) / 2;
}

const auto by_mean = [](const auto& a, const auto& b) { return a.mean < b.mean; };

}  // namespace

void t_digest::add(double x) {
    if (std::isnan(x)) return;
    if (std::isinf(x)) {
        ++(x < 0 ? below_ : above_);
        return;
    }
    least_ = finite_ == 0 ? x : std::min(least_, x);
    greatest_ = finite_ == 0 ? x : std::max(greatest_, x);
    ++finite_;
    groups_.push_back({x, 1});
    if (groups_.size() > max_groups) compress();
}

void t_digest::merge(const t_digest& other) {
    below_ += other.below_;
    above_ += other.above_;
    if (other.finite_ == 0) return;
    least_ = finite_ == 0 ? other.least_ : std::min(least_, other.least_);
    greatest_ = finite_ == 0 ? other.greatest_ : std::max(greatest_, other.greatest_);
    finite_ += other.finite_;
    groups_.insert(groups_.end(), other.groups_.begin(), other.groups_.end());
    if (groups_.size() > max_groups) compress();
}

void t_digest::compress() {
    std::sort(groups_.begin(), groups_.end(), by_mean);
    const auto n = static_cast<double>(finite_);
    double before = 0, end = n * end_of_group(0);
    std::size_t last = 0;
    for (std::size_t i = 1; i != groups_.size(); ++i) {
        group& into = groups_[last];
        const group next = groups_[i];
        const auto have = static_cast<double>(into.count), more = static_cast<double>(next.count);
        if (before + have + more <= end) {
            const double share = more / (have + more);
            into.mean = std::clamp(into.mean * (1 - share) + next.mean * share, into.mean, next.mean);
            into.count += next.count;
        } else {
            before += have;
            end = n * end_of_group(before / n);
            groups_[++last] = next;
        }
    }
    groups_.resize(last + 1);
}

double t_digest::quantile(double q) const { return quantiles({q}).front(); }

std::vector<double> t_digest::quantiles(const std::vector<double>& qs) const {
    std::vector<group> groups = groups_;
    std::sort(groups.begin(), groups.end(), by_mean);
    std::vector<double> values;
    values.reserve(qs.size());
    for (double q : qs) values.push_back(quantile_of_sorted(groups, q));
    return values;
}

double t_digest::quantile_of_sorted(const std::vector<group>& groups, double q) const {
    if (count() == 0) return std::numeric_limits<double>::quiet_NaN();
    double rank = q * static_cast<double>(count());
    if (below_ != 0 && rank <= static_cast<double>(below_)) return -std::numeric_limits<double>::infinity();
    rank -= static_cast<double>(below_);
    if (above_ != 0 && rank >= static_cast<double>(finite_)) return std::numeric_limits<double>::infinity();

    // A line from half a number in, through the middles of the groups, to half a number before the end.
    double from = 0.5, before = 0, value = least_;
    if (rank <= from) return value;
    const auto between = [&](double to, double there) {
        const double share = (rank - from) / (to - from);
        return std::clamp(value * (1 - share) + there * share, value, there);
    };
    for (const group& g : groups) {
        const double middle = before + static_cast<double>(g.count) / 2;
        if (rank < middle) return between(middle, g.mean);
        from = middle;
        value = g.mean;
        before += static_cast<double>(g.count);
    }
    const double end = static_cast<double>(finite_) - 0.5;
    return rank < end ? between(end, greatest_) : greatest_;
}

void codec<t_digest>::encode(const t_digest& digest, std::string& out) {
    codec<std::uint64_t>::encode(digest.below_, out);
    codec<std::uint64_t>::encode(digest.above_, out);
    codec<double>::encode(digest.least_, out);
    codec<double>::encode(digest.greatest_, out);
    encode_size(digest.groups_.size(), out);
    for (const auto& g : digest.groups_) {
        codec<double>::encode(g.mean, out);
        codec<std::uint64_t>::encode(g.count, out);
    }
}

t_digest codec<t_digest>::decode(byte_reader& in) {
    t_digest digest;
    digest.below_ = codec<std::uint64_t>::decode(in);
    digest.above_ = codec<std::uint64_t>::decode(in);
    digest.least_ = codec<double>::decode(in);
    digest.greatest_ = codec<double>::decode(in);
    const std::size_t n = in.take_size(sizeof(t_digest::group));
    bool sound = n <= max_groups && std::isfinite(digest.least_) && std::isfinite(digest.greatest_);
    for (std::size_t i = 0; i != n && sound; ++i) {
        const double mean = codec<double>::decode(in);
        const auto count = codec<std::uint64_t>::decode(in);
        sound = count != 0 && mean >= digest.least_ && mean <= digest.greatest_;
        digest.groups_.push_back({mean, count});
        digest.finite_ += count;
    }
    if (!sound) throw decode_error("encoded t_digest is none: the bytes are damaged or of another type");
    return digest;
}

}  // namespace runnel
