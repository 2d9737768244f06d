#include <zstd.h>

#include <algorithm>
#include <bit>
#include <new>

#include "compression.hpp"

namespace runnel::detail {

namespace {

class zstd_decoder final : public decoder {
public:
    explicit zstd_decoder(std::size_t max_window) : stream_(::ZSTD_createDStream()) {
        if (!stream_) throw std::bad_alloc();
        const ZSTD_bounds bounds = ::ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
        const int log = static_cast<int>(std::bit_width(max_window)) - 1;
        ::ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, std::clamp(log, bounds.lowerBound, bounds.upperBound));
    }
    zstd_decoder(const zstd_decoder&) = delete;
    zstd_decoder& operator=(const zstd_decoder&) = delete;
    ~zstd_decoder() override { ::ZSTD_freeDStream(stream_); }

    step decode(std::string_view in, char* into, std::size_t n) override {
        ZSTD_inBuffer from{in.data(), in.size(), 0};
        ZSTD_outBuffer to{into, n, 0};
        const std::size_t result = ::ZSTD_decompressStream(stream_, &to, &from);
        if (::ZSTD_isError(result)) return {from.pos, to.pos, ::ZSTD_getErrorName(result)};
        if (from.pos != 0 || to.pos != 0) complete_ = result == 0;
        return {from.pos, to.pos};
    }
    bool complete() const override { return complete_; }

private:
    ZSTD_DStream* stream_;
    bool complete_ = false;
};

}  // namespace

std::unique_ptr<decoder> make_zstd_decoder(std::size_t max_window) {
    return std::make_unique<zstd_decoder>(max_window);
}

}  // namespace runnel::detail
