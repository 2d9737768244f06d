#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runnel/connect/byte_stream.hpp"
#include "runnel/core/file_system.hpp"

namespace runnel {

/// The bytes of a regular file, up to the end that it has when it is reached. Replayable.
/// Thread safety: unsafe. Lifetime: the file system outlives it and the readers opened from it.
class file_input final : public byte_origin {
public:
    explicit file_input(std::string path, file_system& files = default_file_system())
        : path_(std::move(path)), files_(&files) {}

    std::string name() const override { return path_; }
    std::vector<std::string> parts() override;
    bool replayable() const override { return true; }
    bool last_line_may_be_open() const override { return true; }
    std::unique_ptr<byte_stream> open(const byte_place& from, const reader_context& context) override;

private:
    std::string path_;
    file_system* files_;
};

/// What arrives on standard input, or another descriptor of the program: a pipe, terminal or file. Not replayable.
///
/// A thread waits until there is something to read; reading itself never blocks. The descriptor stays open.
/// Thread safety: unsafe. Lifetime: the descriptor is open as long as a reader lives.
class standard_input final : public byte_origin {
public:
    standard_input() = default;
    standard_input(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}

    std::string name() const override { return name_; }
    bool replayable() const override { return false; }
    bool last_line_may_be_open() const override { return true; }
    std::unique_ptr<byte_stream> open(const byte_place& from, const reader_context& context) override;

private:
    int descriptor_ = 0;
    std::string name_ = "standard input";
};

}  // namespace runnel
