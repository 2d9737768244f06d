#include "runnel/connect/rocksdb.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runnel/checkpoint/savepoint.hpp"
#include "runnel/core/error.hpp"
#include "runnel/graph/pipeline.hpp"
#include "runnel/sink/collect.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/state/saved_keyed_state.hpp"
#include "tests/core/temporary_folder.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct event {
    std::uint32_t key = 0;
    timestamp at{};
};

/// Counts, keeps some bytes, and tells at the end of the day what it has.
struct counting {
    using output_type = std::pair<std::uint32_t, std::uint64_t>;
    value_state<std::uint64_t> seen{};
    value_state<std::string> ballast{};
    event_timer tell{};
    void open(state_setup& s) {
        seen = s.value<std::uint64_t>("seen");
        ballast = s.value<std::string>("ballast");
        tell = s.event_timer("tell");
    }
    void on_record(const event& e, process_context<output_type>&) {
        if (++seen.get_or_create() == 1) tell.set(timestamp(24h));
        ballast.set(std::string(100, static_cast<char>('a' + e.key % 26)));
    }
    void on_timer(const timer_event&, process_context<output_type>& c) {
        const auto key = c.key<std::uint32_t>();
        if (ballast.value_or("") != std::string(100, static_cast<char>('a' + key % 26))) throw error("the ballast is lost");
        c.emit({key, *seen.get()});
        seen.clear();
        ballast.clear();
    }
};

constexpr std::uint32_t keys = 2000;
constexpr std::uint64_t events = 8'000;

event nth(std::uint64_t i) {
    return {static_cast<std::uint32_t>((i * 0x9E3779B97F4A7C15U >> 33) % keys), timestamp(std::chrono::milliseconds(i))};
}

using totals = std::map<std::uint32_t, std::uint64_t>;

totals expected() {
    totals all;
    for (std::uint64_t i = 0; i < events; ++i) ++all[nth(i).key];
    return all;
}

pipeline counts(std::vector<counting::output_type>& shown, double rate = 0) {
    pipeline p("counts");
    p.from(generate(events, nth, {.splits = 2, .rate = rate}))
        .named("events")
        .event_time(&event::at, bounded_out_of_orderness(1s))
        .key_by(&event::key)
        .process(counting{})
        .named("counting")
        .to(collect(shown))
        .named("shown");
    return p;
}

totals totals_of(const std::vector<counting::output_type>& shown) {
    totals all;
    for (const auto& [key, n] : shown) CHECK(all.emplace(key, n).second);
    return all;
}

/// The text of the failure that ends a job with this state, and of its cause.
std::string failure_with(std::shared_ptr<state_backend> state) {
    std::vector<counting::output_type> shown;
    auto j = counts(shown).start({.state = std::move(state)});
    try {
        j.wait();
    } catch (const job_error& e) {
        try {
            std::rethrow_if_nested(e);
        } catch (const state_error& cause) {
            return cause.what();
        }
    }
    return "none";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a job whose state is larger than its memory gives what it gives in memory, at any parallelism") {
    const test::temporary_folder folder;
    for (const std::size_t parallelism : {1, 2, 5}) {
        CAPTURE(parallelism);
        std::vector<counting::output_type> shown;
        auto j = counts(shown).start({.parallelism = parallelism,
                                      .state = rocksdb_state(folder / "state", {.keys_in_memory = 50, .memory = 8 << 20})});
        j.wait();
        CHECK(totals_of(shown) == expected());
    }
}

