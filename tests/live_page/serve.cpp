// serve FOLDER: jobs to look at until the standard input ends, the first with checkpoints in FOLDER. Prints the address
// of their page.
#include <boost/describe/class.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <string>

#include "runnel/graph/pipeline.hpp"
#include "runnel/observe/live_page.hpp"
#include "runnel/sink/for_each.hpp"
#include "runnel/sink/null.hpp"
#include "runnel/source/generator.hpp"
#include "runnel/source/inlet.hpp"
#include "runnel/source/rate_limited.hpp"
#include "runnel/window/count.hpp"

using namespace runnel;
using namespace std::chrono_literals;

namespace {

struct click {
    std::uint64_t user;
    timestamp at;
};
BOOST_DESCRIBE_STRUCT(click, (), (user, at))

timestamp now() { return timestamp(std::chrono::system_clock::now()); }

/// One in a thousand is a minute late.
click make(std::uint64_t i) {
    return {i * 7 % 500, now() - (i % 1000 == 999 ? duration(60s) : static_cast<int>(i % 50) * 1ms)};
}

auto clicks(double per_second) { return rate_limited(generate(unbounded, make), per_second); }

}  // namespace

int main(int, char** argv) try {
    pipeline first{"clicks"};
    auto good = first.from(clicks(5000))
                    .named("clicks")
                    .event_time(&click::at, bounded_out_of_orderness(200ms))
                    .map([](click c) {
                        if (c.user == 77) throw std::invalid_argument("user <script>alert(77)</script> is unknown");
                        return c;
                    })
                    .named("<img src=x onerror=alert(1)>")
                    .on_error(on_error::skip);
    good.key_by(&click::user)
        .window(tumbling(1s).drop_late())
        .aggregate(count())
        .named("counts per user")
        .to(null_sink())
        .named("counts out");
    good.key_by(&click::user)
        .reduce([](const click& a, const click&) { return a; })
        .named("first clicks")
        .to(for_each([](const click&) {}))
        .named("clicks out");
    job_options options{.parallelism = 2};
    options.checkpoints = {.folder = argv[1], .interval = 500ms};
    job one = std::move(first).start(options);

    // The second input is silent: event time waits for it.
    inlet<click> quiet;
    pipeline second{"orders"};
    auto b = second.from(quiet).named("returns").event_time(&click::at, monotonous());
    second.from(clicks(1000))
        .named("orders")
        .event_time(&click::at, bounded_out_of_orderness(200ms))
        .merge(b)
        .key_by(&click::user)
        .window(tumbling(1s).drop_late())
        .aggregate(count())
        .named("counts")
        .to(null_sink())
        .named("out");
    job two = std::move(second).start();

    observe::live_page page;
    page.add(one);
    page.add(two);
    std::cout << page.url() << std::endl;
    while (std::getchar() != EOF) continue;
    quiet.close();
} catch (const std::exception& e) {
    return std::cerr << "serve: " << e.what() << '\n', 1;
}
