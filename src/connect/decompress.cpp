#include "runnel/connect/decompress.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>

#include "compression.hpp"
#include "runnel/core/error.hpp"

namespace runnel {

namespace {

using detail::compression;

constexpr std::size_t input_block = 64 * 1024;
/// The least that a decoder can be told to do with.
constexpr std::size_t smallest_window = 1024;

/// Each `read` does a bounded amount of work, so it may give no bytes without being at the end.
class decompressing final : public byte_stream {
public:
    decompressing(std::unique_ptr<byte_stream> inside, std::uint64_t offset, decompress_options options)
        : inside_(std::move(inside)),
          options_(options),
          input_(new char[input_block]),
          offset_(offset),
          skip_(offset) {}

    byte_chunk read(char* into, std::size_t n) override {
        if (ended_) return {.what = byte_chunk::kind::finished};
        if (begin_ == end_ && !held_back_ && !inside_ended_) {
            begin_ = end_ = 0;
            if (const auto chunk = fill()) return *chunk;
        }
        if (!known_) {
            if (!inside_ended_ && end_ - begin_ < detail::magic_size)
                if (const auto chunk = fill()) return *chunk;
            if (!inside_ended_ && end_ - begin_ < detail::magic_size) return data(0);
            choose();
        }
        if (damage_ || (begin_ == end_ && !held_back_ && inside_ended_)) return end();
        // What is not wanted goes to the same place, to be written over.
        const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(n, skip_ ? skip_ : n));
        const std::size_t given = decoder_ ? decode(into, most) : copy(into, most);
        if (skip_ == 0) return data(given);
        skip_ -= given;
        return data(0);
    }
    std::string peer_name(std::size_t peer) const override { return inside_->peer_name(peer); }

private:
    static byte_chunk data(std::size_t size) { return {.what = byte_chunk::kind::data, .peer = 0, .size = size}; }

    /// Adds to the input. Nothing if that has been done, or has come to its end.
    std::optional<byte_chunk> fill() {
        byte_chunk chunk = inside_->read(input_.get() + end_, input_block - end_);
        switch (chunk.what) {
            case byte_chunk::kind::data: end_ += chunk.size; break;
            case byte_chunk::kind::wait: return chunk;
            case byte_chunk::kind::ended: reason_ = std::move(chunk.reason); [[fallthrough]];
            case byte_chunk::kind::finished: inside_ended_ = true;
        }
        return std::nullopt;
    }
    void choose() {
        known_ = true;
        kind_ = detail::compression_of(input());
        try {
            if (kind_ == compression::gzip) decoder_ = detail::make_gzip_decoder();
            if (kind_ == compression::zstd) decoder_ = detail::make_zstd_decoder(options_.max_window);
        } catch (const io_error& e) {
            throw io_error("cannot read \"" + inside_->peer_name(0) + "\": " + e.what(), e.code());
        }
    }
    std::string_view input() const { return {input_.get() + begin_, end_ - begin_}; }
    void take(std::size_t n) {
        begin_ += n;
        taken_ += n;
    }

    std::size_t copy(char* into, std::size_t n) {
        const std::size_t size = input().copy(into, n);
        take(size);
        return size;
    }
    std::size_t decode(char* into, std::size_t n) {
        const detail::decoder::step s = decoder_->decode(input(), into, n);
        take(s.taken);
        damage_ = s.damage;
        // A full buffer: there may be more of what has been taken already.
        held_back_ = s.given == n;
        return s.given;
    }

    byte_chunk end() {
        const std::string what(detail::name_of(kind_));
        byte_chunk chunk{.what = byte_chunk::kind::ended, .peer = 0, .size = 0, .reason = std::move(reason_)};
        if (damage_)
            chunk.reason = "the " + what + " data is damaged at or before byte " + std::to_string(taken_) +
                           " of the compressed file: " + damage_;
        else if (decoder_ && !decoder_->complete() && chunk.reason.empty())
            chunk.reason = "the " + what + " data is cut off at byte " + std::to_string(taken_) +
                           " of the compressed file";
        if (skip_ != 0)
            throw io_error("cannot go on reading \"" + inside_->peer_name(0) + "\" at byte " +
                               std::to_string(offset_) + ": it has only " + std::to_string(offset_ - skip_) +
                               " bytes, so it is not the file that was read before" +
                               (chunk.reason.empty() ? "" : "; " + chunk.reason),
                           0);
        ended_ = true;
        return chunk;
    }

    std::unique_ptr<byte_stream> inside_;
    decompress_options options_;
    std::unique_ptr<char[]> input_;
    std::size_t begin_ = 0, end_ = 0;  // what has not been taken yet of the input
    std::uint64_t taken_ = 0;
    std::uint64_t offset_;
    std::uint64_t skip_;  // bytes yet to leave out
    bool known_ = false;  // whether and how it is compressed
    compression kind_ = compression::none;
    std::unique_ptr<detail::decoder> decoder_;
    bool held_back_ = false;  // the decoder may have more without more input
    bool inside_ended_ = false;
    bool ended_ = false;
    std::string reason_;  // why the input has ended
    const char* damage_ = nullptr;
};

}  // namespace

std::unique_ptr<byte_stream> detail::decompressing_stream(std::unique_ptr<byte_stream> inside, std::uint64_t offset,
                                                          decompress_options options) {
    return std::make_unique<decompressing>(std::move(inside), offset, options);
}

std::vector<std::string> decompressed_input::problems() const {
    std::vector<std::string> found = inside_->problems();
    if (options_.max_window < smallest_window)
        found.push_back("decompressed " + name() + ": max_window is less than " + std::to_string(smallest_window));
    return found;
}

std::unique_ptr<byte_stream> decompressed_input::open(const byte_place& from, const reader_context& context) {
    return detail::decompressing_stream(inside_->open({.part = from.part}, context), from.offset, options_);
}

}  // namespace runnel
