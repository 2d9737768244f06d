#include "runnel/core/file_system.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>

#include "runnel/testing/failing_file_system.hpp"
#include "runnel/testing/memory_file_system.hpp"

#include "tests/core/temporary_folder.hpp"

using namespace runnel;

namespace {

template <class F>
std::string io_failure(F f, int code) {
    try {
        f();
    } catch (const io_error& e) {
        CHECK(e.code() == code);
        return e.what();
    }
    FAIL("no io_error");
    return {};
}

/// A file in memory that reads and writes as little at a time as its seed says, and fails on demand.
class stingy_file final : public file {
public:
    explicit stingy_file(unsigned seed) : file("stingy"), random_(seed) {}
    std::string bytes;
    bool fail_sync = false;
    std::size_t room = SIZE_MAX;

private:
    std::size_t part(std::size_t n) { return 1 + random_() % n; }
    std::size_t read_some(std::uint64_t offset, char* into, std::size_t n) override {
        if (offset >= bytes.size()) return 0;
        return bytes.copy(into, part(n), offset);
    }
    std::size_t write_some(std::uint64_t offset, const char* from, std::size_t n) override {
        n = std::min(part(n), room - std::min(room, static_cast<std::size_t>(offset)));
        if (n == 0) detail::throw_io_error("write to", name(), ENOSPC);
        if (bytes.size() < offset + n) bytes.resize(offset + n);
        bytes.replace(offset, n, from, n);
        return n;
    }
    void do_sync() override {
        if (fail_sync) detail::throw_io_error("sync", name(), EIO);
    }
    std::uint64_t do_size() override { return bytes.size(); }
    file_id do_id() override { return {0, reinterpret_cast<std::uintptr_t>(this)}; }
    void do_truncate(std::uint64_t size) override { bytes.resize(size); }
    bool do_try_lock() override { return true; }

    std::mt19937 random_;
};

}  // namespace

TEST_CASE("a file keeps its id under another name, and a new one under the old name has another") {
    const test::temporary_folder folder;
    file_system& fs = default_file_system();
    auto f = fs.open(folder / "a", open_mode::create);
    fs.rename(folder / "a", folder / "b");
    auto other = fs.open(folder / "a", open_mode::create);
    CHECK(fs.open(folder / "b", open_mode::read)->id() == f->id());
    CHECK(fs.open(folder / "a", open_mode::read)->id() == other->id());
    CHECK(f->id() != other->id());
}

TEST_CASE("what is written is read back at any offset, and reads stop at the end") {
    const test::temporary_folder folder;
    file_system& fs = default_file_system();
    const std::string path = folder / "data";
    auto f = fs.open(path, open_mode::create);
    f->append("hello ");
    f->append("world");
    f->write(0, "J");
    f->sync();
    CHECK(f->size() == 11);
    CHECK(fs.size(path) == 11);
    char bytes[32];
    CHECK(std::string(bytes, f->read(0, bytes, sizeof bytes)) == "Jello world");
    CHECK(std::string(bytes, f->read(6, bytes, 3)) == "wor");
    CHECK(f->read(11, bytes, 5) == 0);
    f->truncate(5);
    f->append("!");
    CHECK(std::string(bytes, f->read(0, bytes, sizeof bytes)) == "Jello!");
}

TEST_CASE("short reads and writes are completed") {
    for (unsigned seed = 0; seed < 200; ++seed) {
        CAPTURE(seed);
        stingy_file f(seed);
        std::string wanted;
        std::mt19937 random(seed);
        for (int i = 0; i < 10; ++i) {
            const std::string piece(random() % 50, static_cast<char>('a' + i));
            f.append(piece);
            wanted += piece;
        }
        CHECK(f.bytes == wanted);
        std::string read(wanted.size() + 10, '\0');
        read.resize(f.read(0, read.data(), read.size()));
        CHECK(read == wanted);
    }
}

TEST_CASE("after a failed append the next one starts at the same place") {
    stingy_file f(1);
    f.append("line 1\n");
    f.room = 10;
    io_failure([&] { f.append("line 2\n"); }, ENOSPC);
    f.room = SIZE_MAX;
    f.append("LINE 2\n");
    CHECK(f.bytes == "line 1\nLINE 2\n");
}

TEST_CASE("a failed sync poisons the file for good") {
    stingy_file f(1);
    f.append("a");
    f.fail_sync = true;
    io_failure([&] { f.sync(); }, EIO);
    f.fail_sync = false;
    CHECK(io_failure([&] { f.sync(); }, EIO).find("earlier sync") != std::string::npos);
    io_failure([&] { f.append("b"); }, EIO);
    io_failure([&] { f.write(0, "b"); }, EIO);
    io_failure([&] { f.truncate(0); }, EIO);
    CHECK(f.bytes == "a");
}

