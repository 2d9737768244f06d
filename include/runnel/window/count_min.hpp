#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "runnel/codec/codec.hpp"
#include "runnel/state/key_group.hpp"

namespace runnel {

struct count_min_options {
    /// An estimate is at most `epsilon` times the number of all records too high, ...
    double epsilon = 0.001;
    /// ... but for this share of the values. Memory: e / epsilon * ln(1 / delta) * 8 bytes, 109 KB as it stands.
    double delta = 0.01;
};

namespace detail {

/// Counts hashes; see `count_min`.
class count_min_table {
public:
    count_min_table() : count_min_table(count_min_options{}) {}
    explicit count_min_table(const count_min_options& options);
    void add(std::uint64_t hash, std::uint64_t n);
    void merge(const count_min_table& other);
    std::uint64_t estimate(std::uint64_t hash) const;
    std::uint64_t total() const noexcept { return total_; }
    std::size_t width() const noexcept { return width_; }
    std::size_t depth() const noexcept { return depth_; }
    friend bool operator==(const count_min_table&, const count_min_table&) = default;

private:
    friend struct codec<count_min_table>;
    bool is_list() const noexcept { return cells_.empty(); }
    std::size_t max_list() const noexcept { return width_ * depth_ / 8; }
    std::size_t cell(std::size_t row, std::uint64_t hash) const noexcept;
    void leave_list();

    std::size_t width_;
    std::size_t depth_;
    std::uint64_t total_ = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> list_;  // (hash, count), by hash; empty once there are cells
    std::vector<std::uint64_t> cells_;                           // row by row
};

}  // namespace detail

/// Width and depth (uint32), total (uint64), form (uint8: 0 list, 1 cells), then the list as a vector of pairs, or the
/// cells.
template <>
struct codec<detail::count_min_table> {
    static void encode(const detail::count_min_table& table, std::string& out);
    static detail::count_min_table decode(byte_reader& in);
};

/// Estimates how often each value came, whatever the number of different values, in a fixed amount of memory.
///
/// Each of several rows of cells counts the value in the cell that the row's hash function chooses; the least of these
/// cells is the estimate. As long as few values have come they are counted each by itself. What it holds depends only
/// on the values and their numbers, not on their order, or on which sketch took them in before a merge.
///
/// Error: an estimate is never too low. It is at most epsilon * total() too high with a probability of 1 - delta, and
/// exact while at most 1 / 8 as many different values as cells have come.
/// Source: G. Cormode, S. Muthukrishnan, An improved data stream summary: the count-min sketch and its applications,
/// 2005.
/// Complexity: add and estimate O(ln(1 / delta)), while it is a list O(cells); merge O(cells).
/// Thread safety: distinct objects: safe, shared objects: unsafe.
template <class V>
class count_min {
public:
    count_min() = default;
    /// Errors: `error` if an option is out of range.
    explicit count_min(const count_min_options& options) : table_(options) {}

    /// Takes in a value `n` times.
    void add(const V& value, std::uint64_t n = 1) { table_.add(stable_hash(value), n); }
    /// Takes in what the other one has. Errors: `error` if that was made with other options.
    void merge(const count_min& other) { table_.merge(other.table_); }
    /// How often the value came: that, or a little more.
    std::uint64_t estimate(const V& value) const { return table_.estimate(stable_hash(value)); }
    /// The number of all values, equal ones each.
    std::uint64_t total() const noexcept { return table_.total(); }
    std::size_t width() const noexcept { return table_.width(); }
    std::size_t depth() const noexcept { return table_.depth(); }

    friend bool operator==(const count_min&, const count_min&) = default;
    /// "30000 values in 5 rows of 2719 cells".
    friend std::ostream& operator<<(std::ostream& out, const count_min& counts) {
        return out << counts.total() << " values in " << counts.depth() << " rows of " << counts.width() << " cells";
    }

private:
    friend struct codec<count_min>;
    detail::count_min_table table_;
};

template <class V>
struct codec<count_min<V>> {
    static void encode(const count_min<V>& sketch, std::string& out) {
        codec<detail::count_min_table>::encode(sketch.table_, out);
    }
    static count_min<V> decode(byte_reader& in) {
        count_min<V> sketch;
        sketch.table_ = codec<detail::count_min_table>::decode(in);
        return sketch;
    }
};

}  // namespace runnel
