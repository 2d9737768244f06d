#include "runnel/checkpoint/checkpoint_store.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "runnel/checkpoint/savepoint.hpp"
#include "runnel/core/crc32c.hpp"
#include "runnel/testing/memory_file_system.hpp"

#include "tests/checkpoint/changing_state.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/support/hooked_files.hpp"

using namespace runnel;
using runnel::testing::memory_file_system;

namespace {

template <class Error = checkpoint_error, class F>
std::string failure(F f) {
    try {
        f();
    } catch (const Error& e) {
        return e.what();
    }
    FAIL("no error");
    return {};
}

/// One operator with keyed state "sums" of `groups` key groups, each of `bytes` equal bytes.
checkpoint sums(checkpoint_id id, std::size_t groups, std::size_t bytes) {
    checkpoint c{id, "totals", 128, timestamp(1), false, {{"sum", "reduce", 4, {}}}, {}};
    for (std::size_t g = 0; g < groups; ++g)
        c.operators[0].state.keyed["sums"][static_cast<key_group>(g)] = std::string(bytes, static_cast<char>(g));
    return c;
}

void set_sum(checkpoint& c, key_group group, char with) {
    std::string& bytes = c.operators[0].state.keyed["sums"][group];
    bytes.assign(bytes.size(), with);
}

std::vector<checkpoint_id> ids(const checkpoint_store& store) {
    std::vector<checkpoint_id> all;
    for (const checkpoint_info& i : store.list()) all.push_back(i.id);
    return all;
}

/// With all its state in memory, and without keyed states that no group has.
checkpoint gathered(checkpoint c) {
    for (saved_operator& o : c.operators) {
        o.state.gather();
        std::erase_if(o.state.keyed, [](const auto& state) { return state.second.empty(); });
    }
    return c;
}

/// Puts the right checksum at the end of a manifest that was changed.
std::string with_checksum(std::string bytes) {
    bytes.resize(bytes.size() - 4);
    const std::uint32_t crc = crc32c(bytes);
    bytes.append(reinterpret_cast<const char*>(&crc), 4);
    return bytes;
}

}  // namespace

TEST_CASE("what was written is read back, whatever it is") {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        CAPTURE(seed);
        memory_file_system fs;
        checkpoint_store store(fs, "/jobs/a");
        test::changing_state state(seed);
        std::map<checkpoint_id, checkpoint> written;
        for (int i = 0; i < 10; ++i) {
            const checkpoint& c = state.next();
            store.write(c);
            written[c.id] = c;
            CHECK(store.newest() == c.id);
        }
        for (const auto& [id, c] : written) {
            CHECK(store.read(id) == c);
            CHECK(read_checkpoint(fs, "/jobs/a", id) == c);
            CHECK(gathered(store.open(id)) == gathered(c));
        }
        // One that is opened can be written, a piece at a time.
        checkpoint_store copy(fs, "/jobs/copy");
        for (const auto& [id, c] : written) {
            copy.write(store.open(id));
            CHECK(gathered(copy.read(id)) == gathered(c));
        }
    }
}

TEST_CASE("the sentinels of time, no operators, empty names and empty state are kept") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    CHECK(store.newest() == std::nullopt);
    CHECK(store.list().empty());
    checkpoint c;
    store.write(c);
    CHECK(store.read(0) == c);
    c = sums(~checkpoint_id{0}, 0, 0);
    c.taken = timestamp::min();
    c.key_groups = 65'536;
    c.operators[0].name = "";
    c.operators[0].state.keyed["k"][65'535] = "";
    c.operators[0].state.keyed["none"];
    c.operators[0].state.local["l"] = {"", "x", ""};
    c.operators[0].state.local["none"];
    c.extra[""] = "";
    store.write(c);
    CHECK(store.read(c.id) == c);
}

TEST_CASE("large and small pieces of state are kept, in any order") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    checkpoint c = sums(1, 0, 0);
    std::mt19937_64 random(1);
    for (key_group g = 0; g < 40; ++g)
        c.operators[0].state.keyed["sums"][g] =
            std::string(random() % 3 ? random() % 1000 : random() % 300'000, static_cast<char>(g));
    store.write(c);
    CHECK(store.read(1) == c);
}

