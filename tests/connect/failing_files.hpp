#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runnel/core/file_system.hpp"

namespace test {

/// Files whose writes fail once so many bytes have been written, a part of the write being done; syncs on demand; other
/// calls when their description begins with `fail_at`. Notes what becomes durable and visible, and in which order.
class failing_files final : public runnel::file_system {
public:
    explicit failing_files(runnel::file_system& real) : real_(real) {}
    std::size_t room = SIZE_MAX;
    bool fail_sync = false;
    int syncs = 0;
    int folder_syncs = 0;
    std::string fail_at;
    int fail_code = EROFS;
    std::vector<std::string> calls;

    std::unique_ptr<runnel::file> open(const std::string& path, runnel::open_mode mode,
                                       runnel::file_access access) override {
        if (mode == runnel::open_mode::create) note("create " + path);
        return std::make_unique<failing_file>(*this, real_.open(path, mode, access));
    }
    void rename(const std::string& a, const std::string& b) override {
        note("rename " + a);
        real_.rename(a, b);
    }
    void remove(const std::string& path) override { real_.remove(path); }
    void sync_directory(const std::string& path) override {
        note("sync folder " + path);
        ++folder_syncs;
        real_.sync_directory(path);
    }
    void make_directories(const std::string& path, runnel::file_access access) override {
        note("make folder " + path);
        real_.make_directories(path, access);
    }
    std::vector<std::string> list(const std::string& path) override { return real_.list(path); }
    bool exists(const std::string& path) override { return real_.exists(path); }
    bool is_directory(const std::string& path) override { return real_.is_directory(path); }
    std::uint64_t size(const std::string& path) override { return real_.size(path); }

private:
    class failing_file final : public runnel::file {
    public:
        failing_file(failing_files& owner, std::unique_ptr<runnel::file> real)
            : file(real->name()), owner_(owner), real_(std::move(real)) {}

    private:
        std::size_t read_some(std::uint64_t offset, char* into, std::size_t n) override {
            return real_->read(offset, into, n);
        }
        std::size_t write_some(std::uint64_t offset, const char* from, std::size_t n) override {
            n = std::min(n, owner_.room);
            if (n == 0) runnel::detail::throw_io_error("write to", name(), ENOSPC);
            owner_.room -= n;
            real_->write(offset, {from, n});
            return n;
        }
        void do_sync() override {
            if (owner_.fail_sync) runnel::detail::throw_io_error("sync", name(), EIO);
            owner_.note("sync " + name());
            ++owner_.syncs;
        }
        std::uint64_t do_size() override { return real_->size(); }
        runnel::file_id do_id() override { return real_->id(); }
        void do_truncate(std::uint64_t size) override { real_->truncate(size); }
        bool do_try_lock() override { return real_->try_lock(); }

        failing_files& owner_;
        std::unique_ptr<runnel::file> real_;
    };

    void note(const std::string& call) {
        if (!fail_at.empty() && call.starts_with(fail_at)) {
            const auto space = call.rfind(' ');
            runnel::detail::throw_io_error(call.substr(0, space), call.substr(space + 1), fail_code);
        }
        calls.push_back(call);
    }

    runnel::file_system& real_;
};

}  // namespace test
