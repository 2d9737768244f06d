#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runnel/connect/byte_stream.hpp"
#include "runnel/core/file_system.hpp"

namespace runnel {

/// The bytes of all regular files whose path matches a pattern, each file a part of its own. Replayable.
///
/// The wildcards are those of the shell, in any step of the path: `*`, `?` and `[a-z]`, none of which stands for "/",
/// nor for a dot at the beginning of a name; a backslash takes their meaning from them. A part is named by its path
/// from the first step with a wildcard on, so positions stay valid when the folder is moved. The files are looked for
/// when the job starts, in order of their names. One that appears later is read by the next start; after a restore
/// those that are known go on where they were. While it is read, each file costs a descriptor and 128 KiB.
/// Thread safety: unsafe. Lifetime: the file system outlives it and the readers opened from it.
/// Errors: `io_error` if nothing matches, or a match is a folder or cannot be read.
class glob_input final : public byte_origin {
public:
    explicit glob_input(std::string pattern, file_system& files = default_file_system())
        : pattern_(std::move(pattern)), files_(&files) {}

    std::string name() const override { return pattern_; }
    std::vector<std::string> parts() override;
    bool replayable() const override { return true; }
    bool last_line_may_be_open() const override { return true; }
    std::unique_ptr<byte_stream> open(const byte_place& from, const reader_context& context) override;

private:
    std::string pattern_;
    file_system* files_;
};

/// Reads all files that match, each at its own pace. See `glob_input`.
/// Example: `p.from(runnel::json_lines<click>(runnel::glob_files("logs/*.jsonl")))`
inline glob_input glob_files(std::string pattern) { return glob_input(std::move(pattern)); }

}  // namespace runnel
