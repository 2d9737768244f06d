#include "runnel/window/count_min.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "runnel/codec/binary.hpp"

namespace runnel {

namespace {

// Far more than anybody needs; so that damaged bytes can't make us ask for any amount of memory.
constexpr std::size_t max_width = std::size_t{1} << 28, max_depth = 64;

[[noreturn]] void fail_damaged() {
    throw decode_error("encoded count_min is none: the bytes are damaged or of another type");
}

std::string shape(const detail::count_min_table& table) {
    return std::to_string(table.depth()) + " rows of " + std::to_string(table.width()) + " cells";
}

}  // namespace

namespace detail {

count_min_table::count_min_table(const count_min_options& options) {
    const double width = std::ceil(std::exp(1.0) / options.epsilon);
    const double depth = std::ceil(std::log(1 / options.delta));
    if (!(options.epsilon > 0 && options.epsilon < 1 && width <= static_cast<double>(max_width)))
        throw error("count_min: epsilon is " + std::to_string(options.epsilon) + ". Use a number from 1.1e-8 to below "
                    "1: estimates are that share of all records too high at most");
    if (!(options.delta > 0 && options.delta < 1 && depth <= static_cast<double>(max_depth)))
        throw error("count_min: delta is " + std::to_string(options.delta) + ". Use a number from 1e-27 to below 1: "
                    "the share of values whose estimate may be further off");
    width_ = static_cast<std::size_t>(width);
    depth_ = static_cast<std::size_t>(depth);
}

std::size_t count_min_table::cell(std::size_t row, std::uint64_t hash) const noexcept {
    const std::uint64_t of_row = xxh64::of_8(hash + row);
    return row * width_ + static_cast<std::size_t>((of_row >> 32) * width_ >> 32);
}

void count_min_table::add(std::uint64_t hash, std::uint64_t n) {
    total_ += n;
    if (!is_list()) {
        for (std::size_t row = 0; row != depth_; ++row) cells_[cell(row, hash)] += n;
        return;
    }
    const auto place = std::lower_bound(list_.begin(), list_.end(), std::pair(hash, std::uint64_t{0}));
    if (place != list_.end() && place->first == hash) {
        place->second += n;
    } else {
        list_.insert(place, {hash, n});
        if (list_.size() > max_list()) leave_list();
    }
}

void count_min_table::leave_list() {
    cells_.resize(width_ * depth_);
    for (const auto& [hash, n] : list_)
        for (std::size_t row = 0; row != depth_; ++row) cells_[cell(row, hash)] += n;
    list_ = {};
}

void count_min_table::merge(const count_min_table& other) {
    if (other.width_ != width_ || other.depth_ != depth_)
        throw error("a count_min of " + shape(*this) + " can't be merged with one of " + shape(other) + ": keep the "
                    "options that the saved state has, or give the operator another name to start it empty");
    if (other.is_list()) {
        for (const auto& [hash, n] : other.list_) add(hash, n);
        return;
    }
    if (is_list()) leave_list();
    for (std::size_t i = 0; i != cells_.size(); ++i) cells_[i] += other.cells_[i];
    total_ += other.total_;
}

std::uint64_t count_min_table::estimate(std::uint64_t hash) const {
    if (is_list()) {
        const auto place = std::lower_bound(list_.begin(), list_.end(), std::pair(hash, std::uint64_t{0}));
        return place != list_.end() && place->first == hash ? place->second : 0;
    }
    std::uint64_t least = total_;
    for (std::size_t row = 0; row != depth_; ++row) least = std::min(least, cells_[cell(row, hash)]);
    return least;
}

}  // namespace detail

void codec<detail::count_min_table>::encode(const detail::count_min_table& table, std::string& out) {
    codec<std::uint32_t>::encode(static_cast<std::uint32_t>(table.width_), out);
    codec<std::uint32_t>::encode(static_cast<std::uint32_t>(table.depth_), out);
    codec<std::uint64_t>::encode(table.total_, out);
    codec<bool>::encode(!table.is_list(), out);
    if (table.is_list())
        codec<std::vector<std::pair<std::uint64_t, std::uint64_t>>>::encode(table.list_, out);
    else
        codec<std::vector<std::uint64_t>>::encode(table.cells_, out);
}

detail::count_min_table codec<detail::count_min_table>::decode(byte_reader& in) {
    detail::count_min_table table;
    table.width_ = codec<std::uint32_t>::decode(in);
    table.depth_ = codec<std::uint32_t>::decode(in);
    table.total_ = codec<std::uint64_t>::decode(in);
    if (table.width_ == 0 || table.width_ > max_width || table.depth_ == 0 || table.depth_ > max_depth) fail_damaged();
    if (codec<bool>::decode(in)) {
        table.cells_ = codec<std::vector<std::uint64_t>>::decode(in);
        if (table.cells_.size() != table.width_ * table.depth_) fail_damaged();
    } else {
        table.list_ = codec<std::vector<std::pair<std::uint64_t, std::uint64_t>>>::decode(in);
        const auto not_before = [](const auto& a, const auto& b) { return a.first >= b.first; };
        if (table.list_.size() > table.max_list() ||
            std::adjacent_find(table.list_.begin(), table.list_.end(), not_before) != table.list_.end())
            fail_damaged();
    }
    return table;
}

}  // namespace runnel
