// Sends clicks as JSON lines over TCP, or appends them to a file: a few thousand a second, out of order, some late,
// some malformed. Then prints what a receiver must have counted. Event time runs ten times as fast as the clock, to
// have more windows to look at.
//   click_sender PORT|FILE SECONDS
#include <algorithm>
#include <boost/asio.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <thread>

using std::int64_t;
using namespace std::chrono_literals;

constexpr int64_t window = 10'000, bound = 2'000;  // Milliseconds of event time; the receiver's settings.
constexpr int64_t start = 1'763'712'000'000;       // 2025-11-21T08:00:00Z
constexpr int per_tick = 50;                       // Ticks of 10 ms: 5,000 clicks a second.

int main(int argc, char** argv) try {
    if (argc < 3) return std::fputs("usage: click_sender PORT|FILE SECONDS\n", stderr), 2;
    boost::asio::io_context context;
    boost::asio::ip::tcp::socket socket(context);
    std::ofstream file;
    if (const int port = std::atoi(argv[1]); port != 0) {
        socket.connect({boost::asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(port)});
        socket.set_option(boost::asio::ip::tcp::no_delay(true));
    } else {
        file.exceptions(std::ios::failbit | std::ios::badbit);
        file.open(argv[1], std::ios::app);
    }

    std::mt19937_64 random(7);
    auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<std::uint64_t>(n)); };
    std::map<std::pair<int64_t, std::string>, int64_t> counts;  // End of window and user.
    int64_t sent = 0, late = 0, bad = 0, largest = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (int64_t tick = 0; tick < std::atoll(argv[2]) * 100; ++tick) {
        std::this_thread::sleep_until(begin + tick * 10ms);
        std::string lines;
        for (int i = 0; i < per_tick; ++i, ++sent) {
            if (below(500) == 0) {
                lines += below(2) ? "{\"user\":\"u1\",\"at\":\n" : "{\"user\":\"u1\",\"page\":7,\"at\":0,\"sent\":0}\n";
                ++bad;
                continue;
            }
            const bool straggler = below(200) == 0;
            const int64_t at = start + tick * 100 + i * 2 - below(straggler ? 30'000 : bound);
            // Few users click much, many a little.
            const std::string user = "user" + std::to_string(std::min(below(60), below(60)));
            const int64_t now = std::chrono::system_clock::now().time_since_epoch() / 1us;
            lines += "{\"user\":\"" + user + "\",\"page\":\"/p" + std::to_string(below(20)) +
                     "\",\"at\":" + std::to_string(at) + ",\"sent\":" + std::to_string(now) + "}\n";
            // Late is what comes when the watermark, largest time - bound - 1 ns, has passed the end of its window.
            const int64_t end = at - at % window + window;
            if (largest != 0 && end <= largest - bound) ++late;
            else ++counts[{end, user}];
            largest = std::max(largest, at);
        }
        if (file.is_open()) file << lines << std::flush;
        else boost::asio::write(socket, boost::asio::buffer(lines));
    }
    socket.close();
    std::printf("sent %lld late %lld bad %lld\n", (long long)sent, (long long)late, (long long)bad);
    for (const auto& [key, n] : counts)
        std::printf("%lld %s %lld\n", (long long)key.first, key.second.c_str(), (long long)n);
} catch (const std::exception& e) {
    return std::fprintf(stderr, "click_sender: %s\n", e.what()), 1;
}
