#pragma once

#include <cstdint>
#include <string>

#include "runnel/core/error.hpp"

namespace runnel {

/// Bytes on disk that are not what was written. Nothing was changed.
class log_corrupted : public error {
public:
    /// The text becomes "FILE: at byte POSITION: WHAT".
    log_corrupted(std::string file, std::uint64_t position, const std::string& what)
        : error("\"" + file + "\": at byte " + std::to_string(position) + ": " + what),
          file_(std::move(file)),
          position_(position) {}
    const std::string& file() const noexcept { return file_; }
    std::uint64_t position() const noexcept { return position_; }

private:
    std::string file_;
    std::uint64_t position_;
};

/// A partition is being written by somebody else: another process, or another object of this one.
class log_in_use : public error {
public:
    using error::error;
};

/// A later writer has taken the partition over; what this one appends is refused.
class log_fenced : public error {
public:
    using error::error;
};

/// The partition does not have the offset that a reader asks for, not any more or not yet.
class log_out_of_range : public error {
public:
    using error::error;
};

}  // namespace runnel
