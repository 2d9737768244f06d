#include "runnel/window/hyper_log_log.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "runnel/codec/binary.hpp"

namespace runnel {

namespace {

/// What registers without a hash stand for: x + x^2 + 2 x^4 + 4 x^8 + ..., x being their share.
double sigma(double x) {
    if (x == 1) return std::numeric_limits<double>::infinity();
    double y = 1, z = x, before;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (z != before);
    return z;
}

/// The same for registers that can't rise further.
double tau(double x) {
    if (x == 0 || x == 1) return 0;
    double y = 1, z = 1 - x, before;
    do {
        x = std::sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (z != before);
    return z / 3;
}

constexpr bool is_precision(unsigned p) {
    return p >= hyper_log_log::min_precision && p <= hyper_log_log::max_precision;
}

[[noreturn]] void fail_damaged() {
    throw decode_error("encoded hyper_log_log is none: the bytes are damaged or of another type");
}

}  // namespace

hyper_log_log::hyper_log_log(unsigned precision) : precision_(precision) {
    if (!is_precision(precision))
        throw error("a hyper_log_log of precision " + std::to_string(precision) + " was asked for. Use 4 to 18: it "
                    "takes 2^precision bytes and has a standard error of 1.04 / sqrt(2^precision)");
}

void hyper_log_log::add(std::uint64_t hash) {
    const std::uint64_t rest = hash << precision_ | std::uint64_t{1} << (precision_ - 1);
    raise(static_cast<std::uint32_t>(hash >> (64 - precision_)), static_cast<std::uint8_t>(std::countl_zero(rest) + 1));
}

void hyper_log_log::raise(std::uint32_t index, std::uint8_t rank) {
    if (!is_list()) {
        registers_[index] = std::max(registers_[index], rank);
        return;
    }
    const auto place = std::lower_bound(list_.begin(), list_.end(), index << 8);
    if (place != list_.end() && *place >> 8 == index) {
        *place = std::max(*place, index << 8 | rank);
    } else {
        list_.insert(place, index << 8 | rank);
        if (list_.size() > size() / 16) leave_list();
    }
}

void hyper_log_log::leave_list() {
    registers_.resize(size());
    for (std::uint32_t entry : list_) registers_[entry >> 8] = static_cast<std::uint8_t>(entry);
    list_ = {};
}

void hyper_log_log::merge(const hyper_log_log& other) {
    if (other.precision_ != precision_)
        throw error("sketches of precision " + std::to_string(precision_) + " and " + std::to_string(other.precision_) +
                    " can't be merged: keep the precision that the saved state has, or give the operator another "
                    "name to start it empty");
    for (std::uint32_t entry : other.list_) raise(entry >> 8, static_cast<std::uint8_t>(entry));
    if (other.is_list()) return;
    if (is_list()) leave_list();
    for (std::size_t i = 0; i != registers_.size(); ++i)
        registers_[i] = std::max(registers_[i], other.registers_[i]);
}

double hyper_log_log::estimate() const {
    std::array<std::size_t, 64> with{};  // number of registers by rank
    for (std::uint32_t entry : list_) ++with[entry & 0xff];
    for (std::uint8_t rank : registers_) ++with[rank];
    if (is_list()) with[0] = size() - list_.size();
    const auto m = static_cast<double>(size());
    double z = m * tau(1 - static_cast<double>(with[max_rank()]) / m);
    for (unsigned rank = max_rank() - 1; rank != 0; --rank) z = 0.5 * (z + static_cast<double>(with[rank]));
    z += m * sigma(static_cast<double>(with[0]) / m);
    return m * m / (2 * std::log(2.0) * z);
}

void codec<hyper_log_log>::encode(const hyper_log_log& sketch, std::string& out) {
    out += static_cast<char>(sketch.precision_);
    codec<bool>::encode(!sketch.is_list(), out);
    if (sketch.is_list())
        codec<std::vector<std::uint32_t>>::encode(sketch.list_, out);
    else
        out.append(reinterpret_cast<const char*>(sketch.registers_.data()), sketch.registers_.size());
}

hyper_log_log codec<hyper_log_log>::decode(byte_reader& in) {
    const unsigned precision = in.take_raw<std::uint8_t>();
    if (!is_precision(precision)) fail_damaged();
    hyper_log_log sketch(precision);
    if (codec<bool>::decode(in)) {
        const std::string_view bytes = in.take(sketch.size());
        sketch.registers_.assign(bytes.begin(), bytes.end());
        for (std::uint8_t rank : sketch.registers_)
            if (rank > sketch.max_rank()) fail_damaged();
    } else {
        sketch.list_ = codec<std::vector<std::uint32_t>>::decode(in);
        if (sketch.list_.size() > sketch.size() / 16) fail_damaged();
        std::uint64_t least = 0;
        for (std::uint32_t entry : sketch.list_) {
            const unsigned rank = entry & 0xff;
            if (entry >> 8 < least || entry >> 8 >= sketch.size() || rank == 0 || rank > sketch.max_rank())
                fail_damaged();
            least = (entry >> 8) + 1;
        }
    }
    return sketch;
}

}  // namespace runnel
