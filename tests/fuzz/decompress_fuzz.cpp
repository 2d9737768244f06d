// Contents of any bytes, compressed or not, must not depend on the pieces in which they are read and written, and be
// the same from any offset on. Input: sizes of the pieces, an offset, then the bytes.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "runnel/connect/decompress.hpp"
#include "runnel/core/error.hpp"
#include "tests/connect/scripted_origin.hpp"

namespace {

void require(bool holds, const char* what) {
    if (holds) return;
    std::cerr << "violated: " << what << "\n";
    std::abort();
}

/// Bombs are cut here.
constexpr std::size_t enough = 1 << 20;

struct outcome {
    std::string bytes;
    std::string reason;
    bool whole = false;
};

outcome read(const std::string& bytes, std::size_t piece_in, std::size_t piece_out, std::uint64_t offset) {
    test::script s;
    for (std::size_t at = 0; at < bytes.size(); at += piece_in) s.data(0, bytes.substr(at, piece_in));
    s.end(0);
    auto stream = runnel::detail::decompressing_stream(std::make_unique<test::scripted_stream>(s), offset,
                                                       {.max_window = 1 << 20});
    outcome found;
    std::string buffer(piece_out, '\0');
    while (found.bytes.size() < enough) {
        const runnel::byte_chunk c = stream->read(buffer.data(), piece_out);
        require(c.size <= piece_out, "no more is given than is asked for");
        if (c.what == runnel::byte_chunk::kind::data) found.bytes.append(buffer, 0, c.size);
        if (c.what == runnel::byte_chunk::kind::ended) found.reason = c.reason;
        if (c.what == runnel::byte_chunk::kind::finished) {
            found.whole = true;
            break;
        }
    }
    return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4) return 0;
    const std::string bytes(reinterpret_cast<const char*>(data) + 4, size - 4);
    const outcome all = read(bytes, 64 * 1024, 64 * 1024, 0);
    const outcome pieces = read(bytes, 1 + data[0], 1 + data[1] * 16u, 0);
    const std::size_t common = std::min(all.bytes.size(), pieces.bytes.size());
    // Where exactly in damaged data decoding stops may depend on the pieces.
    require(all.bytes.compare(0, common, pieces.bytes, 0, common) == 0, "contents do not depend on the pieces");
    require(all.reason.empty() == pieces.reason.empty() || !all.whole || !pieces.whole, "nor does damage");
    if (!all.whole || !all.reason.empty()) return 0;
    require(pieces.bytes == all.bytes, "whole contents do not depend on the pieces");
    const std::uint64_t offset = data[2] | data[3] << 8;
    try {
        const outcome rest = read(bytes, 1 + data[0], 4096, offset);
        require(offset <= all.bytes.size(), "an offset behind the end is refused");
        require(rest.bytes == all.bytes.substr(static_cast<std::size_t>(offset)), "from an offset on comes the rest");
    } catch (const runnel::io_error&) {
        require(offset > all.bytes.size(), "an offset within is found");
    }
    return 0;
}
