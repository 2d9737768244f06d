#include "runnel/core/file_system.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace runnel {

namespace detail {

void throw_io_error(std::string_view operation, std::string_view name, int code) {
    std::string text = "cannot ";
    text.append(operation).append(" \"").append(name).append("\": ");
    text += std::generic_category().message(code);
    throw io_error(text, code);
}

}  // namespace detail

std::size_t file::read(std::uint64_t offset, char* into, std::size_t n) {
    std::size_t done = 0;
    while (done < n) {
        const std::size_t some = read_some(offset + done, into + done, n - done);
        if (some == 0) break;
        done += some;
    }
    return done;
}

void file::write(std::uint64_t offset, std::string_view bytes) {
    check_not_poisoned("write to");
    for (std::size_t done = 0; done < bytes.size();)
        done += write_some(offset + done, bytes.data() + done, bytes.size() - done);
}

void file::append(std::string_view bytes) {
    if (end_ == unknown) end_ = size();
    write(end_, bytes);
    end_ += bytes.size();
}

void file::sync() {
    check_not_poisoned("sync");
    poisoned_ = true;
    do_sync();
    poisoned_ = false;
}

void file::truncate(std::uint64_t size) {
    check_not_poisoned("truncate");
    do_truncate(size);
    end_ = size;
}

void file::check_not_poisoned(const char* operation) const {
    if (poisoned_)
        throw io_error(std::string("cannot ") + operation + " \"" + name_ +
                           "\": an earlier sync of it failed, so what was written may be lost",
                       EIO);
}

