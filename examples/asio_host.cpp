// A host that runs everything on its own Asio context: the job's work is done by the thread that runs the context,
// between the host's own handlers. No thread is started.
//   asio_host [--describe]
#include <boost/asio.hpp>
#include <cstdio>
#include <thread>

#include "runnel/runnel.hpp"

using namespace std::chrono_literals;

int main(int argc, char**) {
    const std::thread::id here = std::this_thread::get_id();
    bool stayed = true;
    long sum = 0;
    runnel::pipeline p{"asio_host"};
    p.from(runnel::generate(100'000, [](std::uint64_t i) { return static_cast<long>(i); }))
        .key_by([](long i) { return i % 10; })
        .reduce([](long a, long b) { return a + b; })
        .to(runnel::for_each([&](long partial) {
            sum = std::max(sum, partial);
            stayed &= std::this_thread::get_id() == here;
        }));
    if (argc > 1) return std::puts(p.describe(2).c_str()) < 0;

    boost::asio::io_context io;
    auto executor = runnel::on_context(io);
    runnel::job job = std::move(p).start({.executor = &executor});

    int ticks = 0;  // the host's own work goes on meanwhile
    boost::asio::steady_timer timer(io);
    std::function<void()> tick = [&] {
        ++ticks;
        if (job.is_done()) return;
        timer.expires_after(1ms);
        timer.async_wait([&](const boost::system::error_code&) { tick(); });
    };
    tick();
    io.run();    // returns when the job and the timer are done
    job.wait();  // nothing left to wait for; throws if the job has failed
    std::printf("largest sum %ld; the host's timer %s; %s\n", sum, ticks > 0 ? "ticked" : "never ticked",
                stayed ? "all on one thread" : "on other threads too");
}
