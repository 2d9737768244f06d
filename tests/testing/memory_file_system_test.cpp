#include "runnel/testing/memory_file_system.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/core/temporary_folder.hpp"

using namespace runnel;
using testing::memory_file_system;
using testing::survivors;

namespace {

std::string all_of(file_system& fs, const std::string& path) {
    auto f = fs.open(path, open_mode::read);
    std::string bytes(f->size() + 1, '\0');
    bytes.resize(f->read(0, bytes.data(), bytes.size()));
    return bytes;
}

/// All names, and the bytes of files, below a folder.
std::string tree(file_system& fs, const std::string& path) {
    std::string text;
    for (const std::string& name : fs.list(path)) {
        const std::string there = path + "/" + name;
        if (fs.is_directory(there)) text += name + "(" + tree(fs, there) + ")";
        else text += name + "=" + all_of(fs, there) + ";";
    }
    return text;
}

/// The texts of all images behind `n` operations that 300 seeds give.
std::set<std::string> images(const memory_file_system& fs, std::size_t n) {
    std::set<std::string> all;
    for (std::uint64_t seed = 0; seed < 300; ++seed) all.insert(tree(*fs.crash_image(n, survivors::some, seed), "/"));
    return all;
}

}  // namespace

TEST_CASE("files in memory behave like those of the machine") {
    std::size_t failed = 0;
    for (unsigned seed = 0; seed < 20; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const test::temporary_folder folder;
        memory_file_system memory;
        file_system& real = default_file_system();
        std::vector<std::pair<std::unique_ptr<file>, std::unique_ptr<file>>> open;  // in memory, and real
        const auto path = [&] {
            std::string p;
            do p += std::string("/") + static_cast<char>('a' + random() % 3);
            while (random() % 2);
            return p;
        };
        const auto both = [&](const std::function<std::string(file_system&, const std::string&, bool)>& act) {
            std::string results[2];
            for (const bool is_real : {false, true}) {
                try {
                    results[is_real] = act(is_real ? real : memory, is_real ? folder.path() : "", is_real);
                } catch (const io_error& e) {
                    ++failed;
                    results[is_real] = std::to_string(e.code()) + e.what();
                }
                for (std::size_t at; (at = results[is_real].find(folder.path())) != std::string::npos;)
                    results[is_real].erase(at, folder.path().size());
            }
            CHECK(results[0] == results[1]);
        };
        for (int i = 0; i < 300; ++i) {
            const std::string a = path(), b = path(), bytes(random() % 20, static_cast<char>('a' + i % 26));
            const std::uint64_t at = random() % 30;
            const auto mode = static_cast<open_mode>(random() % 4);
            const std::size_t which = open.empty() ? 0 : random() % open.size();
            const auto opened = [&](bool is_real) -> file& { return is_real ? *open[which].second : *open[which].first; };
            const auto what = random() % 12;
            CAPTURE(what);
            if (what == 0) {
                open.emplace_back();
                both([&](file_system& fs, const std::string& in, bool is_real) {
                    (is_real ? open.back().second : open.back().first) = fs.open(in + a, mode);
                    return std::string();
                });
                if (!open.back().first || !open.back().second) open.pop_back();
            } else if (what <= 5 && !open.empty()) {
                both([&](file_system&, const std::string&, bool is_real) {
                    file& f = opened(is_real);
                    char buffer[64];
                    if (what == 1) f.write(at, bytes);
                    if (what == 2) f.append(bytes);
                    if (what == 3) f.truncate(at);
                    if (what == 4) f.sync();
                    return std::to_string(f.size()) + std::string(buffer, f.read(at / 2, buffer, sizeof buffer));
                });
            } else {
                both([&](file_system& fs, const std::string& in, bool) {
                    if (what == 6) fs.rename(in + a, in + b);
                    if (what == 7) fs.remove(in + a);
                    if (what == 8) fs.make_directories(in + a);
                    if (what == 9) fs.sync_directory(in + a);
                    if (what == 10) return std::to_string(fs.exists(in + a)) + std::to_string(fs.is_directory(in + a));
                    if (what == 11) return std::to_string(fs.size(in + a));
                    return tree(fs, in + "/");
                });
            }
            if (i % 20 == 0) CHECK(tree(memory, "/") == tree(real, folder.path()));
        }
    }
    CHECK(failed > 1000);
}

