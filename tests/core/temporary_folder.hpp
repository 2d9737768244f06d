#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include <stdlib.h>  // mkdtemp

namespace test {

/// A fresh folder that goes, with all that is in it, when this object does.
class temporary_folder {
public:
    explicit temporary_folder(const std::filesystem::path& in = std::filesystem::temp_directory_path())
        : path_((in / "runnel_test_XXXXXX").string()) {
        if (!::mkdtemp(path_.data())) throw std::runtime_error("cannot make a temporary folder");
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    ~temporary_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string& path() const noexcept { return path_; }
    /// The path of an entry.
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    /// Writes a file; returns its path.
    std::string write(const std::string& name, const std::string& contents) const {
        std::ofstream(*this / name, std::ios::binary) << contents;
        return *this / name;
    }
    std::string read(const std::string& name) const {
        std::ifstream in(*this / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

private:
    std::string path_;
};

}  // namespace test