TEST_CASE("each open mode creates, keeps, empties or refuses as it says") {
    const test::temporary_folder folder;
    file_system& fs = default_file_system();
    const std::string path = folder / "f";
    char byte;
    io_failure([&] { fs.open(path, open_mode::read); }, ENOENT);
    fs.open(path, open_mode::create)->append("abc");
    CHECK(io_failure([&] { fs.open(path, open_mode::create); }, EEXIST) ==
          "cannot create \"" + path + "\": File exists");
    CHECK(fs.size(path) == 3);
    {
        auto f = fs.open(path, open_mode::update);
        f->append("d");
        CHECK(f->read(3, &byte, 1) == 1);
        CHECK(byte == 'd');
    }
    io_failure([&] { fs.open(path, open_mode::read)->append("x"); }, EBADF);
    CHECK(fs.size(path) == 4);
    fs.open(path, open_mode::replace);
    CHECK(fs.size(path) == 0);
}

TEST_CASE("a missing file, a folder, a pipe and a forbidden file are named with the system's reason") {
    const test::temporary_folder folder;
    file_system& fs = default_file_system();
    CHECK(io_failure([&] { fs.open(folder / "none", open_mode::read); }, ENOENT) ==
          "cannot open \"" + folder / "none" + "\": No such file or directory");
    CHECK(io_failure([&] { fs.open(folder.path(), open_mode::read); }, EISDIR) ==
          "cannot open \"" + folder.path() + "\": Is a directory");
    io_failure([&] { fs.open(folder.path(), open_mode::replace); }, EISDIR);
    io_failure([&] { fs.size(folder.path()); }, EISDIR);
    io_failure([&] { fs.size(folder / "none"); }, ENOENT);
    io_failure([&] { fs.list(folder / "none"); }, ENOENT);
    io_failure([&] { fs.remove(folder / "none"); }, ENOENT);
    io_failure([&] { fs.rename(folder / "none", folder / "other"); }, ENOENT);
    io_failure([&] { fs.sync_directory(folder / "none"); }, ENOENT);

    REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
    const std::string text = io_failure([&] { fs.open(folder / "pipe", open_mode::read); }, ESPIPE);
    CHECK(text.find("pipe") != std::string::npos);
    fs.remove(folder / "pipe");

    fs.open(folder / "secret", open_mode::create);
    ::chmod((folder / "secret").c_str(), 0);
    if (::geteuid() != 0)  // nothing is forbidden to root
        CHECK(io_failure([&] { fs.open(folder / "secret", open_mode::read); }, EACCES).find("Permission denied") !=
              std::string::npos);
}

TEST_CASE("a full device fails the write") {
    if (!default_file_system().exists("/dev/full")) return;
    auto f = default_file_system().open("/dev/full", open_mode::update);
    CHECK(io_failure([&] { f->append("x"); }, ENOSPC) == "cannot write to \"/dev/full\": No space left on device");
}

TEST_CASE("folders are made, listed in byte order, renamed into and removed") {
    const test::temporary_folder folder;
    file_system& fs = default_file_system();
    fs.make_directories(folder / "a/b/c");
    fs.make_directories(folder / "a/b/c/");
    CHECK(fs.is_directory(folder / "a/b/c"));
    fs.open(folder / "a/2", open_mode::create)->append("two");
    fs.open(folder / "a/10", open_mode::create);
    fs.open(folder / "a/.hidden", open_mode::create);
    CHECK(fs.list(folder / "a") == std::vector<std::string>{".hidden", "10", "2", "b"});
    fs.rename(folder / "a/2", folder / "a/10");
    fs.sync_directory(folder / "a");
    CHECK(fs.size(folder / "a/10") == 3);
    CHECK_FALSE(fs.exists(folder / "a/2"));
    CHECK_FALSE(fs.exists(folder / "a/10/below-a-file"));
    io_failure([&] { fs.make_directories(folder / "a/10"); }, ENOTDIR);
    io_failure([&] { fs.remove(folder / "a/b"); }, ENOTEMPTY);
    fs.remove(folder / "a/b/c");
    fs.remove(folder / "a/b");
    CHECK_FALSE(fs.exists(folder / "a/b"));
}

TEST_CASE("owner_only keeps others out, and the owner in, under any umask") {
    file_system& fs = default_file_system();
    const auto rights = [](const std::string& path) {
        struct stat about {};
        REQUIRE(::stat(path.c_str(), &about) == 0);
        return about.st_mode & 07777;
    };
    for (const mode_t mask : {0, 022, 077, 0277, 0777}) {
        CAPTURE(mask);
        const test::temporary_folder folder;
        folder.write("old", "abc");
        ::chmod((folder / "old").c_str(), 0666);
        const mode_t before = ::umask(mask);
        fs.make_directories(folder / "d/e", file_access::owner_only);
        fs.open(folder / "d/e/f", open_mode::create, file_access::owner_only);
        fs.open(folder / "d/e/g", open_mode::update, file_access::owner_only);
        fs.open(folder / "old", open_mode::replace, file_access::owner_only);
        ::umask(before);
        for (const char* name : {"d", "d/e"}) CHECK(rights(folder / name) == 0700);
        for (const char* name : {"d/e/f", "d/e/g", "old"}) CHECK(rights(folder / name) == 0600);
    }
}