namespace {

using detail::throw_io_error;

template <class F>
auto repeat_interrupted(F f) {
    for (;;) {
        const auto result = f();
        if (result >= 0 || errno != EINTR) return result;
    }
}

class descriptor {
public:
    explicit descriptor(int fd) noexcept : fd_(fd) {}
    descriptor(descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    descriptor& operator=(descriptor&&) = delete;
    ~descriptor() {
        // Never repeated: after EINTR the descriptor is closed already and may belong to another thread.
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const noexcept { return fd_; }

private:
    int fd_;
};

class posix_file final : public file {
public:
    posix_file(std::string name, descriptor fd, bool regular)
        : file(std::move(name)), fd_(std::move(fd)), regular_(regular) {}

private:
    std::size_t read_some(std::uint64_t offset, char* into, std::size_t n) override {
        const auto got =
            repeat_interrupted([&] { return ::pread(fd_.get(), into, n, static_cast<off_t>(offset)); });
        if (got < 0) throw_io_error("read", name(), errno);
        return static_cast<std::size_t>(got);
    }
    std::size_t write_some(std::uint64_t offset, const char* from, std::size_t n) override {
        const auto put =
            repeat_interrupted([&] { return ::pwrite(fd_.get(), from, n, static_cast<off_t>(offset)); });
        if (put < 0) throw_io_error("write to", name(), errno);
        if (put == 0) throw_io_error("write to", name(), EIO);
        return static_cast<std::size_t>(put);
    }
    void do_sync() override {
        // Devices such as /dev/null have nothing to sync, and say EINVAL.
        if (repeat_interrupted([&] { return ::fsync(fd_.get()); }) != 0 && (regular_ || errno != EINVAL))
            throw_io_error("sync", name(), errno);
    }
    std::uint64_t do_size() override { return static_cast<std::uint64_t>(look("tell the size of").st_size); }
    file_id do_id() override {
        const struct stat about = look("look at");
        return {static_cast<std::uint64_t>(about.st_dev), static_cast<std::uint64_t>(about.st_ino)};
    }
    void do_truncate(std::uint64_t size) override {
        if (repeat_interrupted([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) != 0)
            throw_io_error("truncate", name(), errno);
    }
    bool do_try_lock() override {
        if (repeat_interrupted([&] { return ::flock(fd_.get(), LOCK_EX | LOCK_NB); }) == 0) return true;
        if (errno != EWOULDBLOCK) throw_io_error("lock", name(), errno);
        return false;
    }

    struct stat look(const char* operation) const {
        struct stat about {};
        if (::fstat(fd_.get(), &about) != 0) throw_io_error(operation, name(), errno);
        return about;
    }

    descriptor fd_;
    bool regular_;
};

/// Without those at the end, behind which a link would be followed.
std::string without_slashes(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
}

class posix_file_system final : public file_system {
public:
    std::unique_ptr<file> open(const std::string& path, open_mode mode, file_access access) override {
        // Non-blocking, so that opening a named pipe does not hang before it can be refused below.
        int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
        switch (mode) {
            case open_mode::read: flags |= O_RDONLY; break;
            case open_mode::create: flags |= O_RDWR | O_CREAT | O_EXCL; break;
            case open_mode::replace:
            case open_mode::update: flags |= O_RDWR | O_CREAT; break;
        }
        if (access == file_access::owner_only) flags |= O_NOFOLLOW;
        const mode_t permissions = access == file_access::owner_only ? 0600 : 0666;
        descriptor fd(repeat_interrupted([&] { return ::open(path.c_str(), flags, permissions); }));
        const char* operation = mode == open_mode::create ? "create" : "open";
        if (fd.get() < 0) {
            const int code = errno;
            if (access == file_access::owner_only && (code == ELOOP || code == EEXIST) && is_symbolic_link(path))
                throw io_error("cannot " + std::string(operation) + " \"" + path +
                                   "\": it is a symbolic link, and here those are not followed. " +
                                   "Put the file itself there",
                               ELOOP);
            throw_io_error(operation, path, code);
        }
        struct stat about {};
        if (::fstat(fd.get(), &about) != 0) throw_io_error(operation, path, errno);
        if (S_ISDIR(about.st_mode)) throw_io_error(operation, path, EISDIR);
        const bool regular = S_ISREG(about.st_mode);
        if (!regular && (mode == open_mode::read || !S_ISCHR(about.st_mode)))
            throw io_error("cannot " + std::string(operation) + " \"" + path +
                               "\": it is a pipe, socket or device, and a regular file is needed",
                           ESPIPE);
        // A umask may have taken the owner's rights too, and what is written over may have had others. What belongs to
        // someone else stays as it is.
        if (access == file_access::owner_only && mode != open_mode::read && regular &&
            (about.st_mode & all_rights) != permissions && ::fchmod(fd.get(), permissions) != 0 && errno != EPERM)
            throw_io_error("set the rights of", path, errno);
        // Emptied only now that it is known to be a regular file.
        if (mode == open_mode::replace && regular && about.st_size != 0 &&
            repeat_interrupted([&] { return ::ftruncate(fd.get(), 0); }) != 0)
            throw_io_error("empty", path, errno);
        return std::make_unique<posix_file>(path, std::move(fd), regular);
    }

    void rename(const std::string& from, const std::string& to) override {
        if (::rename(from.c_str(), to.c_str()) != 0) {
            const int code = errno;
            throw io_error("cannot rename \"" + from + "\" to \"" + to +
                               "\": " + std::generic_category().message(code),
                           code);
        }
    }
    void remove(const std::string& path) override {
        if (::remove(path.c_str()) != 0) throw_io_error("remove", path, errno);
    }
    void sync_directory(const std::string& path) override {
        descriptor fd(repeat_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
        if (fd.get() < 0 || repeat_interrupted([&] { return ::fsync(fd.get()); }) != 0)
            throw_io_error("sync folder", path, errno);
    }
    void make_directories(const std::string& path, file_access access) override {
        const mode_t permissions = access == file_access::owner_only ? 0700 : 0777;
        for (std::size_t end = 0; end != std::string::npos;) {
            end = path.find('/', end + 1);
            const std::string part = path.substr(0, end);
            if (::mkdir(part.c_str(), permissions) == 0) {
                if (access == file_access::owner_only) give_rights(part, permissions);
                continue;
            }
            const int code = errno;
            if (code == EEXIST && is_directory(part)) continue;
            throw_io_error("make folder", part, code == EEXIST ? ENOTDIR : code);
        }
    }
    std::vector<std::string> list(const std::string& path) override {
        const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
        if (!folder) throw_io_error("list folder", path, errno);
        std::vector<std::string> names;
        for (;;) {
            errno = 0;
            const dirent* entry = ::readdir(folder.get());
            if (!entry) break;
            const std::string_view name = entry->d_name;
            if (name != "." && name != "..") names.emplace_back(name);
        }
        if (errno != 0) throw_io_error("list folder", path, errno);
        std::sort(names.begin(), names.end());
        return names;
    }
    bool exists(const std::string& path) override {
        struct stat about {};
        return look(path, about);
    }
    bool is_directory(const std::string& path) override {
        struct stat about {};
        return look(path, about) && S_ISDIR(about.st_mode);
    }
    bool is_symbolic_link(const std::string& path) override {
        struct stat about {};
        if (::lstat(path.c_str(), &about) == 0) return S_ISLNK(about.st_mode);
        if (errno != ENOENT && errno != ENOTDIR) throw_io_error("look at", path, errno);
        return false;
    }
    std::uint64_t size(const std::string& path) override {
        struct stat about {};
        if (!look(path, about)) throw_io_error("tell the size of", path, ENOENT);
        if (S_ISDIR(about.st_mode)) throw_io_error("tell the size of", path, EISDIR);
        return static_cast<std::uint64_t>(about.st_size);
    }

private:
    static constexpr mode_t all_rights = 07777;

    /// To a folder that was made just now: a umask may have taken the owner's rights too.
    static void give_rights(const std::string& path, mode_t permissions) {
        struct stat about {};
        if (::lstat(path.c_str(), &about) != 0) throw_io_error("look at", path, errno);
        if ((about.st_mode & permissions) != permissions && ::chmod(path.c_str(), permissions) != 0)
            throw_io_error("set the rights of", path, errno);
    }
    static bool look(const std::string& path, struct stat& about) {
        if (::stat(path.c_str(), &about) == 0) return true;
        if (errno != ENOENT && errno != ENOTDIR) throw_io_error("look at", path, errno);
        return false;
    }
};

}  // namespace

file_system& default_file_system() noexcept {
    static posix_file_system system;
    return system;
}

void refuse_symbolic_link(file_system& files, const std::string& folder) {
    if (!files.is_symbolic_link(without_slashes(folder))) return;
    throw io_error("cannot use the folder \"" + folder +
                       "\": it is a symbolic link, and here those are not followed. Put the folder itself there, or "
                       "name the one that the link leads to",
                   ELOOP);
}

void make_durable_directories(file_system& files, const std::string& path) {
    refuse_symbolic_link(files, path);
    const auto parent_of = [](std::string name) {
        name = without_slashes(std::move(name));
        const std::size_t slash = name.rfind('/');
        return slash == std::string::npos ? std::string(".") : slash == 0 ? std::string("/") : name.substr(0, slash);
    };
    // From the lowest one that exists downwards. Each is durable before one is made in it: so of those that exist, only
    // the lowest may not be, if its maker was killed.
    std::vector<std::string> levels{path};
    while (!files.exists(levels.back())) levels.push_back(parent_of(levels.back()));
    for (; !levels.empty(); levels.pop_back()) {
        const std::string& level = levels.back();
        files.make_directories(level, file_access::owner_only);
        try {
            files.sync_directory(parent_of(level));
        } catch (const io_error& e) {
            // Where this program may not look, it has made nothing.
            if (e.code() != EACCES) throw;
        }
    }
}

}  // namespace runnel
