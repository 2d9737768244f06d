#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/core/file_system.hpp"

/// What processes that are killed, and those who kill them, have in common.
namespace torture {

using namespace runnel;

/// Memory, if there is a file system of it: a killed process leaves there what it leaves on a disk, and a checkpoint
/// takes less time than a life, however busy the disk is.
inline std::filesystem::path quick_folder() {
    const std::filesystem::path memory = "/dev/shm";
    return std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
}

/// What parent and child tell each other, whatever happens to the child.
struct shared {
    // Pair with nothing: the parent writes before the child begins, and reads when it is gone.
    std::atomic<int> in_files{0};   ///< Calls to the file system that are under way.
    std::atomic<int> calls_left{0};  ///< The child kills itself before or after the call at which this falls to 0.
    bool after = false;
};

/// Notes which calls are under way, all of which belong to a checkpoint, a commit or a recovery; and ends the process
/// inside one, if so asked.
class watched_files final : public file_system {
public:
    explicit watched_files(shared& s) : shared_(s) {}
    std::unique_ptr<file> open(const std::string& path, open_mode mode, file_access access) override {
        return note([&] { return std::make_unique<watched_file>(*this, real_.open(path, mode, access)); });
    }
    void rename(const std::string& from, const std::string& to) override {
        note([&] { real_.rename(from, to); });
    }
    void remove(const std::string& path) override {
        note([&] { real_.remove(path); });
    }
    void sync_directory(const std::string& path) override {
        note([&] { real_.sync_directory(path); });
    }
    void make_directories(const std::string& path, file_access access) override {
        note([&] { real_.make_directories(path, access); });
    }
    std::vector<std::string> list(const std::string& path) override {
        return note([&] { return real_.list(path); });
    }
    bool exists(const std::string& path) override {
        return note([&] { return real_.exists(path); });
    }
    bool is_directory(const std::string& path) override {
        return note([&] { return real_.is_directory(path); });
    }
    std::uint64_t size(const std::string& path) override {
        return note([&] { return real_.size(path); });
    }

private:
    class watched_file final : public file {
    public:
        watched_file(watched_files& of, std::unique_ptr<file> real)
            : file(real->name()), of_(of), real_(std::move(real)) {}

    private:
        std::size_t read_some(std::uint64_t offset, char* into, std::size_t n) override {
            return of_.note([&] { return real_->read(offset, into, n); });
        }
        std::size_t write_some(std::uint64_t offset, const char* from, std::size_t n) override {
            return of_.note([&] {
                real_->write(offset, {from, n});
                return n;
            });
        }
        void do_sync() override {
            of_.note([&] { real_->sync(); });
        }
        std::uint64_t do_size() override { return real_->size(); }
        file_id do_id() override { return real_->id(); }
        void do_truncate(std::uint64_t size) override {
            of_.note([&] { real_->truncate(size); });
        }
        bool do_try_lock() override { return real_->try_lock(); }
        watched_files& of_;
        std::unique_ptr<file> real_;
    };

    template <class F>
    std::invoke_result_t<F> note(F f) {
        struct in {
            shared& s;
            const bool last;
            explicit in(shared& of) : s(of), last(s.calls_left.fetch_sub(1, std::memory_order_relaxed) == 1) {
                s.in_files.fetch_add(1, std::memory_order_relaxed);
                if (last && !s.after) ::kill(::getpid(), SIGKILL);
            }
            ~in() {
                if (last) ::kill(::getpid(), SIGKILL);
                s.in_files.fetch_sub(1, std::memory_order_relaxed);
            }
        } noted(shared_);
        return f();
    }

    shared& shared_;
    file_system& real_ = default_file_system();
};

/// Says why a life has ended by itself.
inline void tell(const std::exception& e) {
    std::fprintf(stderr, "a life has failed: %s\n", e.what());
    try {
        std::rethrow_if_nested(e);
    } catch (const std::exception& inner) {
        std::fprintf(stderr, "  %s\n", inner.what());
    }
}

/// Changes with each checkpoint.
inline std::string newest_manifest(const std::string& folder) {
    std::string newest;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder + "/checkpoints", none))
        if (const std::string name = entry.path().filename().string(); name.starts_with("manifest-"))
            newest = std::max(newest, std::string(20 - std::min<std::size_t>(20, name.size()), ' ') + name);
    return newest;
}

}  // namespace torture
