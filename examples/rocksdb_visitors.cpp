// State larger than memory: of each of 60,000 visitors the job remembers the pages that they have seen, and tells who
// comes back after a day. In memory it holds 1,000 of them, the others are in RocksDB. It is stopped with a savepoint
// in the middle; another job, with all of them in memory, begins from that and goes on.
//   rocksdb_visitors [--describe]
#include <atomic>
#include <boost/describe.hpp>
#include <cstdio>
#include <filesystem>
#include <string>

#include "runnel/rocksdb.hpp"
#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
using runnel::timestamp;

struct visit {
    std::uint32_t visitor = 0, page = 0;
    timestamp at;
};

constexpr std::uint32_t visitors = 60'000;

/// Each visitor sees a page in turn, and every tenth does so once more on the next day.
visit nth(std::uint64_t n) {
    const bool again = n >= 2 * visitors;
    const std::uint64_t i = again ? (n - 2 * visitors) * 10 : n;
    return {static_cast<std::uint32_t>(i % visitors), static_cast<std::uint32_t>(i / visitors),
            timestamp(std::chrono::milliseconds(n) + (again ? 24h : 0h))};
}

struct remembering {
    using output_type = std::size_t;
    runnel::map_state<std::uint32_t, std::uint32_t> seen{};  // page -> how often
    runnel::value_state<timestamp> last{};
    void open(runnel::state_setup& s) {
        seen = s.map<std::uint32_t, std::uint32_t>("seen");
        last = s.value<timestamp>("last");
    }
    void on_record(const visit& v, runnel::process_context<std::size_t>& context) {
        if (last.get() && v.at - *last.get() >= 12h) context.emit(seen.size());
        ++seen.get_or_create(v.page);
        last.set(v.at);
    }
};

std::atomic<std::size_t> back = 0, pages = 0;
std::atomic<bool> half_way = false;

runnel::pipeline who_comes_back(double rate) {
    runnel::pipeline p{"visitors"};
    p.from(runnel::generate(2 * visitors + visitors / 10, nth, {.rate = rate})).named("visits")
        .event_time(&visit::at, runnel::monotonous())
        .peek([](const visit& v) {
            if (v.page == 1 && !half_way.exchange(true)) half_way.notify_all();
        })
        .key_by(&visit::visitor)
        .process(remembering{}).named("remembering")
        .to(runnel::for_each([](std::size_t n) { ++back, pages += n; })).named("who comes back");
    return p;
}

int main(int argc, char**) {
    if (argc > 1) return std::fputs(who_comes_back(0).describe().c_str(), stdout), 0;
    const std::string folder = (std::filesystem::temp_directory_path() / "runnel_rocksdb_visitors").string();
    std::filesystem::remove_all(folder);
    {
        auto job = who_comes_back(200'000).start({.checkpoints = {.folder = folder + "/checkpoints"},
                                                  .state = runnel::rocksdb_state(folder + "/state",
                                                                                 {.keys_in_memory = 1'000})});
        half_way.wait(false);
        job.stop_with_savepoint(folder + "/savepoint");
        job.wait();
    }
    who_comes_back(0).start({.parallelism = 2, .checkpoints = {.folder = folder + "/two"},
                             .restore = folder + "/savepoint"}).wait();
    std::printf("%zu visitors came back, and had seen %zu pages\n", back.load(), pages.load());
    std::filesystem::remove_all(folder);
}
