#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "runnel/connect/byte_stream.hpp"
#include "runnel/core/file_system.hpp"

namespace runnel {

/// How `follow_file` follows.
struct follow_options {
    /// How often a file that has been read to its end is looked at again. Each look costs a few system calls.
    std::chrono::milliseconds poll{250};
    /// Whether the job may start before there is such a file; if not, a missing one is an error at the start.
    bool may_be_missing = false;
};

/// The bytes of a file that grows, such as a log: at its end more is waited for. Replayable; ends only with the job.
///
/// *Rotation*, by which the file is renamed and a new one takes its name, is noticed: the old one is read to its end,
/// then, once the new one has bytes in it, that from its beginning; a last line without line break is whole. Files that
/// came and went between two looks are found by their names, if these are PATH.1, PATH.2, ... (the higher, the older)
/// or PATH-20261121, PATH.2026-11-21, ... (the higher, the newer), and read in between.
///
/// *Truncation*, by which the file gets shorter or other contents than those that were read, is a bad record that says
/// so, since lines may be lost; if the error policy goes on, so does reading, at the beginning of the file.
///
/// A position is found again by the file's bytes, its first 1,024 and the last 1,024 before the position, not by its
/// name or number: after a restore it is looked for under PATH and among the rotated files. If none has these bytes,
/// that is a bad record as after a truncation. A file of which nothing has been read has nothing to be found by.
/// Thread safety: unsafe. Lifetime: the file system outlives it and the readers opened from it.
/// Errors: `io_error` if the file cannot be read, or is missing at the start.
class follow_input final : public byte_origin {
public:
    follow_input(std::string path, follow_options options, file_system& files = default_file_system())
        : path_(std::move(path)), options_(options), files_(&files) {}

    std::string name() const override { return path_; }
    std::vector<std::string> problems() const override;
    std::vector<std::string> parts() override;
    bool replayable() const override { return true; }
    bool last_line_may_be_open() const override { return true; }
    std::unique_ptr<byte_stream> open(const byte_place& from, const reader_context& context) override;

private:
    std::string path_;
    follow_options options_;
    file_system* files_;
};

/// Reads a file from its beginning and goes on as it grows, whatever becomes of its name. See `follow_input`.
/// Example: `p.from(runnel::text_lines(runnel::follow_file("/var/log/app.log")))`
inline follow_input follow_file(std::string path, follow_options options = {}) { return {std::move(path), options}; }

}  // namespace runnel
