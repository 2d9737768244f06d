#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>

#include "compression.hpp"

namespace runnel::detail {

namespace {

class gzip_decoder final : public decoder {
public:
    gzip_decoder() {
        // 16: gzip, and nothing else.
        if (::inflateInit2(&stream_, MAX_WBITS + 16) != Z_OK) throw std::bad_alloc();
    }
    gzip_decoder(const gzip_decoder&) = delete;
    gzip_decoder& operator=(const gzip_decoder&) = delete;
    ~gzip_decoder() override { ::inflateEnd(&stream_); }

    step decode(std::string_view in, char* into, std::size_t n) override {
        constexpr std::size_t most = std::numeric_limits<uInt>::max();
        in = in.substr(0, most);
        n = std::min(n, most);
        if (complete_ && !in.empty()) ::inflateReset(&stream_), complete_ = false;
        // The library does not write to its input.
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
        stream_.avail_in = static_cast<uInt>(in.size());
        stream_.next_out = reinterpret_cast<Bytef*>(into);
        stream_.avail_out = static_cast<uInt>(n);
        const int result = ::inflate(&stream_, Z_NO_FLUSH);
        if (result == Z_MEM_ERROR) throw std::bad_alloc();
        step made{in.size() - stream_.avail_in, n - stream_.avail_out};
        if (result == Z_STREAM_END) complete_ = true;
        else if (result != Z_OK && result != Z_BUF_ERROR) made.damage = stream_.msg ? stream_.msg : "not gzip data";
        return made;
    }
    bool complete() const override { return complete_; }

private:
    z_stream stream_{};
    bool complete_ = false;
};

}  // namespace

std::unique_ptr<decoder> make_gzip_decoder() { return std::make_unique<gzip_decoder>(); }

}  // namespace runnel::detail
