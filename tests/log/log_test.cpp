#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

#include "runnel/log/log_error.hpp"
#include "runnel/testing/manual_clock.hpp"
#include "runnel/testing/memory_file_system.hpp"
#include "tests/connect/failing_files.hpp"
#include "tests/log/log_kit.hpp"
#include "tests/support/random.hpp"

using namespace runnel;
using test::read_all;
using test::text_of;
using test::values;

namespace {

using strings = std::vector<std::string>;

log_record text(std::string_view value, std::int64_t t = 0) { return {.time = timestamp(t), .value = value}; }

TEST_CASE("what is appended is read back: key, value, headers, time, and nothing where there was none") {
    const test::temporary_folder folder;
    log_folder log(folder / "log");
    const log_topic topic = log.topic("t", {});
    log_writer out = topic.writer(0);
    const log_header headers[] = {{"trace", "1"}, {"", ""}, {"trace", std::string_view("\0x", 2)}};
    CHECK(out.append({.time = timestamp(-5), .key = "k", .value = "v", .headers = headers}) == 0);
    CHECK(out.append({.time = timestamp::max(), .key = "", .value = ""}) == 1);
    CHECK(out.append({.time = timestamp::min(), .key = "gone"}) == 2);
    CHECK(out.append({}) == 3);
    const std::string large(300'000, 'x');
    CHECK(out.append(text(large)) == 4);
    CHECK(out.append({.time = timestamp(7), .key = large, .headers = {headers, 1}}) == 5);
    CHECK(read_all(topic).empty());
    out.flush();
    const std::vector<test::kept_record> wanted{
        {0, -5, "k", "v", {{"trace", "1"}, {"", ""}, {"trace", std::string("\0x", 2)}}},
        {1, timestamp::max().ns(), "", "", {}},
        {2, timestamp::min().ns(), "gone", std::nullopt, {}},
        {3, 0, std::nullopt, std::nullopt, {}},
        {4, 0, std::nullopt, large, {}},
        {5, 7, large, std::nullopt, {{"trace", "1"}}}};
    CHECK(read_all(topic) == wanted);
    CHECK(read_all(log_folder(folder / "log").topic("t")) == wanted);
}

TEST_CASE("offsets, segments and places: a reader begins at any offset, time or the end, over many segments") {
    tests::random_numbers random(11);
    for (int round = 0; round < 20; ++round) {
        CAPTURE(round);
        testing::memory_file_system disk;
        log_folder log("/log", {.files = &disk});
        const log_topic topic = log.topic("t", {.partitions = 2});
        std::vector<test::kept_record> wanted;
        const std::size_t segment = 200 + random.below(3000);
        for (int open = 0; open < 3; ++open) {
            log_writer out = topic.writer(1, {.batch_bytes = 1 + random.below(500), .segment_bytes = segment});
            CHECK(out.recovery().cut == 0);
            CHECK(out.next_offset() == wanted.size());
            for (int i = 0; i < 200; ++i) {
                const std::string value(random.below(100), static_cast<char>('a' + random.below(26)));
                const std::int64_t t = random.between(-1000, 1000) + static_cast<std::int64_t>(wanted.size()) * 10;
                CHECK(out.append(text(value, t)) == wanted.size());
                wanted.push_back({wanted.size(), t, std::nullopt, value, {}});
                if (random.chance(10)) out.flush();
            }
        }
        log_folder elsewhere("/log", {.files = &disk});
        for (const log_topic& t : {topic, elsewhere.topic("t")}) {
            CHECK(read_all(t, 1) == wanted);
            CHECK(t.end_offset(1) == wanted.size());
            CHECK(read_all(t, 0).empty());
            for (int i = 0; i < 30; ++i) {
                const std::size_t at = random.below(wanted.size() + 1);
                const auto rest = read_all(t, 1, log_place::offset(at));
                CHECK(std::equal(rest.begin(), rest.end(), wanted.begin() + static_cast<std::ptrdiff_t>(at),
                                 wanted.end()));
                const std::int64_t time = random.between(-2000, 8000);
                const auto first = std::find_if(wanted.begin(), wanted.end(), [&](const auto& r) { return r.time >= time; });
                const auto later = read_all(t, 1, log_place::time(timestamp(time)));
                CHECK(std::equal(later.begin(), later.end(), first, wanted.end()));
            }
            CHECK(read_all(t, 1, log_place::end()).empty());
            CHECK(text_of<log_out_of_range>([&] { read_all(t, 1, log_place::offset(wanted.size() + 1)); }) != "");
        }
    }
}

TEST_CASE("a reader goes on where it was when records come, and is woken for them, in this process") {
    const test::temporary_folder folder;
    log_folder log(folder / "log");
    const log_topic topic = log.topic("t", {});
    log_reader in = topic.reader(0);
    int woken = 0;
    in.on_append([&] { ++woken; });
    CHECK(in.next() == nullptr);
    CHECK_FALSE(in.has_writer());
    log_writer out = topic.writer(0, {.segment_bytes = 300});
    CHECK(in.has_writer());
    for (int i = 0; i < 50; ++i) {
        out.append(text(std::to_string(i)));
        CHECK(woken == i);
        CHECK(in.next() == nullptr);
        out.flush();
        CHECK(woken == i + 1);
        CHECK(values(read_all(in)) == strings{std::to_string(i)});
        CHECK(in.position() == static_cast<std::uint64_t>(i) + 1);
    }
    in.on_append(nullptr);
    out.append(text("x"));
    out.flush();
    CHECK(woken == 50);
}

TEST_CASE("a reader of another folder object sees what is flushed when it asks again") {
    const test::temporary_folder folder;
    log_folder log(folder / "log");
    const log_topic topic = log.topic("t", {});
    log_reader in = log_folder(folder / "log").topic("t").reader(0);
    CHECK(in.next() == nullptr);
    log_writer out = topic.writer(0, {.segment_bytes = 300});
    for (int i = 0; i < 50; ++i) {
        out.append(text(std::to_string(i)));
        CHECK(in.next() == nullptr);
        out.flush();
        CHECK(values(read_all(in)) == strings{std::to_string(i)});
    }
    CHECK_FALSE(in.has_writer());
}

TEST_CASE("with group commit, readers see what is durable, and threads that flush share syncs") {
    const test::temporary_folder folder;
    test::failing_files files(default_file_system());
    log_folder log(folder / "log", {.files = &files});
    const log_topic topic = log.topic("t", {});
    constexpr int threads = 8;
    constexpr int each = 200;
    {
        log_writer out = topic.writer(0, {.batch_bytes = 1000, .segment_bytes = 20'000});
        files.syncs = 0;
        std::vector<std::thread> all;
        std::atomic<int> unseen = 0;
        for (int t = 0; t < threads; ++t)
            all.emplace_back([&, t] {
                for (int i = 0; i < each; ++i) {
                    const std::uint64_t offset = out.append(text(std::to_string(t) + " " + std::to_string(i)));
                    out.flush();
                    if (topic.end_offset(0) <= offset) ++unseen;
                }
            });
        for (std::thread& t : all) t.join();
        CHECK(unseen == 0);
        CHECK(files.syncs <= threads * each + 10);
    }
    std::vector<int> next(threads);
    for (const std::string& v : values(topic)) {
        const int t = v[0] - '0';
        CHECK(std::stoi(v.substr(2)) == next[static_cast<std::size_t>(t)]++);
    }
    CHECK(next == std::vector<int>(threads, each));
}

TEST_CASE("without syncs by the writer, readers see what was written; by interval, the clock says when it syncs") {
    const test::temporary_folder folder;
    test::failing_files files(default_file_system());
    testing::manual_clock clock;
    log_folder log(folder / "log", {.files = &files, .clock = &clock});
    const log_topic topic = log.topic("t", {});
    {
        log_writer out = topic.writer(0, {.sync = log_sync::never, .batch_bytes = 50});
        const int before = files.syncs;
        out.append(text(std::string(60, 'x')));
        CHECK(read_all(topic).size() == 1);
        out.append(text("y"));
        out.flush();
        CHECK(read_all(topic).size() == 2);
        CHECK(files.syncs == before);
        out.sync();
        CHECK(files.syncs == before + 1);
    }
    log_reader in = topic.reader(0, log_place::end());
    std::mutex mutex;
    std::condition_variable changed;
    bool woken = false;
    in.on_append([&] {
        const std::lock_guard lock(mutex);
        woken = true;
        changed.notify_one();
    });
    log_writer out = topic.writer(0, {.sync = log_sync::interval, .sync_interval = std::chrono::seconds(1)});
    while (clock.next_call() == timestamp::max()) std::this_thread::yield();
    out.append(text("z"));
    CHECK(in.next() == nullptr);
    clock.advance(std::chrono::seconds(1));
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return woken; });
    CHECK(values(read_all(in)) == strings{"z"});
}

TEST_CASE("one writer at a time: another one is refused until the first is gone") {
    const test::temporary_folder folder;
    log_folder log(folder / "log");
    const log_topic topic = log.topic("t", {.partitions = 2});
    {
        const log_writer out = topic.writer(0);
        CHECK(text_of<log_in_use>([&] { topic.writer(0); }).find(folder / "log/t/0") != std::string::npos);
        CHECK(text_of<log_in_use>([&] { log_folder(folder / "log").topic("t").writer(0); }) != "");
        topic.writer(1);
    }
    topic.writer(0);
}

/// Files whose locks exclude nobody, as those of some network file systems.
class without_locks final : public file_system {
public:
    std::unique_ptr<file> open(const std::string& path, open_mode mode, file_access access) override {
        return std::make_unique<unlocked_file>(real_.open(path, mode, access));
    }
    void rename(const std::string& a, const std::string& b) override { real_.rename(a, b); }
    void remove(const std::string& path) override { real_.remove(path); }
    void sync_directory(const std::string& path) override { real_.sync_directory(path); }
    void make_directories(const std::string& path, file_access access) override { real_.make_directories(path, access); }
    std::vector<std::string> list(const std::string& path) override { return real_.list(path); }
    bool exists(const std::string& path) override { return real_.exists(path); }
    bool is_directory(const std::string& path) override { return real_.is_directory(path); }
    std::uint64_t size(const std::string& path) override { return real_.size(path); }

private:
    class unlocked_file final : public file {
    public:
        explicit unlocked_file(std::unique_ptr<file> real) : file(real->name()), real_(std::move(real)) {}

    private:
        std::size_t read_some(std::uint64_t offset, char* into, std::size_t n) override {
            return real_->read(offset, into, n);
        }
        std::size_t write_some(std::uint64_t offset, const char* from, std::size_t n) override {
            real_->write(offset, {from, n});
            return n;
        }
        void do_sync() override { real_->sync(); }
        std::uint64_t do_size() override { return real_->size(); }
        file_id do_id() override { return real_->id(); }
        void do_truncate(std::uint64_t size) override { real_->truncate(size); }
        bool do_try_lock() override { return true; }

        std::unique_ptr<file> real_;
    };

    file_system& real_ = default_file_system();
};

TEST_CASE("a writer that another one has replaced is refused, whatever the lock says") {
    const test::temporary_folder folder;
    without_locks files;
    const log_topic topic = log_folder(folder / "log", {.files = &files}).topic("t", {});
    const log_topic elsewhere = log_folder(folder / "log", {.files = &files}).topic("t");
    log_writer zombie = topic.writer(0);
    log_transaction t = zombie.begin("w");
    t.append(text("prepared"));
    t.prepare(1);
    zombie.append(text("buffered"));
    log_writer heir = elsewhere.writer(0);
    heir.commit("w", 1);
    heir.append(text("new"));
    heir.flush();
    CHECK(text_of<log_fenced>([&] { zombie.flush(); }).find("another writer") != std::string::npos);
    CHECK(text_of<log_fenced>([&] { zombie.append(text("x")); }) != "");
    CHECK(text_of<log_fenced>([&] { zombie.commit("w", 1); }) != "");
    heir.append(text("newer"));
    heir.flush();
    CHECK(values(elsewhere) == strings{"prepared", "new", "newer"});
}

TEST_CASE("a failed write or sync ends the writer: no retry, no acknowledgement, and the error names file and byte") {
    for (const bool by_sync : {true, false}) {
        CAPTURE(by_sync);
        const test::temporary_folder folder;
        test::failing_files files(default_file_system());
        const log_topic topic = log_folder(folder / "log", {.files = &files}).topic("t", {});
        {
            log_writer out = topic.writer(0);
            out.append(text("safe"));
            out.flush();
            const int syncs = files.syncs;
            out.append(text("lost"));
            if (by_sync) files.fail_sync = true;
            else files.room = 70;
            const std::string error = text_of<io_error>([&] { out.flush(); });
            CHECK(error.find(folder / "log/t/0/00000000000000000000.log") != std::string::npos);
            CHECK(error.find("at byte ") != std::string::npos);
            CHECK(error.find("open it again") != std::string::npos);
            files.fail_sync = false;
            files.room = SIZE_MAX;
            CHECK(text_of<io_error>([&] { out.flush(); }) == error);
            CHECK(text_of<io_error>([&] { out.append(text("x")); }) == error);
            CHECK(text_of<io_error>([&] { out.begin("w"); }) == error);
            CHECK(files.syncs == syncs);
            CHECK(values(topic) == strings{"safe"});
        }
        log_writer again = topic.writer(0);
        CHECK(again.recovery().cut == (by_sync ? 0 : 70));
        again.append(text("more"));
        again.flush();
        CHECK(values(topic) == (by_sync ? strings{"safe", "lost", "more"} : strings{"safe", "more"}));
    }
}

TEST_CASE("records that are too large, and options that make no sense, are refused with what to do") {
    const test::temporary_folder folder;
    log_folder log(folder / "log");
    const log_topic topic = log.topic("t", {});
    log_writer out = topic.writer(0);
    out.append(text("a"));
    const std::string huge((256 << 20) + 1, 'x');
    CHECK(text_of<error>([&] { out.append(text(huge)); }).find("too large") != std::string::npos);
    CHECK(text_of<error>([&] { out.append({.time = {}, .key = huge, .value = ""}); }).find("too large") != std::string::npos);
    out.append(text("b"));
    out.flush();
    CHECK(values(topic) == strings{"a", "b"});
    CHECK(text_of<error>([&] { topic.writer(1); }).find("no partition 1") != std::string::npos);
    CHECK(text_of<error>([&] { log.topic("t", {.partitions = 2}); }).find("has 1 partitions, not 2") != std::string::npos);
    CHECK(text_of<error>([&] { log.topic("u"); }).find("no topic \"u\"") != std::string::npos);
    CHECK(text_of<error>([&] { log.topic("u", {.partitions = 0}); }) != "");
    for (const char* name : {"", ".", "..", "a/b", "../t", "a b", ".hidden", "t\n"})
        CHECK(text_of<error>([&] { log.topic(name, {}); }).find("a name has") != std::string::npos);
    CHECK(text_of<error>([&] { topic.group("../x"); }) != "");
    CHECK(text_of<error>([&] { out.begin(""); }) != "");
    log.topic("u", {.partitions = 3});
    CHECK(log.topics() == strings{"t", "u"});
    CHECK(log_folder(folder / "none").topics().empty());
}

TEST_CASE("what the log makes is for its owner alone") {
    const test::temporary_folder folder;
    {
        const log_topic topic = log_folder(folder / "log").topic("t", {});
        log_writer out = topic.writer(0, {.segment_bytes = 100});
        for (int i = 0; i < 5; ++i) out.append(text("x")), out.flush();
        topic.group("g").commit(0, 1);
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
        CAPTURE(entry.path().string());
        struct stat about {};
        REQUIRE(::stat(entry.path().c_str(), &about) == 0);
        CHECK((about.st_mode & 077) == 0);
    }
}

TEST_CASE("a topic whose description is lost is not made anew over its records") {
    const test::temporary_folder folder;
    log_folder(folder / "log").topic("t", {.partitions = 2});
    std::filesystem::rename(folder / "log/t/topic", folder / "kept");
    // Nobody had written to it.
    CHECK(log_folder(folder / "log").topic("t", {}).partitions() == 1);
    std::filesystem::rename(folder / "kept", folder / "log/t/topic");
    log_folder(folder / "log").topic("t").writer(1).append(text("x"));
    std::filesystem::rename(folder / "log/t/topic", folder / "kept");
    const std::string said = text_of<log_corrupted>([&] { log_folder(folder / "log").topic("t", {.partitions = 2}); });
    CHECK(said.find(folder / "log/t/topic") != std::string::npos);
    CHECK(said.find("there are records in \"" + folder / "log/t/1\"") != std::string::npos);
    CHECK(text_of<error>([&] { log_folder(folder / "log").topic("t"); }).find("there is no topic") != std::string::npos);
    std::filesystem::rename(folder / "kept", folder / "log/t/topic");
    CHECK(values(log_folder(folder / "log").topic("t"), 1) == strings{"x"});
}

TEST_CASE("a symbolic link in the place of a file or folder of the log is refused, and what it leads to stays") {
    const test::temporary_folder folder;
    {
        const log_topic topic = log_folder(folder / "log").topic("t", {});
        topic.writer(0).append(text("x"));
        topic.group("g").commit(0, 1);
    }
    strings seen;
    const auto use = [&] {
        const log_topic topic = log_folder(folder / "log").topic("t");
        seen = values(topic);
        seen.push_back(std::to_string(topic.group("g").position(0).value()));
        topic.writer(0);
    };
    for (const std::string name : {"log", "log/t", "log/t/topic", "log/t/0", "log/t/0/end", "log/t/0/lock",
                                   "log/t/0/00000000000000000000.log", "log/t/groups", "log/t/groups/g",
                                   "log/t/groups/g/0"}) {
        CAPTURE(name);
        std::filesystem::rename(folder / name, folder / "real");
        std::filesystem::create_symlink(folder / "real", folder / name);
        const std::string said = text_of<error>(use);
        CHECK(said.find(folder / name) != std::string::npos);
        CHECK(said.find("it is a symbolic link, and here those are not followed") != std::string::npos);
        CHECK(std::filesystem::is_symlink(folder / name));
        std::filesystem::remove(folder / name);
        std::filesystem::rename(folder / "real", folder / name);
    }
    use();
    CHECK(seen == strings{"x", "1"});
}

TEST_CASE("a consumer group's positions are kept by partition, and survive") {
    const test::temporary_folder folder;
    {
        const log_topic topic = log_folder(folder / "log").topic("t", {.partitions = 3});
        log_group g = topic.group("g");
        CHECK(g.position(0) == std::nullopt);
        g.commit(0, 5);
        g.commit(2, 7);
        g.commit(0, 6);
        CHECK(text_of<error>([&] { g.commit(3, 1); }) != "");
    }
    const log_topic topic = log_folder(folder / "log").topic("t");
    CHECK(topic.group("g").position(0) == 6);
    CHECK(topic.group("g").position(1) == std::nullopt);
    CHECK(topic.group("g").position(2) == 7);
    CHECK(topic.group("h").position(0) == std::nullopt);
    folder.write("log/t/groups/g/2", folder.read("log/t/groups/g/0"));
    CHECK(text_of<log_corrupted>([&] { topic.group("g").position(2); }).find("groups/g/2") != std::string::npos);
}

TEST_CASE("a key has one partition, in every release") {
    const test::temporary_folder folder;
    const log_topic topic = log_folder(folder / "log").topic("t", {.partitions = 10});
    CHECK(topic.partition_of("") == 1);
    CHECK(topic.partition_of("ann") == 8);
    std::set<std::size_t> all;
    for (int i = 0; i < 1000; ++i) all.insert(topic.partition_of(std::to_string(i)));
    CHECK(all.size() == 10);
}

}  // namespace
