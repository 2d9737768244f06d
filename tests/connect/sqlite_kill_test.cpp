// A process that stores results in a database is killed at any moment, most of all inside a commit, and goes on from
// its newest checkpoint: no result is missing, none is there twice.
//
// RUNNEL_KILLS says how many kills to try, RUNNEL_SEED the seed. A failure prints its seed.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/describe.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/connect/sqlite_database.hpp"
#include "tests/core/temporary_folder.hpp"
#include "tests/support/random.hpp"

using namespace runnel;

namespace {

struct numbered {
    std::int64_t n = 0;
    std::string text;
};
BOOST_DESCRIBE_STRUCT(numbered, (), (n, text))

/// What a job keeps of itself.
struct saved {
    checkpoint_id id = 0;
    std::int64_t position = 0;
    std::vector<std::string> prepared;
};
BOOST_DESCRIBE_STRUCT(saved, (), (id, position, prepared))

constexpr std::int64_t per_checkpoint = 300;

saved read_saved(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return {};
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    byte_reader from(bytes);
    return codec<saved>::decode(from);
}

/// The file is whole or not there: a kill is no loss of power.
void write_saved(const std::string& path, const saved& s) {
    std::string bytes;
    codec<saved>::encode(s, bytes);
    std::ofstream(path + ".tmp", std::ios::binary) << bytes;
    std::filesystem::rename(path + ".tmp", path);
}

/// Runs until it is killed, or has made `checkpoints` more. Says 'c' when a commit begins, 'd' when it is done.
void run(const test::temporary_folder& folder, int say, int checkpoints) {
    const auto sink = test::sqlite_sink<numbered>(folder / "a.db", "t");
    saved s = read_saved(folder / "checkpoint");
    sink->recover(s.id, "job/t", s.prepared);
    const auto writer = sink->open({.owner = "job/t"});
    const auto tell = [&](char what) {
        if (::write(say, &what, 1) != 1) ::_exit(3);
    };
    for (; checkpoints != 0; --checkpoints) {
        batch<numbered> records;
        for (std::int64_t i = 0; i < per_checkpoint; ++i)
            records.append({s.position + i, std::string(static_cast<std::size_t>(i), 'x')}, timestamp(1));
        (void)writer->write(records);
        s = {s.id + 1, s.position + per_checkpoint, {writer->prepare()}};
        write_saved(folder / "checkpoint", s);
        tell('c');
        sink->commit(s.id, "job/t", s.prepared);
        tell('d');
    }
}

class child {
public:
    child(const test::temporary_folder& folder, int checkpoints) {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        from_ = ends[0];
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            ::close(ends[0]);
            try {
                run(folder, ends[1], checkpoints);
                ::_exit(0);
            } catch (const std::exception& e) {
                std::fprintf(stderr, "%s\n", e.what());
                ::_exit(1);
            }
        }
        ::close(ends[1]);
    }
    child(const child&) = delete;
    child& operator=(const child&) = delete;
    ~child() {
        if (pid_ > 0) {
            kill();
            wait();
        }
        ::close(from_);
    }
    /// What the child says next; 0 when it is gone.
    char next() {
        char what = 0;
        return ::read(from_, &what, 1) == 1 ? what : '\0';
    }
    void kill() { ::kill(pid_, SIGKILL); }
    int wait() {
        int status = 0;
        ::waitpid(std::exchange(pid_, -1), &status, 0);
        return status;
    }

private:
    int from_ = -1;
    pid_t pid_ = -1;
};

}  // namespace

TEST_CASE("a process killed at any moment goes on from its checkpoint: each row is there once") {
    const char* const asked = std::getenv("RUNNEL_KILLS");
    const char* const first = std::getenv("RUNNEL_SEED");
    const std::size_t kills = asked ? std::strtoull(asked, nullptr, 10) : 200;
    const std::uint64_t seed = first ? std::strtoull(first, nullptr, 10) : 1;
    CAPTURE(seed);
    tests::random_numbers random(seed);
    test::temporary_folder folder;
    using clock = std::chrono::steady_clock;
    clock::duration usual = std::chrono::milliseconds(1);  // of a commit
    std::size_t inside = 0, again = 0;
    for (std::size_t n = 0; n != kills; ++n) {
        const saved before = read_saved(folder / "checkpoint");
        child c(folder, -1);
        const bool at_once = random.chance(20);  // Starting, recovering.
        for (std::size_t commits = at_once ? 0 : random.below(3); commits != 0; --commits) {
            REQUIRE(c.next() == 'c');
            const auto begun = clock::now();
            REQUIRE(c.next() == 'd');
            usual = (usual * 3 + (clock::now() - begun)) / 4;
        }
        char last = '\0';
        if (!at_once) REQUIRE((last = c.next()) == 'c');
        const auto until = clock::now() + usual * static_cast<int>(random.below(120)) / 100;
        while (clock::now() < until) {
        }
        c.kill();
        REQUIRE(WIFSIGNALED(c.wait()));
        while (const char what = c.next()) last = what;
        inside += last == 'c';
        again += last == '\0' && before.id == read_saved(folder / "checkpoint").id;
    }
    {
        child c(folder, 1);
        REQUIRE(c.wait() == 0);
    }
    const saved end = read_saved(folder / "checkpoint");
    const std::string path = folder / "a.db";
    CHECK(test::rows(path, "PRAGMA integrity_check") == std::vector<std::string>{"ok"});
    CHECK(test::rows(path, "SELECT checkpoint FROM runnel_checkpoints") ==
          std::vector<std::string>{std::to_string(end.id)});
    CHECK(test::rows(path, "SELECT count(*), count(DISTINCT n), min(n), max(n) FROM t") ==
          std::vector<std::string>{std::to_string(end.position) + "|" + std::to_string(end.position) + "|0|" +
                                   std::to_string(end.position - 1)});
    CHECK(test::rows(path, "SELECT count(*) FROM t WHERE length(text) != n % " + std::to_string(per_checkpoint) +
                               " OR rowid != n + 1") == std::vector<std::string>{"0"});
    MESSAGE(kills << " kills, " << inside << " of them inside a commit, " << again
                  << " before the first checkpoint of a process; " << end.position << " rows, seed " << seed);
    CHECK(inside * 5 >= kills);
}
