// click_count [SECONDS]: clicks per user in windows of 10 s, from JSON lines that another process sends over TCP; shown
// live, here and in a browser, and in the end compared with what the sender has counted itself.
#include <unistd.h>
#include <boost/describe.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>
#include "runnel/observe.hpp"
#include "runnel/runnel.hpp"

using namespace std::chrono_literals;
struct click {
    std::string user, page;
    runnel::timestamp at;
    std::int64_t sent = 0;  // Microseconds since the epoch, by the sender's clock.
};
BOOST_DESCRIBE_STRUCT(click, (), (user, page, at, sent))

int main(int argc, char** argv) try {
    auto server = runnel::tcp_listen(0, {.end_after = 1});  // Port 0: any that is free.
    std::mutex mutex;                                       // Guards what the job and the display share.
    std::map<std::int64_t, std::map<std::string, std::uint64_t>> counts;  // End of window in ms, user.
    std::int64_t slowest = 0;
    runnel::pipeline p{"clicks"};
    p.from(runnel::json_lines<click>(server))
        .event_time(&click::at, runnel::bounded_out_of_orderness(2s))
        .on_error(runnel::on_error::skip)
        .peek([&](const click& c) {
            const std::int64_t now = std::chrono::system_clock::now().time_since_epoch() / 1us;
            std::lock_guard lock(mutex);
            slowest = std::max(slowest, now - c.sent);
        })
        .key_by(&click::user)
        .window(runnel::tumbling(10s).drop_late())
        .aggregate(runnel::count())
        .to(runnel::for_each([&](const runnel::windowed<std::string, std::uint64_t>& r) {
            std::lock_guard lock(mutex);
            counts[r.end.ns() / 1'000'000][r.key] = r.value;
        }));
    runnel::observe::live_page page;  // On loopback, as long as it lives.
    auto job = std::move(p).start({.parallelism = 2});
    page.add(job);

    const std::string sender = std::filesystem::path(argv[0]).replace_filename("click_sender").string();
    const std::string arguments = std::to_string(server.port()) + " " + (argc > 1 ? argv[1] : "20");
    std::FILE* report = popen((sender + " " + arguments).c_str(), "r");
    if (!report) throw std::runtime_error("click_sender cannot be started");
    const bool terminal = isatty(STDOUT_FILENO) != 0;
    const std::string see = "see " + page.url() + "\n";
    if (!terminal) std::cout << see;
    for (std::uint64_t before = 0; !job.is_done(); std::this_thread::sleep_for(1s)) {
        const auto operators = job.status().operators;  // Source, peek, window, sink.
        std::lock_guard lock(mutex);
        std::cout << (terminal ? "\033[H\033[J" + see : "") << operators[0].records_out - before
                  << " clicks/s, at most " << slowest << " us after they were sent; " << operators[2].late_dropped
                  << " late, " << operators[0].skipped << " bad";
        before = operators[0].records_out, slowest = 0;
        std::multimap<std::uint64_t, std::string, std::greater<>> top;
        for (const auto& [user, n] : counts.empty() ? decltype(counts)::mapped_type() : counts.rbegin()->second)
            top.emplace(n, user);
        for (auto it = top.begin(); it != top.end() && std::distance(top.begin(), it) < 5; ++it)
            std::cout << (terminal ? "\n  " : "  ") << it->second << ' ' << it->first;
        std::cout << std::endl;
    }
    job.wait();
    // The sender prints how many clicks it has sent, how many of them late and bad, and its counts.
    std::ostringstream counted;
    const auto totals = job.status().operators;
    counted << "sent " << totals[0].records_out + totals[0].skipped << " late " << totals[2].late_dropped << " bad "
            << totals[0].skipped << '\n';
    for (const auto& [end, users] : counts)
        for (const auto& [user, n] : users) counted << end << ' ' << user << ' ' << n << '\n';
    std::string said;
    for (int c; (c = std::fgetc(report)) != EOF;) said += static_cast<char>(c);
    const bool equal = pclose(report) == 0 && said == counted.str();
    std::cout << said.substr(0, said.find('\n')) << (equal ? ": all totals equal the sender's\n" : ": totals DIFFER\n");
    return equal ? 0 : 1;
} catch (const std::exception& e) {
    return std::cerr << "click_count: " << e.what() << '\n', 1;
}