TEST_CASE("the list tells what each checkpoint holds, and how much of it is new") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    checkpoint c = sums(3, 4, 100);
    c.operators[0].state.local["watermark"] = {"12345678", "12345678"};
    c.is_savepoint = true;
    store.write(c);
    c.id = 5;
    set_sum(c, 2, 'x');
    store.write(c);
    const auto list = store.list();
    REQUIRE(list.size() == 2);
    CHECK(list[0].id == 3);
    CHECK(list[0].damage == "");
    CHECK(list[0].job == "totals");
    CHECK(list[0].key_groups == 128);
    CHECK(list[0].taken == timestamp(1));
    CHECK(list[0].is_savepoint);
    CHECK(list[0].bytes == 416);
    CHECK(list[0].new_bytes == 416);
    CHECK(list[1].bytes == 416);
    CHECK(list[1].new_bytes == 100);
    REQUIRE(list[1].operators.size() == 1);
    CHECK(list[1].operators[0].name == "sum");
    CHECK(list[1].operators[0].kind == "reduce");
    CHECK(list[1].operators[0].parallelism == 4);
    REQUIRE(list[1].operators[0].states.size() == 2);
    CHECK(list[1].operators[0].states[0].name == "watermark");
    CHECK_FALSE(list[1].operators[0].states[0].keyed);
    CHECK(list[1].operators[0].states[0].parts == 2);
    CHECK(list[1].operators[0].states[1].keyed);
    CHECK(list[1].operators[0].states[1].parts == 4);
    CHECK(list[1].operators[0].states[1].bytes == 400);
    CHECK(verify_checkpoint(fs, "/a", 5).bytes == 416);
}

