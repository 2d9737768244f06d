// Two jobs on one executor: they share two threads, and each ends, or fails, on its own.
//   two_jobs [--describe]
#include <cstdint>
#include <cstdio>
#include <stdexcept>

#include "runnel/runnel.hpp"

int main(int argc, char**) {
    std::uint64_t sum = 0;
    runnel::pipeline adding{"adding"};
    adding.from(runnel::generate(1'000'000, [](std::uint64_t i) { return i; }))
        .filter([](std::uint64_t i) { return i % 3 == 0; })
        .to(runnel::for_each([&](std::uint64_t i) { sum += i; }));

    runnel::pipeline failing{"failing"};
    failing.from(runnel::generate(runnel::unbounded, [](std::uint64_t i) { return i; }))
        .map([](std::uint64_t i) { return i == 1000 ? throw std::out_of_range("a thousand is too much") : i; })
        .named("careful")
        .to(runnel::null_sink());

    if (argc > 1) return std::printf("%s%s", adding.describe().c_str(), failing.describe().c_str()) < 0;
    runnel::pool_executor threads(2);  // outlives both jobs
    runnel::job first = std::move(adding).start({.executor = &threads});
    runnel::job second = std::move(failing).start({.executor = &threads});
    try {
        second.wait();
    } catch (const runnel::job_error& e) {
        std::printf("the second job failed: %s\n", e.what());
    }
    first.wait();  // goes on as if nothing had happened
    std::printf("the first job added up %llu\n", static_cast<unsigned long long>(sum));
}
