#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runnel/codec/codec.hpp"

namespace runnel {

/// Estimates how many different hashes it was given, in a fixed amount of memory.
///
/// Of all hashes that share their first p bits, a register keeps the longest run of zeros behind these. Few registers
/// in use are kept as a sorted list, all of them as an array of bytes. What it holds depends only on the set of
/// hashes: not on their order, their number, or on which sketch took them in before a merge.
///
/// Error: the estimate's standard error is 1.04 / sqrt(2^p), 0.81 % for p = 14, a tenth more for p = 4, and less for
/// small sets; it is unbiased over the whole range. Small estimates need no correction of their own (linear counting,
/// tables of biases), since the estimator allows for registers that are empty or full.
/// Source: P. Flajolet, E. Fusy, O. Gandouet, F. Meunier, HyperLogLog, 2007; the 64-bit hash and the list from
/// S. Heule, M. Nunkesser, A. Hall, HyperLogLog in practice, 2013; the estimator from O. Ertl, New cardinality
/// estimation algorithms for HyperLogLog sketches, 2017.
/// Complexity: add O(1), while it is a list O(2^p / 16); merge and estimate O(2^p). Memory: 2^p bytes, before that 4
/// bytes for each register in use.
/// Thread safety: distinct objects: safe, shared objects: unsafe.
class hyper_log_log {
public:
    static constexpr unsigned default_precision = 14, min_precision = 4, max_precision = 18;

    hyper_log_log() = default;
    /// Errors: `error` if `precision`, the p above, isn't one of 4 to 18.
    explicit hyper_log_log(unsigned precision);

    /// Takes in a hash, of which all 64 bits are random.
    void add(std::uint64_t hash);
    /// Takes in what the other one has. Errors: `error` if it has another precision.
    void merge(const hyper_log_log& other);
    double estimate() const;
    unsigned precision() const noexcept { return precision_; }

    friend bool operator==(const hyper_log_log&, const hyper_log_log&) = default;

private:
    friend struct codec<hyper_log_log>;
    std::size_t size() const noexcept { return std::size_t{1} << precision_; }
    unsigned max_rank() const noexcept { return 65 - precision_; }
    bool is_list() const noexcept { return registers_.empty(); }
    void raise(std::uint32_t index, std::uint8_t rank);
    void leave_list();

    unsigned precision_ = default_precision;
    std::vector<std::uint32_t> list_;       // index << 8 | rank, by index; empty once there are registers
    std::vector<std::uint8_t> registers_;  // rank by index
};

/// Precision (uint8), form (uint8: 0 list, 1 registers), then the list as a vector of uint32, or 2^p bytes.
template <>
struct codec<hyper_log_log> {
    static void encode(const hyper_log_log& sketch, std::string& out);
    static hyper_log_log decode(byte_reader& in);
};

}  // namespace runnel