TEST_CASE("a key group that has not changed is not written again") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    checkpoint c = sums(1, 100, 1000);
    std::uint64_t before = fs.bytes_written();
    store.write(c);
    CHECK(fs.bytes_written() - before > 100'000);
    CHECK(fs.bytes_written() - before < 105'000);
    for (key_group g = 0; g < 5; ++g) {
        before = fs.bytes_written();
        ++c.id;
        set_sum(c, g, 'x');
        store.write(c);
        CHECK(fs.bytes_written() - before > 1'000);
        CHECK(fs.bytes_written() - before < 6'000);
    }
    // And nothing at all but the manifest if nothing has changed.
    before = fs.bytes_written();
    ++c.id;
    store.write(c);
    CHECK(fs.bytes_written() - before < 5'000);
    CHECK_FALSE(fs.exists("/a/data-7"));
    CHECK(store.read(7) == c);
}

TEST_CASE("bytes that moved to another group, state or operator are not mistaken for unchanged ones") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    checkpoint c = sums(1, 2, 10);
    c.operators[0].state.local["sums"] = {"a", "b"};
    store.write(c);
    auto& groups = c.operators[0].state.keyed["sums"];
    std::swap(groups[0], groups[1]);
    c.operators[0].state.local["sums"] = {"b", "a"};
    c.operators.push_back({"other", "", 1, c.operators[0].state});
    c.id = 2;
    store.write(c);
    CHECK(store.read(2) == c);
}

TEST_CASE("pruning keeps the newest checkpoints, and the data that they refer to") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    checkpoint c = sums(1, 10, 100);
    store.write(c);
    for (key_group g = 0; g < 4; ++g) {
        ++c.id;
        set_sum(c, g, 'x');
        store.write(c);
    }
    store.prune(2);
    CHECK(ids(store) == std::vector<checkpoint_id>{4, 5});
    CHECK(fs.files() == std::vector<std::string>{"/a/data-1", "/a/data-2", "/a/data-3", "/a/data-4", "/a/data-5",
                                                 "/a/lock", "/a/manifest-4", "/a/manifest-5"});
    CHECK(store.read(5) == c);
    CHECK(store.read(4).operators[0].state.keyed["sums"][3] == std::string(100, 3));
    for (key_group g = 0; g < 10; ++g) set_sum(c, g, 'y');
    ++c.id;
    store.write(c);
    store.prune(0);
    CHECK(fs.files() == std::vector<std::string>{"/a/data-6", "/a/lock", "/a/manifest-6"});
    store.prune(10);
    CHECK(store.read(6) == c);
}

TEST_CASE("files of which little is still of use are left behind, so that disk use stays bounded") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    const std::size_t state = 100 * 1000;
    checkpoint c = sums(1, 100, 1000);
    std::uint64_t most = 0;
    const auto write = [&] {
        store.write(c);
        store.prune(1);
        std::uint64_t bytes = 0;
        for (const std::string& file : fs.files()) bytes += fs.size(file);
        most = std::max(most, bytes);
        ++c.id;
    };
    // Of each file one group stays of use.
    for (key_group still = 0; still < 100; ++still) {
        for (key_group g = still; g < 100; ++g) set_sum(c, g, static_cast<char>(still));
        write();
    }
    // A few groups change all the time.
    const std::uint64_t before = fs.bytes_written();
    for (int n = 0; n < 500; ++n) {
        for (int i = 0; i < 5; ++i) set_sum(c, static_cast<key_group>((n * 7 + i * 13) % 60), static_cast<char>(n));
        write();
    }
    CHECK(store.read(c.id - 1).operators == c.operators);
    CHECK(most < 2 * state + 10'000);
    CHECK(fs.bytes_written() - before < 500 * 20'000);
}

TEST_CASE("a new process begins with all the state, and numbers on") {
    memory_file_system fs;
    checkpoint c = sums(1, 10, 1000);
    checkpoint_store(fs, "/a").write(c);
    checkpoint_store store(fs, "/a");
    CHECK(failure([&] { store.write(c); }) == "cannot write checkpoint 1 to \"/a\": there is a checkpoint 1 already. "
                                              "Number the next one higher");
    c.id = 2;
    store.write(c);
    CHECK(fs.size("/a/data-2") > 10'000);
    store.prune(1);
    CHECK_FALSE(fs.exists("/a/data-1"));
    CHECK(store.read(2) == c);
}

TEST_CASE("a checkpoint that is pruned while the folder is listed is left out") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    store.write(sums(1, 1, 1));
    store.write(sums(2, 1, 2));
    tests::hooked_files seen(fs);
    seen.after_list = [&] { store.prune(1); };
    const auto list = list_checkpoints(seen, "/a");
    REQUIRE(list.size() == 1);
    CHECK(list[0].id == 2);
}

TEST_CASE("a file that is cut off while it is read is refused") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    store.write(sums(1, 1, 1000));
    tests::hooked_files seen(fs);
    for (const std::string name : {"/a/manifest-1", "/a/data-1"}) {
        const std::string good = fs.get(name);
        for (const std::size_t left : {std::size_t{0}, std::size_t{30}, good.size() - 1}) {
            seen.before_open = [&](const std::string& path) {
                if (path == name) fs.put(name, good.substr(0, left));
            };
            CHECK(failure([&] { read_checkpoint(seen, "/a", 1); }).find("\"" + name + "\"") != std::string::npos);
            fs.put(name, good);
        }
    }
}

TEST_CASE("what is damaged after a checkpoint was opened is refused when it is read") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    store.write(sums(1, 3, 1000));
    const checkpoint c = store.open(1);
    const snapshot_reader all(c.operators[0].state, {0, 128});
    std::string bad = fs.get("/a/data-1");
    bad[1500] ^= 1;
    fs.put("/a/data-1", bad);
    std::size_t read = 0;
    const std::string text = failure([&] { all.keyed("sums", [&](key_group, std::string_view) { ++read; }); });
    CHECK(text.find("\"/a/data-1\"") != std::string::npos);
    CHECK(text.find("key group 1,") != std::string::npos);
    CHECK(read == 1);
    fs.remove("/a/data-1");
    CHECK(failure([&] { all.keyed("sums", [](key_group, std::string_view) {}); }).find("is missing") != std::string::npos);
}

TEST_CASE("data that someone else has removed is written again") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    checkpoint c = sums(1, 10, 100);
    store.write(c);
    fs.remove("/a/data-1");
    CHECK(failure([&] { store.read(1); }) ==
          "\"/a/data-1\" is missing, and the checkpoint needs it. Copy a job's folder as a whole; or restore from "
          "another checkpoint or a savepoint");
    c.id = 2;
    store.write(c);
    CHECK(store.read(2) == c);
}

TEST_CASE("a second store on a folder is refused, until the first is gone") {
    const test::temporary_folder folder;
    auto first = std::make_unique<checkpoint_store>(default_file_system(), folder / "job");
    first->write(sums(1, 1, 1));
    CHECK(failure([&] { checkpoint_store(default_file_system(), folder / "job"); }) ==
          "the folder \"" + folder / "job" + "\" is in use by another job, which has locked \"" + folder / "job" +
              "/lock\". Give each job a folder of its own, or stop the other one first");
    CHECK(read_checkpoint(default_file_system(), folder / "job", 1) == sums(1, 1, 1));
    first.reset();
    checkpoint_store(default_file_system(), folder / "job").write(sums(2, 1, 1));
}

