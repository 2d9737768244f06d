#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/core/file_system.hpp"

namespace runnel::testing {

/// What survives a power failure of that which was not synced; what was always does.
enum class survivors : unsigned char {
    none,      ///< Nothing.
    all,       ///< Everything.
    names,     ///< What was created, renamed and removed; no bytes: files have their lengths, and hold zeros.
    contents,  ///< The bytes; nothing that was created, renamed or removed.
    /// Drawn from the seed: any of these changes, in any combination; writes whole, or any of their blocks of 512 or
    /// 4,096 bytes; what is lost of a write leaves zeros, or the file short.
    some,
};

/// Files and folders in memory. It records what is done to it, and shows what a power failure at any moment leaves.
///
/// Behaves as the machine's own, by the strictest reading of what that promises: a file's bytes are durable once it was
/// synced, names once their folder was, and until then each change may be lost alone. A rename happens whole or not at
/// all; between folders it is durable with the one that it leads to. Paths begin at the root, with or without a slash.
/// Thread safety: safe.
/// Errors: `io_error` as from the machine's own file system.
/// Lifetime: open files may outlive it.
class memory_file_system final : public file_system {
public:
    memory_file_system();
    ~memory_file_system() override;

    std::unique_ptr<file> open(const std::string& path, open_mode mode,
                               file_access access = file_access::by_umask) override;
    void rename(const std::string& from, const std::string& to) override;
    void remove(const std::string& path) override;
    void sync_directory(const std::string& path) override;
    void make_directories(const std::string& path, file_access access = file_access::by_umask) override;
    std::vector<std::string> list(const std::string& path) override;
    bool exists(const std::string& path) override;
    bool is_directory(const std::string& path) override;
    std::uint64_t size(const std::string& path) override;

    /// The bytes of a file.
    std::string get(const std::string& path) const;
    /// Writes a file, in a folder that exists, and syncs both.
    void put(const std::string& path, std::string_view bytes);
    /// Paths of all files, in byte order.
    std::vector<std::string> files() const;

    /// How many operations have been recorded: all that change something, and all syncs.
    std::size_t operations() const;
    /// Says what operation `i` was, such as `write 12 bytes at 0 to "/a/b"`.
    std::string operation(std::size_t i) const;
    /// How many bytes operations have written to files so far.
    std::uint64_t bytes_written() const;

    /// What is there after power has failed behind the first `n` operations. It can be used, recorded and failed again.
    /// Complexity: O(bytes), if `n` is no lower than in the call before.
    std::unique_ptr<memory_file_system> crash_image(std::size_t n, survivors what, std::uint64_t seed = 0) const;

private:
    struct contents;
    class open_file;

    std::shared_ptr<contents> contents_;
};

}  // namespace runnel::testing