TEST_CASE("the folder is private, holds nothing once the job is gone, and can be used again") {
    const test::temporary_folder folder;
    const auto state = rocksdb_state(folder / "state", {.keys_in_memory = 50});
    for (int i = 0; i < 2; ++i) {
        std::vector<counting::output_type> shown;
        {
            auto j = counts(shown, 5'000).start({.state = state});
            CHECK(std::filesystem::exists(folder / "state/db/CURRENT"));
            const auto may = std::filesystem::status(folder / "state").permissions();
            CHECK((may & std::filesystem::perms::others_all) == std::filesystem::perms::none);
            CHECK((may & std::filesystem::perms::group_all) == std::filesystem::perms::none);
        }
        CHECK_FALSE(std::filesystem::exists(folder / "state/db"));
    }
}

TEST_CASE("nothing is touched before a job starts") {
    const test::temporary_folder folder;
    const auto state = rocksdb_state(folder / "state");
    CHECK_FALSE(std::filesystem::exists(folder / "state"));
}

TEST_CASE("checkpoints of state in RocksDB are those of state in memory: a job goes on from either with the other") {
    const test::temporary_folder folder;
    for (const bool first_in_memory : {true, false}) {
        CAPTURE(first_in_memory);
        std::vector<counting::output_type> shown;
        std::string from;
        bool in_memory = first_in_memory;
        for (int leg = 0; leg < 4; ++leg, in_memory = !in_memory) {
            const std::string name = folder / (std::to_string(first_in_memory) + std::to_string(leg));
            job_options o{.parallelism = static_cast<std::size_t>(1 + leg), .batch_size = 32};
            o.checkpoints = {.folder = name, .interval = 10ms};
            o.restore = from;
            if (!in_memory) o.state = rocksdb_state(folder / "state", {.keys_in_memory = 50, .memory = 8 << 20});
            auto j = counts(shown, leg == 3 ? 0 : 20'000).start(o);
            if (leg != 3) j.stop_with_savepoint(from = name + "-savepoint");
            j.wait();
        }
        CHECK(totals_of(shown) == expected());
    }
}

namespace {

struct keeping {
    using output_type = int;
    value_state<std::string> kept{};
    void open(state_setup& s) { kept = s.value<std::string>("kept"); }
    void on_record(const event& e, process_context<int>&) { kept.set(std::string(5000, static_cast<char>(e.key))); }
};

}  // namespace

TEST_CASE("the last checkpoint of a job has all state, though its subtasks are gone and their stores closed") {
    const test::temporary_folder folder;
    constexpr std::uint32_t many = 5'000;
    pipeline p("keep");
    p.from(generate(many, [](std::uint64_t i) { return event{static_cast<std::uint32_t>(i), timestamp(1s)}; }))
        .named("events")
        .key_by(&event::key)
        .process(keeping{})
        .named("keeping")
        .to(for_each([](int) {}))
        .named("nothing");
    job_options o{.parallelism = 2};
    o.checkpoints = {.folder = folder / "checkpoints"};
    o.state = rocksdb_state(folder / "state", {.keys_in_memory = 50, .memory = 8 << 20});
    auto j = std::move(p).start(o);
    j.wait();
    CHECK(j.status().checkpoints.bytes > many * 5000ULL);  // Told by its files: hardly any of it is in memory.
    const checkpoint c = read_savepoint(default_file_system(), folder / "checkpoints");
    saved_keyed_state<std::uint32_t> saved(c, "keeping");
    const auto kept = saved.value<std::string>("kept");
    std::uint32_t right = 0;
    saved.for_each([&](std::uint32_t key) { right += *kept.get() == std::string(5000, static_cast<char>(key)); });
    CHECK(right == many);
}

TEST_CASE("a job that fails starts again with an empty database, from its checkpoint") {
    const test::temporary_folder folder;
    totals last;
    int failures = 0;
    pipeline p("counts");
    p.from(generate(events, nth, {.rate = 100'000}))
        .named("events")
        .event_time(&event::at, bounded_out_of_orderness(1s))
        .map([&](const event& e) {
            if (e.at == timestamp(std::chrono::milliseconds(events * 3 / 4)) && failures++ < 2) throw error("now and then");
            return e;
        })
        .named("failing")
        .key_by(&event::key)
        .process(counting{})
        .named("counting")
        .to(for_each([&](const counting::output_type& r) { last[r.first] = r.second; }))
        .named("shown");
    job_options o;
    o.checkpoints = {.folder = folder / "checkpoints", .interval = 5ms};
    o.restart = fixed_delay(5, 1ms);
    o.state = rocksdb_state(folder / "state", {.keys_in_memory = 50, .memory = 8 << 20});
    auto j = std::move(p).start(o);
    j.wait();
    CHECK(failures == 3);
    CHECK(last == expected());
}

TEST_CASE("a database that another process has left, or damaged, is no matter") {
    const test::temporary_folder folder;
    for (const char* const damage : {"", "CURRENT", "MANIFEST-000004", "000007.sst"}) {
        std::filesystem::create_directories(folder / "state/db");
        std::ofstream(folder / "state/db/IDENTITY") << "left";
        if (*damage) std::ofstream(folder / ("state/db/" + std::string(damage))) << "damaged";
        std::vector<counting::output_type> shown;
        auto j = counts(shown).start({.state = rocksdb_state(folder / "state", {.keys_in_memory = 50})});
        j.wait();
        CHECK(totals_of(shown) == expected());
    }
}

TEST_CASE("two jobs on one folder: the second is refused, and harms nothing") {
    const test::temporary_folder folder;
    std::vector<counting::output_type> shown;
    auto j = counts(shown, 40'000).start({.state = rocksdb_state(folder / "state", {.keys_in_memory = 50})});
    const std::string why = failure_with(rocksdb_state(folder / "state"));
    CHECK(contains(why, "in use by another job"));
    CHECK(contains(why, "state.lock"));
    j.wait();
    CHECK(totals_of(shown) == expected());
}

TEST_CASE("two jobs with one and the same object share its database") {
    const test::temporary_folder folder;
    const auto state = rocksdb_state(folder / "state", {.keys_in_memory = 50, .memory = 8 << 20});
    std::vector<counting::output_type> one, two;
    auto a = counts(one).start({.state = state});
    auto b = counts(two).start({.state = state});
    a.wait();
    b.wait();
    CHECK(totals_of(one) == expected());
    CHECK(totals_of(two) == expected());
}

TEST_CASE("a folder that can't be used is refused with the reason, and nothing in it is touched") {
    const test::temporary_folder folder;
    CHECK(contains(failure_with(rocksdb_state("")), "none is named"));
    CHECK(contains(failure_with(rocksdb_state("/proc/nothing/state")), "/proc/nothing"));
    std::ofstream(folder / "file") << "precious";
    CHECK(contains(failure_with(rocksdb_state(folder / "file")), folder / "file"));
    std::filesystem::create_directory(folder / "other");
    std::ofstream(folder / "other/notes.txt") << "precious";
    const std::string why = failure_with(rocksdb_state(folder / "other"));
    CHECK(contains(why, "notes.txt"));
    CHECK(std::filesystem::file_size(folder / "other/notes.txt") == 8);
    CHECK_FALSE(std::filesystem::exists(folder / "other/db"));
}

namespace {

/// As long as it is there, files can't grow beyond a size, as on a full disk.
class full_disk {
public:
    explicit full_disk(rlim_t bytes) : ignored_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~full_disk() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, ignored_);
    }
    full_disk(const full_disk&) = delete;
    full_disk& operator=(const full_disk&) = delete;

private:
    void (*ignored_)(int);
    rlimit before_{};
};

}  // namespace

TEST_CASE("where there is no room for the state the job fails and says so, though it leaves out records that fail") {
    const test::temporary_folder folder;
    pipeline p("counts");
    p.from(generate(30 * events, [](std::uint64_t i) { return event{static_cast<std::uint32_t>(i), timestamp(1s)}; }))
        .event_time(&event::at, bounded_out_of_orderness(1s))
        .key_by(&event::key)
        .process(counting{})
        .on_error(on_error::skip)
        .to(for_each([](const counting::output_type&) {}));
    const full_disk full(100'000);
    auto j = std::move(p).start({.state = rocksdb_state(folder / "state", {.keys_in_memory = 50, .memory = 8 << 20})});
    std::string why;
    try {
        j.wait();
    } catch (const job_error& e) {
        CHECK_THROWS_AS(std::rethrow_if_nested(e), state_error);
        why = e.what();
    }
    CHECK(contains(why, "state can't be"));
    CHECK(contains(why, folder / "state"));
    CHECK(contains(why, "has room"));
}
