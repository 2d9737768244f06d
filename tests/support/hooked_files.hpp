#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/core/file_system.hpp"

namespace runnel::tests {

/// Another file system, with something that happens before a file is opened, or after a folder was listed.
class hooked_files final : public file_system {
public:
    explicit hooked_files(file_system& real) : real_(real) {}
    std::function<void(const std::string& path)> before_open = [](const std::string&) {};
    std::function<void()> after_list = [] {};

    std::unique_ptr<file> open(const std::string& path, open_mode mode, file_access access) override {
        before_open(path);
        return real_.open(path, mode, access);
    }
    std::vector<std::string> list(const std::string& path) override {
        std::vector<std::string> names = real_.list(path);
        after_list();
        return names;
    }
    void rename(const std::string& from, const std::string& to) override { real_.rename(from, to); }
    void remove(const std::string& path) override { real_.remove(path); }
    void sync_directory(const std::string& path) override { real_.sync_directory(path); }
    void make_directories(const std::string& path, file_access access) override {
        real_.make_directories(path, access);
    }
    bool exists(const std::string& path) override { return real_.exists(path); }
    bool is_directory(const std::string& path) override { return real_.is_directory(path); }
    std::uint64_t size(const std::string& path) override { return real_.size(path); }

private:
    file_system& real_;
};

}  // namespace runnel::tests