TEST_CASE("others can neither read nor list what is written") {
    const test::temporary_folder folder;
    checkpoint_store store(default_file_system(), folder / "a/b");
    store.write(sums(1, 1, 1));
    for (const char* name : {"a", "a/b", "a/b/lock", "a/b/data-1", "a/b/manifest-1"}) {
        struct stat about {};
        REQUIRE(::stat((folder / name).c_str(), &about) == 0);
        CHECK((about.st_mode & 0777) == (std::strlen(name) <= 3 ? 0700 : 0600));
    }
}

TEST_CASE("leftovers of a writer that was cut off go, other files stay") {
    memory_file_system fs;
    {
        checkpoint_store store(fs, "/a");
        store.write(sums(1, 1, 1));
    }
    fs.put("/a/manifest-2.partial", "half");
    fs.put("/a/data-2", "half");
    fs.put("/a/data-02", "not ours");
    fs.put("/a/manifest-x", "not ours");
    fs.put("/a/notes", "not ours");
    CHECK(newest_checkpoint(fs, "/a") == 1);
    checkpoint_store store(fs, "/a");
    CHECK(fs.files() == std::vector<std::string>{"/a/data-02", "/a/data-1", "/a/lock", "/a/manifest-1",
                                                 "/a/manifest-x", "/a/notes"});
}

TEST_CASE("a damaged newest manifest is an error that names it, and the older one can be read") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    const checkpoint first = sums(1, 4, 100);
    checkpoint c = first;
    store.write(c);
    c.id = 2;
    set_sum(c, 1, 'x');
    store.write(c);
    std::string bytes = fs.get("/a/manifest-2");
    bytes[bytes.size() / 2] ^= 1;
    fs.put("/a/manifest-2", bytes);
    CHECK(store.newest() == 2);
    const std::string text = failure([&] { store.read(2); });
    CHECK(text == "\"/a/manifest-2\" is damaged at byte " + std::to_string(bytes.size() - 4) +
                      ": its bytes do not have the checksum that is written there. Nothing was removed: put back a "
                      "copy of the file, or restore from another checkpoint or a savepoint");
    CHECK(store.list().back().damage == text);
    CHECK(store.read(1) == first);
    // What it may refer to stays, however much is pruned; and it does not count.
    for (c.id = 3; c.id < 6; ++c.id) {
        for (key_group g = 0; g < 4; ++g) set_sum(c, g, static_cast<char>(c.id));
        store.write(c);
    }
    store.prune(1);
    CHECK(ids(store) == std::vector<checkpoint_id>{2, 5});
    CHECK(fs.exists("/a/data-1"));
    CHECK(fs.exists("/a/data-2"));
    CHECK_FALSE(fs.exists("/a/data-3"));
    bytes[bytes.size() / 2] ^= 1;
    fs.put("/a/manifest-2", bytes);
    CHECK(store.read(2).operators[0].state.keyed["sums"][1] == std::string(100, 'x'));
}

TEST_CASE("every byte of a manifest or data file that is flipped, and every cut, is refused by name") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    checkpoint c = sums(1, 3, 40);
    c.operators[0].state.local["l"] = {"entry"};
    c.extra["finished"] = "split";
    store.write(c);
    for (const std::string name : {"/a/manifest-1", "/a/data-1"}) {
        const std::string good = fs.get(name);
        const auto check = [&](const std::string& bad) {
            fs.put(name, bad);
            const std::string text = failure([&] { store.read(1); });
            CHECK(text.find("\"" + name + "\"") != std::string::npos);
            CHECK(failure([&] { verify_checkpoint(fs, "/a", 1); }) == text);
            CHECK(failure([&] { store.open(1); }) == text);
        };
        for (std::size_t i = 0; i < good.size(); ++i) {
            CAPTURE(i);
            for (const unsigned flip : {1u, 0x80u, 0xffu}) {
                std::string bad = good;
                bad[i] = static_cast<char>(static_cast<unsigned char>(bad[i]) ^ flip);
                check(bad);
            }
            check(good.substr(0, i));
            check(good.substr(0, i) + std::string(good.size() - i, '\0') + "x");
        }
        check(good + "x");
        check(good + good);
        fs.put(name, good);
    }
    CHECK(store.read(1) == c);
}

