#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/connect/byte_stream.hpp"
#include "runnel/connect/files.hpp"
#include "runnel/connect/glob.hpp"

namespace runnel {

/// How `decompressed` reads.
struct decompress_options {
    /// Bytes that decoding zstd may hold for each file; what needs more is refused. A file says in its first bytes what
    /// it needs, which is 8 MiB or less unless it was compressed with the options `--ultra` or `--long`.
    std::size_t max_window = 128 * 1024 * 1024;
};

/// The contents of files that may be compressed with gzip or zstd, told by their first bytes; others are read as they
/// are. Replayable if what is inside is.
///
/// Offsets are those in the contents. To go on from a position, the file is decompressed from its beginning. Several
/// compressed pieces behind each other are one. A file that is cut off or damaged is a bad record behind the last
/// line that could be read; it says why, and at which byte of the compressed file. However much comes out of few bytes,
/// memory is that of one block in, one out, and the decoder.
/// Thread safety: unsafe. Lifetime: that of what is inside.
/// Errors: `io_error` if the file cannot be read, or runnel was built without the library for its format.
class decompressed_input final : public byte_origin {
public:
    decompressed_input(file_input inside, decompress_options options)
        : inside_(std::make_shared<file_input>(std::move(inside))), options_(options) {}
    decompressed_input(glob_input inside, decompress_options options)
        : inside_(std::make_shared<glob_input>(std::move(inside))), options_(options) {}
    decompressed_input(standard_input inside, decompress_options options)
        : inside_(std::make_shared<standard_input>(std::move(inside))), options_(options) {}

    std::string name() const override { return inside_->name(); }
    std::vector<std::string> problems() const override;
    std::vector<std::string> parts() override { return inside_->parts(); }
    bool replayable() const override { return inside_->replayable(); }
    bool last_line_may_be_open() const override { return inside_->last_line_may_be_open(); }
    std::unique_ptr<byte_stream> open(const byte_place& from, const reader_context& context) override;

private:
    std::shared_ptr<byte_origin> inside_;
    decompress_options options_;
};

/// Reads a file that may be compressed. See `decompressed_input`.
/// Example: `p.from(runnel::json_lines<click>(runnel::decompressed("clicks.jsonl.zst")))`
inline decompressed_input decompressed(std::string path, decompress_options options = {}) {
    return {file_input(std::move(path)), options};
}
/// The same for each file that matches, or for what comes through a pipe.
/// Example: `p.from(runnel::json_lines<click>(runnel::decompressed(runnel::glob_files("logs/*.gz"))))`
inline decompressed_input decompressed(glob_input files, decompress_options options = {}) {
    return {std::move(files), options};
}
inline decompressed_input decompressed(standard_input input, decompress_options options = {}) {
    return {std::move(input), options};
}

namespace detail {

/// The contents of what `inside`, which has one peer, reads, from byte `offset` on.
std::unique_ptr<byte_stream> decompressing_stream(std::unique_ptr<byte_stream> inside, std::uint64_t offset,
                                                  decompress_options options);

}  // namespace detail

}  // namespace runnel