TEST_CASE("a lock is had by one open file at a time, and goes with it") {
    const test::temporary_folder folder;
    file_system& fs = default_file_system();
    auto first = fs.open(folder / "lock", open_mode::update);
    auto second = fs.open(folder / "lock", open_mode::update);
    CHECK(first->try_lock());
    CHECK(first->try_lock());
    CHECK_FALSE(second->try_lock());
    first.reset();
    CHECK(second->try_lock());
}

TEST_CASE("owner_only follows no symbolic link, whatever it leads to") {
    const test::temporary_folder folder;
    file_system& fs = default_file_system();
    folder.write("real", "abc");
    REQUIRE(::symlink("real", (folder / "link").c_str()) == 0);
    REQUIRE(::symlink("none", (folder / "nowhere").c_str()) == 0);
    CHECK(fs.open(folder / "link", open_mode::read)->size() == 3);
    for (const open_mode mode : {open_mode::read, open_mode::replace, open_mode::update})
        for (const char* name : {"link", "nowhere"}) {
            const std::string path = folder / name;
            CHECK(io_failure([&] { fs.open(path, mode, file_access::owner_only); }, ELOOP) ==
                  "cannot open \"" + path + "\": it is a symbolic link, and here those are not followed. " +
                      "Put the file itself there");
        }
    for (const char* name : {"link", "nowhere"}) {
        CHECK(fs.is_symbolic_link(folder / name));
        const std::string text =
            io_failure([&] { fs.open(folder / name, open_mode::create, file_access::owner_only); }, ELOOP);
        CHECK(text.starts_with("cannot create \"" + folder / name + "\": it is a symbolic link"));
    }
    CHECK_FALSE(fs.is_symbolic_link(folder / "real"));
    CHECK_FALSE(fs.is_symbolic_link(folder / "none"));
    CHECK(folder.read("real") == "abc");
    CHECK_FALSE(fs.exists(folder / "none"));
}

TEST_CASE("a folder made to last is no symbolic link, but may lie behind one") {
    const test::temporary_folder folder;
    file_system& fs = default_file_system();
    fs.make_directories(folder / "real");
    REQUIRE(::symlink("real", (folder / "link").c_str()) == 0);
    REQUIRE(::symlink("none", (folder / "nowhere").c_str()) == 0);
    for (const std::string& path : {folder / "link", folder / "link//", folder / "nowhere"})
        CHECK(io_failure([&] { make_durable_directories(fs, path); }, ELOOP) ==
              "cannot use the folder \"" + path + "\": it is a symbolic link, and here those are not followed. Put the "
              "folder itself there, or name the one that the link leads to");
    make_durable_directories(fs, folder / "link/below");
    CHECK(fs.is_directory(folder / "real/below"));
}

TEST_CASE("folders made to last survive a power failure, also if a program that was killed had begun") {
    using namespace runnel::testing;
    for (const std::string path : {"/a/b/c", "a/b/c", "/a/b/c/", "a"}) {
        memory_file_system whole;
        make_durable_directories(whole, path);
        CHECK(whole.crash_image(whole.operations(), survivors::none)->is_directory(path));
        const std::size_t operations = whole.operations();
        for (std::size_t n = 1; n <= operations; ++n) {
            memory_file_system fs;
            failing_file_system killed(fs, {.first = n, .from_then_on = true});
            try {
                make_durable_directories(killed, path);
            } catch (const io_error&) {
            }
            make_durable_directories(fs, path);
            CHECK(fs.crash_image(fs.operations(), survivors::none)->is_directory(path));
        }
    }
}

TEST_CASE("folders made to last: a folder that may not be looked into is no failure, a file in the way is") {
    using namespace runnel::testing;
    memory_file_system fs;
    failing_file_system forbidden(fs, {.first = 1, .code = EACCES, .from_then_on = true, .only = "sync folder"});
    make_durable_directories(forbidden, "/a/b");
    CHECK(fs.is_directory("/a/b"));
    failing_file_system broken(fs, {.first = 1, .only = "sync folder"});
    io_failure([&] { make_durable_directories(broken, "/a/b"); }, EIO);
    fs.put("/a/f", "");
    io_failure([&] { make_durable_directories(fs, "/a/f"); }, ENOTDIR);
    io_failure([&] { make_durable_directories(fs, "/a/f/g"); }, ENOTDIR);
    io_failure([&] { make_durable_directories(fs, ""); }, ENOENT);
}
