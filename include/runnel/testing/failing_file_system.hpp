#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/core/file_system.hpp"

namespace runnel::testing {

/// How a call to a file system fails.
enum class call_failure : unsigned char {
    before,      ///< Nothing is done.
    halfway,     ///< Half of a read or write is done; other calls fail before.
    afterwards,  ///< All is done, and reported as failed.
    shortened,   ///< Half of a read or write is done, and that is no error; other calls succeed.
};

/// Which calls fail, and how.
struct failing_calls {
    /// The first call that fails; calls are counted from 1. 0: none.
    std::size_t first = 0;
    call_failure how = call_failure::before;
    /// An errno value, such as EIO or ENOSPC.
    int code = EIO;
    /// All calls from then on fail, instead of one.
    bool from_then_on = false;
    /// Counts, and fails, only calls of this name, such as "sync" or "sync folder"; empty: all.
    std::string only = "";
};

/// Another file system, some of whose calls fail. All calls are counted, those of its files too.
///
/// A call is an open, a read or write that is not repeated, a sync, a rename, and so on for each member of
/// `file_system` and of `file` that touches the disk.
/// Thread safety: safe. Lifetime: must outlive its files.
class failing_file_system final : public file_system {
public:
    /// Calls go to `real`, which must outlive this object.
    explicit failing_file_system(file_system& real, failing_calls failing = {})
        : real_(real), failing_(std::move(failing)) {}

    /// Calls made so far.
    std::size_t calls() const;
    /// How many of them failed or were shortened.
    std::size_t failures() const;
    /// What the first one that failed was, such as `sync "/a/b"`; empty if there was none.
    std::string first_failure() const;
    /// Begins to count anew.
    void restart(failing_calls failing);

    std::unique_ptr<file> open(const std::string& path, open_mode mode,
                               file_access access = file_access::by_umask) override;
    void rename(const std::string& from, const std::string& to) override;
    void remove(const std::string& path) override;
    void sync_directory(const std::string& path) override;
    void make_directories(const std::string& path, file_access access = file_access::by_umask) override;
    std::vector<std::string> list(const std::string& path) override;
    bool exists(const std::string& path) override;
    bool is_directory(const std::string& path) override;
    bool is_symbolic_link(const std::string& path) override;
    std::uint64_t size(const std::string& path) override;

private:
    class failing_file;

    /// Counts a call; how it is to fail, if it is.
    std::optional<call_failure> next(const char* operation, const std::string& path);
    [[noreturn]] void fail(const char* operation, const std::string& path) const;
    /// Makes the call `f`, or fails in its place.
    template <class F>
    auto call(const char* operation, const std::string& path, F f);

    file_system& real_;
    mutable std::mutex mutex_;
    failing_calls failing_;
    std::size_t calls_ = 0;
    std::size_t failures_ = 0;
    std::string first_failure_;
};

}  // namespace runnel::testing
