#include "runnel/source/generator.hpp"

#include <cmath>

#include "runnel/core/error.hpp"

namespace runnel::detail {

timestamp pacer::due(std::uint64_t k) const noexcept {
    // Long double holds all 64 bits of the product's magnitude that matter.
    const long double events = static_cast<long double>(k) * static_cast<long double>(stride_) +
                               static_cast<long double>(offset_);
    const long double ns = std::ceil(events * 1e9L / static_cast<long double>(rate_));
    if (ns >= 9.2e18L) return timestamp::max();
    return start_ + duration(static_cast<std::int64_t>(ns));
}

std::size_t pacer::count_due(std::uint64_t k, std::size_t limit, timestamp now) const noexcept {
    // `due` decides, so that a reader told to come back at due(k) then finds event k due.
    std::size_t low = 0;
    std::size_t high = limit;
    while (low < high) {
        const std::size_t middle = low + (high - low) / 2;
        if (due(k + middle) <= now) low = middle + 1;
        else high = middle;
    }
    return low;
}

std::vector<std::string> generator_problems(std::uint64_t count, const generator_options& options) {
    std::vector<std::string> found;
    if (options.splits == 0) found.emplace_back("generate: 0 splits; at least 1 is needed");
    if (!(options.rate >= 0) || std::isinf(options.rate))
        found.emplace_back("generate: the rate is not a number of events per second >= 0");
    if (options.contiguous && count == unbounded)
        found.emplace_back("generate: an unbounded source cannot have contiguous splits");
    return found;
}

std::uint64_t contiguous_first(std::uint64_t count, std::size_t splits, std::size_t split) noexcept {
    return count / splits * split + std::min<std::uint64_t>(split, count % splits);
}

std::string encode_generator_position(std::uint64_t done, std::size_t splits) {
    std::string bytes;
    codec<std::uint64_t>::encode(done, bytes);
    codec<std::uint64_t>::encode(splits, bytes);
    return bytes;
}

std::uint64_t decode_generator_position(const std::string& position, std::size_t splits, std::uint64_t total) {
    byte_reader in(position);
    const std::uint64_t done = codec<std::uint64_t>::decode(in);
    const std::uint64_t saved_splits = codec<std::uint64_t>::decode(in);
    if (saved_splits != splits)
        throw error("generate: the saved position is of a source with " + std::to_string(saved_splits) +
                    " splits, this one has " + std::to_string(splits) + ". Restore with the same number");
    if (done > total)
        throw error("generate: the saved position is after " + std::to_string(done) + " events, but the split has " +
                    std::to_string(total) + ". Restore with the same count");
    return done;
}

}  // namespace runnel::detail