TEST_CASE("a manifest with any field changed and the right checksum is refused or read, in little memory") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    checkpoint c = sums(1, 3, 40);
    c.operators[0].state.local["l"] = {"entry"};
    c.extra["finished"] = "split";
    store.write(c);
    const std::string good = fs.get("/a/manifest-1");
    std::size_t refused = 0, read = 0;
    for (std::size_t i = 0; i < good.size() - 4; ++i)
        for (const unsigned value : {0u, 1u, 2u, 0x7fu, 0x80u, 0xffu}) {
            std::string bad = good;
            bad[i] = static_cast<char>(value);
            fs.put("/a/manifest-1", with_checksum(bad));
            try {
                store.read(1);
                ++read;
            } catch (const checkpoint_error&) {
                ++refused;
            }
        }
    CHECK(refused > 500);
    CHECK(read > 100);
}

TEST_CASE("a newer format is refused with both numbers, in a manifest and in data") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    store.write(sums(1, 1, 1));
    for (const auto& [name, newest] : {std::pair<std::string, int>{"/a/manifest-1", 2}, {"/a/data-1", 1}}) {
        const std::string good = fs.get(name);
        std::string newer = good;
        newer[8] = static_cast<char>(newest + 1);
        fs.put(name, newer);
        CHECK(failure([&] { store.read(1); }) ==
              "\"" + name + "\" has format version " + std::to_string(newest + 1) +
                  ", and this program reads versions up to " + std::to_string(newest) +
                  ". Build the program with a newer runnel to restore from it");
        fs.put(name, good);
    }
}

TEST_CASE("a foreign file is refused without being read to its end") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    store.write(sums(1, 1, 1));
    fs.put("/a/manifest-2", "PK\3\4 and so on, for a long time");
    CHECK(failure([&] { store.read(2); }).starts_with("\"/a/manifest-2\" is not a checkpoint's manifest of runnel"));
    fs.put("/a/manifest-2", "");
    CHECK(failure([&] { store.read(2); }).starts_with("\"/a/manifest-2\" is not a checkpoint's manifest of runnel"));
    fs.put("/a/data-1", "PK\3\4");
    CHECK(failure([&] { store.read(1); }).starts_with("\"/a/data-1\" is not a checkpoint's data file of runnel"));
}

TEST_CASE("a manifest or data file under the name of another is refused") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    store.write(sums(1, 1, 10));
    fs.put("/a/manifest-2", fs.get("/a/manifest-1"));
    CHECK(failure([&] { store.read(2); }).find("it is the manifest of checkpoint 1, under the name of another") !=
          std::string::npos);
    checkpoint_store other(fs, "/b");
    other.write(sums(2, 1, 10));
    fs.put("/a/data-1", fs.get("/b/data-2"));
    CHECK(failure([&] { store.read(1); }).find("\"/a/data-1\" is damaged at byte 8: it does not begin as data file 1") !=
          std::string::npos);
}

TEST_CASE("a checkpoint that is not there is an error that says which are") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    CHECK(failure([&] { store.read(7); }) == "there is no checkpoint 7 in \"/a\", but none at all. Name one that is there");
    store.write(sums(1, 1, 1));
    store.write(sums(2, 1, 1));
    CHECK(failure([&] { store.read(7); }) == "there is no checkpoint 7 in \"/a\", but 1, 2. Name one that is there");
}

TEST_CASE("a checkpoint that contradicts itself is refused, and nothing is written") {
    memory_file_system fs;
    checkpoint_store store(fs, "/a");
    checkpoint c = sums(1, 4, 1);
    c.key_groups = 3;
    CHECK(failure([&] { store.write(c); }) == "operator 'sum' has state in key group 3, and the job only 3 groups");
    c.key_groups = 4;
    c.operators.push_back(c.operators[0]);
    CHECK(failure([&] { store.write(c); }) == "checkpoint 1 has two operators 'sum'. Give each a name of its own");
    c.operators.pop_back();
    c.key_groups = 65'537;
    CHECK(failure([&] { store.write(c); }) == "checkpoint 1 has 65537 key groups: 65,536 is the limit");
    CHECK(fs.files() == std::vector<std::string>{"/a/lock"});
}

