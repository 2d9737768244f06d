#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace runnel::detail {

/// Bytes that are enough for `compression_of`.
inline constexpr std::size_t magic_size = 4;

enum class compression : unsigned char { none, gzip, zstd };

/// How contents that begin with `head` are compressed. No UTF-8 text begins like that.
inline compression compression_of(std::string_view head) noexcept {
    const auto begins = [&](std::string_view magic) { return head.substr(0, magic.size()) == magic; };
    if (begins("\x1F\x8B")) return compression::gzip;
    if (begins("\x28\xB5\x2F\xFD")) return compression::zstd;
    // A piece that is to be skipped may come first.
    const bool skipped = head.size() >= magic_size && (head[0] & 0xF0) == 0x50 && head.substr(1, 3) == "\x2A\x4D\x18";
    return skipped ? compression::zstd : compression::none;
}

inline std::string_view name_of(compression c) noexcept { return c == compression::gzip ? "gzip" : "zstd"; }

/// Decompresses one stream, a part at a time.
class decoder {
public:
    struct step {
        std::size_t taken = 0;
        std::size_t given = 0;
        /// What is wrong with the bytes that come next; nothing can be decoded any more.
        const char* damage = nullptr;
    };
    virtual ~decoder() = default;
    /// Takes bytes from `in` and gives up to `n` > 0: at least one of both unless `in` is empty and nothing is held
    /// back, or the bytes are damaged.
    virtual step decode(std::string_view in, char* into, std::size_t n) = 0;
    /// All that has begun has come to its end.
    virtual bool complete() const = 0;
};

/// Throw `io_error` if runnel was built without the library.
std::unique_ptr<decoder> make_gzip_decoder();
std::unique_ptr<decoder> make_zstd_decoder(std::size_t max_window);

}  // namespace runnel::detail
