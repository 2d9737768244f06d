// Clicks per user in windows of 10 s, from JSON lines that another process sends over TCP; shown live, and in the end
// compared with what the sender has counted itself.
//   click_count [SECONDS]
#include <unistd.h>

#include <algorithm>
#include <boost/describe.hpp>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "runnel/runnel.hpp"

using namespace std::chrono_literals;

struct click {
    std::string user, page;
    runnel::timestamp at;
    std::int64_t sent = 0;  // Microseconds since the epoch, by the sender's clock.
};
BOOST_DESCRIBE_STRUCT(click, (), (user, page, at, sent))

int main(int argc, char** argv) try {
    const std::string seconds = argc > 1 ? argv[1] : "20";
    auto server = runnel::tcp_listen(0, {.end_after = 1});
    std::mutex mutex;  // Guards what the job's threads and the display share.
    std::map<std::pair<std::string, std::int64_t>, std::int64_t> counts;
    std::int64_t newest = 0, slowest_us = 0;

    runnel::pipeline p{"clicks"};
    p.from(runnel::json_lines<click>(server))
        .event_time(&click::at, runnel::bounded_out_of_orderness(2s))
        .on_error(runnel::on_error::skip)
        .named("clicks")
        .peek([&](const click& c) {
            const std::int64_t now = std::chrono::system_clock::now().time_since_epoch() / 1us;
            std::lock_guard lock(mutex);
            slowest_us = std::max(slowest_us, now - c.sent);
        })
        .key_by(&click::user)
        .window(runnel::tumbling(10s).drop_late())
        .aggregate(runnel::count())
        .to(runnel::for_each([&](const runnel::windowed<std::string, std::uint64_t>& r) {
            std::lock_guard lock(mutex);
            newest = std::max(newest, r.end.ns() / 1'000'000);
            counts[{r.key, r.end.ns() / 1'000'000}] += static_cast<std::int64_t>(r.value);
        }));
    auto job = std::move(p).start({.parallelism = 2});

    const std::string program(argv[0]);
    const std::string folder = program.substr(0, program.find_last_of('/') + 1);
    std::FILE* sender = popen((folder + "click_sender " + std::to_string(server.port()) + " " + seconds).c_str(), "r");
    if (!sender) throw std::runtime_error("click_sender cannot be started");
    const bool terminal = isatty(STDOUT_FILENO) != 0;
    for (std::uint64_t before = 0; !job.is_done(); std::this_thread::sleep_for(1s)) {
        const runnel::job_status s = job.status();
        std::lock_guard lock(mutex);
        std::multimap<std::int64_t, std::string, std::greater<>> top;
        for (const auto& [key, n] : counts)
            if (key.second == newest) top.emplace(n, key.first);
        std::printf(terminal ? "\033[H\033[J" : "");
        std::printf("%llu clicks/s, slowest %lld us after it was sent; late %llu, bad %llu; window to %s:",
                    (unsigned long long)(s.operators[0].records_out - std::exchange(before, s.operators[0].records_out)),
                    (long long)std::exchange(slowest_us, 0), (unsigned long long)s.operators[2].late_dropped,
                    (unsigned long long)s.operators[0].skipped, newest ? to_string(runnel::timestamp(newest * 1ms)).c_str() : "-");
        for (int shown = 0; const auto& [n, user] : top)
            if (++shown <= 5) std::printf("%s%s %lld", terminal ? "\n  " : "  ", user.c_str(), (long long)n);
        std::printf("\n"), std::fflush(stdout);
    }
    job.wait();

    const runnel::job_status s = job.status();
    long long sent = 0, late = 0, bad = 0, end = 0, n = 0;
    char user[64];
    bool equal = std::fscanf(sender, "sent %lld late %lld bad %lld", &sent, &late, &bad) == 3;
    for (std::size_t i = 0; equal && std::fscanf(sender, "%63s %lld %lld", user, &end, &n) == 3; ++i) {
        equal = counts[{user, end}] == n;
        counts.erase({user, end});
    }
    equal = pclose(sender) == 0 && equal && counts.empty() && s.operators[2].late_dropped == (std::uint64_t)late &&
            s.operators[0].skipped == (std::uint64_t)bad;
    std::printf("%lld clicks sent, %lld late, %lld bad: %s\n", sent, late, bad,
                equal ? "all totals equal the sender's" : "totals DIFFER from the sender's");
    return equal ? 0 : 1;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "click_count: %s\n", e.what()), 1;
}