TEST_CASE("symbolic links are not followed") {
    const test::temporary_folder folder;
    file_system& fs = default_file_system();
    checkpoint_store store(fs, folder / "job");
    store.write(sums(1, 1, 10));
    for (const std::string name : {"manifest-1", "data-1"}) {
        const std::string path = folder / "job/" + name;
        fs.rename(path, folder / name);
        REQUIRE(::symlink((folder / name).c_str(), path.c_str()) == 0);
        CHECK(failure<io_error>([&] { store.read(1); }).find("it is a symbolic link") != std::string::npos);
        fs.remove(path);
        fs.rename(folder / name, path);
    }
    CHECK(store.read(1) == sums(1, 1, 10));
    folder.write("precious", "x");
    REQUIRE(::symlink((folder / "precious").c_str(), (folder / "job/data-2").c_str()) == 0);
    REQUIRE(::symlink((folder / "precious").c_str(), (folder / "job/manifest-2.partial").c_str()) == 0);
    store.write(sums(2, 1, 20));
    CHECK(folder.read("precious") == "x");
    CHECK(store.read(2) == sums(2, 1, 20));
    // Those that lead nowhere are no hindrance either.
    REQUIRE(::symlink((folder / "none").c_str(), (folder / "job/data-3").c_str()) == 0);
    store.write(sums(3, 1, 30));
    CHECK(store.read(3) == sums(3, 1, 30));
    CHECK_FALSE(fs.exists(folder / "none"));
}

TEST_CASE("a symbolic link in the place of the folder is refused, whoever asks") {
    const test::temporary_folder folder;
    file_system& fs = default_file_system();
    checkpoint_store(fs, folder / "job").write(sums(1, 1, 10));
    write_savepoint(fs, folder / "savepoint", sums(1, 1, 10));
    REQUIRE(::symlink("job", (folder / "link").c_str()) == 0);
    REQUIRE(::symlink("savepoint", (folder / "saved").c_str()) == 0);
    REQUIRE(::symlink("none", (folder / "nowhere").c_str()) == 0);
    const std::string link = folder / "link", text = "cannot use the folder \"" + link + "\": it is a symbolic link";
    CHECK(failure<io_error>([&] { checkpoint_store(fs, link); }).starts_with(text));
    CHECK(failure<io_error>([&] { list_checkpoints(fs, link); }).starts_with(text));
    CHECK(failure<io_error>([&] { newest_checkpoint(fs, link); }).starts_with(text));
    CHECK(failure<io_error>([&] { read_checkpoint(fs, link, 1); }).starts_with(text));
    CHECK(failure<io_error>([&] { verify_checkpoint(fs, link, 1); }).starts_with(text));
    CHECK(failure<io_error>([&] { read_savepoint(fs, folder / "saved"); }).find("symbolic link") != std::string::npos);
    CHECK(failure<io_error>([&] { write_savepoint(fs, folder / "nowhere", sums(1, 1, 10)); }).find("symbolic link") !=
          std::string::npos);
    CHECK(read_checkpoint(fs, folder / "job", 1) == sums(1, 1, 10));
}

TEST_CASE("a folder that vanishes, and a file in its place, are errors that name them") {
    memory_file_system fs;
    fs.put("/file", "x");
    CHECK(failure<io_error>([&] { checkpoint_store(fs, "/file"); }) == "cannot make folder \"/file\": Not a directory");
    CHECK(newest_checkpoint(fs, "/none") == std::nullopt);
    checkpoint_store store(fs, "/a");
    store.write(sums(1, 1, 1));
    fs.rename("/a", "/b");
    CHECK(failure<io_error>([&] { store.write(sums(2, 1, 2)); }) ==
          "cannot create \"/a/data-2\": No such file or directory");
    fs.rename("/b", "/a");
    store.write(sums(2, 1, 2));
    CHECK(store.read(2) == sums(2, 1, 2));
}

TEST_CASE("who asks for it is told of each step of a write, and what it throws there fails the write") {
    memory_file_system fs;
    std::vector<checkpoint_step> steps;
    std::optional<checkpoint_step> failing;
    checkpoint_store store(fs, "/a", [&](checkpoint_step step, checkpoint_id id) {
        CHECK(id == 1);
        steps.push_back(step);
        if (step == failing) throw std::runtime_error(name_of(step));
    });
    using enum checkpoint_step;
    const std::vector<checkpoint_step> all{write_data,     sync_data,     sync_data_folder,    write_manifest,
                                           sync_manifest, rename_manifest, sync_manifest_folder};
    for (const checkpoint_step at : all) {
        failing = at;
        CHECK(failure<std::runtime_error>([&] { store.write(sums(1, 2, 8)); }) == name_of(at));
        CHECK(store.newest() == std::nullopt);
        CHECK(fs.files() == std::vector<std::string>{"/a/lock"});
    }
    failing.reset();
    steps.clear();
    store.write(sums(1, 2, 8));
    CHECK(steps == all);
    CHECK(store.read(1) == sums(1, 2, 8));
}