TEST_CASE("without a sync nothing need survive, and everything may") {
    memory_file_system fs;
    fs.make_directories("/d");
    fs.open("/d/f", open_mode::create)->append("abc");
    const std::size_t n = fs.operations();
    CHECK(n == 3);
    CHECK(fs.operation(2) == "write 3 bytes at 0 to \"/d/f\"");
    CHECK(tree(*fs.crash_image(n, survivors::none), "/") == "");
    CHECK(tree(*fs.crash_image(n, survivors::all), "/") == "d(f=abc;)");
    CHECK(tree(*fs.crash_image(1, survivors::all), "/") == "d()");
    CHECK(tree(*fs.crash_image(0, survivors::all), "/") == "");
    CHECK(tree(*fs.crash_image(n, survivors::names), "/") == "d(f=" + std::string(3, '\0') + ";)");
    CHECK(tree(*fs.crash_image(n, survivors::contents), "/") == "");
    CHECK(images(fs, n) ==
          std::set<std::string>{"", "d()", "d(f=;)", "d(f=abc;)", "d(f=" + std::string(3, '\0') + ";)"});
}

TEST_CASE("a synced file keeps its bytes, and its name once the folder is synced") {
    memory_file_system fs;
    auto f = fs.open("/f", open_mode::create);
    f->append("abc");
    f->sync();
    CHECK(images(fs, fs.operations()) == std::set<std::string>{"", "f=abc;"});
    CHECK(tree(*fs.crash_image(fs.operations(), survivors::contents), "/") == "");
    fs.sync_directory("/");
    CHECK(images(fs, fs.operations()) == std::set<std::string>{"f=abc;"});
    f->write(1, "X");
    CHECK(images(fs, fs.operations()) == std::set<std::string>{"f=abc;", "f=aXc;"});
    // Asked for an earlier moment again.
    CHECK(images(fs, 1) == std::set<std::string>{"", "f=;"});
}

TEST_CASE("a rename happens whole or not at all, and before the bytes that were not synced") {
    memory_file_system fs;
    fs.put("/old", "1");
    auto f = fs.open("/new", open_mode::create);
    fs.sync_directory("/");
    f->append("2");
    fs.rename("/new", "/old");
    CHECK(fs.operation(fs.operations() - 1) == "rename \"/new\" to \"/old\"");
    const std::string zero = std::string("old=") + '\0' + ";";
    CHECK(images(fs, fs.operations()) == std::set<std::string>{"new=;old=1;", "new=2;old=1;", "old=;", "old=2;", zero,
                                                               std::string("new=") + '\0' + ";old=1;"});
    fs.sync_directory("/");
    CHECK(images(fs, fs.operations()) == std::set<std::string>{"old=;", "old=2;", zero});
}

TEST_CASE("changes to different names get lost each alone") {
    memory_file_system fs;
    fs.put("/a", "1");
    fs.put("/b", "2");
    fs.remove("/a");
    fs.remove("/b");
    CHECK(images(fs, fs.operations()) == std::set<std::string>{"", "a=1;", "b=2;", "a=1;b=2;"});
}

TEST_CASE("writes are torn at blocks of 512 and 4,096 bytes of the file") {
    memory_file_system fs;
    fs.put("/f", "");
    auto f = fs.open("/f", open_mode::update);
    f->write(100, std::string(9000, 'x'));
    std::set<std::size_t> borders;
    bool has_hole = false, has_tail = false;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        const std::string bytes = fs.crash_image(fs.operations(), survivors::some, seed)->get("/f");
        for (std::size_t i = 101; i < bytes.size(); ++i)
            if (bytes[i] != bytes[i - 1]) borders.insert(i);
        has_tail |= !bytes.empty() && bytes.size() < 9100;
        has_hole |= bytes.find('x') != std::string::npos && bytes.find('\0', 100) != std::string::npos;
    }
    CHECK(has_hole);
    CHECK(has_tail);
    CHECK(borders.size() == 9000 / 512);
    for (const std::size_t border : borders) CHECK(border % 512 == 0);
}

TEST_CASE("an image can be used and fail again") {
    memory_file_system fs;
    fs.put("/f", "abc");
    const auto image = fs.crash_image(fs.operations(), survivors::none);
    CHECK(image->operations() == 0);
    image->open("/f", open_mode::update)->append("d");
    CHECK(fs.get("/f") == "abc");
    CHECK(image->get("/f") == "abcd");
    CHECK(image->crash_image(1, survivors::none)->get("/f") == "abc");
    CHECK(image->bytes_written() == 1);
}

TEST_CASE("a lock in memory is had by one open file, and by none after a crash") {
    memory_file_system fs;
    fs.put("/lock", "");
    auto first = fs.open("/lock", open_mode::update), second = fs.open("/lock", open_mode::update);
    CHECK(first->try_lock());
    CHECK_FALSE(second->try_lock());
    CHECK(fs.crash_image(fs.operations(), survivors::none)->open("/lock", open_mode::update)->try_lock());
    first.reset();
    CHECK(second->try_lock());
}
