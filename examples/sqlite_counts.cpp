// Counts requests per user and second into a table of an SQLite database, exactly once: the first run is cancelled half
// way, the second one goes on from its newest checkpoint, and in the end each request has been counted once.
//   sqlite_counts [--describe]
#include <sqlite3.h>

#include <atomic>
#include <boost/describe.hpp>
#include <cstdio>
#include <filesystem>
#include <string>

#include "runnel/runnel.hpp"
#include "runnel/sqlite.hpp"

using namespace std::chrono_literals;
using runnel::timestamp;

struct request {
    std::string user;
    timestamp at;
};
BOOST_DESCRIBE_STRUCT(request, (), (user, at))

const std::string folder = "sqlite_counts.out";
std::atomic<bool> half_way = false;

// A minute of requests, one each half millisecond; `rate` is how many come in a second.
runnel::pipeline program(double rate) {
    const auto nth = [](std::uint64_t i) {
        return request{i % 3 == 0 ? "ann" : "bob", timestamp(std::chrono::microseconds(500 * i))};
    };
    runnel::pipeline p{"requests"};
    p.from(runnel::generate(120'000, nth, {.rate = rate}))
        .named("requests")
        .event_time(&request::at, runnel::monotonous())
        .peek([](const request& r) {
            if (r.at == timestamp(30s) && !half_way.exchange(true)) half_way.notify_all();
        })
        .key_by(&request::user)
        .window(runnel::tumbling(1s).drop_late())
        .aggregate(runnel::count())
        .named("counts")
        .to(runnel::sqlite_table(folder + "/counts.db", "counts", {.columns = {"user", "start", "end", "requests"}}))
        .named("table");
    return p;
}

void show(const char* query) {
    sqlite3* db = nullptr;
    const auto print = [](void*, int, char** values, char**) { return std::printf("%s\n", values[0]) < 0 ? 1 : 0; };
    if (sqlite3_open((folder + "/counts.db").c_str(), &db) != SQLITE_OK ||
        sqlite3_exec(db, query, print, nullptr, nullptr) != SQLITE_OK)
        std::printf("%s\n", sqlite3_errmsg(db));
    sqlite3_close(db);
}

int main(int argc, char**) {
    if (argc > 1) return std::puts(program(0).describe().c_str()) < 0;
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    const runnel::job_options options{.checkpoints = {.folder = folder + "/checkpoints", .interval = 50ms}};
    {
        runnel::job first = program(30'000).start(options);
        half_way.wait(false);
        first.checkpoint();
        first.cancel();
        first.wait();
    }
    show("SELECT iif(count(*) BETWEEN 1 AND 119, 'a part', 'all or nothing') || ' of the counts is there' FROM counts");
    program(0).start(options).wait();
    show("SELECT user || ': ' || sum(requests) || ' requests in ' || count(*) || ' seconds, ' || count(DISTINCT start) "
         "|| ' different ones' FROM counts GROUP BY user");
}
