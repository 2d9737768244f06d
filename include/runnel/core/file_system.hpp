#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/core/error.hpp"

namespace runnel {

/// How a file is opened.
enum class open_mode : unsigned char {
    read,     ///< Must exist; only for reading.
    create,   ///< Must not exist; for reading and writing.
    replace,  ///< Created, or emptied if it exists; for reading and writing.
    update,   ///< Created if missing, contents stay; for reading and writing.
};

/// Who may read and write what is created.
enum class file_access : unsigned char {
    by_umask,    ///< As the program's umask says.
    owner_only,  ///< Mode 0600, folders 0700, whatever the umask; a symbolic link in the place of a file is refused.
};

/// Tells a file from all others that are there at the same time, whatever its name; nothing to be stored.
struct file_id {
    std::uint64_t device = 0;
    std::uint64_t number = 0;
    friend bool operator==(const file_id&, const file_id&) = default;
};

/// An open regular file. Short reads and writes are completed here, interrupted calls are repeated.
///
/// A failed `sync` poisons the file: the system may have dropped what it could not write, and a second try would
/// lie. Every later write or sync fails.
/// Thread safety: distinct objects: safe, shared objects: unsafe; concurrent `read` calls are safe.
/// Errors: `io_error` with the file's name, the operation and the system's reason.
/// Lifetime: the destructor closes without syncing, and ignores errors.
class file {
public:
    virtual ~file() = default;
    file(const file&) = delete;
    file& operator=(const file&) = delete;

    const std::string& name() const noexcept { return name_; }
    /// Reads `n` bytes from byte `offset` on; fewer only at the end of the file.
    std::size_t read(std::uint64_t offset, char* into, std::size_t n);
    /// Writes all of `bytes` from byte `offset` on. After a failure, any part of them may have been written.
    void write(std::uint64_t offset, std::string_view bytes);
    /// Writes at the end of the file, as it was when this object first appended or truncated, plus what it appended
    /// since; after a failure the next append starts at the same place.
    void append(std::string_view bytes);
    /// Returns when all that was written is on stable storage.
    void sync();
    /// Bytes in the file.
    std::uint64_t size() { return do_size(); }
    /// Stays the same while it is open, even if it is renamed or removed.
    file_id id() { return do_id(); }
    /// Cuts the file to `size` bytes.
    void truncate(std::uint64_t size);
    /// Takes the file's lock, which one open file at a time can have, in whatever process; false if another has it. It
    /// is held until this object or its process is gone, and keeps nobody from reading and writing.
    bool try_lock() { return do_try_lock(); }

protected:
    explicit file(std::string name) : name_(std::move(name)) {}

    /// At least one byte, fewer than `n` if it must be; 0 only at the end of the file.
    virtual std::size_t read_some(std::uint64_t offset, char* into, std::size_t n) = 0;
    /// At least one byte.
    virtual std::size_t write_some(std::uint64_t offset, const char* from, std::size_t n) = 0;
    virtual void do_sync() = 0;
    virtual std::uint64_t do_size() = 0;
    virtual file_id do_id() = 0;
    virtual void do_truncate(std::uint64_t size) = 0;
    virtual bool do_try_lock() = 0;

private:
    void check_not_poisoned(const char* operation) const;

    static constexpr std::uint64_t unknown = ~std::uint64_t{0};
    std::string name_;
    std::uint64_t end_ = unknown;
    bool poisoned_ = false;
};

/// Every byte to and from disk goes through this interface, so that tests can fail, tear and record the calls.
///
/// Paths are as the system takes them. What is durable: a file's bytes after `file::sync`; a created, renamed or
/// removed name after `sync_directory` of the folder that holds it.
/// Thread safety: safe.
/// Errors: `io_error` with the path, the operation and the system's reason.
/// Lifetime: outlives all that uses it.
class file_system {
public:
    virtual ~file_system() = default;
    virtual std::unique_ptr<file> open(const std::string& path, open_mode mode,
                                       file_access access = file_access::by_umask) = 0;
    /// Replaces `to` if it exists; other programs see the old or the new file, never a part.
    virtual void rename(const std::string& from, const std::string& to) = 0;
    /// Removes a file or an empty folder, which must exist.
    virtual void remove(const std::string& path) = 0;
    virtual void sync_directory(const std::string& path) = 0;
    /// Makes the folder and those above it that are missing.
    virtual void make_directories(const std::string& path, file_access access = file_access::by_umask) = 0;
    /// Names (not paths) of all entries of a folder, in byte order.
    virtual std::vector<std::string> list(const std::string& path) = 0;
    virtual bool exists(const std::string& path) = 0;
    virtual bool is_directory(const std::string& path) = 0;
    /// Bytes in the file at `path`.
    virtual std::uint64_t size(const std::string& path) = 0;
    /// Of the path itself, wherever the link leads to. Only what knows links needs to override it.
    virtual bool is_symbolic_link(const std::string& /*path*/) { return false; }
};

/// The file system of the machine; it has no state.
file_system& default_file_system() noexcept;

/// Makes the folder and those above it that are missing, for the owner only; returns when their names are durable, also
/// if a program that was killed had made them.
/// Errors: `io_error`, also if there is a symbolic link in the folder's place (those above it are followed).
void make_durable_directories(file_system& files, const std::string& path);

/// For folders of what others must not exchange: throws an `io_error` if the path is a symbolic link.
void refuse_symbolic_link(file_system& files, const std::string& folder);

namespace detail {

/// Throws an `io_error` "cannot OPERATION "NAME": REASON"; `code` is an errno value.
[[noreturn]] void throw_io_error(std::string_view operation, std::string_view name, int code);

}  // namespace detail

}  // namespace runnel
